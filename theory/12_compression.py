"""T12 checked: the splitting (a) for random words, the truncation bound (b) the grid (c), and products (d)."""

import numpy as np
from scipy.linalg import block_diag, expm

import ntkflow as nf

Q, n, P, rank = 4, 3, 9, 5


def check_splitting():
    """f(M) = f(M(W, 0)) (I ⊗ (I − VVᵀ)) + (I⊗V) f(M_r) (I⊗V)ᵀ for f = exp and a power."""
    rng = np.random.default_rng(0)
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    V = np.linalg.qr(rng.standard_normal((P, rank)))[0]
    J = rng.standard_normal((Q, n, rank)) @ V.T

    def M(H, size, on):
        WW = np.kron(W, np.eye(size))
        return WW - 0.1 * on * WW @ H @ WW + 0.05 * on * H @ H @ WW - 0.2 * WW @ WW

    full = M(block_diag(*(A.T @ A for A in J)), P, 1.0)
    small = M(block_diag(*((A @ V).T @ (A @ V) for A in J)), rank, 1.0)
    idle = M(np.zeros((Q * P, Q * P)), P, 0.0)
    lift, outside = np.kron(np.eye(Q), V), np.kron(np.eye(Q), np.eye(P) - V @ V.T)
    for f in (expm, lambda A: np.linalg.matrix_power(A, 7)):
        split = f(idle) @ outside + lift @ f(small) @ lift.T
        assert np.abs(f(full) - split).max() <= 1e-12 * np.abs(f(full)).max()  # products of 36 x 36 matrices


def check_truncation():
    """The bound holds and is not silly, for every rule that it covers, on fine and coarse grids."""
    rng = np.random.default_rng(2)
    W = nf.weights.metropolis_hastings(nf.graphs.star(Q))
    decay = np.logspace(0, -6, Q * n)[:, None]
    ratios = []
    for apart in (False, True):
        J = (rng.standard_normal((Q * n, Q * n)) @ (decay * rng.standard_normal((Q * n, 30)))).reshape(Q, n, 30)
        start = rng.standard_normal((Q, 30)) if apart else None
        lin = nf.LinearizedModel.from_jacobian(J, rng.standard_normal((Q, n)), start=start)
        step = 1.0 / np.linalg.norm(J, ord=2, axis=(1, 2)).max() ** 2
        for name in ("dgd", "atc", "cta"):
            for tol in (1e-1, 1e-2, 1e-4):
                exact = nf.LinearSystem(name, W, lin, step, "sum")
                short = nf.LinearSystem(name, W, lin.compress(tol), step, "sum")
                for times in ([1, 10, 100, 1000], range(0, 400, 4), [730]):
                    for a, b in ((exact.flow(times), short.flow(times)), (exact.iterate(times), short.iterate(times))):
                        error = np.linalg.norm((a.deviation - b.deviation).reshape(len(a.times), -1), axis=1)
                        assert b.bound_kind == "rigorous"
                        assert np.all(b.error_bound >= error)
                        seen = error > 1e-12
                        ratios.extend(b.error_bound[seen] / error[seen])
    assert np.median(ratios) < 100  # a bound that is never near the truth would be of no use


def check_starts():
    """Why J must stay on the starts' columns: J = a ± ε b, starts ±b, b left out; without it 5e-4 "bounds" 1.4e-3."""
    a, b = np.eye(3)[:2]
    J, start = np.stack([[a + 1e-3 * b], [a - 1e-3 * b]]), np.stack([b, -b])
    lin = nf.LinearizedModel.from_jacobian(J, np.zeros((2, 1)), start=start)
    W = np.full((2, 2), 0.5)
    exact, short = (nf.LinearSystem("dgd", W, m, 0.5, "sum").iterate([1, 5, 20]) for m in (lin, lin.compress(1e-2)))
    error = np.linalg.norm((exact.deviation - short.deviation).reshape(3, -1), axis=1)
    assert np.all(error <= short.error_bound)


def check_products():
    """(d): V is orthonormal, J V = F, ℓ² = ‖K − FFᵀ‖; and α⁻ᵇ is not exceeded, for b = 3 and α = 2."""
    rng = np.random.default_rng(2)
    J, Omega = rng.standard_normal((12, 30)) * 0.5 ** np.arange(12)[:, None], rng.standard_normal((12, 5))
    K = J @ J.T
    b, Z = np.linalg.eigh(Omega.T @ K @ Omega)
    root = Z / b**0.5 @ Z.T
    V, F = J.T @ Omega @ root, K @ Omega @ root
    A, left_out = K - F @ F.T, np.linalg.norm(J - J @ V @ V.T, 2)
    assert np.abs(V.T @ V - np.eye(5)).max() < 1e-12
    assert np.abs(J @ V - F).max() < 1e-12
    assert np.isclose(left_out**2, np.linalg.norm(A, 2), rtol=1e-10)
    seen = np.linalg.norm(A @ rng.standard_normal((2000, 12, 3)), axis=1).max(axis=1)
    failed = np.count_nonzero(2.0 * (2.0 / np.pi) ** 0.5 * seen < left_out**2)
    assert failed <= 2000 / 8 + 3 * (2000 * 7 / 64) ** 0.5  # three deviations of chance


check_splitting()
check_truncation()
check_starts()
check_products()
