"""Tensors, torch Datasets or ntkflow's own, dealt to the agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...datasets import Dataset
from ...errors import DataError, ShapeError, require, require_count
from ._agents import by_agent
from ._checks import FULL
from ._tensors import array_in, chosen_library


@dataclass(frozen=True, eq=False)
class Dealt:
    """Every agent's samples, flat, and how the module wants one of them."""

    data: Dataset
    input_shape: tuple[int, ...]
    input_dtype: torch.dtype | None


def dataset(
    x: Any,
    y: Any = None,
    agents: Any = None,
    *,
    n_classes: int | None = None,
    library: str | None = None,
    name: str = "data",
) -> Dataset:
    """The data of every agent as ntkflow keeps them, samples flat.

    Parameters
    ----------
    x : tensor, or a list with one tensor or one torch Dataset an agent
        (Q, D, ...) dealt already; (S, ...) in one table; or agent by agent.
    y : tensor or list of tensors
        Targets, (Q, D, ...), (S, ...) or agent by agent; None with torch Datasets, which have them. Real numbers, as
        the loss is the squared one, or class numbers with ``n_classes``.
    agents : int, (S,) whole numbers, or list of Q index arrays
        For a table: the number of agents, to be dealt at random (seed 0); the agent of every sample; or the samples of
        every agent, as `ntkflow.datasets.deal` gives them.
    n_classes : int, optional
        Turn targets that are class numbers 0, 1, … into rows with a 1 for the class.
    library : "numpy", "cupy" or "torch"
        Of the arrays, which are copies; by default NumPy on the CPU and CuPy on a GPU.
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
    >>> dataset(torch.ones(2, 3, 4), torch.tensor([[0, 1, 2], [0, 0, 0]]), n_classes=3).y.shape
    (2, 3, 3)
    """
    return dealt(x, y, agents, library, None, n_classes, name).data


def dealt(
    x: Any,
    y: Any,
    agents: Any,
    library: str | None,
    dtype: torch.dtype | None,
    n_classes: int | None = None,
    name: str = "data",
) -> Dealt:
    """The same with the shape of a sample; floating inputs and the targets in ``dtype``."""
    xs, ys = by_agent(x, y, agents)
    if n_classes is not None:
        ys = [_one_hot(part, require_count("n_classes", n_classes, 2), xs[0]) for part in ys]
    _require_regular(xs, ys)
    shape, kind, floating = tuple(xs[0].shape[1:]), xs[0].dtype, dtype or ys[0].dtype
    if kind.is_floating_point and dtype is None:
        require(kind == floating, "x and y", "one floating dtype", f"{kind} and {floating}", "convert one of them")
    require(floating in FULL, "x and y", "float32 or float64", floating, "convert them with .float()")
    library = chosen_library(library, ys[0].device)
    inputs, targets = (array_in(_padded(parts, floating), library) for parts in (xs, ys))
    data = Dataset(inputs, targets, n_samples=[part.shape[0] for part in xs], name=name)
    return Dealt(data, shape or (1,), None if kind.is_floating_point else kind)


def _one_hot(labels: Tensor, n_classes: int, other: Tensor) -> Tensor:
    """(D, C) from class numbers (D,)."""
    fits = labels.ndim == 1 and not labels.is_floating_point() and not labels.is_complex()
    found = f"{labels.dtype} of shape {tuple(labels.shape)}"
    require(fits, "y", "one class number a sample, beside n_classes", found)
    inside = bool(((labels >= 0) & (labels < n_classes)).all())
    require(inside, "y", f"class numbers from 0 to {n_classes - 1}", f"{labels.min()} to {labels.max()}")
    dtype = other.dtype if other.is_floating_point() else torch.float32
    return torch.nn.functional.one_hot(labels.long(), n_classes).to(dtype)


def _require_regular(xs: list[Tensor], ys: list[Tensor]) -> None:
    """As many targets as samples; samples of one kind, targets of one kind and real."""
    for q, (a, b) in enumerate(zip(xs, ys, strict=True)):
        found = f"{a.shape[0]} samples and {b.shape[0]} targets"
        require(a.shape[0] == b.shape[0] >= 1, f"agent {q}", "as many targets as samples, at least one", found,
                error=DataError)  # fmt: skip
    for name, parts in (("x", xs), ("y", ys)):
        kinds = sorted({f"{part.dtype} {tuple(part.shape[1:])} on {part.device}" for part in parts})
        require(len(kinds) == 1, name, "samples of one dtype, shape and device", ", ".join(kinds), error=ShapeError)
    remedy = "say n_classes= for class numbers"
    require(ys[0].is_floating_point(), "y", "real targets", f"dtype {ys[0].dtype}", remedy)


def _padded(parts: list[Tensor], dtype: torch.dtype) -> Tensor:
    """(Q, D, ·), zeros after an agent's samples."""
    return pad_sequence([part.reshape(part.shape[0], -1).to(dtype) for part in parts], batch_first=True)
