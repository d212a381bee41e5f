"""T5 checked: the order from the graph against Kalman's, computed exactly on the package's own matrices."""

import networkx as nx
import numpy as np

import ntkflow as nf

PRIME = 67_108_859  # below 2^26: a product of two residues, summed 300 times, fits 64 bits
RULES = ("dgd", "atc", "cta")


# the order from the graph ---------------------------------------------------------------------------


def order_from_graph(rule, W, J, c):
    """sum over eigenvalues of rank(J E J^T c), E one eigenprojection; the parameters enter by the kernel alone."""
    Q, n, P = J.shape
    stack = J.reshape(Q * n, P)
    kernel = stack @ stack.T
    total = 0
    for value, E in projections(W):
        if rule != "atc" or abs(value) > 1e-9:
            total += rank(kernel * np.kron(E, np.ones((n, n))) * np.repeat(c, n))
    return total


def projections(W):
    """Distinct eigenvalues of a diagonalisable W, each with its projection."""
    values, right = np.linalg.eig(W)
    left = np.linalg.inv(right)
    distinct = [v for i, v in enumerate(values) if np.all(np.abs(v - values[:i]) > 1e-9)]
    groups = [np.abs(values - v) <= 1e-9 for v in distinct]
    return [(v, right[:, group] @ left[group, :]) for v, group in zip(distinct, groups, strict=True)]


def rank(matrix):
    """Numerical rank; refuses to guess where the singular values have no gap."""
    s = np.linalg.svd(matrix, compute_uv=False)
    s = s / s[0] if s[0] > 0 else s
    assert not np.any((s > 1e-12) & (s < 1e-9))
    return int(np.sum(s >= 1e-9))


# the order by brute force ---------------------------------------------------------------------------


def order_by_kalman(rule, W, J, c, step=3.0):
    """dim R - dim(R and unobservable) of the package's (A, B, C), in exact arithmetic modulo a prime."""
    lin = nf.LinearizedModel.from_jacobian(J.astype(float), np.ones(J.shape[:2]))
    A, B, C, _ = nf.LinearSystem(rule, W, lin, step, np.asarray(c, float)).dense()
    common = denominator(W)
    A, B, C = integers(common * A), integers(common * B), integers(C)
    reachable, seen = krylov(B.T, A.T), krylov(C, A)
    return len(row_basis(seen @ reachable.T % PRIME))


def krylov(rows, A):
    """A basis of the row space of rows, rows A, rows A^2, ... modulo the prime."""
    basis = row_basis(rows % PRIME)
    while True:
        longer = row_basis(np.vstack([basis, basis @ A % PRIME]))
        if len(longer) == len(basis):
            return basis
        basis = longer


def row_basis(matrix):
    """The non-zero rows of the reduced echelon form modulo the prime."""
    rest, found = matrix.copy(), 0
    for column in range(rest.shape[1]):
        pivots = found + np.flatnonzero(rest[found:, column])
        if len(pivots):
            rest[[found, pivots[0]]] = rest[[pivots[0], found]]
            rest[found] = rest[found] * pow(int(rest[found, column]), -1, PRIME) % PRIME
            factors = rest[:, column].copy()
            factors[found] = 0
            rest = (rest - np.outer(factors, rest[found])) % PRIME
            found += 1
    return rest[:found]


def integers(matrix):
    """A matrix of integers that came as floats, modulo the prime."""
    nearest = np.rint(matrix)
    assert np.abs(matrix - nearest).max() < 1e-9
    return nearest.astype(np.int64) % PRIME


def denominator(W):
    """The smallest whole number that makes W integer."""
    return next(k for k in range(1, 1000) if np.abs(k * W - np.rint(k * W)).max() < 1e-9)


# what is claimed ------------------------------------------------------------------------------------


def check_table():
    """The six examples of the statement, generic integer Jacobians with n = 2: DGD, ATC and CTA."""
    rng = np.random.default_rng(0)
    table = [
        (nf.graphs.complete(6), 5, 17, 5),
        (nf.graphs.cycle(6), 5, 30, 20),
        (nf.graphs.star(6), 5, 20, 15),
        (nx.hypercube_graph(3), 12, 56, 40),
        (nf.graphs.path(7), 30, 92, 92),
        (nx.petersen_graph(), 30, 60, 60),
    ]
    for graph, P, mixed, adapted in table:
        W = nf.weights.metropolis_hastings(graph)
        J, c = rng.integers(-4, 5, (len(W), 2, P)), np.ones(len(W))
        for rule, order in zip(RULES, (mixed, adapted, mixed), strict=True):
            assert order_from_graph(rule, W, J, c) == order, (graph, rule)
            assert order_by_kalman(rule, W, J, c) == order, (graph, rule)


def check_random():
    """Random graphs, ranks that differ, factors that differ, one agent without a gradient."""
    rng = np.random.default_rng(1)
    for seed in range(12):
        graph = nx.gnp_random_graph(6, 0.5, seed=seed)
        nx.add_path(graph, range(6))
        W = nf.weights.metropolis_hastings(graph)
        J, c = unequal_ranks(6, rng), rng.integers(1, 4, 6)
        c[0] *= seed % 2
        for rule in RULES:
            assert order_by_kalman(rule, W, J, c) == order_from_graph(rule, W, J, c), (seed, rule)


def unequal_ranks(Q, rng):
    """Integer Jacobians (Q, 2, 4) of rank 2, 1 and 0."""
    J = rng.integers(-3, 4, (Q, 2, 4))
    J[1, 1] = 2 * J[1, 0]
    J[2] = 0
    J[3] = J[4]
    return J


def check_directed():
    """No symmetry: row-stochastic weights, complex eigenvalues."""
    rng = np.random.default_rng(2)
    complex_seen = False
    for _ in range(8):
        W = np.stack([rng.multinomial(12, np.full(5, 0.2)) for _ in range(5)]) / 12
        complex_seen |= bool(np.iscomplex(np.linalg.eigvals(W)).any())
        J, c = unequal_ranks(5, rng), rng.integers(1, 4, 5)
        for rule in RULES:
            assert order_by_kalman(rule, W, J, c) == order_from_graph(rule, W, J, c), (W, rule)
    assert complex_seen


def check_exception():
    """CTA with 1 an eigenvalue of eta J J^T: the order falls from 4 to 2; with any other step it does not."""
    W, J, c = np.array([[0.75, 0.25], [0.25, 0.75]]), np.eye(2, dtype=int)[:, None, :], np.ones(2)
    assert order_from_graph("cta", W, J, c) == 4
    assert [order_by_kalman("cta", W, J, c, step) for step in (1.0, 2.0, 3.0)] == [2, 4, 4]
    assert [order_by_kalman(rule, W, J, c, 1.0) for rule in ("dgd", "atc")] == [4, 4]


def check_forms():
    """For a symmetric W, rank(J E J^T) is the rank of the rows u_q (x) J_q; the bounds hold."""
    rng = np.random.default_rng(3)
    W, J = nf.weights.metropolis_hastings(nf.graphs.star(6)), unequal_ranks(6, rng)
    kernel = J.reshape(12, 4) @ J.reshape(12, 4).T
    values, vectors = np.linalg.eigh(W)
    for value, E in projections(W):
        U = vectors[:, np.abs(values - value) < 1e-9]
        rows = np.vstack([np.kron(u, J_q) for u, J_q in zip(U, J, strict=True)])
        r = rank(rows)
        assert r == rank(kernel * np.kron(E, np.ones((2, 2))))
        taking_part = np.abs(U).max(axis=1) > 1e-9
        assert r <= sum(rank(J_q) for J_q in J[taking_part])
        assert r <= U.shape[1] * rank(J.reshape(12, 4))


check_table()
check_random()
check_directed()
check_exception()
check_forms()
