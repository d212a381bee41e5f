"""T15 checked: Poisson-weighted iterates against the flow, engines that know nothing of the identity on both sides."""

import itertools

import numpy as np
from scipy.integrate import simpson
from scipy.linalg import expm
from scipy.stats import poisson

import ntkflow as nf

Q, n, P = 5, 3, 7


def check_identity():
    """Every rule of the catalogue, starts apart, several times."""
    rng = np.random.default_rng(4)
    W = nf.weights.metropolis_hastings(nf.graphs.star(Q))
    J = rng.standard_normal((Q, n, P))
    lin = nf.LinearizedModel.from_jacobian(J, rng.standard_normal((Q, n)), start=rng.standard_normal((Q, P)))
    for name in nf.algorithms.names():
        system = nf.LinearSystem(name, W if nf.algorithms.get(name).uses_graph else None, lin, 0.02)
        iterates = system.iterate(range(200), method="dense").states
        for t in (0.0, 0.3, 4.0, 60.0):
            average = np.tensordot(poisson.pmf(np.arange(200), t), iterates, axes=1)
            flow = system.flow(t, method="dense").states[0]
            # 200 terms of positive weight: no cancellation, so a few hundred roundings at most
            assert np.abs(average - flow).max() <= 1e-13 * np.abs(iterates).max(), (name, t)


def check_tail():
    """The probability beyond t + 10√t + 40 is below 1e-20."""
    for t in (0.0, 1.0, 10.0, 1e3, 1e5):
        assert poisson.sf(t + 10 * t**0.5 + 40, t) < 1e-20


def arnoldi(A, w, m):
    """V, H, h and ‖w‖ by modified Gram–Schmidt, twice."""
    V, H = [w / np.linalg.norm(w)], np.zeros((m + 1, m))
    for j in range(m):
        x = A @ V[j]
        for _ in range(2):
            for i, v in enumerate(V):
                H[i, j] += v @ x
                x = x - (v @ x) * v
        H[j + 1, j] = np.linalg.norm(x)
        V.append(x / H[j + 1, j])
    return np.stack(V, axis=1), H[:m], H[m, m - 1], np.linalg.norm(w)


def check_krylov():
    """The corollary on spaces too small to be exact: DGD with a stable step, and beyond it for the flow."""
    rng = np.random.default_rng(5)
    J = rng.standard_normal((Q, n, P)) / P**0.5
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    lin = nf.LinearizedModel.from_jacobian(J, rng.standard_normal((Q, n)))
    limit = nf.stability(nf.LinearSystem("dgd", W, lin, 0.1, "sum")).max_step_size
    for reach, theta, m in itertools.product((0.9, 2.0), (1.0, 0.25), (3, 6, 12)):
        system = nf.LinearSystem("dgd", W, lin, reach * limit, "sum")
        A, w = system.dense()[0], system.u.ravel()
        V, H, h, size = arnoldi(A, w, m)
        y, beta = [np.zeros(m)], [0.0]
        for _ in range(400):
            beta.append(beta[-1] + theta * h * abs(y[-1][-1]))
            y.append(y[-1] + theta * (H @ y[-1] + size * np.eye(m)[0]))
        for t in (1.0, 3.0, 10.0):
            p = poisson.pmf(np.arange(len(y)), t / theta)
            gap = np.linalg.norm(V[:, :m] @ (p @ np.stack(y)) - system.flow(t, "dense").deviation[0].ravel())
            assert gap <= p @ np.asarray(beta) + 1e-12 * (p @ np.linalg.norm(y, axis=1)), (reach, theta, m, t)
        if reach < 1 and theta == 1:
            steps = [1, 5, 20, 100]
            exact = system.iterate(steps, "dense").deviation.reshape(len(steps), -1)
            gaps = [np.linalg.norm(V[:, :m] @ y[k] - x) for k, x in zip(steps, exact, strict=True)]
            assert all(gap <= beta[k] + 1e-12 * k for k, gap in zip(steps, gaps, strict=True)), (m, gaps)
            assert beta[20] < 1e3 * gaps[2], (m, beta[20], gaps[2])  # a bound, and not an empty one


def lanczos(A, S, w, m):
    """V, T, v and ‖w‖ from three terms, in ⟨x, y⟩ = xᵀ S y; nothing is orthogonalised again."""
    length = lambda x: np.sqrt(x @ S @ x)  # noqa: E731
    V, T, v, beta = [], np.zeros((m, m)), w, length(w)
    size = beta
    for j in range(m):
        V.append(v / beta)
        v = A @ V[j]
        if j:
            T[j, j - 1] = T[j - 1, j] = beta
            v = v - beta * V[j - 1]
        T[j, j] = V[j] @ S @ v
        v = v - T[j, j] * V[j]
        beta = length(v)
    return np.stack(V, axis=1), T, v, size


def check_climbing(rule, M, w, S, V, T, v, size):
    """The iteration, where no diagonal entry of I + T is negative."""
    x, y, summed = 0.0 * w, np.zeros(len(T)), 0.0
    for k in range(1, 41):
        if rule == "cta":  # x_k = w + S z_{k−1}
            x, found = M @ x + w, w + S @ V @ y
            rounding = 1e-12 * np.linalg.norm(x)
            assert np.linalg.norm(x - found) <= np.linalg.norm(v) * (k - 1) * y[-1] + k * rounding
        summed += abs(y[-1])
        before, y = y, y + T @ y + size * np.eye(len(T))[0]
        rounding = 1e-12 * np.linalg.norm(y)
        assert (y >= before - rounding).all()
        assert summed <= k * y[-1] + k * rounding
        if rule != "cta":
            x = M @ x + w
            assert np.linalg.norm(x - V @ y) <= np.linalg.norm(v) * k * y[-1] + k * rounding
    return 1


def check_symmetric():
    """The second corollary on small spaces, on one that has lost its orthogonality, and 30 times too long a step."""
    rng = np.random.default_rng(6)
    J = rng.standard_normal((Q, n, P)) * np.geomspace(1.0, 30.0, Q)[:, None, None]
    W = np.kron(nf.weights.metropolis_hastings(nf.graphs.cycle(Q)), np.eye(P))
    curvature = np.zeros((Q * P, Q * P))
    for q in range(Q):
        curvature[q * P : (q + 1) * P, q * P : (q + 1) * P] = J[q].T @ J[q]
    top, one, w, climbing = np.linalg.eigvalsh(curvature)[-1], np.eye(Q * P), rng.standard_normal(Q * P), 0
    for rule, reach, m in itertools.product(("dgd", "atc", "cta"), (0.1, 0.8, 30.0), (3, 6, 12, 30)):
        if rule != "dgd" and reach > 1:
            continue  # S is not positive
        S = one if rule == "dgd" else one - reach / top * curvature
        M = {"dgd": W - reach / top * curvature, "atc": W @ S, "cta": S @ W}[rule]
        symmetric, first = (M, w) if rule != "cta" else (W @ S, W @ w)
        V, T, v, size = lanczos(symmetric - one, S, first, m)
        values, vectors = np.linalg.eigh(T)
        previous = 0.0
        for t in (0.1, 1.0, 5.0, 20.0):
            s = np.linspace(0.0, t, 4001)  # g or d as an integral, by Simpson's rule
            weight = np.exp(-s) - np.exp(-t) if rule == "cta" else np.ones_like(s)
            shift = 1.0 if rule == "cta" else 0.0
            gains = simpson(weight[:, None] * np.exp(np.outer(s, values + shift)), x=s, axis=0)
            y = vectors @ (gains * vectors[0]) * size
            found = (1 - np.exp(-t)) * w + S @ V @ y if rule == "cta" else V @ y
            rounding = 1e-9 * np.linalg.norm(y)  # Simpson's
            assert y[-1] >= previous - rounding, (rule, reach, m, t)
            previous = y[-1]
            exact = expm(t * np.block([[M - one, w[:, None]], [np.zeros((1, Q * P + 1))]]))[:-1, -1]
            gap, bound = np.linalg.norm(found - exact), np.linalg.norm(v) * t * y[-1]
            assert gap <= bound + rounding * (1 + t), (rule, reach, m, t, gap, bound)
        climbing += check_climbing(rule, M, w, S, V, T, v, size) if T.diagonal().min() >= -1.0 else 0
    assert climbing >= 12
    assert abs(V.T @ S @ V - np.eye(m)).max() > 0.1  # it was lost


check_identity()
check_tail()
check_krylov()
check_symmetric()
