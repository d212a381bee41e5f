"""A module tried on a few samples: whether it can be linearised, and what torch.func can do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ...errors import refuse, require
from ._checks import EVAL, require_same
from ._function import Function, explained, flat, undisturbed
from ._products import forward


def tried(function: Function, x: Tensor, *, matrix_free: bool) -> tuple[Function, int]:
    """The function with what works on it found out, and M, on inputs (B, ...) in the dtype to compute in.

    Refused unless the outputs are a differentiable function of each input alone.  Cost: a few passes.
    """
    named = function.fitting(x)
    with undisturbed():
        with explained(f"a forward pass on inputs of shape {tuple(x.shape)}"):
            out = _outputs(function, named, x)
        with explained("operations that PyTorch can differentiate"):
            function = replace(function, vmaps=_works(lambda: _in_parallel(function, named, x)))
            function.each(lambda one: _row(function, named, one))(x[:1])
            if matrix_free:
                function = replace(function, forward=_works(lambda: forward(function, named, x[:1], named)))
    return function, out.shape[1]


def _outputs(function: Function, named: dict[str, Tensor], x: Tensor) -> Tensor:
    """Outputs (B, M), checked."""
    leaves = {name: p.clone().requires_grad_() for name, p in named.items()}
    fixed = function.fixed_as(next(iter(named.values())).dtype)
    before = {name: tensor.clone() for name, tensor in (*named.items(), *fixed.items())}
    out = function(leaves, x)
    for name, tensor in (*leaves.items(), *fixed.items()):
        kept = torch.equal(tensor, before[name])
        require(kept, "module", "a pass without side effects", f"one that changes {name!r}", EVAL)
    slopes = torch.autograd.grad(out.sum(), list(leaves.values()), allow_unused=True) if out.requires_grad else ()
    if all(slope is None for slope in slopes):
        remedy = "look for detach, no_grad, argmax or rounding"
        refuse("module", "outputs that depend on its parameters differentiably", "none that do", remedy)
    alone = torch.cat([function(named, x[i : i + 1]) for i in range(x.shape[0])])
    require_same(out.detach(), function(named, x), alone)
    return out


def _row(function: Function, named: dict[str, Tensor], x: Tensor) -> Tensor:
    """The gradient of the first output at one input, (P,)."""
    out, pull = torch.func.vjp(lambda p: function(p, x[None])[0], named)
    return flat(pull(torch.eye(1, out.shape[0], dtype=out.dtype, device=out.device)[0])[0])


def _in_parallel(function: Function, named: dict[str, Tensor], x: Tensor) -> None:
    """One gradient a sample, and one pass of two agents forth and back."""
    torch.func.vmap(lambda one: _row(function, named, one))(x[:1])
    theta = torch.stack([flat(named)] * 2)
    agents = torch.func.vmap(lambda t: function(function.named(t), x[:1]))
    out, back = torch.func.vjp(agents, theta)
    back(torch.ones_like(out))


def _works(call: Callable[[], object]) -> bool:
    try:
        call()
    except Exception:  # an operation that torch.func does not know: there is a slower way
        return False
    return True
