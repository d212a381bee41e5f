"""T10 checked: what the three forms of momentum share, where they part, and the function that CDSGD descends on."""

from itertools import islice

import numpy as np
import sympy
from scipy.linalg import block_diag
from scipy.optimize import root

import ntkflow as nf
from ntkflow.notation import H, W, eta, gradient, mu, theta, v

POLYAK, LOOK_AHEAD, PUBLISHED = FORMS = ("cdmsgd", "cdmsgd_nesterov", "cdmsgd_published")
ETA, MU = 0.3, 0.7
Q, n, P = 5, 3, 4
EXACT = 1e-13  # a handful of roundings on numbers of order one


class Agents:
    """Losses f_q(x) = sum log cosh(A_q x - b_q): convex, smooth, not quadratic."""

    def __init__(self, agents=Q, seed=0):
        rng = np.random.default_rng(seed)
        self.A, self.b = rng.standard_normal((agents, n, P)), rng.standard_normal((agents, n))
        self.start = rng.standard_normal((agents, P))

    def losses(self, x):
        """f_q(x_q), one number an agent."""
        return np.log(np.cosh(np.einsum("qnp,qp->qn", self.A, x) - self.b)).sum(axis=1)

    def gradient(self, x):
        """g at the stack x."""
        return np.einsum("qnp,qn->qp", self.A, np.tanh(np.einsum("qnp,qp->qn", self.A, x) - self.b))

    def run(self, name, mixing, count, step=ETA):
        """The first states (x, v) of a rule of the catalogue."""
        rule = nf.algorithms.get(name)
        program = rule.bind(rule.numbers(step, {"momentum": MU} if name in FORMS else {}))
        return list(islice(states(program, self.start, lambda x: mixing @ x, self.gradient), count))


def states(program, start, mix, gradient):
    """The start, then one update after the other."""
    state = program.start(start, mix, gradient)
    while True:
        yield state
        state = program.update(state, mix, gradient)


def directed(rng, agents=Q):
    """A random row-stochastic W, all entries positive."""
    return rng.dirichlet(np.ones(agents), size=agents)


def close(found, wanted):
    """Equal up to rounding, by the size of what is wanted."""
    return np.abs(found - wanted).max() <= EXACT * (1 + np.abs(wanted).max())


# (a) and (d): matrices ------------------------------------------------------------------------------


def matrices(mixing, N):
    """The three matrices of the statement, N = eta Psi."""
    WW, I = np.kron(mixing, np.eye(P)), np.eye(len(N))  # noqa: E741 - the identity
    return {
        POLYAK: np.block([[WW - N, MU * I], [-N, MU * I]]),
        LOOK_AHEAD: np.block([[WW - N, MU * (I - N)], [-N, MU * (I - N)]]),
        PUBLISHED: np.block([[WW - (1 + MU) * N, MU**2 * I], [-N, MU * I]]),
    }


def check_matrices():
    """(a): what the library derives."""
    rng = np.random.default_rng(0)
    mixing, J = directed(rng), rng.standard_normal((Q, n, P))
    lin = nf.LinearizedModel.from_jacobian(J, rng.standard_normal((Q, n)))
    stated = matrices(mixing, ETA * block_diag(*(J_q.T @ J_q for J_q in J)))
    for name in FORMS:
        A = nf.LinearSystem(name, mixing, lin, ETA, "sum", momentum=MU).dense()[0]
        assert close(A + np.eye(2 * Q * P), stated[name]), name


def check_traces():
    """(d): the differences as stated, and spectra that are not the same; for a lone agent two of them are."""
    rng = np.random.default_rng(1)
    for mixing in (directed(rng), nf.weights.metropolis_hastings(nf.graphs.star(Q)), np.eye(1)):
        J = rng.standard_normal((len(mixing), n, P))
        Psi = [J_q.T @ J_q for J_q in J]
        first, second, third = matrices(mixing, ETA * block_diag(*Psi)).values()
        total = sum(map(np.trace, Psi))
        listened = sum((1 - w) * np.trace(Psi_q) for w, Psi_q in zip(np.diag(mixing), Psi, strict=True))
        for other in (second, third):
            assert close(np.trace(first) - np.trace(other), MU * ETA * total)
        # sums of some hundred squares of order one to ten
        assert abs(np.trace(third @ third) - np.trace(second @ second) - 2 * MU * ETA * listened) < 1e-11
        assert cospectral(second, third) == (len(mixing) == 1)
        assert not cospectral(first, third)


def cospectral(M, other):
    """Whether the characteristic polynomials agree at random points of the circle |z| = 20, beyond all roots."""
    assert max(np.linalg.norm(M, 2), np.linalg.norm(other, 2)) < 20
    points = 20 * np.exp(2j * np.pi * np.random.default_rng(2).random(5))
    ratios = [np.linalg.det(np.eye(len(M)) - M / z) / np.linalg.det(np.eye(len(M)) - other / z) for z in points]
    return bool(np.abs(np.array(ratios) - 1).max() < 1e-10)


# (b) and (c): sequences -----------------------------------------------------------------------------


def gradient_part(name, mixing, new, old):
    """h_k of the statement."""
    if name == POLYAK:
        return new
    return (1 + MU) * new - MU * (mixing @ old if name == LOOK_AHEAD else old)


def check_two_steps():
    """(b): the recursion and the first step, any W, gradients that are not linear."""
    agents, mixing = Agents(), directed(np.random.default_rng(3))
    for name in FORMS:
        run = agents.run(name, mixing, 30)
        x = [place + MU * velocity if name == LOOK_AHEAD else place for place, velocity in run]
        g = [agents.gradient(place) for place in x]
        assert close(x[1], mixing @ x[0] - (1 if name == POLYAK else 1 + MU) * ETA * g[0])
        for k in range(28):
            h = gradient_part(name, mixing, g[k + 1], g[k])
            assert close(x[k + 2], mixing @ x[k + 1] + MU * x[k + 1] - MU * mixing @ x[k] - ETA * h), (name, k)


def check_parting():
    """(c): the extra term in every step; common up to k = 1, and what they part by at k = 2."""
    agents, mixing = Agents(), directed(np.random.default_rng(4))
    ahead, published = agents.run(LOOK_AHEAD, mixing, 30), agents.run(PUBLISHED, mixing, 3)
    p = [x + MU * velocity for x, velocity in ahead]
    for k in range(29):
        g, (_, old), (_, new) = agents.gradient(p[k]), ahead[k], ahead[k + 1]
        assert close(new, MU * old - ETA * g)
        assert close(p[k + 1], mixing @ p[k] + MU * new - ETA * g + MU * (old - mixing @ old))
    for k in (0, 1):
        assert close(p[k], published[k][0])
    for k in (1, 2):
        assert close(ahead[k][1], published[k][1])
    g0 = agents.gradient(agents.start)
    apart = p[2] - published[2][0]
    assert close(apart, -MU * ETA * (g0 - mixing @ g0))
    assert np.abs(apart).max() > 0.1


def check_one_method():
    """(c): a lone agent, and agents that share loss and start, see one method; Polyak's is another."""
    crowd = Agents()
    for field in (crowd.A, crowd.b, crowd.start):
        field[:] = field[0]
    step = 0.05  # small enough that the runs settle, so that roundings do not grow
    for agents, mixing in ((Agents(1), np.eye(1)), (crowd, directed(np.random.default_rng(5)))):
        polyak, ahead, published = (agents.run(name, mixing, 30, step) for name in FORMS)
        for (x, velocity), (place, other) in zip(ahead, published, strict=True):
            assert close(x + MU * velocity, place)
            assert close(velocity, other)
        assert max(np.abs(x - y).max() for (x, _), (y, _) in zip(polyak, ahead, strict=True)) > 0.01


# (e) and (f): modes and rest ------------------------------------------------------------------------


def check_modes():
    """(e): from the library's words, symbolically; and the eigenvalues of agents that share Psi."""
    z, lam, m = sympy.symbols("z lambda m")
    rest = {POLYAK: z, LOOK_AHEAD: (1 + mu) * z - mu * lam, PUBLISHED: (1 + mu) * z - mu}
    J = np.repeat(np.random.default_rng(6).standard_normal((1, n, P)), Q, axis=0)
    mixing = nf.weights.metropolis_hastings(nf.graphs.path(Q))
    for name in FORMS:
        stated = (z - lam) * (z - mu) + m * rest[name]
        assert sympy.expand(modal(name, lam, m).charpoly(z).as_expr() - stated) == 0
        N = ETA * J[0].T @ J[0]
        pairs = [(a, b) for a in np.linalg.eigvalsh(mixing) for b in np.linalg.eigvalsh(N)]
        found = np.linalg.eigvals(matrices(mixing, np.kron(np.eye(Q), N))[name])
        values = [np.polyval(numbers(stated, z, {lam: a, m: b}), found) for a, b in pairs]
        # every eigenvalue is a root; a root that is nearly double is known to half the digits, its value to all
        assert np.abs(values).min(axis=0).max() < 1e-10
        # and every root is an eigenvalue: it is nearest to one, by the square root of a rounding at a double root
        roots = np.concatenate([np.roots(numbers(stated, z, {lam: a, m: b})) for a, b in pairs])
        assert np.abs(roots[:, None] - found).min(axis=1).max() < 1e-6


def modal(name, lam, m):
    """The rule's map of (x, v) with numbers for W and H."""
    words = nf.algorithms.get(name).words
    letters = {W: lam, H: m / eta}
    return sympy.Matrix(2, 2, lambda i, j: sum(
        coefficient * sympy.prod(letters[sympy.Symbol(letter, commutative=False)] for letter in word)
        for word, coefficient in words[(theta, v)[i]].get((theta, v)[j], {}).items()
    ))  # fmt: skip


def numbers(polynomial, z, values):
    """Coefficients in z, highest first."""
    return [float(c) for c in sympy.Poly(polynomial.subs({**values, mu: MU}), z).all_coeffs()]


def check_rest():
    """(f): a solution of each equation, found by root finding, does not move."""
    agents, mixing = Agents(), nf.weights.metropolis_hastings(nf.graphs.path(Q))
    for name in FORMS:
        look = MU if name == LOOK_AHEAD else 0.0

        def misses(flat, look=look):
            x = flat.reshape(Q, P)
            apart = x - mixing @ x
            return (apart + ETA / (1 - MU) * agents.gradient(x + look * apart)).ravel()

        x = root(misses, agents.start.ravel(), tol=1e-13).x.reshape(Q, P)
        rule = nf.algorithms.get(name)
        program = rule.bind(rule.numbers(ETA, {"momentum": MU}))
        state = (x, x - mixing @ x)
        moved = program.update(state, lambda x: mixing @ x, agents.gradient)
        # the root is known to 1e-12 or so
        assert max(np.abs(a - b).max() for a, b in zip(state, moved, strict=True)) < 1e-11
        assert np.abs(x - x.mean(axis=0)).max() > 0.01  # DGD's bias is still there


def check_fourth_reading():
    """The last move as velocity: a recursion with mu x_k, and DGD's own rest."""
    agents, mixing = Agents(), nf.weights.metropolis_hastings(nf.graphs.path(Q))
    step = mu * v + (W - 1) * theta - eta * gradient(theta)
    program = nf.Rule("fourth", update={theta: theta + step, v: step}, parameters={mu: MU}).bind({eta: 0.02, mu: MU})
    run = list(islice(states(program, agents.start, lambda x: mixing @ x, agents.gradient), 3000))
    for (old, _), (x, _), (new, _) in islice(zip(run, run[1:], run[2:], strict=False), 30):
        assert close(new, mixing @ x + MU * x - MU * old - 0.02 * agents.gradient(x))
    (x, velocity), settled = run[-1], 1e-10
    assert np.abs(velocity).max() < settled
    assert np.abs(x - mixing @ x + 0.02 * agents.gradient(x)).max() < settled


# (g): the function of CDSGD -------------------------------------------------------------------------


def lyapunov(agents, mixing, weights, x, step):
    """V, with the weights d_q of a reversible W."""
    apart = np.sum(weights[:, None] * x * (x - mixing @ x))
    return float(weights @ agents.losses(x)) + apart / (2 * step)


def slope(function, x, h=1e-4):
    """The gradient by central differences of fourth order."""
    units = np.eye(x.size).reshape(-1, *x.shape) * h
    values = [(8 * (function(x + u) - function(x - u)) - function(x + 2 * u) + function(x - 2 * u)) / 12 for u in units]
    return np.array(values).reshape(x.shape) / h


def check_descent():
    """(g): the update is -eta times the gradient of V; V falls by at least what is stated."""
    agents, mixing = Agents(), nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    curvature = np.linalg.norm(agents.A, 2, axis=(1, 2)).max() ** 2  # of log cosh(A x - b), at most the norm of A'A
    low, ones = np.linalg.eigvalsh(mixing)[0], np.ones(Q)
    for fraction in (0.1, 0.5, 1.0):
        step = fraction * (1 + low) / curvature
        run = agents.run("cdsgd", mixing, 40, step)
        V = [lyapunov(agents, mixing, ones, x, step) for (x,) in run]
        for k in range(39):
            steep = np.sum((run[k + 1][0] - run[k][0]) ** 2) / step**2
            assert V[k + 1] <= V[k] - step / 2 * (1 + low - step * curvature) * steep + EXACT * abs(V[0])
        along = slope(lambda x, step=step: lyapunov(agents, mixing, ones, x, step), run[0][0])
        # h^4 and rounding over h, both some 1e-12 of numbers of order ten
        assert np.abs(run[1][0] - run[0][0] + step * along).max() < 1e-9


def check_symmetry_is_needed():
    """(g) fails for a directed W; for a reversible one it holds in the weighted inner product."""
    agents, step = Agents(), 0.1
    rng = np.random.default_rng(7)
    pull = rng.uniform(size=(Q, Q))
    pull = pull + pull.T
    reversible, weights = pull / pull.sum(axis=1, keepdims=True), pull.sum(axis=1)
    even = np.ones(Q)
    for mixing, d, holds in ((directed(rng), even, False), (reversible, even, False), (reversible, weights, True)):
        (x,), (x_next,) = agents.run("cdsgd", mixing, 2, step)
        along = slope(lambda x, mixing=mixing, d=d: lyapunov(agents, mixing, d, x, step), x) / d[:, None]
        assert (np.abs(x_next - x + step * along).max() < 1e-9) == holds


check_matrices()
check_traces()
check_two_steps()
check_parting()
check_one_method()
check_modes()
check_rest()
check_fourth_reading()
check_descent()
check_symmetry_is_needed()
