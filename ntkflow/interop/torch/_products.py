"""Products with the Jacobian of all agents' outputs, a chunk of samples at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ._function import Function, flat, undisturbed


@dataclass(frozen=True, eq=False)
class Products:
    """J v and Jᵀ u at one place θ shared by all agents, inputs (Q, D, ...)."""

    function: Function
    named: dict[str, Tensor]
    inputs: Tensor
    chunk: int

    def push(self, v: Tensor) -> Tensor:
        """J v (Q, n): one pass in forward mode where PyTorch has it, else two backward passes."""
        along, product = self.function.named(v), forward if self.function.forward else twice_backward
        with undisturbed():
            parts = [product(self.function, self.named, x, along) for x, _ in self._chunks()]
        return torch.cat(parts).reshape(self.inputs.shape[0], -1)

    def pull(self, u: Tensor) -> Tensor:
        """Jᵀ u (P,), summed over all agents: a forward and a backward pass."""
        rows = u.reshape(self.inputs.shape[0] * self.inputs.shape[1], -1)
        total = torch.zeros(sum(self.function.sizes), dtype=u.dtype, device=u.device)
        with undisturbed():
            for x, here in self._chunks():
                _, back = torch.func.vjp(lambda p, x=x: self.function(p, x), self.named)
                total += flat(back(rows[here])[0])
        return total

    def _chunks(self) -> Iterator[tuple[Tensor, slice]]:
        every = self.inputs.flatten(0, 1)
        for a in range(0, every.shape[0], self.chunk):
            yield every[a : a + self.chunk], slice(a, a + self.chunk)


def forward(function: Function, named: dict[str, Tensor], x: Tensor, along: Mapping[str, Tensor]) -> Tensor:
    """J v (B, M) in forward mode."""
    return torch.func.jvp(lambda p: function(p, x), (named,), (dict(along),))[1]


def twice_backward(function: Function, named: dict[str, Tensor], x: Tensor, along: Mapping[str, Tensor]) -> Tensor:
    """J v (B, M) as the derivative of u ↦ Jᵀ u, applied to v."""
    out, back = torch.func.vjp(lambda p: function(p, x), named)
    _, again = torch.func.vjp(lambda u: back(u)[0], torch.zeros_like(out))
    return again(dict(along))[0]
