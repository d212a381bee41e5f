"""The distinct eigenvalues of W, and what of an agents' space is seen on each of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .._array import svd
from ._staircase import Matrix, Subspace


@dataclass(frozen=True)
class Mode:
    """A distinct eigenvalue of W.

    Attributes
    ----------
    value : float
        λ; eigenvalues within 10 Q·eps·‖W‖ of each other are one, and within that of 0, 1 or −1 they are that number.
    multiplicity : int
        m_λ.
    rank : int
        r_λ, the dimension of range (E_λ ⊗ I) Jᵀ.
    average : float
        What 11ᵀ/Q is on it, 1 or 0; rules that use both W and the average have the consensus as a mode of its own.
    """

    value: float
    multiplicity: int
    rank: int
    average: float = 0.0


@dataclass(frozen=True, eq=False)
class Eigenspace:
    """Orthonormal eigenvectors (Q, m) of one distinct eigenvalue, and what 11ᵀ/Q is on them where a rule asks."""

    value: float
    vectors: Matrix
    average: float = 0.0

    def seen(self, rows: Matrix, threshold: float) -> Subspace:
        """range (E_λ ⊗ I) Jᵀ for agents' rows (Q, n, p): the row space of the blocks u_q ⊗ J_q."""
        (Q, n, p), m = rows.shape, self.vectors.shape[1]
        stacked = (self.vectors[:, None, :, None] * rows[:, :, None, :]).reshape(Q * n, m * p)
        _, s, Vt = svd(stacked)
        rank = int(np.count_nonzero(s > threshold))
        T = np.einsum("qm,rmp->qpr", self.vectors, Vt[:rank].reshape(rank, m, p), optimize=True)
        kept, dropped = float(s[rank - 1]) if rank else math.inf, float(s[rank]) if rank < s.shape[0] else 0.0
        return Subspace(T.reshape(Q * p, rank), kept, dropped)


def eigenspaces(W: Matrix, distance: float, consensus_apart: bool) -> list[Eigenspace]:
    """All of a symmetric W, ascending; with ``consensus_apart`` the consensus by itself."""
    values, U = np.linalg.eigh(W)
    ends = [*(np.flatnonzero(np.diff(values) > distance) + 1), len(values)]
    runs = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    found: Iterable[Eigenspace] = (Eigenspace(_named(float(values[run].mean()), distance), U[:, run]) for run in runs)
    return [part for space in found for part in (_divided(space) if consensus_apart else [space])]


def near_eigenvalues(W: Matrix, precision: float) -> float:
    """Eigenvalues of W that are no farther apart are one."""
    return 10 * W.shape[0] * precision * max(1.0, float(np.linalg.norm(W, 2)))


def _named(value: float, distance: float) -> float:
    return float(round(value)) if abs(value - round(value)) <= distance else value


def _divided(space: Eigenspace) -> list[Eigenspace]:
    """The eigenspace of 1 as the consensus and what is orthogonal to it."""
    Q, m = space.vectors.shape
    if space.value != 1.0:
        return [space]
    ones = np.full((Q, 1), Q**-0.5)
    rest = np.linalg.svd(space.vectors - ones @ (ones.T @ space.vectors))[0][:, : m - 1]
    return [Eigenspace(1.0, ones, 1.0)] + ([Eigenspace(1.0, rest)] if m > 1 else [])
