"""Data sets from arrays: one table to be dealt, or dealt already."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._array import Array, device, namespace
from ..errors import DataError, ShapeError, refuse, require, require_array, require_together
from . import _deal  # by its module: the functions here have a parameter called deal
from ._dataset import Dataset, agent_sizes, host, mask_of


def from_arrays(
    x: Array,
    y: Array,
    agents: Any = None,
    n_samples: Any = None,
    deal: str = "iid",
    beta: float = 0.5,
    seed: int = 0,
    shards_per_agent: int = 2,
    name: str = "data",
) -> Dataset:
    """Your own data: one table to be dealt to the agents, or arrays that are dealt already.

    Parameters
    ----------
    x : (S, N) or (Q, D, N) array of real numbers
        Inputs, all in one table or dealt already.
    y : (S,) or (S, M), or (Q, D) or (Q, D, M) array of real numbers
        Targets, in the library of ``x``.
    agents : int, (S,) whole numbers, or None
        For a table: the number of agents Q, or the agent 0 ... Q−1 of each sample. None for (Q, D, N).
    n_samples : int, (Q,) whole numbers, or None
        When ``agents`` is a number: samples of each agent, None deals all. For (Q, D, N): the true sizes, None when
        there is no padding.
    deal, beta, seed, shards_per_agent : str, float, int, int
        Used when ``agents`` is a number, see :func:`deal`; the distinct rows of ``y`` are the labels.
    name : str
        What the data is called in tables and pictures.

    Returns
    -------
    Dataset
        Its arrays in the library and on the device of ``x``.

    Raises
    ------
    ShapeError, DataError, InputError, UnknownNameError

    Notes
    -----
    Whole numbers and booleans become floating-point numbers: of the other array's dtype if that is floating, else of
    the library's default one. Whatever stands in the padding of (Q, D, N) is replaced by zeros. Only labels and agents
    are looked at on the host, the samples stay on their device. Targets that are all different make ``"dirichlet"``
    pointless: pass ``agents`` yourself.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 1])
    >>> from_arrays(x, y, agents=2).n_samples.tolist()
    [3, 2]
    >>> from_arrays(x, y, agents=[0, 0, 0, 0, 1]).y[1, :, 0].tolist()   # one sample, then padding
    [1.0, 0.0, 0.0, 0.0]
    >>> from_arrays(np.ones((3, 4, 2)), np.ones((3, 4))).y.shape
    (3, 4, 1)
    """
    x, y = _as_floating(x, y)
    if agents is None:
        return _from_dealt(x, y, n_samples, name)
    require(x.ndim == 2, "x", "shape (S, N)", f"shape {tuple(x.shape)}", "leave agents out for (Q, D, N)", ShapeError)
    y = y[:, None] if y.ndim == 1 else y
    shapes = f"x {tuple(x.shape)}, y {tuple(y.shape)}"
    require(y.ndim == 2, "y", "shape (S,) or (S, M)", f"shape {tuple(y.shape)}", "", ShapeError)
    require(x.shape[0] == y.shape[0], "x and y", "the same number of samples", shapes, "", ShapeError)
    require(0 not in (*x.shape, *y.shape), "x and y", "data that is not empty", shapes, "", DataError)
    require_array("x", x)
    require_array("y", y)
    if np.ndim(host("agents", agents)) == 0:
        _, label = np.unique(host("y", y), axis=0, return_inverse=True)
        parts = _deal.deal(
            label.reshape(-1), agents, n_samples, deal, beta, seed=seed, shards_per_agent=shards_per_agent
        )
    else:
        require(n_samples is None, "n_samples", "None when agents is an array", repr(n_samples))
        parts = parts_of(host("agents", agents), x.shape[0])
    return built(name, x, y, parts)


def parts_of(agents: np.ndarray, n_rows: int) -> list[np.ndarray]:
    """The samples of every agent, from the agent of every sample (S,)."""
    require(agents.shape == (n_rows,), "agents", f"shape ({n_rows},)", f"shape {agents.shape}", "", ShapeError)
    require(agents.dtype.kind in "iu", "agents", "whole numbers", f"dtype {agents.dtype}")
    present = np.unique(agents)
    require(int(present[0]) >= 0, "agents", "numbers from 0", f"{present[0]}")
    gaps = np.flatnonzero(present != np.arange(present.size))
    if gaps.size:
        refuse(
            "agents", f"every agent 0 ... {present[-1]} to have a sample", f"none for agent {gaps[0]}", "", DataError
        )
    return [np.flatnonzero(agents == q) for q in present]


def built(name: str, x: Array, y: Array, parts: list[np.ndarray], scale: int | None = None) -> Dataset:
    dealt = _rows(x, parts)
    return Dataset(dealt if scale is None else dealt / scale, _rows(y, parts), [part.size for part in parts], name)


def _rows(array: Array, parts: list[np.ndarray]) -> Array:
    """(Q, D, ·): the rows of ``array`` that each agent has, then zeros."""
    xp = namespace(array)
    sizes = np.asarray([part.size for part in parts])
    index = np.zeros((len(parts), int(sizes.max())), dtype=np.int64)
    for q, part in enumerate(parts):
        index[q, : part.size] = part
    rows = xp.take(array, xp.asarray(index.reshape(-1), device=device(array)), axis=0)
    return _cleared(xp.reshape(rows, (*index.shape, array.shape[1])), sizes)


def _from_dealt(x: Array, y: Array, n_samples: Any, name: str) -> Dataset:
    remedy = "pass agents: their number, or the agent of each sample" if x.ndim == 2 else ""
    require(x.ndim == 3, "x", "shape (Q, D, N) when agents is left out", f"shape {tuple(x.shape)}", remedy, ShapeError)
    y = y[:, :, None] if y.ndim == 2 else y
    require(y.ndim == 3, "y", "shape (Q, D) or (Q, D, M)", f"shape {tuple(y.shape)}", "", ShapeError)
    shapes = f"x {tuple(x.shape)}, y {tuple(y.shape)}"
    require(tuple(x.shape[:2]) == tuple(y.shape[:2]), "x and y", "the same (Q, D) in front", shapes, "", ShapeError)
    require(0 not in (*x.shape, *y.shape), "x and y", "data that is not empty", shapes, "", DataError)
    sizes = np.asarray(agent_sizes(x.shape[0], x.shape[1] if n_samples is None else n_samples))
    largest = int(sizes.max())
    require(largest <= x.shape[1], "n_samples", f"at most D = {x.shape[1]}", f"{largest}", "", DataError)
    return Dataset(_cleared(x[:, :largest, :], sizes), _cleared(y[:, :largest, :], sizes), sizes, name)


def _cleared(array: Array, sizes: np.ndarray) -> Array:
    xp = namespace(array)
    return xp.where(mask_of(sizes, array)[:, :, None], array, xp.zeros_like(array))


def _as_floating(x: Array, y: Array) -> tuple[Array, Array]:
    xp = require_together({"x": x, "y": y}, ShapeError)
    for name, array in (("x", x), ("y", y)):
        real = hasattr(array, "dtype") and xp.isdtype(array.dtype, ("bool", "integral", "real floating"))
        require(real, name, "real numbers", f"{getattr(array, 'dtype', type(array).__name__)}")
    floating = [array.dtype for array in (x, y) if xp.isdtype(array.dtype, "real floating")]
    dtype = xp.result_type(*floating) if floating else xp.asarray(0.0, device=device(x)).dtype
    return xp.astype(x, dtype), xp.astype(y, dtype)
