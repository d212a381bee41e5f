"""The data of all agents in one padded table, and what such tables are checked with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._array import Array, device, namespace, namespace_or_none, to_numpy
from ..errors import ShapeError, refuse, require, require_array, require_count, require_together


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Data dealt to Q agents: ``x[q, d]`` with target ``y[q, d]`` for d < ``n_samples[q]``, zeros after that.

    Parameters
    ----------
    x : (Q, D, N) real floating array
        Inputs; D is the size of the largest agent.
    y : (Q, D, M) array of the same library, on the same device
        Targets.
    n_samples : (Q,) whole numbers
        True sizes, kept as a NumPy integer array.
    name : str
        What the data is called in tables and pictures.

    Raises
    ------
    ShapeError, InputError
        When shapes, libraries or devices do not agree, entries are not finite, D is not the largest size, or the
        padding is not zero (``from_arrays`` clears it).

    Examples
    --------
    >>> import numpy as np
    >>> data = Dataset(np.ones((2, 3, 1)), np.ones((2, 3, 1)), n_samples=(3, 3))
    >>> data.n_agents, int(data.mask.sum())
    (2, 6)
    """

    x: Array
    y: Array
    n_samples: Any
    name: str = "data"

    def __post_init__(self) -> None:
        xp = require_together({"x": self.x, "y": self.y}, ShapeError)
        require_array("x", self.x, 3, "x is (Q, D, N)")
        require_array("y", self.y, 3, "y is (Q, D, M)")
        shapes = f"x {tuple(self.x.shape)}, y {tuple(self.y.shape)}"
        agree = tuple(self.x.shape[:2]) == tuple(self.y.shape[:2])
        require(agree, "x and y", "the same (Q, D) in front", shapes, "", ShapeError)
        require(0 not in (*self.x.shape, *self.y.shape), "x and y", "data that is not empty", shapes, "", ShapeError)
        n_agents, largest = self.x.shape[:2]
        sizes = np.asarray(agent_sizes(n_agents, self.n_samples))
        remedy = "cut the padding that no agent uses" if int(sizes.max()) < largest else "D is the largest size"
        require(
            int(sizes.max()) == largest, "n_samples", f"a maximum of D = {largest}", sizes.max(), remedy, ShapeError
        )
        object.__setattr__(self, "n_samples", sizes)
        padding = ~self.mask[:, :, None]
        for name, array in (("x", self.x), ("y", self.y)):
            clean = not bool(xp.any(padding & (array != 0)))
            require(clean, name, "zeros after each agent's true samples", "other values", "use from_arrays")

    def __repr__(self) -> str:
        sizes = sorted({int(size) for size in self.n_samples})
        samples = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        return (
            f"Dataset {self.name!r}: {self.n_agents} agents, {samples} samples each, "
            f"{self.x.shape[2]} inputs, {self.y.shape[2]} outputs"
        )

    @property
    def n_agents(self) -> int:
        """The number of agents Q."""
        return int(self.x.shape[0])

    @property
    def mask(self) -> Array:
        """(Q, D) booleans in the library of ``x``: true where there is a sample, false in the padding."""
        return mask_of(self.n_samples, self.x)


def mask_of(sizes: np.ndarray, array: Array) -> Array:
    xp = namespace(array)
    place = xp.arange(array.shape[1], device=device(array))
    return place[None, :] < xp.asarray(sizes, device=device(array))[:, None]


def agent_sizes(n_agents: Any, n_samples: Any) -> list[int]:
    """The number of samples of each agent, from one number or one for each."""
    n_agents = require_count("n_agents", n_agents)
    values = host("n_samples", n_samples).tolist()
    if not isinstance(values, list):
        return [require_count("n_samples", values)] * n_agents
    expected = f"one number or {n_agents}, one for each agent"
    require(len(values) == n_agents, "n_samples", expected, f"{len(values)}", "", ShapeError)
    return [require_count(f"n_samples[{q}]", value) for q, value in enumerate(values)]


def host(name: str, values: Any) -> np.ndarray:
    """A NumPy array of what is small: labels, sizes, agents."""
    if namespace_or_none(values) is not None:  # arrays on a GPU want to be asked
        return to_numpy(values)
    try:
        return np.asarray(values)
    except ValueError:
        refuse(name, "numbers in one regular array", type(values).__name__, "", ShapeError)
