"""Parameters from a file, without running any code that it may hold."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import DataError, nearest, refuse, require, require_path

PARALLEL = "module."  # what nn.DataParallel puts before every name
WRAPPED = ("state_dict", "model_state_dict", "model")  # where training scripts keep it


def load_checkpoint(module: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Fill a module from a file that ``torch.save(module.state_dict(), path)`` wrote.

    Parameters
    ----------
    module : nn.Module
        Built as the one that was saved; changed only if everything fits.
    path : str or path
        The file; also one that holds the state under "state_dict", "model_state_dict" or "model", or that an
        ``nn.DataParallel`` wrote.

    Returns
    -------
    nn.Module
        The same module.

    Raises
    ------
    DataError
        No such file, a file that is no checkpoint or holds objects other than tensors, names or shapes that differ.

    Notes
    -----
    Read with ``weights_only=True``: no code from the file is run.

    Examples
    --------
    >>> import tempfile, pathlib, torch
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.pt"
    >>> torch.save(torch.nn.Linear(2, 3).state_dict(), path)
    >>> load_checkpoint(torch.nn.Linear(2, 3), path).out_features
    3
    """
    if isinstance(module, str | os.PathLike) or not isinstance(path, str | os.PathLike):
        found = f"{type(module).__name__} and {type(path).__name__}"
        refuse("load_checkpoint", "a module and the path of a file", found, "load_checkpoint(module, path)")
    require(isinstance(module, nn.Module), "module", "an nn.Module", type(module).__name__)
    file = require_path("checkpoint", path)
    require(file.is_file(), "checkpoint", "a file", f"none at {file}", error=DataError)
    home = next((p.device for p in module.parameters()), torch.device("cpu"))
    try:
        stored = torch.load(file, map_location=home, weights_only=True)
    except Exception as error:  # whatever the reader of a foreign file may meet
        found, remedy = f"{file}, which it cannot read without running code from it", "save module.state_dict()"
        text = f"checkpoint: expected a file of tensors that torch.save wrote, found {found}; {remedy}"
        raise DataError(text) from error
    state = _state_of(stored)
    own = module.state_dict()
    _require_match(state, own)
    module.load_state_dict(state)
    return module


def _state_of(stored: Any) -> dict[str, Tensor]:
    for key in WRAPPED:
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    listed = isinstance(stored, dict) and all(isinstance(tensor, Tensor) for tensor in stored.values())
    found = f"keys {', '.join(map(str, list(stored)[:5]))}" if isinstance(stored, dict) else type(stored).__name__
    remedy = f"save module.state_dict(), by itself or as one of {', '.join(WRAPPED)}"
    require(listed, "checkpoint", "a state_dict of tensors", found, remedy, DataError)
    prefixed = bool(stored) and all(name.startswith(PARALLEL) for name in stored)
    return {name.removeprefix(PARALLEL): t for name, t in stored.items()} if prefixed else stored


def _require_match(state: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    for name in own:
        remedy = nearest(name, state)
        require(name in state, "checkpoint", f"the tensor {name!r}", "none of that name", remedy, DataError)
    for name, tensor in state.items():
        remedy = nearest(name, own)
        require(name in own, "checkpoint", "tensors of this module", f"{name!r} too", remedy, DataError)
        expected, found = (f"{_kind(t)} of shape {tuple(t.shape)}" for t in (own[name], tensor))
        require(
            expected == found, f"checkpoint {name!r}", expected, found, "build the module that was saved", DataError
        )


def _kind(tensor: Tensor) -> str:
    return "complex" if tensor.is_complex() else "real" if tensor.is_floating_point() else "whole"
