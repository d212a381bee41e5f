"""T11 checked: published recursions against the catalogue's rules, what they keep, and where they rest."""

from itertools import islice

import numpy as np
from scipy.optimize import root

import ntkflow as nf

ETA, Q, n, P = 0.1, 5, 3, 4
EXACT = 1e-12  # some thirty steps; a recursion over two steps adds up its roundings quadratically
TRACKERS = ("diging", "atc_tracking", "aug_dgm")
UNBIASED = ("extra", "exact_diffusion", "d2", "nids", *TRACKERS)


class Agents:
    """Losses f_q(x) = sum log cosh(A_q x - b_q): convex, smooth, not quadratic."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.A, self.b = rng.standard_normal((Q, n, P)), rng.standard_normal((Q, n))
        self.start = rng.standard_normal((Q, P))

    def gradient(self, x):
        """g at the stack x."""
        return np.einsum("qnp,qn->qp", self.A, np.tanh(np.einsum("qnp,qp->qn", self.A, x) - self.b))

    def minimiser(self):
        """The common point at which the gradients sum to zero, by root finding."""
        found = root(lambda point: self.gradient(np.tile(point, (Q, 1))).sum(axis=0), np.zeros(P), tol=1e-14)
        assert np.abs(found.fun).max() < 1e-12
        return found.x


def program(name, **counts):
    """A rule of the catalogue, its numbers bound."""
    rule = nf.algorithms.get(name).shaped(counts)
    return rule.bind(rule.numbers(ETA, counts))


def states(name, W, start, g, state=None, **counts):
    """The states of a rule, for ever; from its own start or from one that is given."""
    bound = program(name, **counts)
    state = bound.start(start, lambda x: W @ x, g) if state is None else state
    while True:
        yield state
        state = bound.update(state, lambda x: W @ x, g)


def places(*args, count=30, **kwargs):
    """The parameters along them."""
    return np.array([state[0] for state in islice(states(*args, **kwargs), count)])


def close(found, wanted):
    """Equal up to rounding, by the size of what is wanted."""
    return np.abs(found - wanted).max() <= EXACT * (1 + np.abs(wanted).max())


# (b): recursions over two steps ---------------------------------------------------------------------


def published(W):
    """The first table: (a, b, c, d, e) with x_1 = a x_0 - eta b g_0 and x_{k+2} = c x_{k+1} - d x_k - eta e Delta_k."""
    one = np.eye(len(W))
    half, square = (one + W) / 2, W @ W
    return {
        "extra": (W, one, one + W, half, one),
        "exact_diffusion": (half, half, 2 * half, half, half),
        "d2": (W, W, 2 * W, W, W),
        "nids": (one, one, 2 * half, half, half),
        "diging": (W, one, 2 * W, square, one),
        "atc_tracking": (W, W, 2 * W, square, W),
        "aug_dgm": (W, W, 2 * W, square, square),
    }


def two_steps(table, x, g, count=30):
    """The sequence of one line of the table."""
    a, b, c, d, e = table
    run = [x, a @ x - ETA * b @ g(x)]
    while len(run) < count:
        run.append(c @ run[-1] - d @ run[-2] - ETA * e @ (g(run[-1]) - g(run[-2])))
    return np.array(run)


def check_two_steps():
    """(b): any W, stochastic or not, a gradient that is not linear."""
    agents, rng = Agents(), np.random.default_rng(1)
    noise = rng.standard_normal((Q, Q))
    for W in (nf.weights.metropolis_hastings(nf.graphs.path(Q)), noise / np.linalg.norm(noise, 2) / 2):
        assert set(published(W)) == set(UNBIASED)
        for name, table in published(W).items():
            wanted = two_steps(table, agents.start, agents.gradient)
            assert close(places(name, W, agents.start, agents.gradient), wanted), name


# (c) and (i): one block -----------------------------------------------------------------------------


def check_one_block():
    """(c): one machine; rounds of mixing; local steps and an average."""
    agents, W = Agents(), nf.weights.metropolis_hastings(nf.graphs.star(Q))
    g, x = agents.gradient, agents.start
    server = [x.mean(axis=0) - ETA * g(x).mean(axis=0)]
    while len(server) < 29:
        server.append(server[-1] - ETA * g(np.tile(server[-1], (Q, 1))).mean(axis=0))
    assert close(places("gd", None, x, g)[1:], np.array(server)[:, None])
    for tau in (1, 2, 3):
        dgd = places("dgd", np.linalg.matrix_power(W, tau), x, g)
        assert close(places("icdsgd", W, x, g, consensus_steps=tau), dgd)
    assert close(places("fedavg", None, x, g, local_steps=1), places("gd", None, x, g))
    for E in (2, 5):
        rounds = [x]
        for _ in range(29):
            walked = rounds[-1]
            for _ in range(E):
                walked = walked - ETA * g(walked)
            rounds.append(np.tile(walked.mean(axis=0), (Q, 1)))
        assert close(places("fedavg", None, x, g, local_steps=E), np.array(rounds))


def check_not_dgd():
    """(i): DGD with W = 11'/Q is off by the covariance of curvature and gradient; ATC is gradient descent."""
    rng = np.random.default_rng(2)
    J, e = rng.standard_normal((Q, n, P)), rng.standard_normal((Q, n))
    Psi, g0 = np.einsum("qna,qnb->qab", J, J), np.einsum("qnp,qn->qp", J, e)

    def gradient(x):
        return np.einsum("qab,qb->qa", Psi, x) + g0

    W, start = np.full((Q, Q), 1 / Q), np.zeros((Q, P))
    gd, dgd, atc = (places(name, W, start, gradient) for name in ("gd", "dgd", "atc"))
    assert close(atc, gd)
    assert close(dgd[1].mean(axis=0), gd[1, 0])
    covariance = np.einsum("qab,qb->a", Psi - Psi.mean(axis=0), g0 - g0.mean(axis=0)) / Q
    assert close(dgd[2].mean(axis=0) - gd[2, 0], ETA**2 * covariance)
    assert np.abs(ETA**2 * covariance).max() > 1e-3


# (d): relations -------------------------------------------------------------------------------------


def check_relations():
    """(d): NIDS, exact diffusion and D²; the sum that EXTRA keeps; DIGing as a case of EXTRA."""
    agents, W = Agents(), nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    x, g, one = agents.start, agents.gradient, np.eye(Q)
    d = (one - W) @ (x - ETA * g(x)) / 2
    assert close(places("nids", W, x, g, state=(x, d)), places("exact_diffusion", W, x, g))
    assert close(places("d2", W, x, g), places("exact_diffusion", 2 * W - one, x, g))
    disagreed = np.zeros((Q, P))
    for place, z in islice(states("extra", W, x, g), 30):
        assert close(z, place + disagreed / 2)
        disagreed = disagreed + place - W @ place
    together = np.tile(x.mean(axis=0), (Q, 1))
    general = (2 * W - one, one, 2 * W, W @ W, one)  # EXTRA with 2W - I for W and W^2 for (I + W)/2
    for start, same in ((together, True), (x, False)):
        assert close(places("diging", W, start, g), two_steps(general, start, g)) == same


# (e) and (f): the mean and rest ---------------------------------------------------------------------


def kept(name, state, g):
    """What sums to zero over the agents."""
    x, auxiliary = state
    if name in TRACKERS:
        return auxiliary - g(x)
    return auxiliary if name == "nids" else auxiliary - x


def check_mean():
    """(e): doubly stochastic weights, directed ones included."""
    agents = Agents()
    g, turn = agents.gradient, np.roll(np.eye(Q), 1, axis=1)
    for W in (nf.weights.metropolis_hastings(nf.graphs.star(Q)), 0.6 * np.eye(Q) + 0.3 * turn + 0.1 * turn @ turn):
        for name in UNBIASED:
            run = list(islice(states(name, W, agents.start, g), 30))
            size = max(np.abs(state[1]).max() for state in run)
            assert max(np.abs(kept(name, state, g).sum(axis=0)).max() for state in run) < EXACT * (1 + size)
            means = np.array([state[0].mean(axis=0) for state in run])
            slopes = np.array([g(state[0]).mean(axis=0) for state in run])
            assert close(means[1:], means[:-1] - ETA * slopes[:-1]), name


def check_rest():
    """(f): the minimiser with its auxiliary block does not move; training ends there from starts apart."""
    agents, W = Agents(), nf.weights.lazy(nf.weights.metropolis_hastings(nf.graphs.path(Q)))
    g, x = agents.gradient, np.tile(agents.minimiser(), (Q, 1))
    adapted = x - ETA * g(x)
    blocks = {"extra": adapted, "exact_diffusion": adapted, "d2": adapted, "nids": -ETA * g(x)}
    for name in UNBIASED:
        state = (x, blocks.get(name, 0 * x))
        moved = program(name).update(state, lambda x: W @ x, g)
        assert close(np.array(moved), np.array(state)), name
        *_, last = islice(states(name, W, agents.start, g), 6000)
        assert np.abs(last[0] - x).max() < 1e-9, name
    *_, last = islice(states("dgd", W, agents.start, g), 6000)
    assert np.abs(last[0] - x).max() > 0.01  # DGD ends elsewhere


# (g) and (h) ----------------------------------------------------------------------------------------


def check_limit_of_d2():
    """(g): the closed form, from runs without gradients; its largest root; even cycles are at the limit."""
    for lam in (-1.0, -0.4, -1 / 3, -0.3, 0.0, 0.5, 0.99):
        run = places("d2", np.array([[lam]]), np.ones((1, 1)), lambda x: 0 * x).ravel()
        spread = np.sqrt(complex(lam**2 - lam))
        roots = np.array([lam + spread, lam - spread])
        assert close(run, (roots ** np.arange(30)[:, None]).mean(axis=1))
        assert (np.abs(roots).max() < 1 - 1e-9) == (-1 / 3 + 1e-9 < lam < 1)
    swinging = places("d2", np.array([[-1 / 3]]), np.ones((1, 1)), lambda x: 0 * x).ravel()
    k = np.arange(30.0)
    assert close(swinging, (3**-k + (-1) ** k) / 2)
    for agents in (4, 6, 8, 20):
        W = nf.weights.metropolis_hastings(nf.graphs.cycle(agents))
        assert abs(np.linalg.eigvalsh(W)[0] + 1 / 3) < 1e-14


def check_shared_curvature():
    """With data: the modal polynomial of D², by the eigenvalues of its matrix."""
    rng = np.random.default_rng(3)
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(8))
    J = np.repeat(rng.standard_normal((1, n, 2)), 8, axis=0)
    lin = nf.LinearizedModel.from_jacobian(J, np.ones((8, n)))
    found = np.linalg.eigvals(nf.LinearSystem("d2", W, lin, ETA, "sum").dense()[0] + np.eye(32))
    pairs = [(a, ETA * b) for a in np.linalg.eigvalsh(W) for b in np.linalg.eigvalsh(J[0].T @ J[0])]
    values = [np.polyval([1, -a * (2 - b), a * (1 - b)], found) for a, b in pairs]
    assert np.abs(values).min(axis=0).max() < 1e-12
    assert np.abs(found).max() < 1  # both directions are seen, the limit -1/3 is no limit any more


def check_constants():
    """(h): the update of the trackers reads its blocks alone, no other rule's does."""
    for name in nf.algorithms.names():
        words = nf.algorithms.get(name).words
        sources = {source for block in words for source, operator in words[block].items() if any(operator.values())}
        assert (sources <= set(words)) == (name in TRACKERS), (name, sources)


check_two_steps()
check_one_block()
check_not_dgd()
check_relations()
check_mean()
check_rest()
check_limit_of_d2()
check_shared_curvature()
check_constants()
