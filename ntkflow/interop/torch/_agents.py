"""Every agent's inputs and targets, whatever they come as."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate

from ..._devices import one_line
from ...datasets import Dataset, deal
from ...datasets._arrays import parts_of
from ...errors import DataError, ShapeError, refuse, require, require_count
from ._tensors import tensor_of

Lists = tuple[list[Tensor], list[Tensor]]  # inputs and targets, one tensor an agent


def by_agent(x: Any, y: Any, agents: Any) -> Lists:
    """From an ntkflow Dataset, a torch Dataset or a tensor an agent, (Q, D, ...) or one table."""
    listed = isinstance(x, list | tuple) and len(x) > 0
    whole = isinstance(x, Dataset) or (listed and all(isinstance(part, TorchDataset) for part in x))
    if whole or listed:
        require(agents is None, "agents", "none, the data are dealt already", type(agents).__name__)
    if whole:
        require(y is None, "y", "none, the data have targets", type(y).__name__)
        return _of_dataset(x) if isinstance(x, Dataset) else _of_torch_datasets(x)
    if listed:
        together = isinstance(y, list | tuple) and len(y) == len(x)
        require(together, "y", f"a list of {len(x)} tensors, one an agent", type(y).__name__, error=ShapeError)
        return [_tensor("x", part) for part in x], [_tensor("y", part) for part in y]
    x, y = _tensor("x", x), _tensor("y", y)
    return _of_dealt(x, y) if agents is None else _of_table(x, y, agents)


def _of_dataset(data: Dataset) -> Lists:
    sizes = [int(size) for size in data.n_samples]
    x, y = ([part[:size] for part, size in zip(tensor_of(a), sizes, strict=True)] for a in (data.x, data.y))
    return x, y


def _of_torch_datasets(parts: Any) -> Lists:
    pairs = [_collated(f"agent {q}", part) for q, part in enumerate(parts)]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _collated(name: str, part: Any) -> tuple[Tensor, Tensor]:
    size = len(part) if hasattr(part, "__len__") else None
    found = f"{type(part).__name__} of {'unknown length' if size is None else 'no sample'}"
    require(bool(size), name, "a torch Dataset with some samples", found, error=DataError)
    try:
        batch = default_collate([part[i] for i in range(len(part))])
    except (RuntimeError, TypeError, ValueError) as error:
        refuse(name, "a torch Dataset whose samples can be stacked", one_line(error), error=DataError)
    pair = isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(each, Tensor) for each in batch)
    require(pair, name, "a torch Dataset of pairs (input, target)", type(part).__name__, error=DataError)
    return batch[0], batch[1]


def _of_dealt(x: Tensor, y: Tensor) -> Lists:
    fits = x.ndim >= 2 and y.ndim >= 2 and x.shape[:2] == y.shape[:2]
    images = x.ndim > 3 and x.shape[1] == 1  # one sample an agent, or grey images whose agents were forgotten
    remedy = "pass agents: their number, or the agent of each sample"
    found = f"{tuple(x.shape)} and {tuple(y.shape)}"
    expected = "shapes (Q, D, ...), several samples an agent, where agents is left out"
    require(fits and not images, "x and y", expected, found, remedy, ShapeError)
    return list(x), list(y)


def _of_table(x: Tensor, y: Tensor, agents: Any) -> Lists:
    found = f"{tuple(x.shape)} and {tuple(y.shape)}"
    fits = x.ndim >= 1 and y.ndim >= 1 and x.shape[0] == y.shape[0]
    require(fits, "x and y", "the same number of samples", found, error=ShapeError)
    parts = [torch.as_tensor(part, device=x.device) for part in _parts(agents, x.shape[0])]
    return [x[part] for part in parts], [y[part] for part in parts]


def _parts(agents: Any, n: int) -> list[np.ndarray]:
    """The samples of every agent."""
    if isinstance(agents, list | tuple) and agents and all(np.ndim(part) == 1 for part in agents):
        parts = [part.cpu().numpy() if isinstance(part, Tensor) else np.asarray(part) for part in agents]
        for q, part in enumerate(parts):
            fits = part.size and part.dtype.kind in "iu" and part.min() >= 0 and part.max() < n
            require(bool(fits), f"agents[{q}]", f"sample numbers from 0 to {n - 1}", part[:8].tolist(), error=DataError)
        return parts
    labels = agents.cpu().numpy() if isinstance(agents, Tensor) else np.asarray(agents)
    return deal(np.zeros(n), require_count("agents", labels.item())) if labels.ndim == 0 else parts_of(labels, n)


def _tensor(name: str, array: Any) -> Tensor:
    known = isinstance(array, Tensor | np.ndarray) or hasattr(array, "__dlpack__")
    remedy = "wrap it in a list, one an agent" if isinstance(array, TorchDataset) else ""
    require(known, name, "a tensor, an array, or a list with one of them an agent", type(array).__name__, remedy)
    try:
        return tensor_of(array)
    except (TypeError, ValueError, BufferError) as error:
        return refuse(name, "numbers that PyTorch knows", one_line(error))
