"""Blocks in units of their own, so that one norm can speak for a whole state.

A tracker's second block is a gradient, in other units than the parameters: without this, the units in
which somebody measures the outputs decide what counts as rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from .._array import Array, eye, like, namespace, norm
from ..operator import StateOperator
from ..structure import Factored

FORMED = 192  # states


@dataclass(frozen=True, eq=False)
class Balanced:
    """The operator in the units of its blocks: D⁻¹ A D with D a power of two for every block, 1 for θ."""

    operator: StateOperator
    units: Array  # (blocks, 1, 1)
    own: bool  # whether the question is about the operator's own drive

    @classmethod
    def of(cls, operator: StateOperator, w: Array) -> Balanced:
        """Units from the sizes that the start, the drive and its first image have in each block."""
        if w.shape[0] == 1:
            return cls(operator, like([1.0], w)[:, None, None], w is operator.drive)
        image = operator.apply(w)
        sizes = [norm(w[b, ...]) + norm(image[b, ...]) for b in range(w.shape[0])]
        sizes = [sizes[0], *(size + norm(operator.start[b, ...]) for b, size in enumerate(sizes[1:], start=1))]
        ratios = [size / sizes[0] if size > 0 and sizes[0] > 0 else 1.0 for size in sizes]
        usable = [2.0 ** round(math.log2(r)) if 0.0 < r < math.inf else 1.0 for r in ratios]
        return cls(operator, like(usable, w)[:, None, None], w is operator.drive)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(blocks, Q, p)."""
        return self.operator.shape

    @property
    def size(self) -> int:
        """The number of states."""
        return self.operator.size

    @property
    def cost(self) -> float:
        """Rough seconds that one application takes."""
        return self.operator.cost

    @property
    def factors(self) -> Factored | None:
        """The factors of M, which one-block rules may have; their only unit is 1."""
        return self.operator.factors

    @property
    def plain(self) -> bool:
        """Whether each gradient is taken at some Wᵏθ."""
        return self.operator.plain

    @property
    def source(self) -> Array | None:
        """h with Y w = Gᵀh, where there is one."""
        return self.operator.source

    @property
    def start(self) -> Array:
        """s₀ in the units."""
        return self.operator.start / self.units

    @property
    def slope(self) -> float:
        """The size of the step that the agents' gradients take at first, before mixing lets them cancel."""
        operator = self.operator
        return abs(operator.step_size) * norm(operator.gradient_of(operator.model.residual))

    def image(self, state: Array) -> Array:
        """D⁻¹ M D s for states (blocks, Q, p) or (blocks, Q, p, k)."""
        if self.units.shape[0] == 1:
            return self.operator.image(state)
        units = self.units if state.ndim == 3 else self.units[..., None]
        return self.operator.image(state * units) / units

    def apply(self, state: Array) -> Array:
        """D⁻¹ A D s likewise."""
        return self.image(state) - state

    @cached_property
    def matrix(self) -> Array:
        """D⁻¹ A D as one (N, N) matrix, states ordered by block, agent, coordinate."""
        xp, N = namespace(self.units), self.size
        return xp.reshape(self.apply(xp.reshape(eye(N, self.units), (*self.shape, N))), (N, N))

    @cached_property
    def along(self) -> Callable[[Array], Array]:
        """The same for a state as a vector (N,); small ones by their matrix, one product for a dozen."""
        if self.size <= FORMED:
            A = self.matrix
            return lambda x: A @ x
        xp, shape = namespace(self.units), self.shape
        return lambda x: xp.reshape(self.apply(xp.reshape(x, shape)), (-1,))
