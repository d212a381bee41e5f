r"""A kernel that can only be multiplied: all of it where it is small, else what a certificate asks for (T12d).

With Ω (N, k), Y = K Ω and B = Ωᵀ Y = Ωᵀ J Jᵀ Ω, the columns of V = Jᵀ C, C = Ω B^{-½}, are orthonormal, and for
F = J V = Y B^{-½} the Nyström approximation of K is F Fᵀ.  So ‖J − J V Vᵀ‖₂² = ‖J (I − V Vᵀ) Jᵀ‖₂ = ‖K − F Fᵀ‖₂, which
Gaussian vectors bound.  Where the bound is too large they become the next columns of Ω: nothing is asked for twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._array import Array, eps, eye, like, namespace, norm, svd
from ._kernel import FEWEST, Factor, kernel_factor
from ._products import Products

WHOLE = 256  # up to so many rows all of K is asked for: little could be saved, and nothing is left to chance
BLOCK, SHARE = 32, 8  # directions drawn at a time: 32, and later an eighth of those there are
FAILURE = 1e-10  # the probability that any certificate of a run is wrong
SLACK = 4.0  # a certificate exceeds the norm that it bounds


def sketched_factor(products: Products, tol: float, progress: Callable[[int, int | None], None] | None) -> Factor:
    """The row space of J as far as ``tol`` and rounding let it be seen."""
    N, rng, precision = products.n_real, np.random.default_rng(0), eps(products.residual)
    small, done = N <= WHOLE, 0

    def times(X: Array) -> Array:
        nonlocal done
        columns = []
        for i in range(X.shape[1]):
            columns.append(products.push(products.pull(X[:, i])))
            done += 1
            if progress is not None:
                progress(done, N if small else None)
        return namespace(X).stack(columns, axis=1)

    first = _unit_rows(products.real) if small else _orthonormal(None, _gaussian(rng, BLOCK, products.real))
    sketch = Sketch(first, times(first), precision)
    while (k := sketch.omega.shape[1]) < N:
        found = sketch.nystrom(tol)
        probes = _gaussian(rng, min(max(BLOCK, k // SHARE), N - k), products.real)
        fresh = _orthonormal(sketch.omega, probes)
        larger = sketch.joined(fresh, times(fresh))
        unseen = larger.bound_beyond(found, probes, FAILURE / (1 + N / BLOCK))
        if unseen <= SLACK * found.floor:
            return found.truncated(unseen)
        sketch = larger
    return sketch.whole(tol)


@dataclass(frozen=True, eq=False)
class Nystrom:
    """F and C; eigenvalues of K below ``floor`` are not wanted, ``error`` is that of the products."""

    F: Array
    C: Array
    floor: float
    error: float

    def truncated(self, unseen: float) -> Factor:
        """Without the directions that nobody wants; ``unseen`` bounds ‖K − F Fᵀ‖₂."""
        xp = namespace(self.F)
        _, s, Rt = svd(self.F)
        rank = max(1, int(xp.count_nonzero(s * s > self.floor)))
        dropped = float(s[rank]) ** 2 if rank < s.shape[0] else 0.0
        R = Rt[:rank, :].T
        return Factor(self.F @ R, (unseen + dropped + self.error) ** 0.5, lambda: self.C @ R)


@dataclass(frozen=True, eq=False)
class Sketch:
    """Y = K Ω for orthonormal Ω (N, k), each entry rounded to ``precision``."""

    omega: Array
    Y: Array
    precision: float

    def joined(self, X: Array, KX: Array) -> Sketch:
        """With the further columns X."""
        xp = namespace(X)
        return Sketch(xp.concat([self.omega, X], axis=1), xp.concat([self.Y, KX], axis=1), self.precision)

    def whole(self, tol: float) -> Factor:
        """The factor of K = Y Ωᵀ, Ω being square."""
        K = self.Y @ self.omega.T
        return kernel_factor(namespace(K), K, tol, self.precision, norm(K - K.T))

    def nystrom(self, tol: float) -> Nystrom:
        """F and C, without the part of B that is rounding."""
        xp, (N, k) = namespace(self.Y), self.Y.shape
        B = self.omega.T @ self.Y
        apart = norm(B - B.T)  # what the products lack in symmetry is rounding too, its 2-norm 2/√k of this
        b, Z = xp.linalg.eigh((B + B.T) / 2)
        cut = max(FEWEST * self.precision * float(b[-1]), 2.0 * apart / k**0.5)
        rank = max(1, int(xp.count_nonzero(b > cut)))
        kept = b[-rank:]
        Z = Z[:, -rank:] * xp.where(kept > cut, xp.abs(kept), xp.inf * xp.ones_like(kept))[None, :] ** -0.5
        F = self.Y @ Z
        top = float(xp.max(xp.linalg.eigvalsh(F.T @ F)))
        error = max(max(N, FEWEST) * self.precision * top, apart * N / k)  # Ω sees k/N of it
        return Nystrom(F, self.omega @ Z, max(tol**2 * top, error), error)

    def bound_beyond(self, found: Nystrom, probes: Array, failure: float) -> float:
        """‖A‖₂ ≤ α (2/π)^½ maxᵢ ‖A gᵢ‖ of A = K − F Fᵀ and b Gaussian gᵢ but with probability α⁻ᵇ.

        The gᵢ lie in the span of Ω and are independent of F (arXiv 0909.4061, Lemma 4.1).
        """
        xp = namespace(probes)
        missed = (self.Y - found.F @ (found.F.T @ self.omega)) @ (self.omega.T @ probes)
        worst = float(xp.max(xp.linalg.vector_norm(missed, axis=0)))
        return failure ** (-1.0 / probes.shape[1]) * (2.0 / math.pi) ** 0.5 * worst


def _unit_rows(real: Array) -> Array:
    """The unit vectors of the rows that are no padding."""
    xp = namespace(real)
    return xp.take(eye(real.shape[0], real), xp.nonzero(real)[0], axis=1)


def _gaussian(rng: np.random.Generator, count: int, real: Array) -> Array:
    return like(rng.standard_normal((real.shape[0], count)), real) * real[:, None]


def _orthonormal(omega: Array | None, G: Array) -> Array:
    """A basis of what G adds to Ω; twice, as rounding leaves something the first time."""
    for _ in range(2):
        G = namespace(G).linalg.qr(G if omega is None else G - omega @ (omega.T @ G))[0]
    return G
