"""A kernel's factor: the compressed Jacobians that it stands for."""

from __future__ import annotations

from typing import Any

from .._array import Array, eps
from ..errors import require

FEWEST = 32  # however few the rows are: each entry is a long sum of products, and rounded as such


def kernel_factor(
    xp: Any, K: Array, tol: float, precision: float | None = None, noise: float = 0.0
) -> tuple[Array, Array, float]:
    """U (N, r), s (r,) with K ≈ U s² Uᵀ, and a bound on what that leaves out of a J with K = J Jᵀ.

    Rounding moves K by E, of relative size N·``precision`` (by default K's eps), or by ``noise`` where that is more.
    Where directions are left out that may be ‖E‖^½ of J.  Where none are it is X = K^½ − (K + E)^½ at most, and
    K^½ X + X (K + E)^½ = −E says ‖X‖ ≤ ‖E‖ / s_r.
    """
    values, U = xp.linalg.eigh((K + K.T) / 2)
    top, rounding = float(xp.max(xp.abs(values))), max(K.shape[0], FEWEST) * (precision or eps(K))
    low, error = float(xp.min(values)), max(rounding * top, noise)
    require(low >= -10 * error, "K", "a positive semi-definite kernel", f"the eigenvalue {low:.6g}",
            "check the order of its rows and columns")  # fmt: skip
    floor = max(tol**2 * top, error)
    rank = max(1, int(xp.count_nonzero(values > floor)))  # K = 0 keeps one idle direction
    squares = xp.where(values > 0, values, xp.zeros_like(values))
    kept = squares[-rank:] ** 0.5
    if rank == int(xp.count_nonzero(xp.linalg.diagonal(K) > 0)):  # padding rows hold nothing
        return U[:, -rank:], kept, error / float(kept[0])
    left_out = float(squares[-rank - 1]) if rank < values.shape[0] else 0.0
    return U[:, -rank:], kept, (left_out + error) ** 0.5
