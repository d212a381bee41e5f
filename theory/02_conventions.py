"""T2 checked: the factor Q, the slips one by one, and the gap between flow and iteration."""

import itertools

import numpy as np
import sympy
from scipy.linalg import block_diag

import ntkflow as nf

Q, n, P = 3, 2, 4


def two_losses():
    """Two agents that train f(x) = a tanh(b x) on two samples each: parameters, outputs, residuals, L_1, L_2."""
    a, b, x, y = (sympy.symbols(f"{letter}:4") for letter in "abxy")
    agents = [sympy.Matrix([a[q], b[q]]) for q in (0, 1)]
    outputs = [sympy.Matrix([a[q] * sympy.tanh(b[q] * x[2 * q + d]) for d in (0, 1)]) for q in (0, 1)]
    residuals = [f - sympy.Matrix(y[2 * q : 2 * q + 2]) for q, f in enumerate(outputs)]
    losses = [(r.T * r)[0] / (2 * 2) for r in residuals]  # ||r||^2 / (2 D), D = 2
    return agents, outputs, residuals, losses


def check_factor_and_transpose():
    """The gradient of L = mean of the L_q is the agents' own gradients over Q, and these are J^T r / D."""
    agents, outputs, residuals, losses = two_losses()
    L = sum(losses) / 2
    for theta, f, r, L_q in zip(agents, outputs, residuals, losses, strict=True):
        own, joint = (sympy.Matrix([loss]).jacobian(theta).T for loss in (L_q, L))
        assert (own - 2 * joint).expand() == sympy.zeros(2, 1)
        assert (own - f.jacobian(theta).T * r / 2).expand() == sympy.zeros(2, 1)


def check_linear_output_has_constant_jacobian():
    """f0 + J (theta - theta0) has the Jacobian J everywhere; a wide network's changes by O(width^-1/2)."""
    theta, theta0, J = (sympy.Matrix(sympy.symbols(f"{letter}:3")) for letter in ("t", "s", "j"))
    f = sympy.Matrix([sympy.Symbol("f0") + (J.T * (theta - theta0))[0]])
    assert f.jacobian(theta) == J.T
    changes = [jacobian_change(width) for width in (100, 10_000)]
    assert 10 / 2 < changes[0] / changes[1] < 10 * 2  # a hundred times as wide: ten times as constant, up to chance


def jacobian_change(width):
    """||J(theta + delta) - J(theta)|| / ||J(theta)|| of f = a . tanh(b) / sqrt(width), delta = J^T / ||J||."""

    def J(theta):
        a, b = theta.reshape(2, width)
        return np.concatenate([np.tanh(b), a / np.cosh(b) ** 2]) / np.sqrt(width)

    theta = np.random.default_rng(0).standard_normal(2 * width)
    here = J(theta)
    return np.linalg.norm(J(theta + here / np.linalg.norm(here)) - here) / np.linalg.norm(here)


def check_state_matrix():
    """(12a) is W - I - eta/(D Q) Psi_0 under "global", and Q times that step under "per_agent"."""
    W, J, lin = random_case(0)
    A = nf.LinearSystem("dgd", W, lin, 0.3, "global").dense()[0]
    Psi0 = block_diag(*J).T @ block_diag(*J)  # both factors: J^T alone is not even square
    paper = np.kron(W, np.eye(P)) - np.eye(Q * P) - 0.3 / (n * Q) * Psi0
    assert np.abs(A - paper).max() < 1e-14
    assert np.abs(A - nf.LinearSystem("dgd", W, lin, 0.3 / Q, "per_agent").dense()[0]).max() < 1e-14


def check_unequal_data():
    """With D_1 = 2 and D_2 = 4 samples, block q is J_q^T J_q / D_q with its own D_q rows."""
    sizes, rng = (2, 4), np.random.default_rng(1)
    J = rng.standard_normal((2, 4, P))
    J[0, 2:] = 0.0  # padding
    lin = nf.LinearizedModel.from_jacobian(J, np.zeros((2, 4)), n_samples=sizes)
    A = nf.LinearSystem("dgd", np.eye(2), lin, 1.0, "per_agent").dense()[0]
    own = block_diag(*(J_q[:D].T @ J_q[:D] / D for J_q, D in zip(J, sizes, strict=True)))
    first = block_diag(*(J_q[:2].T @ J_q[:2] / 2 for J_q in J))
    assert np.abs(A + own).max() < 1e-14
    assert np.abs(A + first).max() > 0.1


def check_scalar_bounds():
    """|e^{kz} - (1+z)^k| <= |z|/2 for -1 <= z <= 0, and <= 2|z| for -2 <= z <= 0, at every k."""
    z = -np.concatenate([np.logspace(-8, 0, 400), np.linspace(1, 2, 200)])
    k = np.unique(np.logspace(0, 9, 300).astype(int))[:, None]
    gap = np.abs(np.exp(k * z) - (1 + z) ** k) / np.abs(z)
    # at |z| = 1e-8 the difference of two numbers near 1, divided by z, keeps 8 digits; the bounds leave more room
    assert gap[:, z >= -1].max() <= 0.5
    assert gap.max() <= 2.0


def check_flow_against_iteration():
    """The bound holds at all k; halving eta halves the gap, while the iteration's closed form has none."""
    W, J, lin = random_case(2)
    gaps = []
    for eta in (0.02, 0.01, 0.005):
        system = nf.LinearSystem("dgd", W, lin, eta, "sum")
        k = [1, 3, 10, 50, round(8 / eta)]
        iteration, flow = (x.deviation.reshape(len(k), -1) for x in (system.iterate(k), system.flow(k)))
        gap = np.linalg.norm(flow - iteration, axis=1)
        drive = np.linalg.norm(eta * np.einsum("qnp,qn->qp", J, lin.residual))
        positive = np.linalg.eigvalsh(system.dense()[0]).min() >= -1
        assert np.all(gap <= (0.5 if positive else 2.0) * drive)
        assert np.abs(iteration - by_hand(W, J, lin.residual, eta, k)).max() < 1e-12
        gaps.append(gap[1])
    assert all(1.8 < a / b < 2.2 for a, b in itertools.pairwise(gaps))  # O(eta), and no better


def by_hand(W, J, e, eta, steps):
    """DGD agent by agent; the deviations after the given numbers of updates."""
    x, seen = np.zeros((Q, P)), []
    for k in range(max(steps) + 1):
        if k in steps:
            seen.append(x.ravel())
        gradients = [J[q].T @ (e[q] + J[q] @ x[q]) for q in range(Q)]
        x = np.stack([sum(W[q, r] * x[r] for r in range(Q)) - eta * gradients[q] for q in range(Q)])
    return np.stack(seen)


def random_case(seed):
    """A path of three agents with Metropolis weights and normal Jacobians."""
    rng = np.random.default_rng(seed)
    J, e = rng.standard_normal((Q, n, P)), rng.standard_normal((Q, n))
    return nf.weights.metropolis_hastings(nf.graphs.path(Q)), J, nf.LinearizedModel.from_jacobian(J, e)


check_factor_and_transpose()
check_linear_output_has_constant_jacobian()
check_state_matrix()
check_unequal_data()
check_scalar_bounds()
check_flow_against_iteration()
