r"""A on the range that structure gives it: sums over the agents that never move are left out before anything is solved.

Two kinds of sums Σ_q u_q(…), uᵀL = 0, never move: one for every parameter, of rules that conserve a sum, and one for
every parameter that no agent learns.  Of the first, one agent's share is left out, as one node of an electrical network
is grounded; the second span the complement of the range of what remains.  So no eigenvalue 1 of either is ever computed
or judged by its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .._array import Array, eps, eye, namespace, norm, svd, zeros
from ._balanced import Balanced
from ._worded import ZERO, Worded, tall


@dataclass(frozen=True, eq=False)
class Grounded:
    """The states r with s = F r, r' = A r + reduced(w)."""

    worded: Worded

    @classmethod
    def of(cls, balanced: Balanced) -> Grounded | None:
        """None for rules whose words do not serve."""
        worded = Worded(balanced)
        return cls(worded) if worded.exists else None

    @cached_property
    def A(self) -> Array:
        """(n, n)."""
        full = self.worded.A
        inner = namespace(full).take(full, self._free, axis=0) @ self._spread
        return self._range.T @ inner @ self._range

    @cached_property
    def frame(self) -> Array:
        """F (N, n)."""
        return self.worded.unsummed @ (self._spread @ self._range)

    def reduced(self, w: Array) -> tuple[Array, float]:
        """r (n,) of a drive (N,), and the size of its part in sums that do not move."""
        xp, (_, Q, p) = namespace(w), self._shape
        moved, lost = self.worded.drive if self.worded.balanced.own else self.worded.summed(w), 0.0
        if self._place is not None:
            shares = xp.reshape(moved[self._place * Q * p : (self._place + 1) * Q * p], (Q, p))
            lost = norm(self.worded.mixing.shares[0] @ shares)
        moved = xp.take(moved, self._free)
        inside = self._range.T @ moved
        return inside, lost + norm(moved - self._range @ inside)

    @property
    def nullities(self) -> tuple[int, ...]:
        """dim ker A on the range of A⁰, A¹, ... of this A: the longer Jordan blocks of what no agent learns."""
        idle = sum(Z.shape[1] for Z in self._unlearned)
        return tuple(idle * count for count in self.worded.increments.ramping) if idle else ()

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.worded.balanced.shape

    @property
    def _place(self) -> int | None:
        return self.worded.increments.conserved

    @cached_property
    def _free(self) -> Array:
        """The entries that are no grounded share."""
        (blocks, Q, p), W, pivots = self._shape, self.worded.mixing.W, self.worded.mixing.shares[1]
        grounded = () if self._place is None else [(self._place * Q + q) * p + i for q in pivots for i in range(p)]
        free = sorted(set(range(blocks * Q * p)) - set(grounded))
        return namespace(W).asarray(free, dtype=namespace(W).int64, device=W.device)

    @cached_property
    def _spread(self) -> Array:
        """(N, free): all entries from the free ones; grounded shares are minus what the others add to U."""
        (blocks, Q, p), W = self._shape, self.worded.mixing.W
        xp, size = namespace(W), Q * p
        kept, none = eye(size, W), zeros((size, size), W)
        grounded = self.worded.mixing.grounding[:, None, :, None] * eye(p, W)[None, :, None, :]
        diagonal = [xp.reshape(grounded, (size, size)) if i == self._place else kept for i in range(blocks)]
        rows = [xp.concat([diagonal[i] if i == k else none for k in range(blocks)], axis=1) for i in range(blocks)]
        return xp.take(xp.concat(rows, axis=0), self._free, axis=1)

    @cached_property
    def _unlearned(self) -> list[Array]:
        """For every u a basis (p, idle) of the parameters that none of its agents learns."""
        root, U = self.worded.coordinates[1], self.worded.mixing.shares[0]
        xp = namespace(root)
        found = []
        for i in range(U.shape[0]):
            own = tall(root * xp.abs(U[i, :])[:, None, None] ** 0.5)
            _, s, Rt = svd(own)
            floor = ZERO * own.shape[0] ** 0.5 * eps(root) * s[0]
            found.append(Rt[int(xp.count_nonzero(s > floor)) :, :].T)
        return found

    @cached_property
    def _range(self) -> Array:
        """(free, n): an orthonormal basis of the complement of Σ_i a_i Σ_q u_q s_iq v, v unlearned."""
        xp, (blocks, Q, p), W = namespace(self.worded.mixing.W), self._shape, self.worded.mixing.W
        U, columns = self.worded.mixing.shares[0], [zeros((blocks * Q * p, 0), W)]
        for c, Z in enumerate(self._unlearned):
            place = U[c, :][:, None, None] * Z[None, :, :]  # (Q, p, idle)
            columns += [xp.reshape(xp.stack([a * place for a in at]), (blocks * Q * p, -1)) for at in self._at_rest()]
        Z = xp.take(xp.concat(columns, axis=1), self._free, axis=0)
        idle = Z.shape[1]
        return xp.linalg.qr(Z, mode="complete")[0][:, idle:] if idle else eye(Z.shape[0], W)

    def _at_rest(self) -> list[list[float]]:
        """The a_i of every block, in units."""
        words = self.worded.increments
        rows = [dict(zip(words.kept, map(self.worded.number, a), strict=True)) for a in words.at_rest]
        return [[row.get(i, 0.0) * unit for i, unit in enumerate(self.worded.units)] for row in rows]
