"""Tensors, torch Datasets or ntkflow's own, dealt to the agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...datasets import Dataset
from ...errors import DataError, ShapeError, require
from ._agents import by_agent
from ._tensors import array_in, chosen_library


@dataclass(frozen=True, eq=False)
class Dealt:
    """Every agent's samples, flat, and how the module wants one of them."""

    data: Dataset
    input_shape: tuple[int, ...]
    input_dtype: torch.dtype | None


def dataset(x: Any, y: Any = None, agents: Any = None, *, library: str | None = None, name: str = "data") -> Dataset:
    """The data of every agent as ntkflow keeps them, samples flat.

    Parameters
    ----------
    x : tensor, or a list with one tensor or one torch Dataset an agent
        (Q, D, ...) dealt already; (S, ...) in one table; or agent by agent.
    y : tensor or list of tensors
        Targets as real numbers, (Q, D, ...), (S, ...) or agent by agent; None with torch Datasets, which have them.
    agents : int, (S,) whole numbers, or list of Q index arrays
        For a table: the number of agents, to be dealt at random (seed 0); the agent of every sample; or the samples of
        every agent, as `ntkflow.datasets.deal` gives them.
    library : "numpy", "cupy" or "torch"
        Of the arrays; by default NumPy on the CPU and CuPy on a GPU.  Memory is shared where samples are not moved.
    name : str
        What the data is called in tables and pictures.

    Returns
    -------
    Dataset

    Raises
    ------
    ShapeError, DataError, InputError
        Shapes that do not fit, targets that are class numbers.
    MissingError
        A library that is not installed.

    Examples
    --------
    >>> import torch
    >>> dataset(torch.ones(10, 1, 4, 4), torch.ones(10), agents=3).n_samples.tolist()
    [4, 3, 3]
    """
    return dealt(x, y, agents, library, None, name).data


def dealt(x: Any, y: Any, agents: Any, library: str | None, dtype: torch.dtype | None, name: str = "data") -> Dealt:
    """The same with the shape of a sample; floating inputs and the targets in ``dtype``."""
    xs, ys = by_agent(x, y, agents)
    _require_regular(xs, ys)
    shape, kind, floating = tuple(xs[0].shape[1:]), xs[0].dtype, dtype or ys[0].dtype
    if kind.is_floating_point and dtype is None:
        require(kind == floating, "x and y", "one floating dtype", f"{kind} and {floating}", "convert one of them")
    library = chosen_library(library, ys[0].device)
    inputs, targets = (array_in(_padded(parts, floating), library) for parts in (xs, ys))
    data = Dataset(inputs, targets, n_samples=[part.shape[0] for part in xs], name=name)
    return Dealt(data, shape or (1,), None if kind.is_floating_point else kind)


def _require_regular(xs: list[Tensor], ys: list[Tensor]) -> None:
    """As many targets as samples; samples of one kind, targets of one kind and real."""
    for q, (a, b) in enumerate(zip(xs, ys, strict=True)):
        found = f"{a.shape[0]} samples and {b.shape[0]} targets"
        require(a.shape[0] == b.shape[0] >= 1, f"agent {q}", "as many targets as samples, at least one", found,
                error=DataError)  # fmt: skip
    for name, parts in (("x", xs), ("y", ys)):
        kinds = sorted({f"{part.dtype} {tuple(part.shape[1:])} on {part.device}" for part in parts})
        require(len(kinds) == 1, name, "samples of one dtype, shape and device", ", ".join(kinds), error=ShapeError)
    remedy = "one-hot classes: torch.nn.functional.one_hot(y, n_classes).to(x.dtype)"
    require(ys[0].is_floating_point(), "y", "real targets", f"dtype {ys[0].dtype}", remedy)


def _padded(parts: list[Tensor], dtype: torch.dtype) -> Tensor:
    """(Q, D, ·), zeros after an agent's samples."""
    return pad_sequence([part.reshape(part.shape[0], -1).to(dtype) for part in parts], batch_first=True)
