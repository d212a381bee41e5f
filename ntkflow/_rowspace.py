"""The joint row space of the stacked Jacobian, with a bound on what is left out."""

from __future__ import annotations

import numpy as np

from ._array import Array, eps, like, namespace, norm, svd

DIRECT = 400  # up to this many rows or columns a plain SVD is quicker than a sketch
FIRST_SKETCH = 160


def row_space(J: Array, tol: float) -> tuple[Array, float]:
    r"""An orthonormal basis V (P, r) of the rows of J (N, P), and a bound on ‖J − J V Vᵀ‖₂.

    Kept are the directions with a singular value above ``tol`` times the largest (clamped to what
    the dtype can see).  Small matrices take an SVD; larger ones a random sketch with a
    re-orthogonalised power step (arXiv 0909.4061, algorithm 4.4), whose residual is then *computed*
    in the Frobenius norm, so that the bound does not rest on luck.  Cost: about 4 r N P operations.
    """
    tol = max(tol, eps(J) * max(J.shape))
    size = FIRST_SKETCH
    while min(J.shape) > DIRECT and 2 * size < min(J.shape):
        V, left_out = _truncated(J, _sketch(J, size), tol)
        s1 = float(namespace(J).linalg.matrix_norm(J @ V, ord=2))
        if V.shape[1] < size - 8 and left_out <= 4 * tol * s1:
            return V, left_out
        size *= 2
    return _direct(J, tol)


def _direct(J: Array, tol: float) -> tuple[Array, float]:
    xp = namespace(J)
    if J.shape[1] > 2 * J.shape[0]:  # wide: the SVD of the small factor, in half the time
        Q, R = xp.linalg.qr(J.T)
        _, s, Wt = svd(R.T)
        V = Q @ Wt.T
    else:
        _, s, Wt = svd(J)
        V = Wt.T
    s1 = float(s[0])
    rank = max(1, int(xp.count_nonzero(s > tol * s1)))  # J = 0 keeps one idle direction
    full = min(int(xp.count_nonzero(xp.any(J != 0, axis=1))), J.shape[1])  # padding rows hold nothing
    tail = float(s[rank]) + eps(J) * s1 if rank < full else 0.0
    return V[:, :rank], tail


def _sketch(J: Array, size: int) -> Array:
    xp = namespace(J)
    draw = like(np.random.default_rng(0).standard_normal((J.shape[0], size)), J)
    Q = xp.linalg.qr(J.T @ draw)[0]
    for A in (J, J.T):  # one power step; each product is re-orthogonalised, or small directions drown
        Q = xp.linalg.qr(A @ Q)[0]
    return Q


def _truncated(J: Array, Q: Array, tol: float) -> tuple[Array, float]:
    xp = namespace(J)
    _, s, Wt = svd(J @ Q)
    rank = max(1, int(xp.count_nonzero(s > tol * float(s[0]))))
    V = Q @ Wt[:rank, :].T
    return V, norm(J - (J @ V) @ V.T)
