"""T8 checked: the largest stable step of DGD, ATC and CTA, and complex pairs that leave before a real eigenvalue."""

import mpmath
import networkx as nx
import numpy as np
import sympy
from scipy.linalg import block_diag

import ntkflow as nf


def top(symmetric):
    """The largest eigenvalue."""
    return np.linalg.eigvalsh(symmetric)[-1]


def curvature(J):
    """The largest eigenvalue of Psi."""
    return np.linalg.norm(J, 2, axis=(1, 2)).max() ** 2


def inverse_step(W, J, mixing):
    """1/alpha of (a) and (e) in kernel form: K o (mixing x 11'), mixing a function of W."""
    rows = J.reshape(-1, J.shape[2])
    return top(rows @ rows.T * np.kron(mixing(W), np.ones((J.shape[1], J.shape[1]))))


def resolvent(W):
    """(W + I)^-1."""
    return np.linalg.inv(W + np.eye(len(W)))


def damped(W):
    """W (W + I)^-1."""
    return W @ resolvent(W)


def radius(name, W, J, alpha, normalization="sum"):
    """The spectral radius of the library's M = A + I."""
    lin = nf.LinearizedModel.from_jacobian(J, np.ones(J.shape[:2]))
    A = nf.LinearSystem(name, W, lin, alpha, normalization).dense()[0]
    return np.abs(np.linalg.eigvals(A + np.eye(len(A)))).max()


def random_mixing(rng, agents):
    """A symmetric doubly stochastic W with eigenvalues above -1: permutations, their transposes, and some laziness."""
    weights = rng.dirichlet([1.0, 1.0, 0.5])
    orders = (rng.permutation(agents), rng.permutation(agents), np.arange(agents))
    W = sum(weight * np.eye(agents)[order] for weight, order in zip(weights, orders, strict=True))
    return (W + W.T) / 2


def check_dgd():
    """(a) and (b): the exact step on both of its sides, unequal factors c included, between the two simple steps."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(60):
        agents = int(rng.integers(2, 8))
        W = nf.weights.metropolis_hastings(nf.graphs.erdos_renyi(agents, 0.6, seed=int(rng.integers(1000))))
        J, c = rng.standard_normal((agents, 2, 4)), rng.uniform(0.5, 2.0, agents)
        scaled = np.sqrt(c)[:, None, None] * J
        exact = 1 / inverse_step(W, scaled, resolvent)
        assert radius("dgd", W, J, exact * (1 - 1e-9), c) <= 1 + 1e-13
        assert radius("dgd", W, J, exact * (1 + 1e-6), c) > 1 + 1e-8
        classical = (1 + np.linalg.eigvalsh(W)[0]) / curvature(scaled)
        assert classical <= exact * (1 + 1e-12)
        assert exact <= 2 / curvature(scaled) * (1 + 1e-12)
        ratios.append(classical / exact)
        same = np.repeat(J[:1], agents, axis=0)
        equality = (1 + np.linalg.eigvalsh(W)[0]) / curvature(same) * inverse_step(W, same, resolvent)
        assert np.isclose(equality, 1.0, rtol=1e-12)
    assert min(ratios) < 0.8  # the classical step gives something away


def check_half_moons():
    """The paper's network, fewer samples: data dealt alike leave little to gain."""
    data = nf.datasets.half_moons(n_agents=8, n_samples=50, noise=0.1, seed=0)
    model = nf.models.MLP([2, 256, 1])
    J = model.jacobian(model.init(seed=0), data.x)
    for graph in (nf.graphs.cycle(8), nf.graphs.star(8), nf.graphs.complete(8)):
        W = nf.weights.metropolis_hastings(graph)
        ratio = (1 + np.linalg.eigvalsh(W)[0]) / curvature(J) * inverse_step(W, J, resolvent)
        assert 0.9 < ratio <= 1 + 1e-12


def check_minus_one():
    """(c): bipartite graphs without self-weights; then a graph in two parts, where J vanishes on the eigenspace."""
    rng = np.random.default_rng(1)
    for graph in (nf.graphs.cycle(6), nf.graphs.hypercube(3)):
        W = nf.weights.max_degree(graph)
        W = (W - W[0, 0] * np.eye(len(W))) / (1 - W[0, 0])  # without self-weights
        assert np.isclose(np.linalg.eigvalsh(W)[0], -1.0)
        J = np.zeros((len(W), 1, 3))
        J[0] = rng.standard_normal((1, 3))  # a single sample of a single agent is enough
        for nu in (1e-4, 1e-2, 1.0):
            assert radius("dgd", W, J, nu / curvature(J)) > 1 + 1e-6
    W = block_diag([[0.0, 1.0], [1.0, 0.0]], [[0.3, 0.7], [0.7, 0.3]])
    J = np.concatenate([np.zeros((2, 2, 3)), rng.standard_normal((2, 2, 3))])
    exact = 1 / inverse_step(W, J, lambda W: np.linalg.pinv(W + np.eye(4)))
    assert radius("dgd", W, J, exact * (1 - 1e-9)) <= 1 + 1e-13
    assert radius("dgd", W, J, exact * (1 + 1e-6)) > 1 + 1e-8


def check_diffusion():
    """(d), (e) for W W, which is positive semi-definite, and (f) for indefinite W, up to the bound itself."""
    rng = np.random.default_rng(2)
    certified = 0
    for _ in range(60):
        agents = int(rng.integers(2, 6))
        W, J = random_mixing(rng, agents), rng.standard_normal((agents, 2, 3))
        low, unit = np.linalg.eigvalsh(W)[0], 1 / curvature(J)
        exact = 1 / inverse_step(W @ W, J, damped)
        for name in ("atc", "cta"):
            assert radius(name, W, J, 2 * unit) <= 1 + 1e-9
            assert radius(name, W @ W, J, exact * (1 - 1e-9)) <= 1 + 1e-9
            assert radius(name, W @ W, J, exact * (1 + 1e-6)) > 1 + 1e-9
        if -1 + 1e-6 < low < 0:
            real = inverse_step(W, J, damped)
            bound = min(1 / real if real > 0 else np.inf, (1 - 1 / low) * unit)
            assert bound >= 2 * unit * (1 - 1e-12)
            for share in (0.5, 0.8, 0.95, 1 - 1e-9):
                # the eigenvalue 1 of W and one that meets it may split by the root of a rounding
                assert radius("atc", W, J, share * bound) <= 1 + 1e-7
            certified += bound < (1 - 1 / low) * unit
            if bound < (1 - 1 / low) * unit:
                assert radius("atc", W, J, bound * (1 + 1e-6)) > 1 + 1e-9
    assert certified > 5  # cases in which the crossing of -1 is proved to be the first


def check_second_bound_is_attained():
    """(f): two agents, one without data, leave the disc exactly at 1 + 1/|lambda_min|, the real crossing far beyond."""
    J = np.array([[[1.0]], [[0.0]]])
    for low in (-0.3, -0.6, -0.9):
        W = np.array([[1 + low, 1 - low], [1 - low, 1 + low]]) / 2
        limit = 1 - 1 / low
        real = inverse_step(W, J, damped)
        assert real < 1 / limit - 0.1  # 1/alpha_R, negative where it is never met
        assert radius("atc", W, J, limit * (1 - 1e-6)) < 1
        assert radius("atc", W, J, limit * (1 + 1e-6)) > 1


def leaves_early(W, J, points=60):
    """Whether the radius exceeds 1 somewhere before a real eigenvalue meets -1 (at most 40 times the safe step)."""
    low, unit, real = np.linalg.eigvalsh(W)[0], 1 / curvature(J), inverse_step(W, J, damped)
    crossing = min(1 / real if real > 0 else np.inf, 40 * unit)
    first = (1 - 1 / low) * unit
    return first < crossing and any(
        radius("atc", W, J, alpha) > 1 + 1e-7 for alpha in np.linspace(first, crossing, points)[:-1]
    )


def check_complex_pairs():
    """Early exits are common for indefinite W; on the Petersen graph it takes agents of unequal curvature."""
    rng = np.random.default_rng(3)
    designs = [(random_mixing(rng, agents), rng.standard_normal((agents, 2, 3))) for agents in [2, 3, 4, 5] * 20]
    early = [leaves_early(W, J) for W, J in designs if -1 + 1e-6 < np.linalg.eigvalsh(W)[0] < -1e-3]
    assert len(early) > 40
    assert 0.1 < np.mean(early) < 0.9
    P = 2
    W = nf.weights.metropolis_hastings(nx.petersen_graph())
    alike = [rng.standard_normal((10, P, P)) for _ in range(12)]
    unequal = [J * np.exp(2 * rng.standard_normal((10, 1, 1))) for J in alike]
    assert not any(leaves_early(W, J) for J in alike)
    assert np.mean([leaves_early(W, J) for J in unequal]) > 0.3


def island():
    """The counterexample in exact arithmetic: W and the two agents' Psi in units of the largest eigenvalue."""
    own, other = sympy.Rational(37, 1000), sympy.Rational(963, 1000)
    W = sympy.kronecker_product(sympy.Matrix([[own, other], [other, own]]), sympy.eye(2))
    rows = [sympy.Matrix([[1, 1]]) / 5, sympy.Matrix([[-1, -4]]) / 5]
    return W, sympy.diag(*(row.T * row for row in rows)) / sympy.Rational(68, 100)


def check_island():
    """(g): three crossings by eliminating the angle, and again by bisecting the radius in 30 digits."""
    W, Psi = island()
    z, c, nu = sympy.symbols("z c nu")
    M = W * (sympy.eye(4) - nu * Psi)
    polynomial = (z * sympy.eye(4) - M).det(method="berkowitz").expand()
    remainder = sympy.Poly(sympy.rem(polynomial, z**2 - c * z + 1, z), z).all_coeffs()
    quintic = sympy.Poly(sympy.resultant(*remainder, c), nu).primitive()[1].exquo(sympy.Poly(nu, nu))
    roots = [float(root) for root in quintic.nroots(n=25) if root.is_real and root > 0]
    assert quintic.degree() == 5
    assert len(roots) == 4

    def excess(value):
        with mpmath.workdps(30):
            matrix = mpmath.matrix((W * (sympy.eye(4) - sympy.Float(value, 30) * Psi)).evalf(30).tolist())
            return max(abs(eigenvalue) for eigenvalue in mpmath.eig(matrix, left=False, right=False)) - 1

    with mpmath.workdps(30):
        found = [mpmath.findroot(excess, ends, solver="anderson") for ends in ((2, 3), (8.5, 8.95), (8.95, 9.2))]
    assert np.allclose([float(root) for root in found], roots[:3], rtol=1e-12)
    assert np.allclose(roots[:3], [2.371686035, 8.885229416, 9.024750109], atol=5e-10)  # as printed
    mixing, gain = (np.array(matrix.tolist(), dtype=float) for matrix in (W, W * Psi))
    stable = [(0.0, roots[0]), (roots[1], roots[2])]
    for value in np.linspace(0.01, 12.0, 1200):
        inside = any(low <= value <= high for low, high in stable)
        assert (np.abs(np.linalg.eigvals(mixing - value * gain)).max() <= 1) == inside
    determinant = sympy.Poly(M.det(), nu)
    last = max(abs(root) for shift in (-1, 1) for root in (determinant + shift).nroots())
    assert last < 10  # |det| > 1 from there on
    J = np.array([[[0.2, 0.2]], [[-0.2, -0.8]]])
    assert inverse_step(np.array([[0.037, 0.963], [0.963, 0.037]]), J, damped) < 0  # no real eigenvalue meets -1


def check_visible():
    """(h): eigenvectors of unstable modes on both sides, against C and B of the library."""
    rng = np.random.default_rng(4)
    seen = 0
    for name in ("dgd", "atc", "cta"):
        for _ in range(20):
            W, J = random_mixing(rng, 4), rng.standard_normal((4, 1, 3))
            lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 1)))
            A, B, C, _ = nf.LinearSystem(name, W, lin, 8.0 / curvature(J), "sum").dense()
            for matrix, probe in ((A, C), (A.T, B.T)):
                z, x = np.linalg.eig(matrix)
                unstable = np.abs(z + 1) > 1 + 1e-3
                seen += unstable.sum()
                assert np.all(np.linalg.norm(probe @ x[:, unstable], axis=0) > 1e-6 * np.linalg.norm(probe, 2))
    assert seen > 100


check_dgd()
check_half_moons()
check_minus_one()
check_diffusion()
check_second_bound_is_attained()
check_complex_pairs()
check_island()
check_visible()
