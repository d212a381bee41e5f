"""A kernel's factor: the compressed Jacobians that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._array import Array, cholesky, eps, eye, namespace, norm
from ..errors import require

FEWEST = 32  # however few the rows are: each entry is a long sum of products, and rounded as such
SHARE, MARGIN = 8.0, 1.25  # λ_min was seen to be a fifth of the least pivot or more: an eighth, and room for rounding


@dataclass(frozen=True, eq=False)
class Factor:
    """F = J V (N, r), a bound on ‖J − J V Vᵀ‖₂, and what makes C (N, r) with V = Jᵀ C, once V is wanted."""

    F: Array
    left_out: float
    C: Callable[[], Array]


def kernel_factor(xp: Any, K: Array, tol: float, precision: float | None = None, noise: float = 0.0) -> Factor:
    """F with K ≈ F Fᵀ: triangular where the rows of J are safely independent, else U S of K ≈ U S² Uᵀ.

    Rounding moves K by E, of relative size N·``precision`` (by default K's eps), or by ``noise``, no less than
    ‖K − Kᵀ‖, where that is more.
    Where directions are left out that may be ‖E‖^½ of J.  Where none are it is X = K^½ − (K + E)^½ at most, and
    K^½ X + X (K + E)^½ = −E says ‖X‖ ≤ ‖E‖ / s_r.
    """
    rounding, top = max(K.shape[0], FEWEST) * (precision or eps(K)), largest(K)
    error = max(rounding * top, noise)
    return triangular(K, error, max(tol**2 * top, error)) or _spectral(xp, K, tol, rounding, noise)


def triangular(K: Array, error: float, floor: float) -> Factor | None:
    """The factor L of K = L Lᵀ (its lower half), which misses K by ``error``, where λ_min is certainly above ``floor``.

    λ_min is no more than the least squared pivot; that K less a share of it has a factor as well says that it is no
    less than that share, but for rounding.
    """
    xp, L = namespace(K), cholesky(K)
    if L is None:
        return None
    least = float(xp.min(xp.linalg.diagonal(L))) ** 2 / SHARE
    if least < max(4.0 * error, floor) or cholesky(K - MARGIN * least * eye(K.shape[0], K)) is None:
        return None
    return Factor(L, error / least**0.5, lambda: xp.linalg.inv(L).T)


def largest(K: Array) -> float:
    """What no eigenvalue exceeds: the largest sum of absolute values in a row, or ‖K‖_F where that is less."""
    xp = namespace(K)
    return min(float(xp.max(xp.sum(xp.abs(K), axis=1))), norm(K))


def _spectral(xp: Any, K: Array, tol: float, rounding: float, noise: float) -> Factor:
    values, U = xp.linalg.eigh((K + K.T) / 2)
    top = float(xp.max(xp.abs(values)))
    low, error = float(xp.min(values)), max(rounding * top, noise)
    require(low >= -10 * error, "K", "a positive semi-definite kernel", f"the eigenvalue {low:.6g}",
            "check the order of its rows and columns")  # fmt: skip
    floor = max(tol**2 * top, error)
    rank = max(1, int(xp.count_nonzero(values > floor)))  # K = 0 keeps one idle direction
    squares = xp.where(values > 0, values, xp.zeros_like(values))
    U, s = U[:, -rank:], squares[-rank:] ** 0.5
    whole = rank == int(xp.count_nonzero(xp.linalg.diagonal(K) > 0))  # padding rows hold nothing
    dropped = float(squares[-rank - 1]) if rank < values.shape[0] else 0.0
    left_out = error / float(s[0]) if whole else (dropped + error) ** 0.5
    return Factor(U * s[None, :], left_out, lambda: U / xp.where(s > 0, s, xp.ones_like(s))[None, :])
