"""What no linearisation can describe, each refused with its reason."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import UninitializedParameter

from ...errors import refuse, require

FULL = (torch.float32, torch.float64)
EVAL = "call module.eval()"


def require_modes(module: nn.Module) -> None:
    """No layer whose training mode couples the samples of a batch, draws at random or keeps statistics."""
    for name, part in module.named_modules():
        kind = f"{type(part).__name__} {name!r}" if name else type(part).__name__
        if any(isinstance(p, UninitializedParameter) for p in part.parameters(recurse=False)):
            refuse("module", "parameters that have their shapes", f"{kind}, which has not seen a batch yet", "run one")
        if isinstance(part, _BatchNorm) and part.running_mean is None:
            found = f"{kind} without running statistics, which mixes a batch"
            refuse("module", "outputs that depend on one sample each", found, "give it statistics or take it out")
        keeps = isinstance(part, _BatchNorm) or (isinstance(part, _InstanceNorm) and part.track_running_stats)
        if part.training and keeps:
            found = f"{kind} in training mode, which mixes a batch and changes its buffers"
            refuse("module", "outputs that depend on one sample each", found, EVAL)
        if part.training and (isinstance(part, nn.RReLU) or (isinstance(part, _DropoutNd) and part.p > 0)):
            refuse("module", "a deterministic function", f"{kind} in training mode, which draws at random", EVAL)


def require_full_precision(name: str, p: Tensor) -> None:
    """Single or double: a Jacobian in half precision has no digits left for its small singular values."""
    require(p.dtype in FULL, f"parameter {name!r}", "float32 or float64", p.dtype, "convert with module.float()")


def require_same(together: Tensor, again: Tensor, alone: Tensor) -> None:
    """Finite outputs, twice the same, and for a sample alone as in a batch, up to rounding."""
    finite = bool(torch.isfinite(together).all())
    require(finite, "module", "finite outputs", "NaN or infinity on inputs that it was tried on", "pass trial=samples")
    room = 1e3 * torch.finfo(together.dtype).eps * together.abs().max()
    if not bool(((together - again).abs() <= room).all()):
        refuse("module", "a deterministic function", "two passes that differ", EVAL)
    if not bool(((together - alone).abs() <= room).all()):
        found, remedy = "outputs that change with the rest of the batch", "freeze its batch statistics"
        refuse("module", "outputs that depend on one sample each", found, remedy)
