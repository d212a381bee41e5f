"""The safe route: any rule, through dense matrices, restricted to the range of A.

Rules with memory (trackers, exact methods) have structural eigenvalues 1, sometimes in Jordan blocks; an exponential of
A itself then loses every digit at long times.  The drive lies in the range of A, so everything happens there.  What the
range is follows from the rule's words (`Grounded`); only where those do not serve, for words of a degree at which they
cancel, or an average beside W, or a drive that pushes what should be conserved, a tolerance on singular values tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._array import Array, eps, eye, like, namespace, norm, svd, to_numpy
from .._path import Path
from ._balanced import Balanced
from ._grounded import Grounded
from ._matrix import distinct_gaps, propagated
from ._question import SEVERAL, Drive, Times, rounding

NEGLIGIBLE = 1e2  # a part of the drive below this times eps is rounding
RANK_SLACK = 4.0  # times eps·N^½·σ_max: what an exact zero looks like; modes may live right above it
BOUNDED = 1e2  # a stable x is about w/σ_min at most; what grows far beyond it does not forget its errors


@dataclass(frozen=True, eq=False)
class Dense:
    """A restricted to where the drive moves the state: frame (N, r), A (r, r), w (r,)."""

    operator: Balanced

    name = "dense"
    needs = "nothing"

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Everything."""
        return True

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds: one SVD, and an exponential or a power for every distinct gap."""
        N = operator.size
        squarings = 12 + math.log2(1 + min(times.horizon, 1e12))
        gaps = distinct_gaps(times)
        return 1e-3 + 4e-10 * N**3 + gaps * (2e-4 + 1.7e-11 * N**3 * squarings) + 4e-10 * N * N * times.count

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Dense:
        """Nothing that does not depend on the drive."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """g_t(A) w at all times, (T, blocks, Q, p), and an estimate of its rounding, (T,)."""
        w, xp = drive.w, namespace(drive.w)
        lead, A, inside, nullities, outside = self._led(xp.reshape(w, (-1,)), drive.noise)
        frame, inner, reduced, slowest, dropped = _restricted(A, inside, nullities)
        states = xp.stack(propagated(inner, reduced, times)) @ (lead @ frame).T
        sizes, t = to_numpy(xp.linalg.vector_norm(states, axis=1)), np.asarray(times.values)
        sizes = np.where(np.isfinite(sizes), sizes, 0.0)
        # entries of A are off by eps·‖A‖, which a mode feels for as long as it lives
        bounded = slowest > 0.0 and np.max(sizes) * slowest <= BOUNDED * drive.size
        lived = np.minimum(t, 1.0 / slowest) if bounded else t
        error = rounding(times, sizes, lived, norm(inner), drive, eps(w))
        lost = (dropped + outside) * np.where(np.isfinite(t), t, 0.0)
        error = (SEVERAL if w.shape[0] > 1 and nullities is None else 1.0) * (error + lost)
        return Path(xp.reshape(states, (times.count, *w.shape))), like(error, w)

    def _led(self, w: Array, noise: float) -> tuple[Array, Array, Array, tuple[int, ...] | None, float]:
        """F, A and w in the coordinates of `Grounded`, with what structure knows of ker A; else as they are."""
        grounded = Grounded.of(self.operator)
        if grounded is not None:
            inside, outside = grounded.reduced(w)
            if outside <= max(NEGLIGIBLE * eps(w) * norm(w), noise):
                return grounded.frame, grounded.A, inside, grounded.nullities, outside
        return eye(w.shape[0], w), self.operator.matrix, w, None, 0.0


def _restricted(
    A: Array, w: Array, nullities: tuple[int, ...] | None = None
) -> tuple[Array, Array, Array, float, float]:
    """An orthonormal frame F of an invariant subspace that holds w, FᵀAF, Fᵀw, σ_min(FᵀAF), and what of w is dropped.

    Each pass keeps the range of A, whose codimension structure knows or else a tolerance tells; it ends when A is
    invertible there, or when the drive points out of the range and must ramp (σ_min is then 0).
    """
    frame, size, dropped, known = eye(A.shape[0], A), norm(w), 0.0, iter(nullities or ())
    while A.shape[0]:
        U, s, _ = svd(A)
        rank = A.shape[0] - (_null(s) if nullities is None else next(known, 0))
        if rank == A.shape[0]:
            return frame, A, w, float(s[-1]), dropped
        U = U[:, :rank]
        inside = U.T @ w
        outside = norm(w - U @ inside)
        if outside > NEGLIGIBLE * eps(A) * size:
            return frame, A, w, 0.0, dropped
        frame, A, w, dropped = frame @ U, U.T @ A @ U, inside, dropped + outside
    return frame, A, w, 0.0, dropped


def _null(s: Array) -> int:
    """How many singular values look like exact zeros."""
    floor = RANK_SLACK * s.shape[0] ** 0.5 * eps(s) * float(s[0])
    return s.shape[0] - int(namespace(s).count_nonzero(s > floor))
