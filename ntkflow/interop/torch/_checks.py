"""What no linearisation can describe, each refused with its reason."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from ...errors import refuse, require

FULL = (torch.float32, torch.float64)


def require_modes(module: nn.Module) -> None:
    """No layer whose training mode couples the samples of a batch, draws at random or keeps statistics."""
    for name, part in module.named_modules():
        kind = f"{type(part).__name__} {name!r}" if name else type(part).__name__
        remedy = "call module.eval()"
        if isinstance(part, _BatchNorm) and part.running_mean is None:
            found = f"{kind} without running statistics, which mixes a batch"
            refuse("module", "outputs that depend on one sample each", found, "give it statistics or take it out")
        keeps = isinstance(part, _BatchNorm) or (isinstance(part, _InstanceNorm) and part.track_running_stats)
        if part.training and keeps:
            found = f"{kind} in training mode, which mixes a batch and changes its buffers"
            refuse("module", "outputs that depend on one sample each", found, remedy)
        if part.training and isinstance(part, _DropoutNd | nn.RReLU):
            refuse("module", "a deterministic function", f"{kind} in training mode, which draws at random", remedy)


def require_full_precision(name: str, p: Tensor) -> None:
    """Single or double: a Jacobian in half precision has no digits left for its small singular values."""
    require(p.dtype in FULL, f"parameter {name!r}", "float32 or float64", p.dtype, "convert with module.float()")


def require_deterministic(function: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Twice the same outputs, and the same for a sample alone as in a batch, up to rounding."""
    with torch.no_grad():
        together, again = function(x), function(x)
        alone = torch.cat([function(x[i : i + 1]) for i in range(x.shape[0])])
    room = torch.finfo(together.dtype).eps ** 0.5 * together.abs().max()
    if bool(((together - again).abs() > room).any()):
        refuse("module", "a deterministic function", "two passes that differ", "call module.eval()")
    if bool(((together - alone).abs() > room).any()):
        found, remedy = "outputs that change with the rest of the batch", "freeze its batch statistics"
        refuse("module", "outputs that depend on one sample each", found, remedy)
