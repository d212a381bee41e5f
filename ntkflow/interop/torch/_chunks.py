"""How many samples a pass takes at once, so that its memory stays within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ._function import Function, undisturbed

DOUBLE = 8  # bytes
PASSES = 3  # what a forward pass makes, its backward pass makes twice


@dataclass(frozen=True)
class Chunks:
    """Samples at a time: ``passes`` forward and backward, ``rows`` where their Jacobians are wanted."""

    passes: int
    rows: int

    @classmethod
    def of(cls, function: Function, x: Tensor, n_outputs: int, budget: float) -> Chunks:
        """From the numbers that a forward pass makes for one sample, in double precision."""
        two, one = (_made(function, x[:count]) for count in (2, 1))
        pass_ = DOUBLE * PASSES * max(two - one, x[0].numel() + n_outputs)
        row = pass_ + 2 * DOUBLE * n_outputs * sum(function.sizes)  # as they come, and stacked
        return cls(max(1, int(budget / pass_)), max(1, int(budget / row)))


def _made(function: Function, x: Tensor) -> int:
    """Numbers in all tensors that a forward pass makes."""
    named = function.fitting(x)
    with undisturbed(), torch.no_grad(), _Counting() as counting:
        function(named, x)
    return counting.numbers


class _Counting(TorchDispatchMode):
    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = out if isinstance(out, tuple | list) else [out]
        self.numbers += sum(tensor.numel() for tensor in made if isinstance(tensor, Tensor))
        return out
