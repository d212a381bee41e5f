"""Data that scikit-learn makes or brings along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError, require, require_choice, require_memory, require_number
from . import _deal  # by its module: the functions here have a parameter called deal
from ._arrays import built
from ._dataset import Dataset, agent_sizes, host

TARGETS = ("signed", "zero_one", "one_hot")


def half_moons(
    n_agents: int,
    n_samples: int | Sequence[int],
    noise: float = 0.1,
    seed: int = 0,
    deal: str = "iid",
    beta: float = 0.5,
    shards_per_agent: int = 2,
) -> Dataset:
    """Two interleaving half circles in the plane with targets −1 (outer) and +1 (inner).

    (cos φ, sin φ) against (1 − cos φ, ½ − sin φ), φ in [0, π], plus normal noise.

    Parameters
    ----------
    n_agents : int
        Number of agents Q.
    n_samples : int or (Q,) sequence of ints
        Samples of each agent.
    noise : float
        Standard deviation of the noise; the circles have radius 1.
    seed : int
        Of points and dealing, below 2³².
    deal, beta, shards_per_agent : str, float, int
        How samples are dealt, see :func:`deal`.

    Returns
    -------
    Dataset
        N = 2, M = 1.

    Raises
    ------
    InputError, UnknownNameError

    Notes
    -----
    The points are those of ``sklearn.datasets.make_moons(total, noise=noise, random_state=seed)``. For
    ``deal="dirichlet"`` twice as many are drawn, so that neither moon runs out and the agents' proportions are exactly
    Dirichlet; the moons then differ in size.

    Examples
    --------
    >>> data = half_moons(n_agents=8, n_samples=200, noise=0.1, seed=0)
    >>> data.x.shape, data.y.shape, sorted(set(data.y.ravel().tolist()))
    ((8, 200, 2), (8, 200, 1), [-1.0, 1.0])
    """
    total = sum(agent_sizes(n_agents, n_samples))
    noise = require_number("noise", noise, 0)
    seed = _deal.require_seed(seed)
    require_memory("n_samples", 16.0 * total, "draw fewer samples")
    pool = 2 * total if _deal.deal_name(deal) == "dirichlet" else total
    from sklearn.datasets import make_moons

    x, labels = make_moons(pool, noise=noise, random_state=seed)
    parts = _deal.deal(labels, n_agents, n_samples, deal, beta, seed=seed, shards_per_agent=shards_per_agent)
    return built("half-moons", x, 2.0 * labels[:, None] - 1.0, parts)


def digits(
    n_agents: int,
    n_samples: int | Sequence[int] | None = None,
    classes: Sequence[int] = (0, 1),
    seed: int = 0,
    deal: str = "iid",
    targets: str | None = None,
    beta: float = 0.5,
    shards_per_agent: int = 2,
) -> Dataset:
    """Handwritten digits of 8 × 8 pixels, bundled with scikit-learn: no file and no network needed.

    Parameters
    ----------
    n_agents : int
        Number of agents Q.
    n_samples : int or (Q,) sequence of ints
        Samples of each agent; None deals all there are.
    classes : sequence of ints
        Digits to tell apart, at least two.
    seed : int
        Of the dealing, below 2³².
    deal, beta, shards_per_agent : str, float, int
        How samples are dealt, see :func:`deal`.
    targets : str or None
        For two classes ``"signed"`` (−1 for ``classes[0]``, +1 for ``classes[1]``) or ``"zero_one"`` (0 and 1), for any
        number of them ``"one_hot"`` (M = number of classes). None: signed for two classes, one-hot for more.

    Returns
    -------
    Dataset
        N = 64, pixels in [0, 1].

    Raises
    ------
    DataError, InputError, UnknownNameError

    Notes
    -----
    About 180 samples of each digit. Pixels are divided by 16, the largest value.

    References
    ----------
    Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, doi:10.24432/C50P49.

    Examples
    --------
    >>> data = digits(n_agents=8)
    >>> data.x.shape, data.n_samples.tolist()
    ((8, 45, 64), [45, 45, 45, 45, 45, 45, 45, 45])
    >>> digits(4, n_samples=10, classes=(3, 8, 9)).y.shape
    (4, 10, 3)
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    keep, position, table = select(labels, classes, targets)
    parts = _deal.deal(position, n_agents, n_samples, deal, beta, seed=seed, shards_per_agent=shards_per_agent)
    return built("digits", pixels[keep], table[position], parts, scale=16)


def select(labels: np.ndarray, classes: Any, targets: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose label is in ``classes``, the place of their label in ``classes``, and the target of each place."""
    wanted = host("classes", classes).tolist()
    several = isinstance(wanted, list) and len(wanted) >= 2
    require(several, "classes", "at least two labels", repr(classes), "for example (0, 1)", DataError)
    present = np.unique(labels).tolist()
    for label in wanted:
        require(label in present, "classes", f"labels among {present}", repr(label), "", DataError)
    require(len(set(wanted)) == len(wanted), "classes", "labels that differ", repr(classes), "", DataError)
    targets = targets if targets is not None else "signed" if len(wanted) == 2 else "one_hot"
    require_choice("targets", targets, TARGETS)
    if targets != "one_hot":
        found = f"{len(wanted)} classes"
        require(len(wanted) == 2, "targets", f"two classes for {targets!r}", found, "use 'one_hot'", DataError)
    tables = {"signed": [[-1.0], [1.0]], "zero_one": [[0.0], [1.0]], "one_hot": np.eye(len(wanted))}
    hits = labels[:, None] == np.asarray(wanted)
    keep = np.flatnonzero(np.any(hits, axis=1))
    return keep, np.argmax(hits[keep], axis=1), np.asarray(tables[targets])
