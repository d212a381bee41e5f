"""T6 checked: one spectrum, W maps CTA to ATC, functions of a product, and where the eigenvalues lie."""

import mpmath
import numpy as np
import sympy
from scipy.linalg import block_diag

import ntkflow as nf

Q, n, P = 4, 3, 6


def random_mixing(rng, size):
    """A symmetric doubly stochastic W: a mean of a few permutations and their transposes."""
    weights = rng.dirichlet(np.ones(rng.integers(1, 4)))
    W = sum(weight * np.eye(size)[rng.permutation(size)] for weight in weights)
    return (W + W.T) / 2


def check_spectrum():
    """Characteristic polynomials in exact arithmetic, W singular (the averaging matrix) and not."""
    z = sympy.Symbol("z")
    for W in (sympy.ones(3, 3) / 3, sympy.Matrix([[0, 1, 2], [1, 2, 0], [2, 0, 1]]) / 3):
        WW = sympy.kronecker_product(W, sympy.eye(2))
        J = [sympy.Matrix([[1, 2]]), sympy.Matrix([[3, -1]]), sympy.Matrix([[0, 5]])]
        S = sympy.eye(6) - sympy.Rational(2, 7) * sympy.diag(*(J_q.T * J_q for J_q in J))
        assert (WW * S).charpoly(z) == (S * WW).charpoly(z)


def check_linear_trajectories():
    """W maps CTA's trajectory to that of ATC with the same field, flow and iteration, together and apart."""
    rng = np.random.default_rng(0)
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    J, e = rng.standard_normal((Q, n, P)), rng.standard_normal((Q, n))
    for start in (np.zeros((Q, P)), rng.standard_normal((Q, P))):
        mixed = W @ start
        there = e + np.einsum("qnp,qp->qn", J, mixed - start)  # the same field's residual at the mixed start
        cta = nf.LinearSystem("cta", W, nf.LinearizedModel.from_jacobian(J, e, start=start), 0.05)
        atc = nf.LinearSystem("atc", W, nf.LinearizedModel.from_jacobian(J, there, start=mixed), 0.05)
        for mode in ("flow", "iterate"):
            times = [0, 1, 7, 50]
            a = getattr(cta, mode)(times, "dense").deviation + start
            b = getattr(atc, mode)(times, "dense").deviation + mixed
            assert np.abs(W @ a - b).max() < 1e-12 * np.abs(b).max()  # fifty steps of order one


def check_real_networks():
    """Agents that start together: W maps one training run to the other, no linearisation involved."""
    W = nf.weights.metropolis_hastings(nf.graphs.path(3))
    data, model = nf.datasets.half_moons(n_agents=3, n_samples=8, seed=1), nf.models.MLP([2, 12, 1])
    study = nf.Study(W, model, model.init(seed=0), data, "cta", step_size=0.5)
    cta, atc = study.train(30).deviation, study.using(algorithm="atc").train(30).deviation
    assert np.abs(cta - atc).max() > 1e-3  # the runs themselves differ
    assert np.abs(W @ cta - atc).max() < 1e-12 * np.abs(atc).max()


def check_functions():
    """f(XY) = f(0) I + X d(YX) Y for exp, in 50 digits: rectangular factors, YX nilpotent and defective ones too."""
    rng = np.random.default_rng(1)
    nilpotent = np.diag(np.ones(3), 1)
    cases = [(rng.standard_normal((5, 3)), rng.standard_normal((3, 5))), (np.eye(4), nilpotent), (nilpotent, nilpotent)]
    with mpmath.workdps(50):
        for X, Y in ((mpmath.matrix(X), mpmath.matrix(Y)) for X, Y in cases):
            inner = Y * X
            # d(z) = (e^z - 1)/z = 1 + z/2! + z^2/3! + ...
            d = sum((inner**k / mpmath.factorial(k + 1) for k in range(150)), mpmath.zeros(inner.rows))
            difference = mpmath.expm(X * Y) - mpmath.eye(X.rows) - X * d * Y
            assert mpmath.mnorm(difference, 1) < 1e-40


def check_disc():
    """Non-real eigenvalues have |z|^2 <= |lambda_min| (nu - 1), on random designs."""
    rng = np.random.default_rng(2)
    seen = 0
    for _ in range(300):
        agents, parameters = int(rng.integers(2, 6)), int(rng.integers(1, 4))
        W, nu = random_mixing(rng, agents), rng.uniform(0.0, 8.0)
        J = rng.standard_normal((agents, 2, parameters))
        Psi = block_diag(*(J_q.T @ J_q for J_q in J))
        S = np.eye(len(Psi)) - nu / np.linalg.eigvalsh(Psi)[-1] * Psi
        z = np.linalg.eigvals(np.kron(W, np.eye(parameters)) @ S)
        away = z[np.abs(z.imag) > 1e-5]  # a double real eigenvalue may split by the root of a rounding
        bound = -np.linalg.eigvalsh(W)[0] * (nu - 1)
        seen += len(away)
        assert np.all(np.abs(away) ** 2 <= bound * (1 + 1e-9))
    assert seen > 100


def check_sharp():
    """Two agents, one without data: equality."""
    for lam, nu in ((-0.3, 4.0), (-0.8, 2.0), (-1.0, 1.5)):
        W = np.array([[1 + lam, 1 - lam], [1 - lam, 1 + lam]]) / 2
        z = np.linalg.eigvals(W @ np.diag([1 - nu, 1.0]))
        assert np.all(np.abs(z.imag) > 0.1)
        assert np.allclose(np.abs(z) ** 2, -lam * (nu - 1), rtol=1e-13)


def check_jordan():
    """In exact arithmetic: z times the square-free part of the characteristic polynomial annihilates the map."""
    z = sympy.Symbol("z")
    swap, singular = sympy.Matrix([[0, 1], [1, 0]]), sympy.Matrix([[2, 1, 0], [1, 1, 1], [0, 1, 2]]) / 3
    half = sympy.Rational(1, 2)
    for M in (swap * sympy.diag(1, 0), singular * sympy.diag(1, 0, half), singular**2 * sympy.diag(1, -3, half)):
        annihilator = (M.charpoly(z).sqf_part() * sympy.Poly(z, z)).all_coeffs()
        value = sympy.zeros(*M.shape)
        for coefficient in annihilator:  # Horner
            value = value * M + coefficient * sympy.eye(M.rows)
        assert value.is_zero_matrix
    M = swap * sympy.diag(1, 0)  # and a block of size 2 at zero does occur
    assert M.rank() == 1
    assert (M**2).is_zero_matrix


def check_local_steps():
    """Descent written out, one step after the other, beside I − R̃ᵀR̃ and −R̃ᵀε̃."""
    rng = np.random.default_rng(8)
    for rows, parameters, steps, nu in ((2, 5, 2, 0.3), (6, 3, 3, 1.4), (3, 3, 5, 1.9), (1, 4, 4, 2.0)):
        R, epsilon = rng.standard_normal((rows, parameters)), rng.standard_normal(rows)
        eta = nu / np.linalg.norm(R, 2) ** 2
        values, U = np.linalg.eigh(R @ R.T)
        q = sum(eta * (1 - eta * values) ** i for i in range(steps))  # (1 − (1 − ηx)^E)/x
        assert q.min() > -1e-12
        root = (U * np.sqrt(np.maximum(q, 0.0))) @ U.T
        lowered, moved = root @ R, -R.T @ root @ root @ epsilon
        start = rng.standard_normal(parameters)
        for x, linear, constant in ((np.zeros(parameters), start, 0.0), (start, 0 * start, epsilon)):
            # the linear part from 0 along ``start``, then the whole from ``start`` with residual ε there
            place = x + linear
            for _ in range(steps):
                place = place - eta * R.T @ (R @ (place - x) + constant)
            expected = linear - lowered.T @ (lowered @ linear) if np.any(linear) else moved
            assert np.abs(place - x - expected).max() < 1e-12 * (1 + np.abs(place).max())


check_spectrum()
check_linear_trajectories()
check_real_networks()
check_functions()
check_disc()
check_sharp()
check_jordan()
check_local_steps()
