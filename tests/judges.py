"""Judges of stability that share nothing with the package: every rule's map by hand, and its driven and seen part.

Matrices hold Python floats or mpmath numbers alike; with the latter ranks are decided in 60 digits, where what is not
zero by structure is far above the threshold, and stability by Schur and Cohn's recursion or Routh's on the
characteristic polynomial. No eigenvalue is computed there.
"""

from __future__ import annotations

import mpmath
import numpy as np

MOMENTUM, DIGITS = 0.9, 60


def exact(values):
    """The same numbers, which floats are exactly, as mpmath's."""
    return np.vectorize(mpmath.mpf, otypes=[object])(values)


def metropolis(graph, number=float):
    """Metropolis weights in any arithmetic, from the graph's edges."""
    place = {node: i for i, node in enumerate(graph)}
    W = np.full((len(place), len(place)), number(0), dtype=object if number is not float else float)
    for a, b in graph.edges:
        W[place[a], place[b]] = W[place[b], place[a]] = number(1) / (1 + max(graph.degree[a], graph.degree[b]))
    for i in range(len(place)):
        W[i, i] = number(1) - sum(W[i, j] for j in range(len(place)) if j != i)
    return W


def system(rule, W, J, eta, mu=MOMENTUM):
    """(M, D, C): the map, the first update as a map of the residuals, the outputs, for Jacobians (Q, n, P) and c = 1.

    From the published recursions: theory T1, T10, T11.
    """
    Q, n, P = J.shape
    one, zero = W[0, 0] ** 0, W[0, 0] * 0
    I = np.array([[one if i == j else zero for j in range(Q * P)] for i in range(Q * P)], dtype=W.dtype)  # noqa: E741
    V = np.kron(W, I[:P, :P])
    average = np.kron(W * 0 + one / Q, I[:P, :P])
    C = np.full((Q * n, Q * P), zero, dtype=W.dtype)
    for q in range(Q):
        C[q * n : (q + 1) * n, q * P : (q + 1) * P] = J[q]
    H, g = C.T @ C, C.T
    N, h = eta * H, eta * g
    lazy, keep = (I + V) / 2, I - eta * H
    single = {
        "dgd": lambda: (V - N, -h),
        "cdsgd": lambda: (V - N, -h),
        "icdsgd": lambda: (V @ V - N, -h),
        "atc": lambda: (V @ keep, -V @ h),
        "cta": lambda: (keep @ V, -h),
        "gd": lambda: (average @ keep, -average @ h),
        "fedavg": lambda: (average @ keep @ keep, -average @ (I + keep) @ h),
    }
    double = {
        "cdmsgd": lambda: ([[V - N, mu * I], [-N, mu * I]], [-h, -h]),
        "cdmsgd_nesterov": lambda: ([[V - N, mu * keep], [-N, mu * keep]], [-h, -h]),
        "cdmsgd_published": lambda: ([[V - (1 + mu) * N, mu * mu * I], [-N, mu * I]], [-(1 + mu) * h, -h]),
        "extra": lambda: ([[I + V - N, -I], [lazy - N, 0 * I]], [-h, -h]),
        "exact_diffusion": lambda: ([[lazy @ (I + keep), -lazy], [keep, 0 * I]], [-lazy @ h, -h]),
        "d2": lambda: ([[V @ (I + keep), -V], [keep, 0 * I]], [-V @ h, -h]),
        "nids": lambda: (
            [[keep, -I], [(I - V) @ keep @ keep / 2, (I + V) / 2 - (I - V) @ keep / 2]],
            [-h, -(I - V) @ (I + keep) @ h / 2],
        ),
        "diging": lambda: ([[V, -eta * I], [H @ (V - I), V - N]], [-h, (V - I) @ g - H @ h]),
        "aug_dgm": lambda: (
            [[V, -eta * V], [V @ H @ (V - I), V - eta * V @ H @ V]],
            [-V @ h, (V - I) @ g - V @ H @ V @ h],
        ),
        "atc_tracking": lambda: ([[V, -eta * V], [H @ (V - I), V - N @ V]], [-V @ h, (V - I) @ g - H @ V @ h]),
    }
    if rule in single:
        M, D = single[rule]()
        return M, D, C
    M, D = double[rule]()
    return np.block(M), np.vstack(D), np.hstack([C, 0 * C])


def frames(M, D, C, tiny):
    """Orthonormal bases V of what D reaches and U of what C sees of that; ``tiny`` is what counts as zero beside 1."""
    V = _krylov(M, D, tiny)
    return V, _krylov((V.T @ M @ V).T, (C @ V).T, tiny)


def part(M, D, C, tiny):
    """M on what D reaches and C sees."""
    V, U = frames(M, D, C, tiny)
    return U.T @ (V.T @ M @ V) @ U


def radius(M):
    """The spectral radius in floating point; 0 for nothing."""
    return float(np.abs(np.linalg.eigvals(M)).max()) if len(M) else 0.0


def abscissa(M):
    """The spectral abscissa of M − I in floating point; −inf for nothing."""
    return float(np.linalg.eigvals(M).real.max()) - 1.0 if len(M) else -np.inf


def is_schur(M):
    """Whether all eigenvalues are inside the unit circle, in mpmath: Schur and Cohn's recursion."""
    p = characteristic(M)
    while len(p) > 1:
        if abs(p[-1]) >= abs(p[0]):
            return False
        ratio = p[-1] / p[0]
        p = [a - ratio * b for a, b in zip(p, reversed(p), strict=True)][:-1]
    return True


def is_hurwitz(A):
    """Whether all eigenvalues have negative real parts, in mpmath: Routh's array."""
    p = characteristic(A)
    above, row = p[0::2], p[1::2]
    while row:
        if row[0] <= 0 or above[0] <= 0:
            return False
        ratio = above[0] / row[0]
        padded = [*row, *[mpmath.mpf(0)] * (len(above) - len(row))]
        above, row = row, [a - ratio * b for a, b in zip(above[1:], padded[1:], strict=True)]
    return True


def characteristic(M):
    """The coefficients of det(z I − M), the highest first: Faddeev and Le Verrier."""
    n = len(M)
    p, X = [mpmath.mpf(1)], M * 0
    for k in range(1, n + 1):
        X = X + np.eye(n, dtype=int) * p[-1]
        X = M @ X
        p.append(-sum(X[i, i] for i in range(n)) / k)
    return p


def _krylov(M, start, tiny):
    """An orthonormal basis of span {start, M start, …} by Gram and Schmidt, column by column, done twice."""
    queue = [start[:, j] / _size(start) for j in range(start.shape[1])] if _size(start) else []
    basis = []
    scale = 1 / (_size(M) or 1)
    while queue and len(basis) < len(M):
        x = queue.pop(0)
        for _ in range(2):
            for b in basis:
                x = x - b * (b @ x)  # mpmath would write out an array on its right before it gives up
        length = (x @ x) ** 0.5
        if length > tiny:
            basis.append(x / length)
            queue.append(M @ basis[-1] * scale)
    return np.array(basis, dtype=M.dtype).T if basis else M[:, :0]


def _size(A):
    return max(abs(x) for x in A.flat) if A.size else 0
