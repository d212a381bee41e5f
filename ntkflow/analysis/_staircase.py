"""Kalman's decomposition in floating point: block Arnoldi with rank decisions.

New directions are cleaned twice of those found before (twice is enough: Kahan, Parlett) and kept where their singular
value stands out of the rounding.  A direction that was kept with a small singular value σ is known to rounding/σ only,
so the threshold rises with every step: a rank is never decided finer than what it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._array import svd

Matrix = NDArray[np.float64]
COARSEST = 1e-7  # of the threshold


@dataclass(frozen=True, eq=False)
class Subspace:
    """An orthonormal basis (N, d), and the singular values next to its rank decisions."""

    basis: Matrix
    kept: float = math.inf  # the smallest that was kept, in units of the step's largest possible
    dropped: float = 0.0  # the largest that was not
    accuracy: float = 0.0  # how well the basis is known

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.basis.shape[1])

    @property
    def gap(self) -> float:
        """Kept over dropped; inf where nothing was dropped."""
        return self.kept / self.dropped if self.dropped and self.kept < math.inf else math.inf

    def inside(self, other: Subspace) -> Subspace:
        """The subspace, given in coordinates of another one, in the other's space."""
        kept, dropped = min(self.kept, other.kept), max(self.dropped, other.dropped)
        return Subspace(other.basis @ self.basis, kept, dropped, max(self.accuracy, other.accuracy))

    def seen_by(self, other: Subspace) -> Subspace:
        """The subspace without what of it is orthogonal to the other one."""
        threshold = 10 * max(self.accuracy, other.accuracy)
        return span(self.basis.T @ other.basis, threshold).inside(self)


def joined(parts: Sequence[Subspace], size: int) -> Subspace:
    """The sum of orthogonal subspaces of a space of ``size`` dimensions."""
    basis = np.hstack([np.zeros((size, 0)), *(part.basis for part in parts)])
    kept, dropped = min((p.kept for p in parts), default=math.inf), max((p.dropped for p in parts), default=0.0)
    return Subspace(basis, kept, dropped, max((p.accuracy for p in parts), default=0.0))


def span(columns: Matrix, threshold: float) -> Subspace:
    """The range of ``columns`` as far as singular values exceed ``threshold``."""
    if 0 in columns.shape:
        return Subspace(columns[:, :0])
    U, s, _ = svd(columns)
    rank = int(np.count_nonzero(s > threshold))
    return Subspace(U[:, :rank], float(s[rank - 1]) if rank else math.inf, float(s[rank]) if rank < s.shape[0] else 0.0)


def reachable(M: Matrix, inputs: Matrix, rounding: float) -> Subspace:
    """The span of inputs, M inputs, M² inputs, … for M and inputs of norm 1, known up to ``rounding``."""
    basis, kept, dropped = inputs[:, :0], math.inf, 0.0
    block, threshold = inputs, rounding
    while block.shape[1] and basis.shape[1] < M.shape[0]:
        new = span(_cleaned(block, basis), threshold)
        kept, dropped = min(kept, new.kept), max(dropped, new.dropped)
        fresh = np.linalg.qr(_cleaned(new.basis, basis))[0]  # small directions carry old ones, enlarged
        basis = np.hstack([basis, fresh])
        threshold = min(threshold / min(new.kept, 1.0), COARSEST)
        block = M @ fresh
    return Subspace(basis, kept, dropped, threshold)


def observable(M: Matrix, outputs: Matrix, rounding: float) -> Subspace:
    """The orthogonal complement of what the outputs never see."""
    return reachable(M.T, outputs.T, rounding)


def _cleaned(block: Matrix, basis: Matrix) -> Matrix:
    """Without what lies in the span of the basis."""
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
    return block


def largest(A: Matrix) -> float:
    """A bound on the largest singular value, at most √N too large."""
    columns, rows = np.abs(A).sum(axis=0).max(initial=0.0), np.abs(A).sum(axis=1).max(initial=0.0)
    return float(columns * rows) ** 0.5


def norm(A: Matrix) -> float:
    """The largest singular value."""
    return float(np.linalg.norm(A, 2)) if A.size else 0.0
