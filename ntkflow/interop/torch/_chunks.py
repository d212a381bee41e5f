"""How many samples a pass takes at once, so that its memory stays within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ._function import Function

COPIES = 3  # of what a sample needs: results, what they are gathered into, and slack


@dataclass(frozen=True)
class Chunks:
    """Samples at a time: ``passes`` forward and backward, ``rows`` where their Jacobians are wanted."""

    passes: int
    rows: int

    @classmethod
    def of(cls, function: Function, trial: Tensor, budget: float) -> Chunks:
        """From what autograd keeps of the trial inputs, counted in double precision."""
        kept = 0

        def weigh(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += 8 * tensor.numel()
            return tensor

        named = {name: p.clone().requires_grad_() for name, p in function.own.items()}
        with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
            out = function(named, trial)
        parameters = 8 * sum(function.sizes)
        activations = kept / trial.shape[0]  # weights that are kept too are counted twice over: on the safe side
        one = out.shape[1] * (parameters + activations)
        return cls(max(1, int(budget / (COPIES * activations))), max(1, int(budget / (COPIES * one))))
