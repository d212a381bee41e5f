"""Which samples each agent gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError, require, require_choice, require_count, require_number
from ._dataset import agent_sizes, host

DEALS = ("iid", "shards", "dirichlet")


def deal(
    labels: Any,
    n_agents: int,
    n_samples: int | Sequence[int] | None = None,
    how: str = "iid",
    beta: float = 0.5,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    shards_per_agent: int = 2,
) -> list[np.ndarray]:
    """Which samples each agent gets: disjoint sets of indices into ``labels``.

    With C classes of frequencies p, ``"dirichlet"`` draws agent q's class proportions π_q ~ Dirichlet(β C p), which
    is Dirichlet(β, ..., β) for equally frequent classes.

    Parameters
    ----------
    labels : (S,) numbers or strings
        Class of each sample.
    n_agents : int
        Number of agents Q.
    n_samples : int or (Q,) sequence of ints
        Samples of each agent; None deals all S.
    how : str
        ``"iid"``: a random permutation, cut. ``"shards"``: sorted by label and cut into Q · ``shards_per_agent`` runs,
        which are dealt at random. ``"dirichlet"``: each agent has class proportions of its own.
    beta : float
        β > 0 of ``"dirichlet"``. Small: an agent sees few classes; large: like ``"iid"``.
    sizes : (Q,) sequence of ints
        Another way to write ``n_samples``.
    seed : int
        Below 2³²; the same seed deals the same.
    shards_per_agent : int
        Runs of each agent for ``"shards"``.

    Returns
    -------
    list of Q integer arrays
        None of them empty.

    Raises
    ------
    DataError
        With more agents than samples, or more samples asked for than there are.
    UnknownNameError, ShapeError, InputError

    Notes
    -----
    Without ``n_samples`` all S samples are dealt. ``"iid"`` and ``"shards"`` then make sizes that differ by at most
    one; for ``"dirichlet"`` class c is shared out in proportion to π_1c, ..., π_Qc, so sizes differ, and an agent left
    with nothing gets one sample from the largest class of the agent that has the most.

    With ``n_samples``, runs of ``"shards"`` still cover all S samples, and an agent takes a random part of each of its
    runs. For ``"dirichlet"`` agents draw from their π_q one after another in random order, without replacement; when a
    class has run out, from the classes that are left. The nearer the total comes to S, the more the last agents are
    bound to what is left over.

    Hsu et al. write Dirichlet(α p): their α is β C.

    References
    ----------
    McMahan et al. (2017), arXiv:1602.05629 (shards). Hsu, Qi and Brown (2019), arXiv:1909.06335 (Dirichlet).

    Examples
    --------
    >>> parts = deal([0, 0, 0, 0, 1, 1, 1, 1], n_agents=2, how="shards", shards_per_agent=1)
    >>> sorted(sorted(part.tolist()) for part in parts)
    [[0, 1, 2, 3], [4, 5, 6, 7]]
    """
    how = deal_name(how)
    n_agents = require_count("n_agents", n_agents)
    beta = require_number("beta", beta, 0, open_low=True)
    shards_per_agent = require_count("shards_per_agent", shards_per_agent)
    rng = np.random.default_rng(require_seed(seed))
    if sizes is not None:
        require(n_samples is None, "sizes", "n_samples or sizes", "both", "they mean the same")
        n_samples = sizes
    label = _class_numbers(labels)
    found = f"{n_agents} agents"
    require(
        n_agents <= label.size, "n_agents", f"at most one agent for each of {label.size} samples", found, "", DataError
    )
    wanted = None if n_samples is None else agent_sizes(n_agents, n_samples)
    asked = n_agents if wanted is None else sum(wanted)
    found = f"{asked} asked for in all"
    require(asked <= label.size, "n_samples", f"at most the {label.size} samples that there are", found, "", DataError)
    if how == "dirichlet":
        return _deal_dirichlet(label, n_agents, wanted, beta, rng)
    equal = [label.size // n_agents + (q < label.size % n_agents) for q in range(n_agents)]
    if how == "shards":
        return _deal_shards(label, wanted or equal, shards_per_agent, rng)
    return _deal_iid(label, wanted or equal, rng)


def _deal_iid(label: np.ndarray, sizes: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    return _cut(rng.permutation(label.size), sizes)


def _deal_shards(label: np.ndarray, sizes: list[int], shards: int, rng: np.random.Generator) -> list[np.ndarray]:
    order = rng.permutation(label.size)
    order = order[np.argsort(label[order], kind="stable")]
    size = np.asarray(sizes)[:, None]
    nth = np.arange(shards)
    wanted = (size * (nth + 1) // shards - size * nth // shards).reshape(-1)
    turn = rng.permutation(wanted.size)
    # The runs cover all samples, in proportion to what is wanted: so no label is left out when few are wanted.
    ends = np.cumsum(wanted[turn]) * label.size // sum(sizes)
    runs = np.split(order, ends[:-1])
    taken = {i: rng.permutation(run)[: wanted[i]] for i, run in zip(turn.tolist(), runs, strict=True)}
    return [np.concatenate([taken[q * shards + i] for i in range(shards)]) for q in range(len(sizes))]


def _deal_dirichlet(
    label: np.ndarray, n_agents: int, sizes: list[int] | None, beta: float, rng: np.random.Generator
) -> list[np.ndarray]:
    available = np.bincount(label)
    concentration = min(beta, 1e300) * (available.size * available / label.size)
    proportions = rng.dirichlet(np.maximum(concentration, 1e-300), size=n_agents)
    counts = _share_out(proportions, available) if sizes is None else _draw(proportions, available, sizes, rng)
    runs = [_cut(rng.permutation(np.flatnonzero(label == c)), counts[:, c]) for c in range(available.size)]
    return [rng.permutation(np.concatenate([run[q] for run in runs])) for q in range(n_agents)]


def _share_out(proportions: np.ndarray, available: np.ndarray) -> np.ndarray:
    """(Q, C) counts whose columns sum to ``available``, and no row is zero."""
    total = np.sum(proportions, axis=0)
    weights = np.where(total > 0, proportions, 1.0)
    ends = np.cumsum(weights, axis=0)
    ends = np.rint(ends / ends[-1] * available).astype(np.int64)
    counts = np.diff(ends, axis=0, prepend=0)
    for q in np.flatnonzero(np.sum(counts, axis=1) == 0):
        donor = np.argmax(np.sum(counts, axis=1))
        c = np.argmax(counts[donor])
        counts[donor, c] -= 1
        counts[q, c] += 1
    return counts


def _draw(proportions: np.ndarray, available: np.ndarray, sizes: list[int], rng: np.random.Generator) -> np.ndarray:
    """(Q, C) counts whose rows sum to ``sizes``, drawn without replacement."""
    counts = np.zeros(proportions.shape, dtype=np.int64)
    left = available.copy()
    for q in rng.permutation(len(sizes)):
        while missing := sizes[q] - int(np.sum(counts[q])):
            weights = np.where(left > 0, proportions[q], 0.0)
            weights = weights if np.sum(weights) > 1e-200 else left.astype(np.float64)
            drawn = np.minimum(rng.multinomial(missing, weights / np.sum(weights)), left)
            counts[q] += drawn
            left -= drawn
    return counts


def _cut(order: np.ndarray, sizes: Any) -> list[np.ndarray]:
    """``order`` in runs of these sizes; what is left over is dropped."""
    ends = np.cumsum(sizes)
    return np.split(order[: ends[-1]], ends[:-1])


def _class_numbers(labels: Any) -> np.ndarray:
    labels = host("labels", labels)
    require(labels.ndim == 1, "labels", "shape (S,)", f"shape {labels.shape}", "", ShapeError)
    require(labels.size > 0, "labels", "at least one sample", "none", "", DataError)
    require(labels.dtype.kind in "biufUS", "labels", "numbers or strings", f"dtype {labels.dtype}")
    return np.unique(labels, return_inverse=True)[1]


def deal_name(how: Any) -> str:
    return require_choice("deal", how.lower() if isinstance(how, str) else how, DEALS)


def require_seed(seed: Any) -> int:
    seed = require_count("seed", seed, 0)
    require(seed < 2**32, "seed", "a whole number < 2**32", f"{seed}")
    return seed
