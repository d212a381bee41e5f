"""Answers to hold the others against: dense eigenvectors in the samples' own space, where needed with a correction.

The row space is SciPy's SVD of the stacked Jacobian, down to 10⁻¹² of the largest value (what is left out enters a loss
through its square); A is formed there and decomposed by LAPACK, whose V and λ decompose a matrix some ε‖A‖ away: an
error of ε t at time t.  `corrected` removes it to first order.  With S = VᵀV = I + E and B = VᵀAV in long double,

    g(A) = V (I − E/2) g(C) (I − E/2) Vᵀ,    C = B − (E B + B E)/2,    g(C)_ij = g(c_i) δ_ij + g[c_i, c_j] C_ij,

and what remains is the square of the correction, and J V rounded to double precision.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rivals import Question
from scipy.linalg import eigh, svd

KEPT = 1e-12


def reduced(question: Question) -> Question:
    """The same question in the row space."""
    _, s, rows = svd(question.J.reshape(-1, question.J.shape[2]), full_matrices=False)
    return replace(question, J=question.J @ rows[s > KEPT * s[0]].T)


def exact(question: Question, *, flow: bool) -> np.ndarray:
    """Losses (T, Q) at whatever times the question has, good to about ε t."""
    small = reduced(question)
    values, V = eigh(small.matrix())
    gains = np.stack([_gain(values, t, flow) for t in question.times])
    return small.losses(((gains * (V.T @ small.u.ravel())) @ V.T).reshape(-1, *small.shape))


def corrected(question: Question, *, flow: bool) -> tuple[np.ndarray, float]:
    """The same after the correction, and how large that was in a loss, relatively."""
    if np.finfo(np.longdouble).eps > 2e-19:
        raise RuntimeError("long double is no longer than double on this machine: there is nothing to correct with")
    small = reduced(question)
    (Q, p), (_, V) = small.shape, eigh(small.matrix())
    wide = replace(small, J=small.J.astype(np.longdouble), W=small.W.astype(np.longdouble))
    X = V.astype(np.longdouble).reshape(Q, p, -1)
    E, B = _product(V, V) - np.eye(Q * p), _product(V, wide.A(X).reshape(Q * p, -1))
    c = np.diagonal(B) - np.diagonal(E) * np.diagonal(B)
    C = B - E * (c[:, None] + c[None, :]) / 2
    inner = V.T.astype(np.longdouble) @ wide.u.ravel()
    plain, better = [], []
    for t in question.times:
        g = _gain(c, t, flow)
        turned = (_divided(c, g, t, flow) * (C - np.diag(np.diagonal(C))) - (g[:, None] + g[None, :]) / 2 * E) @ inner
        plain.append(V @ (g * inner))
        better.append(V @ (g * inner + turned))
    before, after = (small.losses(np.stack(x).astype(float).reshape(-1, Q, p)) for x in (plain, better))
    return after, float(np.abs(before / after - 1).max())


def _product(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """XᵀY for columns no longer than about 2: 22 leading bits of each multiply in BLAS without any rounding."""
    (Xh, Xl), (Yh, Yl) = (_split(X), _split(Y))
    return (Xh.T @ Yh).astype(np.longdouble) + (Xh.T @ Yl + Xl.T @ Yh + Xl.T @ Yl)


def _split(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    high = np.round(X.astype(float) * 2**22) / 2**22
    return high, (X - high).astype(float)


def _gain(z: np.ndarray, t: float, flow: bool) -> np.ndarray:
    """(e^{tz} − 1)/z or ((1 + z)ᵗ − 1)/z, t at 0."""
    z = np.where(z == 0, np.finfo(float).tiny, z)
    slow = np.expm1(t * (z if flow else np.log1p(np.maximum(z, -0.5))))
    return (slow if flow else np.where(z > -0.5, slow, (1 + z) ** t - 1)) / z


def _divided(z: np.ndarray, g: np.ndarray, t: float, flow: bool) -> np.ndarray:
    """g[z_i, z_j]: a difference over a difference, the derivative where z_i and z_j are next to each other."""
    apart, safe = z[:, None] - z[None, :], np.where(z == 0, np.finfo(float).tiny, z)
    risen = t * (np.exp(t * z) if flow else (1 + z) ** (t - 1))
    slope = np.where(np.abs(z) * t < 1e-6, t * (t if flow else t - 1) / 2, (risen - g) / safe)
    close = np.abs(apart) * t < 1e-12
    return np.where(close, slope[:, None], (g[:, None] - g[None, :]) / np.where(close, 1, apart))
