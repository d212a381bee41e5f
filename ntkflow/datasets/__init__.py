"""Data, and how it is dealt to the agents."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..errors import plain_name, require_choice
from ._arrays import from_arrays
from ._dataset import Dataset
from ._deal import DEALS, deal
from ._mnist import mnist
from ._sources import TARGETS, digits, half_moons

__all__ = ["CATALOGUE", "DEALS", "TARGETS", "Dataset", "deal", "digits", "from_arrays", "half_moons", "mnist", "named"]

CATALOGUE: Mapping[str, Callable[..., Dataset]] = MappingProxyType(
    {"half-moons": half_moons, "digits": digits, "mnist": mnist}
)


def named(
    name: str, n_agents: int, n_samples: int | Sequence[int] | None = None, seed: int = 0, **options: Any
) -> Dataset:
    """The data set of this name in ``CATALOGUE``.

    Parameters
    ----------
    name : str
        ``"half-moons"``, ``"digits"`` or ``"mnist"``; upper case and underscores are understood.
    n_agents, n_samples, seed, **options
        What the function of that name takes.

    Returns
    -------
    Dataset

    Raises
    ------
    UnknownNameError
        For a name that is not in the catalogue, or an option that the function does not have.
    DataError, InputError
        As the function itself.

    Examples
    --------
    >>> named("Half_Moons", n_agents=4, n_samples=10, noise=0.2).x.shape
    (4, 10, 2)
    """
    plain = plain_name(name, "_ ", "-")
    function = CATALOGUE[require_choice("dataset", plain, CATALOGUE)]
    known = inspect.signature(function).parameters
    for option in options:
        require_choice(f"option of {plain}", option, known)
    return function(n_agents=n_agents, n_samples=n_samples, seed=seed, **options)
