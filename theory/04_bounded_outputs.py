"""T4 checked: everything that drives the system and everything that is seen lies where A is Hurwitz."""

import numpy as np
from scipy.linalg import null_space

import ntkflow as nf

Q, n, P, SHARED = 6, 2, 14, 7
PAPER = {"Q": 8, "rows": 200, "P": 1025}  # agents, samples of one output, parameters of 2-256-1


def case(rng, W, apart=True):
    """Jacobians of joint rank SHARED < P, a residual and, if wanted, agents that start apart."""
    J = rng.standard_normal((len(W), n, SHARED)) @ rng.standard_normal((SHARED, P))
    start = rng.standard_normal((len(W), P)) if apart else None
    return J, nf.LinearizedModel.from_jacobian(J, rng.standard_normal((len(W), n)), start=start)


def step_for(J, product):
    """The step size at which eta times the largest eigenvalue of Psi is ``product``."""
    return product / np.linalg.norm(J, ord=2, axis=(1, 2)).max() ** 2


def check_theorem():
    """ker A = N, its complement is invariant and Hurwitz, and holds B and the drive, for every case of (a)-(c)."""
    rng = np.random.default_rng(0)
    averaging = nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    positive = nf.weights.lazy(averaging)  # (I + W) / 2, positive semi-definite
    cases = [("dgd", averaging, 50.0), ("atc", averaging, 1.99), ("cta", averaging, 1.99)]
    cases += [("atc", positive, 50.0), ("cta", positive, 50.0), ("cta", np.full((Q, Q), 1 / Q), 50.0)]
    cases += [(name, directed(rng), 1.99) for name in ("dgd", "atc", "cta")]
    for name, W, product in cases:
        J, lin = case(rng, W)
        assert_bounded(nf.LinearSystem(name, W, lin, step_for(J, product), "sum"), W, J)


def assert_bounded(system, W, J):
    """Everything that the theorem says of one system."""
    A, B, C, _ = system.dense()
    pi = np.abs(null_space(W.T - np.eye(Q))[:, 0])
    N = np.kron(np.ones((Q, 1)), null_space(J.reshape(-1, P)))
    DN = np.kron(pi[:, None], null_space(J.reshape(-1, P)))
    Y = null_space(DN.T)
    rounding = 1e-12 * (1 + np.abs(A).max())
    assert N.shape[1] == P - SHARED
    drive = system.u.reshape(-1, 1)  # what starting apart adds is in it
    for nothing in (A @ N, DN.T @ A, C @ N, DN.T @ B, DN.T @ drive, DN.T @ A @ Y):
        assert np.abs(nothing).max() < rounding
    assert np.linalg.eigvals(Y.T @ A @ Y).real.max() < -1e-6


def directed(rng):
    """A row-stochastic matrix on a strongly connected directed graph."""
    weights = (np.eye(Q) + np.roll(np.eye(Q), 1, axis=1) + (rng.random((Q, Q)) < 0.3)) * rng.random((Q, Q))
    return weights / weights.sum(axis=1, keepdims=True)


def check_trajectory():
    """P > Q n, so A is singular and nothing is minimal; still the flow has a limit, and it solves A x + u = 0."""
    rng = np.random.default_rng(1)
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    J, lin = case(rng, W)
    for name in ("dgd", "atc", "cta"):
        system = nf.LinearSystem(name, W, lin, step_for(J, 1.0), "sum")
        A = system.dense()[0]
        x = system.flow(np.inf).deviation.ravel()
        u = system.u.ravel()
        assert np.linalg.matrix_rank(A) < Q * P
        assert np.abs(A @ x + u).max() < 1e-9 * np.abs(u).max()


def check_condition_is_needed():
    """W = [[.1, .9], [.9, .1]], eta Psi = 4 I: reachable, seen, and growing like e^{1.4 t}."""
    W = np.array([[0.1, 0.9], [0.9, 0.1]])
    lin = nf.LinearizedModel.from_jacobian(2 * np.ones((2, 1, 1)), np.ones((2, 1)))
    for name, abscissa in (("dgd", -4.0), ("atc", 1.4), ("cta", 1.4)):
        A, B, C, _ = nf.LinearSystem(name, W, lin, 1.0, "sum").dense()
        assert np.isclose(np.linalg.eigvals(A).real.max(), abscissa)
        assert np.linalg.matrix_rank(B) == np.linalg.matrix_rank(C) == 2  # both modes are driven and seen


def check_paper_is_never_minimal():
    """The orders that the graphs of the paper leave at most, of 8,200; the star's hub is in no multiple mode."""
    bounds = {"cycle": 6850, "star": 3450, "complete": 2625}
    for graph, bound in bounds.items():
        W = nf.weights.metropolis_hastings(getattr(nf.graphs, graph)(PAPER["Q"]))
        assert largest_order(W, PAPER["rows"], PAPER["P"]) == bound < PAPER["Q"] * PAPER["P"]


def largest_order(W, rows, P):
    """sum over eigenvalues of min(rows of the agents that take part, multiplicity times P)."""
    values, vectors = np.linalg.eigh(W)
    total = 0
    for group in np.split(np.arange(len(W)), 1 + np.flatnonzero(np.diff(values) > 1e-9)):
        taking_part = np.any(np.abs(vectors[:, group]) > 1e-9, axis=1).sum()
        total += min(taking_part * rows, len(group) * P)
    return total


check_theorem()
check_trajectory()
check_condition_is_needed()
check_paper_is_never_minimal()
