"""The joint row space of the stacked Jacobian, with a bound on what is left out."""

from __future__ import annotations

import numpy as np

from ._array import Array, eps, eye, like, namespace, norm, svd, zeros

DIRECT = 400  # up to this many rows or columns a sketch saves nothing
FIRST_SKETCH = 128
SPARE = 8  # columns of a sketch that must be left over
SMALL = 32  # up to this many, singular values are as quick as anything
SEEN, SINGLE = 5e6, 1e-4  # eps of the largest eigenvalue that a kernel shows accurately enough to divide by; in float32
ROWS = 256  # looked at together


def row_space(J: Array, tol: float) -> tuple[Array, Array, float] | None:
    r"""An orthonormal basis V (P, r) of the rows of J (N, P), J V, and a bound on ‖J − J V Vᵀ‖₂.

    None where they need all P parameters.  Kept are the directions with a singular value above ``tol`` times the
    largest (clamped to what the dtype can see).  Large matrices are tried with a sketch by random signs
    (arXiv 0909.4061, algorithm 4.1, and 4.4 where that is not enough), whose residual is then *computed* in the
    Frobenius norm, so that the bound does not rest on luck; others go by kernels, or singular values.
    Cost: about 3 r N P operations by a sketch, 4 N² P by kernels.
    """
    tol = max(tol, eps(J) * max(J.shape))
    size = FIRST_SKETCH
    while min(J.shape) > DIRECT and 2 * size < min(J.shape):
        Q = _sketch(J, size)
        for _ in range(2):
            V, JV, left_out, top = _truncated(J, Q, tol)
            spare = V.shape[1] < size - SPARE
            if spare and left_out <= 4 * tol * top:
                return V, JV, left_out
            if not spare:
                break
            Q = _power_step(J, Q)
        size *= 2
    V, left_out = _direct(J, tol)
    return None if V is None else (V, J @ V, left_out)


def cost(rows: int, columns: int) -> float:
    """Rough seconds of `row_space`."""
    few = min(rows, columns)
    return rows * columns * (2.5e-8 if few > DIRECT else 1.2e-10 * few)


def _direct(J: Array, tol: float) -> tuple[Array | None, float]:
    if min(J.shape) <= SMALL:
        return _singular(J, tol)
    return _wide(J, tol) if J.shape[0] < J.shape[1] else _tall(J, tol)


def _sketch(J: Array, size: int) -> Array:
    signs = like(2.0 * np.random.default_rng(0).integers(0, 2, (J.shape[0], size), dtype=np.int8) - 1.0, J)
    return namespace(J).linalg.qr(J.T @ signs)[0]


def _power_step(J: Array, Q: Array) -> Array:
    """Each product is re-orthogonalised, or small directions drown."""
    for A in (J, J.T):
        Q = namespace(J).linalg.qr(A @ Q)[0]
    return Q


def _truncated(J: Array, Q: Array, tol: float) -> tuple[Array, Array, float, float]:
    """V within the span of Q, J V, ‖J − J V Vᵀ‖_F, and the largest singular value."""
    W, JV, top = _graded(J @ Q, tol)
    V = Q @ W
    missed = sum(norm(J[a:b, :] - JV[a:b, :] @ V.T) ** 2 for a, b in _edges(J.shape[0]))
    return V, JV, missed**0.5, top


def _graded(A: Array, tol: float) -> tuple[Array, Array, float]:
    """W, A W and the largest singular value, W being the right singular vectors of a tall A above ``tol`` of it.

    Eigenvectors of AᵀA are, where their eigenvalues are not small; those of the rest are found in the rest alone.
    """
    xp, rest, within, top = namespace(A), A, eye(A.shape[1], A), 0.0
    W, AW = list[Array](), list[Array]()
    while rest.shape[1]:
        values, U = xp.linalg.eigh(rest.T @ rest)
        largest = max(float(values[-1]), 0.0)
        top = top or largest
        if W and largest <= tol**2 * top:
            break
        few = int(xp.count_nonzero(values[:-1] <= max(min(SEEN * eps(A), SINGLE) * largest, tol**2 * top)))
        within, rest = within @ U, rest @ U
        W, AW = [*W, within[:, few:]], [*AW, rest[:, few:]]
        within, rest = within[:, :few], rest[:, :few]
    return xp.concat(W, axis=1), xp.concat(AW, axis=1), top**0.5


def _singular(J: Array, tol: float) -> tuple[Array, float]:
    xp = namespace(J)
    _, s, Wt = svd(J)
    rank = max(1, int(xp.count_nonzero(s > tol * float(s[0]))))  # J = 0 keeps one idle direction
    tail = float(s[rank]) + eps(J) * float(s[0]) if rank < _full_rank(J) else 0.0
    return Wt[:rank, :].T, tail


def _tall(J: Array, tol: float) -> tuple[Array | None, float]:
    """None where JᵀJ is far from singular, else by singular values."""
    p = J.shape[1]
    values = namespace(J).linalg.eigvalsh(J.T @ J)
    if float(values[0]) > max(1e3 * p * eps(J), tol**2) * float(values[-1]):
        return None, 0.0
    return _singular(J, tol)


def _wide(J: Array, tol: float) -> tuple[Array, float]:
    """V = Jᵀ U S⁻¹ from the kernel J Jᵀ = U S² Uᵀ, where S is not small; then the same for what is left of J."""
    xp, rest = namespace(J), J
    V, top, missed = zeros((J.shape[1], 0), J), 0.0, 0.0
    while rest.shape[0]:
        values, U = xp.linalg.eigh(rest @ rest.T)
        largest = max(float(values[-1]), 0.0)
        top = top or largest
        if largest == 0.0 or (V.shape[1] and largest <= tol**2 * top):
            missed = largest**0.5 + eps(J) * top**0.5
            break
        few = int(xp.count_nonzero(values[:-1] <= max(min(SEEN * eps(J), SINGLE) * largest, tol**2 * top)))
        fresh = _orthonormal(rest.T @ (U[:, few:] / values[few:] ** 0.5))
        for _ in range(2 if V.shape[1] else 0):  # the second time removes what rounding left
            fresh = _orthonormal(fresh - V @ (V.T @ fresh))
        V = xp.concat([V, fresh], axis=1) if V.shape[1] else fresh
        rest = U[:, :few].T @ rest
        rest = rest - (rest @ V) @ V.T
    if V.shape[1] == 0:  # J = 0 keeps one idle direction
        return zeros((J.shape[1], 1), J) + J.shape[1] ** -0.5, 0.0
    return V, 0.0 if V.shape[1] >= _full_rank(J) else missed


def _orthonormal(V: Array) -> Array:
    """The closest orthonormal columns, V (VᵀV)^{-½}, in the place of columns that nearly are."""
    values, U = namespace(V).linalg.eigh(V.T @ V)
    root = (U / values**0.5) @ U.T
    for a, b in _edges(V.shape[0]):
        V[a:b, :] = V[a:b, :] @ root
    return V


def _edges(rows: int) -> list[tuple[int, int]]:
    """A few rows at a time, which stay in cache."""
    return [(i, min(i + ROWS, rows)) for i in range(0, rows, ROWS)]


def _full_rank(J: Array) -> int:
    """The rank at which nothing can be left out: rows of padding hold nothing."""
    return min(int(namespace(J).count_nonzero(namespace(J).any(J != 0, axis=1))), J.shape[1])
