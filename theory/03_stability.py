"""T3 checked: the kernel of A exactly, the Lyapunov weight of directed graphs, and what Proposition 1 leaves open."""

from fractions import Fraction

import networkx as nx
import numpy as np
from scipy.linalg import block_diag, null_space
from sympy import GF, QQ
from sympy.polys.matrices import DomainMatrix

import ntkflow as nf

LARGE_PRIME = 2**61 - 1
ETA = Fraction(1, 7)


def exact_dgd(W, J):
    """A and J^T over the rationals, for weights with small denominators and integer Jacobians."""
    P = J.shape[2]
    mixing = np.array([[Fraction(w).limit_denominator(100) for w in row] for row in W])
    blocks = block_diag(*J).astype(int).astype(object)
    A = np.kron(mixing - np.eye(len(W), dtype=int), np.eye(P, dtype=int)) - ETA * blocks.T @ blocks
    found = nf.LinearSystem("dgd", W, linearized(J), float(ETA), "sum").dense()[0]
    assert np.abs(A.astype(float) - found).max() < 1e-13  # it is what the library works with
    return A, blocks.T


def rank(matrix, domain=QQ):
    """Exact rank; over a prime field it can only be too small, and is so for one prime in 1e17."""
    rows = [[domain(int(entry.numerator)) / domain(int(entry.denominator)) for entry in row] for row in matrix]
    return DomainMatrix(rows, matrix.shape, domain).rank()


def linearized(J):
    """A model with the Jacobians J and a residual of ones."""
    return nf.LinearizedModel.from_jacobian(J.astype(float), np.ones(J.shape[:2]))


def check_counterexample():
    """No column of the stack is zero, yet A has exactly two zero eigenvalues: six agents, P = 5, a shared row space."""
    rng = np.random.default_rng(0)
    J = rng.integers(-3, 4, (6, 2, 3)) @ rng.integers(-3, 4, (3, 5))
    stack = J.reshape(12, 5)
    assert np.all(np.any(stack != 0, axis=0))
    A, _ = exact_dgd(nf.weights.metropolis_hastings(nf.graphs.path(6)), J)
    assert rank(stack) == 3
    assert rank(A) == 30 - (5 - 3)  # A is symmetric: its nullity is the multiplicity of 0


def check_minimality_is_not_needed():
    """Star of six: A is Hurwitz, and the controllable part has 20 of 30 dimensions."""
    J = np.random.default_rng(1).integers(-3, 4, (6, 2, 5))
    A, B = exact_dgd(nf.weights.metropolis_hastings(nf.graphs.star(6)), J)
    assert rank(A) == 30
    krylov = [B]
    while len(krylov) < 8:
        krylov.append(A @ krylov[-1])
    ranks = [rank(np.hstack(krylov[:k]), GF(LARGE_PRIME)) for k in (7, 8)]
    assert ranks == [20, 20]  # it has stopped growing, so it never will again


def check_unequal_factors():
    """Factors c_q > 0 change nothing; an agent with c_q = 0 leaves the stack."""
    rng = np.random.default_rng(2)
    J, W = rng.standard_normal((4, 1, 4)), nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    for c, nullity in (([0.1, 3.0, 1.0, 20.0], 0), ([1.0, 0.0, 2.0, 0.0], 2)):
        A = nf.LinearSystem("dgd", W, linearized(J), 0.5, c).dense()[0]
        assert np.sum(np.linalg.eigvalsh(A) > -1e-12) == nullity  # the next one is near -1e-2
        assert np.linalg.eigvalsh(A).max() < 1e-14


def check_directed():
    """D A + A^T D is the negative energy, ker A = N and ker A^T = D N, for random strongly connected graphs."""
    rng = np.random.default_rng(3)
    P, shared = 5, 3
    for Q in (3, 5, 8):
        W = random_directed(Q, rng)
        J = rng.standard_normal((Q, 2, shared)) @ rng.standard_normal((shared, P))
        A = nf.LinearSystem("dgd", W, linearized(J), 0.5, "sum").dense()[0]
        pi = null_space(W.T - np.eye(Q))[:, 0]
        pi = pi / pi.sum()
        D = np.kron(np.diag(pi), np.eye(P))
        x = rng.standard_normal(Q * P)
        assert np.isclose(x @ (D @ A + A.T @ D) @ x, -energy(x.reshape(Q, P), W, J, pi, 0.5), rtol=1e-12)
        N = np.kron(np.ones((Q, 1)), null_space(J.reshape(-1, P)))
        assert N.shape[1] == P - shared
        assert max(np.abs(A @ N).max(), np.abs(A.T @ D @ N).max()) < 1e-13
        real = np.sort(np.linalg.eigvals(A).real)
        assert real[-(P - shared) - 1] < -1e-4  # all others decay
        assert np.abs(real[-(P - shared) :]).max() < 1e-12


def energy(x, W, J, pi, eta):
    """sum_ij pi_i W_ij |x_i - x_j|^2 + 2 eta sum_q pi_q |J_q x_q|^2, written as loops."""
    Q = len(W)
    mixing = sum(pi[i] * W[i, j] * np.sum((x[i] - x[j]) ** 2) for i in range(Q) for j in range(Q))
    return mixing + 2 * eta * sum(pi[q] * np.sum((J[q] @ x[q]) ** 2) for q in range(Q))


def random_directed(Q, rng):
    """A row-stochastic matrix on a directed cycle with random chords: irreducible, not symmetric."""
    support = np.roll(np.eye(Q), 1, axis=1) + (rng.random((Q, Q)) < 0.3) + np.eye(Q)
    weights = support * rng.random((Q, Q))
    return weights / weights.sum(axis=1, keepdims=True)


def check_signed():
    """Negative weights are no harm as long as I - W has the kernel 1: W = I - L / 2 on a star, W_11 = -2."""
    graph = nf.graphs.star(7)
    W = np.eye(7) - 0.5 * nx.laplacian_matrix(graph).toarray()
    assert np.isclose(W.min(), -2.0)
    A, _ = exact_dgd(W, np.random.default_rng(4).integers(-3, 4, (7, 1, 3)))
    assert rank(A) == 21
    assert np.linalg.eigvalsh(A.astype(float)).max() < 0


def check_reducible():
    """Two closed classes and a transient agent: Hurwitz iff each closed class has rank P on its own."""
    W = np.array([[0.5, 0.5, 0, 0, 0], [0.2, 0.8, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0.3, 0, 0.3, 0, 0.4]])
    J = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])[:, None, :]  # no data for the last
    lonely = J.copy()
    lonely[3] = lonely[2]  # the second class now sees one direction only; the whole stack still has rank 2
    assert np.linalg.matrix_rank(lonely.reshape(-1, 2)) == 2
    for jacobian, zeros in ((J, 0), (lonely, 1)):
        A = nf.LinearSystem("dgd", W, linearized(jacobian), 0.5, "sum").dense()[0]
        values = np.linalg.eigvals(A)
        assert np.sum(np.abs(values) < 1e-12) == zeros
        assert np.sum(values.real < -1e-3) == 10 - zeros


def check_random_graphs():
    """dim ker A = P - rank J_s, exactly, over random connected graphs and ranks."""
    rng = np.random.default_rng(5)
    for seed in range(6):
        graph = nx.gnp_random_graph(5, 0.6, seed=seed)
        graph.add_edges_from(nx.path_graph(5).edges)
        shared = int(rng.integers(1, 5))
        J = rng.integers(-3, 4, (5, 1, shared)) @ rng.integers(-3, 4, (shared, 4))
        A, _ = exact_dgd(nf.weights.metropolis_hastings(graph), J)
        assert 20 - rank(A) == 4 - rank(J.reshape(5, 4))


check_counterexample()
check_minimality_is_not_needed()
check_unequal_factors()
check_directed()
check_signed()
check_reducible()
check_random_graphs()
