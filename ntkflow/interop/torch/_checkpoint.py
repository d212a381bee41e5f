"""Parameters from a file, without running any code that it may hold."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import DataError, nearest, refuse, require, require_path

WRAPPED = ("state_dict", "model_state_dict", "model")  # where training scripts keep it


def load_checkpoint(module: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Fill a module from a file that ``torch.save(module.state_dict(), path)`` wrote.

    Parameters
    ----------
    module : nn.Module
        Built as the one that was saved; changed only if everything fits.
    path : str or path
        The file; also one that holds the state under "state_dict", "model_state_dict" or "model".

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
    file = require_path("checkpoint", path)
    require(isinstance(module, nn.Module), "module", "an nn.Module", type(module).__name__)
    require(file.is_file(), "checkpoint", "a file", f"none at {file}", error=DataError)
    home = next((p.device for p in module.parameters()), torch.device("cpu"))
    try:
        stored = torch.load(file, map_location=home, weights_only=True)
    except Exception as error:  # whatever the reader of a foreign file may meet
        words = " ".join(str(error).split())[:120]
        refuse("checkpoint", "a state_dict of tensors that torch.save wrote", f"{file}: {words}", error=DataError)
    state = _state_of(stored)
    own = module.state_dict()
    _require_match(state, own)
    module.load_state_dict(state)
    return module


def _state_of(stored: Any) -> dict[str, Tensor]:
    for key in WRAPPED:
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    if not isinstance(stored, dict) or not all(isinstance(t, Tensor) for t in stored.values()):
        refuse("checkpoint", "a state_dict of tensors", type(stored).__name__, "save module.state_dict()", DataError)
    return stored


def _require_match(state: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    for name in own:
        require(
            name in state, "checkpoint", f"the tensor {name!r}", "none of that name", nearest(name, state), DataError
        )
    for name, tensor in state.items():
        require(name in own, "checkpoint", "tensors of this module", f"{name!r} too", nearest(name, own), DataError)
        same = tensor.shape == own[name].shape
        shapes = f"shape {tuple(own[name].shape)}", f"shape {tuple(tensor.shape)}"
        require(same, f"checkpoint {name!r}", *shapes, "build the module as it was saved", DataError)
