"""T13 checked: where the flow and the iteration of every rule end, and how large the bias is."""

import numpy as np
from scipy.linalg import block_diag, null_space, orth

import ntkflow as nf

Q, n, P = 5, 3, 8
EXACT = ("extra", "exact_diffusion", "d2", "nids", "diging", "aug_dgm", "atc_tracking")
MODES = ("flow", "iterate")


class Problem:
    """Random Jacobians, residuals and starts, and the minimiser by least squares, which no rule knows of."""

    def __init__(self, seed, *, n=n, P=P, apart=False, shared=False):
        rng = np.random.default_rng(seed)
        self.W = nf.weights.metropolis_hastings(nf.graphs.path(Q))
        self.J, self.start = rng.standard_normal((Q, n, P)), apart * rng.standard_normal((Q, P))
        v = rng.standard_normal(P)
        self.e = np.einsum("qnp,qp->qn", self.J, self.start - v)  # interpolated by v
        if not shared:
            self.e = rng.standard_normal((Q, n))

    @property
    def lin(self):
        """What the library is given."""
        return nf.LinearizedModel.from_jacobian(self.J, self.e, start=self.start)

    @property
    def minimiser(self):
        """v*, relative to the mean of the starts: the least-squares solution of least norm there."""
        mean = self.start.mean(axis=0)
        missed = self.e + np.einsum("qnp,qp->qn", self.J, mean - self.start)
        return mean - np.linalg.lstsq(self.J.reshape(-1, self.J.shape[2]), missed.ravel(), rcond=1e-12)[0]

    def limit(self, name, step, mode="flow", **parameters):
        """Where the library says that a rule ends, (Q, P)."""
        system = nf.LinearSystem(name, self.W, self.lin, step, "sum", **parameters)
        return getattr(system, mode)(np.inf).deviation[0] + self.start

    def bias(self, name, step, mode="flow", **parameters):
        """Distance of the limit from 1 x v*."""
        return np.linalg.norm(self.limit(name, step, mode, **parameters) - self.minimiser)

    def gradient(self, theta):
        """g at (Q, P)."""
        r = self.e + np.einsum("qnp,qp->qn", self.J, theta - self.start)
        return np.einsum("qnp,qn->qp", self.J, r)


def check_minimal_part():
    """(a): -A_r^-1 u_r on the reachable subspace, and -A^+ u for agents that start apart; DGD of every shape."""
    for P in (4, 8, 30):
        for apart in (False, True):
            problem = Problem(1, P=P, apart=apart)
            A, B, _, _ = nf.LinearSystem("dgd", problem.W, problem.lin, 0.02, "sum").dense()
            u = B @ problem.e.ravel() + ((problem.W - np.eye(Q)) @ problem.start).ravel()
            basis = orth(A, rcond=1e-10)
            if not apart:
                powers = [B]
                for _ in range(Q):  # a word in W of degree Q - 1 says all that W can say
                    powers.append(np.kron(problem.W, np.eye(P)) @ powers[-1])
                basis = orth(np.hstack(powers), rcond=1e-10)
                assert np.linalg.norm(A @ basis - basis @ (basis.T @ A @ basis)) < 1e-8  # invariant
            x = -basis @ np.linalg.solve(basis.T @ A @ basis, basis.T @ u)
            for mode in MODES:
                found = problem.limit("dgd", 0.02, mode) - problem.start
                assert np.abs(found.ravel() - x).max() < 1e-9 * np.abs(x).max()


def formula(problem, alpha, mixed):
    """(b), or (d) for ATC with L^+ W in the place of L^+."""
    P = problem.J.shape[2]
    WW, ones = np.kron(problem.W, np.eye(P)), np.kron(np.ones((Q, 1)), np.eye(P))
    Psi = block_diag(*(J_q.T @ J_q for J_q in problem.J))
    inverse = np.linalg.pinv(np.eye(Q * P) - WW) @ (WW if mixed else np.eye(Q * P))
    gamma = np.eye(Q * P) - ones @ np.linalg.pinv(ones.T @ Psi @ ones, rcond=1e-12) @ ones.T @ Psi
    consensus = np.tile(problem.minimiser, (Q, 1))
    g = problem.gradient(consensus).ravel()
    zeta = -alpha * np.linalg.solve(np.eye(Q * P) + alpha * inverse @ Psi @ gamma, inverse @ g)
    return consensus + (gamma @ zeta).reshape(Q, P), (gamma @ inverse @ g).reshape(Q, P)


def check_formula():
    """(b) and (d): the limit to full accuracy, for small and large steps, fewer and more parameters than rows."""
    for P in (6, 14):
        for apart in (False, True):
            problem = Problem(2, P=P, apart=apart)
            for alpha in (0.001, 0.02):
                dgd, _ = formula(problem, alpha, mixed=False)
                atc, _ = formula(problem, alpha, mixed=True)
                cta = atc - alpha * problem.gradient(atc)
                for mode in MODES:
                    for name, wanted in (("dgd", dgd), ("atc", atc), ("cta", cta)):
                        found = problem.limit(name, alpha, mode)
                        assert np.abs(found - wanted).max() < 1e-9 * np.abs(wanted).max()


def check_order():
    """Halving the step halves the bias, and the first-order term is the one stated."""
    for apart in (False, True):
        problem = Problem(3, apart=apart)
        for name in ("dgd", "atc", "cta", "cdmsgd"):
            steps = 1e-4 * 0.5 ** np.arange(4)
            bias = [problem.bias(name, step) for step in steps]
            slope = np.polyfit(np.log(steps), np.log(bias), 1)[0]
            assert abs(slope - 1) < 0.02  # the second order is some 100 alpha of the first
        _, first = formula(problem, 1.0, mixed=False)
        ratio = problem.bias("dgd", 1e-6) / (1e-6 * np.linalg.norm(first))
        assert abs(ratio - 1) < 1e-3


def check_shared_interpolant():
    """(c): no bias when Qn > P but a solution is shared, and whenever the rows are independent."""
    for apart in (False, True):
        for problem in (Problem(4, apart=apart, shared=True), Problem(4, apart=apart, P=Q * n + 3)):
            for name in ("dgd", "atc", "cta", "cdmsgd"):
                for mode in MODES:
                    assert problem.bias(name, 0.02, mode) < 1e-9
    assert Problem(4, apart=True).bias("dgd", 0.02) > 0.1  # which is not so in general


def check_shared_minimiser():
    """(c), the correction: inconsistent data whose own least-squares solutions agree. No interpolation, no bias."""
    problem = Problem(5, n=6, P=4, apart=True, shared=True)
    # what is added to e_q is orthogonal to the columns of J_q, so that the own gradients do not notice
    problem.e = problem.e + np.stack([null_space(J_q.T).sum(axis=1) for J_q in problem.J])
    trajectory = nf.LinearSystem("dgd", problem.W, problem.lin, 0.02, "sum").iterate(np.inf)
    assert trajectory.loss.min() > 0.1
    for name in ("dgd", "atc", "cta"):
        assert problem.bias(name, 0.02) < 1e-9


def check_averaging():
    """(d): with W = 11'/Q ATC is gradient descent: no bias although the own gradients do not vanish."""
    problem = Problem(6, apart=True)
    problem.W = np.full((Q, Q), 1 / Q)
    assert problem.bias("atc", 0.02) < 1e-9
    assert problem.bias("cta", 0.02) > 0.1
    assert problem.bias("dgd", 0.02) > 0.1


def check_momentum():
    """(e): heavy ball ends where DGD with the step alpha/(1 - mu) ends."""
    problem = Problem(7, apart=True)
    for mu in (0.5, 0.9):
        found = problem.limit("cdmsgd", 0.002, "iterate", momentum=mu)
        wanted = problem.limit("dgd", 0.002 / (1 - mu))
        assert np.abs(found - wanted).max() < 1e-8 * np.abs(wanted).max()


def check_exact_methods():
    """(f): seven rules, two modes, starts together and apart, fewer and more parameters than rows."""
    assert set(EXACT) <= set(nf.algorithms.names())
    for P in (6, 20):
        for apart in (False, True):
            problem = Problem(8, P=P, apart=apart)
            for name in EXACT:
                for mode in MODES:
                    # the slowest modes live 1e3 to 1e4 iterations, and each of them costs a rounding
                    assert problem.bias(name, 0.01, mode) < 1e-10, (name, mode)


check_minimal_part()
check_formula()
check_order()
check_shared_interpolant()
check_shared_minimiser()
check_averaging()
check_momentum()
check_exact_methods()
