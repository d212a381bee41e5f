"""T7 checked: where the flow of ATC and CTA is stable, on designs up to and beyond the limit."""

import numpy as np
import sympy

import ntkflow as nf


def random_mixing(rng, agents):
    """A symmetric doubly stochastic W on a connected graph: a cycle and two permutations, with their transposes."""
    weights = rng.dirichlet([2.0, 0.3, 0.3])
    orders = (np.roll(np.arange(agents), 1), rng.permutation(agents), rng.permutation(agents))
    W = sum(weight * np.eye(agents)[order] for weight, order in zip(weights, orders, strict=True))
    return (W + W.T) / 2


def system(name, W, J, nu):
    """The design whose step size makes alpha lambda_max(Psi) = nu."""
    lin = nf.LinearizedModel.from_jacobian(J, np.ones(J.shape[:2]))
    return nf.LinearSystem(name, W, lin, nu / np.linalg.norm(J, 2, axis=(1, 2)).max() ** 2, "sum")


def abscissa(name, W, J, nu):
    """The largest real part of the eigenvalues of the library's A."""
    return np.linalg.eigvals(system(name, W, J, nu).dense()[0]).real.max()


def check_bound():
    """(a) and (b) for ATC, CTA and any data; DGD beside them never grows."""
    rng = np.random.default_rng(0)
    grew = 0
    for _ in range(150):
        agents, parameters = int(rng.integers(2, 6)), int(rng.integers(1, 4))
        W, J = random_mixing(rng, agents), rng.standard_normal((agents, 2, parameters))
        low, nu = np.linalg.eigvalsh(W)[0], rng.uniform(0.5, 8.0)
        bound = max(0.0, -low * (nu - 1) - 1) if low < 0 else 0.0
        for name in ("atc", "cta"):
            found = abscissa(name, W, J, nu)
            assert found <= bound + 1e-7  # zero is semisimple or, at the limit, a double root of a rounding
            grew += found > 0.01
            assert abscissa(name, W @ W, J, nu) <= 1e-7  # W W is positive semi-definite
        assert abscissa("dgd", W, J, nu) <= 1e-12
    assert grew > 20  # the bound was needed; check_equal_agents has the cases that attain it


def check_contraction():
    """(c): the norm, not only the eigenvalues; beyond nu = 2 it fails."""
    rng = np.random.default_rng(1)
    for nu, inside in ((1.0, True), (2.0, True), (2.5, False)):
        W, J = random_mixing(rng, 4), rng.standard_normal((4, 2, 3))
        for name in ("atc", "cta"):
            M = system(name, W, J, nu).dense()[0] + np.eye(12)
            assert (np.linalg.norm(M, 2) <= 1 + 1e-12) == inside


def check_kernel():
    """(d) in exact arithmetic: rank A = rank A^2, the kernel is that of the stacked Jacobian, right and left alike."""
    W = sympy.Matrix([[1, 4, 0], [4, 0, 1], [0, 1, 4]]) / 5
    J = sympy.Matrix([[1, 2, 0], [0, 1, -1], [1, 3, -1]])  # one row an agent, rank 2
    WW = sympy.kronecker_product(W, sympy.eye(3))
    Psi = sympy.diag(*(J[q, :].T * J[q, :] for q in range(3)))
    low = min(sympy.Poly(W.charpoly()).nroots())
    assert low < 0
    alpha = sympy.Rational(21, 100)
    assert 2 < alpha * 11 < 1 + 1 / abs(low)  # the largest row has square 11: beyond the contraction, below the limit
    A = WW * (sympy.eye(9) - alpha * Psi) - sympy.eye(9)
    v = J.nullspace()[0]
    consensus = sympy.Matrix.vstack(v, v, v)
    assert A.rank() == (A**2).rank() == 9 - (3 - J.rank())
    assert (A * consensus).is_zero_matrix
    assert (A.T * consensus).is_zero_matrix


def check_equal_agents():
    """(e): the limit is exact, and so is the growth beyond it."""
    rng = np.random.default_rng(2)
    for graph in (nf.graphs.cycle(6), nf.graphs.path(5), nf.graphs.complete_bipartite(2, 3)):
        W = nf.weights.metropolis_hastings(graph)
        J = np.repeat(rng.standard_normal((1, 3, 4)), len(W), axis=0)
        a = -np.linalg.eigvalsh(W)[0]
        limit = 1 + 1 / a
        for name in ("atc", "cta"):
            assert abscissa(name, W, J, limit * (1 - 1e-6)) <= 1e-10
            for nu in (limit * (1 + 1e-6), limit + 1):
                assert np.isclose(abscissa(name, W, J, nu), a * (nu - 1) - 1, rtol=1e-7)


def check_example():
    """+1.4 for ATC and CTA, -4 for DGD; a flow that grows is seen in the trajectory."""
    W, J = np.array([[0.1, 0.9], [0.9, 0.1]]), np.ones((2, 1, 1))
    assert np.isclose(abscissa("atc", W, J, 4.0), 1.4, rtol=1e-14)
    assert np.isclose(abscissa("cta", W, J, 4.0), 1.4, rtol=1e-14)
    assert np.isclose(abscissa("dgd", W, J, 4.0), -4.0, rtol=1e-14)
    lin = nf.LinearizedModel.from_jacobian(J, np.array([[1.0], [-1.0]]))
    x = np.linalg.norm(nf.LinearSystem("atc", W, lin, 4.0, "sum").flow([10.0, 11.0]).deviation, axis=(1, 2))
    assert np.isclose(np.log(x[1] / x[0]), 1.4, rtol=1e-5)  # the part that does not grow is e^{-14} of it


check_bound()
check_contraction()
check_kernel()
check_equal_agents()
check_example()
