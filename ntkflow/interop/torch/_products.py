"""Products with the Jacobian of all agents' outputs, a chunk of samples at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ._function import Function


@dataclass(frozen=True, eq=False)
class Products:
    """J v and Jᵀ u at one place θ shared by all agents, inputs (Q, D, ...)."""

    function: Function
    named: dict[str, Tensor]
    inputs: Tensor
    chunk: int

    def push(self, v: Tensor) -> Tensor:
        """J v (Q, n): one pass in forward mode."""
        along, parts = self.function.named(v), []
        for x, _ in self._chunks():
            parts.append(torch.func.jvp(lambda p, x=x: self.function(p, x), (self.named,), (along,))[1])
        return torch.cat(parts).reshape(self.inputs.shape[0], -1)

    def pull(self, u: Tensor) -> Tensor:
        """Jᵀ u (P,), summed over all agents: a forward and a backward pass."""
        rows = u.reshape(self.inputs.shape[0] * self.inputs.shape[1], -1)
        total = torch.zeros(sum(self.function.sizes), dtype=u.dtype, device=u.device)
        for x, here in self._chunks():
            _, back = torch.func.vjp(lambda p, x=x: self.function(p, x), self.named)
            total += torch.cat([part.reshape(-1) for part in back(rows[here])[0].values()])
        return total

    def _chunks(self) -> Iterator[tuple[Tensor, slice]]:
        flat = self.inputs.flatten(0, 1)
        for a in range(0, flat.shape[0], self.chunk):
            yield flat[a : a + self.chunk], slice(a, a + self.chunk)
