r"""How strongly inputs reach outputs: Gramians, Hankel singular values, H2 and H∞ norms, poles and zeros.

Gramians and norms exist for a stable triple (A, B, C), so that of a system one takes the part that is reachable and
observable first: what is not may well be marginal, as the agents' common directions are that no data see.

>>> import numpy as np
>>> low_pass = Gains(np.array([[-2.0]]), np.array([[1.0]]), np.array([[3.0]]), flow=True)
>>> low_pass.h2_norm, low_pass.hinf_norm, low_pass.hankel_singular_values
(1.5, 1.5, array([0.75]))
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .._array import Array, svd
from ..errors import require

__all__ = ["Gains"]

REL_TOL = 1e-9  # of the H∞ norm
ROUNDS = 60  # of its search, each of which raises the lower bound by REL_TOL at least and mostly ends the search


@dataclass(frozen=True, eq=False)
class Gains:
    r"""Input-output numbers of ẋ = A x + B e (flow) or x⁺ = (I + A) x + B e (iteration), f = C x.

    Parameters
    ----------
    A, B, C : (N, N), (N, m), (l, N)
        NumPy arrays; of the flow and of the iteration alike, so that A = M − I.
    flow : bool
        Which of the two.

    Notes
    -----
    Gramians and norms raise `InputError` when the triple is not stable: no Hurwitz A for the flow, no Schur I + A for
    the iteration.  Cost: one Lyapunov equation a Gramian, O(N³); the H∞ norm some ten eigenvalue problems of size 2 N.
    """

    A: Array = field(repr=False)
    B: Array = field(repr=False)
    C: Array = field(repr=False)
    flow: bool = False

    def __repr__(self) -> str:
        (N, m), outputs = self.B.shape, len(self.C)
        return f"Gains of the {'flow' if self.flow else 'iteration'}: {N} states, {m} inputs, {outputs} outputs"

    @cached_property
    def poles(self) -> Array:
        """The eigenvalues, of A for the flow and of I + A for the iteration."""
        return np.linalg.eigvals(self.A) + (0.0 if self.flow else 1.0)

    @cached_property
    def zeros(self) -> Array:
        """The invariant zeros, where the transfer matrix, between the ranges of B and of C, loses rank.

        None when these ranges differ in dimension, as for most systems that are not square.
        """
        from scipy.linalg import eigvals

        B, C = _range(self.B), _range(self.C.T).T
        if B.shape[1] != C.shape[0] or not B.size:
            return np.empty(0)
        N, m = B.shape
        pencil = np.block([[self.A, B], [C, np.zeros((m, m))]])
        alpha, beta = eigvals(pencil, np.diag(np.repeat([1.0, 0.0], [N, m])), homogeneous_eigvals=True)
        finite = np.abs(beta) > 1e-10 * np.abs(alpha)  # an infinite zero of multiplicity 2 comes out as 1/√eps
        return alpha[finite] / beta[finite] + (0.0 if self.flow else 1.0)

    @cached_property
    def controllability_gramian(self) -> Array:
        """∫ e^{At} B Bᵀ e^{Aᵀt} dt, or Σ Mᵏ B Bᵀ (Mᵀ)ᵏ, (N, N)."""
        return self._gramian(self.A, self.B)

    @cached_property
    def observability_gramian(self) -> Array:
        """∫ e^{Aᵀt} Cᵀ C e^{At} dt, or Σ (Mᵀ)ᵏ Cᵀ C Mᵏ, (N, N)."""
        return self._gramian(self.A.T, self.C.T)

    @cached_property
    def hankel_singular_values(self) -> Array:
        """How much each balanced state matters, descending, as square roots of the eigenvalues of Wc Wo."""
        return np.linalg.svd(_root(self.observability_gramian).T @ _root(self.controllability_gramian))[1]

    @cached_property
    def h2_norm(self) -> float:
        """The Frobenius norm over all inputs, outputs and times of the response to unit impulses."""
        return math.sqrt(max(float(np.trace(self.C @ self.controllability_gramian @ self.C.T)), 0.0))

    @cached_property
    def hinf_norm(self) -> float:
        """The largest gain ‖f‖/‖e‖ over all inputs, to nine digits.

        Bruinsma and Steinbuch, A fast algorithm to compute the H∞-norm of a transfer function matrix, 1990,
        doi:10.1016/0167-6911(90)90049-Z; the iteration is mapped to continuous time by z = (1 + s)/(1 − s).
        """
        self._require_stable()
        if not self.A.size or not self.B.size or not self.C.size:
            return 0.0
        A, B, C, D = self._continuous()
        scale = float(np.linalg.norm(A, 2))
        return _peak(A / scale, B / scale, C, D)

    def _require_stable(self) -> None:
        bounds = {True: ("abscissa", 0.0, self.poles.real), False: ("radius", 1.0, np.abs(self.poles))}
        kind, bound, sizes = bounds[self.flow]
        stable, found = bool(np.all(sizes < bound)), f"{sizes.max(initial=-math.inf):.10g}"
        require(stable, "gains", f"a spectral {kind} below {bound:g}", found, "only stable systems have finite ones")

    def _gramian(self, A: Array, B: Array) -> Array:
        from scipy.linalg import solve_continuous_lyapunov, solve_discrete_lyapunov

        self._require_stable()
        if not A.size:
            return A
        X = (
            solve_continuous_lyapunov(A, -B @ B.T)
            if self.flow
            else solve_discrete_lyapunov(A + np.eye(len(A)), B @ B.T)
        )
        return (X + X.T) / 2

    def _continuous(self) -> tuple[Array, Array, Array, Array]:
        """(A, B, C, D) of the same gain on the imaginary axis."""
        if self.flow:
            return self.A, self.B, self.C, np.zeros((len(self.C), self.B.shape[1]))
        back = np.linalg.inv(2.0 * np.eye(len(self.A)) + self.A)  # (M + I)⁻¹, which a Schur M has
        B = back @ self.B
        return back @ self.A, math.sqrt(2.0) * B, math.sqrt(2.0) * self.C @ back, -self.C @ B


def _peak(A: Array, B: Array, C: Array, D: Array) -> float:
    """The largest singular value of C (iω − A)⁻¹ B + D over all ω."""
    poles = np.linalg.eigvals(A)
    low = max(_gain(A, B, C, D, w) for w in (0.0, math.inf, *np.unique(np.round(np.abs(poles), 3))[:20]))
    for _ in range(ROUNDS if low > 0 else 0):
        level = low * (1 + 2 * REL_TOL)
        crossings = _crossings(A, B, C, D, level)
        between = (crossings[1:] + crossings[:-1]) / 2
        higher = max((_gain(A, B, C, D, w) for w in between), default=0.0)
        if higher <= level:
            break
        low = higher
    return low


def _gain(A: Array, B: Array, C: Array, D: Array, frequency: float) -> float:
    moving = 0.0 if math.isinf(frequency) else C @ np.linalg.solve(1j * frequency * np.eye(len(A)) - A, B)
    return float(np.linalg.norm(moving + D, 2))


def _crossings(A: Array, B: Array, C: Array, D: Array, level: float) -> Array:
    """Frequencies at which a singular value may equal ``level``: imaginary eigenvalues of a Hamiltonian matrix."""
    R = level**2 * np.eye(D.shape[1]) - D.T @ D
    F = A + B @ np.linalg.solve(R, D.T @ C)
    S = np.eye(len(D)) + D @ np.linalg.solve(R, D.T)
    z = np.linalg.eigvals(np.block([[F, B @ np.linalg.solve(R, B.T)], [-C.T @ S @ C, -F.T]]))
    near = np.abs(z.real) < 1e-6 * np.maximum(np.abs(z), 1e-6)  # one too many costs an evaluation of the gain, no more
    return np.unique(z[near].imag)


def _range(B: Array) -> Array:
    """B with its columns replaced by as many as its rank."""
    U, s, _ = svd(B)
    keep = s > max(B.shape) * np.finfo(float).eps * s.max(initial=0.0)
    return U[:, keep] * s[keep]


def _root(gramian: Array) -> Array:
    """L with L Lᵀ = the Gramian."""
    values, vectors = np.linalg.eigh(gramian)
    return vectors * np.sqrt(np.maximum(values, 0.0))
