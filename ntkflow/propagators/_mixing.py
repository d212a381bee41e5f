r"""L = W − I with rows that sum to zero, runs of W less the identity, and what mixing keeps: the u with uᵀL = 0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .._array import Array, eps, eye, like, namespace, svd

ZERO = 10.0  # times Q·eps: a column sum, singular value or share that is zero but for rounding


@dataclass(frozen=True, eq=False)
class Mixing:
    """W seen from the identity."""

    W: Array

    @cached_property
    def L(self) -> Array:
        """W − I, the diagonal so that rows sum to zero: 1 less a rounded diagonal would not be small where L is."""
        away = self.W * (1.0 - eye(self.W.shape[0], self.W))
        return away - eye(self.W.shape[0], self.W) * namespace(away).sum(away, axis=1)[:, None]

    def less_one(self, steps: int) -> Array:
        """Wᵏ − I = (Wᵏ⁻¹ − I) + L + (Wᵏ⁻¹ − I) L."""
        result = self.L
        for _ in range(steps - 1):
            result = result + self.L + result @ self.L
        return result

    @property
    def floor(self) -> float:
        """What counts as zero beside weights of order one."""
        return ZERO * self.W.shape[0] * eps(self.W)

    @cached_property
    def shares(self) -> tuple[Array, list[int]]:
        """U (k, Q) with U L = 0, and for every row an agent whose share in it is 1 and in the others 0.

        One row if the graph is connected, for doubly stochastic W of ones.
        """
        xp, L = namespace(self.L), self.L
        left, s, _ = svd(L)
        U = left[:, int(xp.count_nonzero(s > self.floor)) :].T
        if U.shape[0] == 1 and float(xp.max(xp.abs(xp.sum(L, axis=0)))) <= self.floor:
            return xp.ones_like(U), [0]
        return self._echelon(U)

    @property
    def grounding(self) -> Array:
        """(Q, Q): shares that U annihilates, from those of all agents but the pivots."""
        (U, pivots), xp = self.shares, namespace(self.W)
        Q = U.shape[1]
        free = like([[float(i == q and q not in pivots) for q in range(Q)] for i in range(Q)], self.W)
        place = like([[float(q == j) for j in pivots] for q in range(Q)], self.W)
        return free - xp.reshape(place, (Q, len(pivots))) @ (U @ free)

    def _echelon(self, U: Array) -> tuple[Array, list[int]]:
        """By Gauss and Jordan, the largest entry of each row as its pivot."""
        xp, pivots = namespace(U), list[int]()
        for i in range(U.shape[0]):
            j = int(xp.argmax(xp.abs(U[i, :])))
            row, pivots = U[i, :] / U[i, j], [*pivots, j]
            others = xp.asarray([float(k != i) for k in range(U.shape[0])], dtype=U.dtype, device=U.device)
            U = U - (others * U[:, j])[:, None] * row[None, :]
            U = xp.where((others == 0)[:, None], row[None, :], U)
        return xp.where(xp.abs(U) > self.floor, U, xp.zeros_like(U)), pivots
