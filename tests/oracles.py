"""Independent oracles: nothing here uses ntkflow, its derivation or its data types.

Three of them, in the order in which they get further from the code under test:

* the agents' own loops, agent by agent, sums over neighbours written out (arXiv 2409.15267, eqs. 4-6;
  theory notes T10, T11), for any gradient, so that they serve the linear problem and the real network;
* the state matrices written down by hand with Kronecker products (T1, T10, T11), and SciPy's exponential;
* the same matrices in arithmetic of hundreds of bits.

A problem is given by lists with one entry an agent; unequal agents have matrices of unequal height, there is
no padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import mpmath
import numpy as np
import scipy.linalg

MOMENTUM = 0.9  # the catalogue's default for cdmsgd


def factors(normalization, sizes, n_outputs, one=1.0):
    """c_q for every agent, from the definition of the loss that is differentiated; exact when ``one`` is."""
    Q = len(sizes)
    sizes = [int(D) for D in sizes]
    if not isinstance(normalization, str):
        return [one * float(factor) for factor in normalization]
    if normalization == "per_agent":  # L_q = |r|^2 / (2 D_q)
        return [one / D for D in sizes]
    if normalization == "global":  # L = sum_q |r_q|^2 / (2 Q D_q)
        return [one / (Q * D) for D in sizes]
    if normalization == "sum":  # |r|^2 / 2
        return [one for _ in sizes]
    if normalization == "torch_mse":  # the mean of all D_q M squares
        return [2 * one / (D * n_outputs) for D in sizes]
    raise ValueError(normalization)


# ------------------------------------------------------------------------------------------------ the loops


def linear_gradient(J, e, c, theta0):
    """(q, theta_q) -> c_q J_q^T (e_q + J_q (theta_q - theta_q(0))), one agent at a time."""

    def gradient(q, theta_q):
        return c[q] * (J[q].T @ (e[q] + J[q] @ (theta_q - theta0[q])))

    return gradient


def _neighbours(W, q, values):
    """sum_j W[q, j] values_j."""
    total = 0.0 * values[q]
    for j in range(len(values)):
        if W[q][j] != 0:
            total = total + W[q][j] * values[j]
    return total


def loop_dgd(W, theta0, gradient, eta, steps, mu=MOMENTUM):
    """theta_q <- sum_j w_qj theta_j - eta grad_q(theta_q)   (eq. 4)."""
    theta = list(theta0)
    yield [theta]
    for _ in range(steps):
        theta = [_neighbours(W, q, theta) - eta * gradient(q, theta[q]) for q in range(len(theta))]
        yield [theta]


def loop_atc(W, theta0, gradient, eta, steps, mu=MOMENTUM):
    """psi_q = theta_q - eta grad_q(theta_q); theta_q <- sum_j w_qj psi_j   (eq. 5)."""
    theta = list(theta0)
    yield [theta]
    for _ in range(steps):
        psi = [theta[q] - eta * gradient(q, theta[q]) for q in range(len(theta))]
        theta = [_neighbours(W, q, psi) for q in range(len(theta))]
        yield [theta]


def loop_cta(W, theta0, gradient, eta, steps, mu=MOMENTUM):
    """psi_q = sum_j w_qj theta_j; theta_q <- psi_q - eta grad_q(psi_q)   (eq. 6)."""
    theta = list(theta0)
    yield [theta]
    for _ in range(steps):
        psi = [_neighbours(W, q, theta) for q in range(len(theta))]
        theta = [psi[q] - eta * gradient(q, psi[q]) for q in range(len(theta))]
        yield [theta]


def loop_cdmsgd(W, theta0, gradient, eta, steps, mu=MOMENTUM):
    """v_q <- mu v_q - eta grad_q(theta_q); theta_q <- sum_j w_qj theta_j + v_q, the new v_q   (T10, Polyak)."""
    theta, v = list(theta0), [0.0 * t for t in theta0]
    yield [theta, v]
    for _ in range(steps):
        v = [mu * v[q] - eta * gradient(q, theta[q]) for q in range(len(theta))]
        theta = [_neighbours(W, q, theta) + v[q] for q in range(len(theta))]
        yield [theta, v]


def loop_diging(W, theta0, gradient, eta, steps, mu=MOMENTUM):
    """theta_q+ = sum_j w_qj theta_j - eta y_q; y_q <- sum_j w_qj y_j + grad_q(theta_q+) - grad_q(theta_q)."""
    theta = list(theta0)
    y = [gradient(q, theta[q]) for q in range(len(theta))]
    yield [theta, y]
    for _ in range(steps):
        new = [_neighbours(W, q, theta) - eta * y[q] for q in range(len(theta))]
        y = [_neighbours(W, q, y) + gradient(q, new[q]) - gradient(q, theta[q]) for q in range(len(theta))]
        theta = new
        yield [theta, y]


LOOPS = {"dgd": loop_dgd, "atc": loop_atc, "cta": loop_cta, "cdmsgd": loop_cdmsgd, "diging": loop_diging}
BLOCKS = {"dgd": 1, "atc": 1, "cta": 1, "cdmsgd": 2, "diging": 2}


def run(rule, W, theta0, gradient, eta, steps, mu=MOMENTUM):
    """The agents' loop as one array (steps + 1, blocks, Q, P), parameters absolute."""
    return np.array(list(LOOPS[rule](W, theta0, gradient, eta, steps, mu)))


# ------------------------------------------------------------------------------------------- what is measured


def residual(J, e, theta0, q, theta_q):
    """r of agent q's data at parameters (..., P), agent q's or another's, (..., n)."""
    return e[q] + (theta_q - theta0[q]) @ J[q].T


def loss(J, e, theta0, theta, n_outputs):
    """|r_q|^2 / (2 D_q) for parameters (..., Q, P), (..., Q)."""
    squares = [np.sum(residual(J, e, theta0, q, theta[..., q, :]) ** 2, axis=-1) for q in range(len(J))]
    return np.stack([squares[q] * n_outputs / (2 * len(e[q])) for q in range(len(J))], axis=-1)


def global_loss(J, e, theta0, theta, n_outputs):
    """The mean over all agents' samples of half the squared residual of agent q's model, (..., Q)."""
    samples = sum(len(e_r) for e_r in e) / n_outputs
    squares = 0.0
    for r in range(len(J)):  # agent r's data, every agent's model
        squares = squares + np.sum(residual(J, e, theta0, r, theta) ** 2, axis=-1)
    return squares / (2 * samples)


def consensus_error(theta):
    """(sum_q |theta_q - mean|^2)^(1/2) for parameters (..., Q, P)."""
    agents = [theta[..., q, :] for q in range(theta.shape[-2])]
    mean = sum(agents) / len(agents)
    return np.sqrt(sum(np.sum((agent - mean) ** 2, axis=-1) for agent in agents))


# -------------------------------------------------------------------------------- matrices written out by hand


@dataclass(frozen=True)
class Dense:
    """x' = A x + u (flow) or x+ = x + A x + u from x0, x = (theta - theta(0), auxiliary blocks), agent-major.

    B and C take and give the residuals of all agents one after the other, without padding.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    u: np.ndarray
    x0: np.ndarray

    @property
    def drive(self):
        """The first update, A x0 + u."""
        return self.A @ self.x0 + self.u


def _block_diagonal(blocks, width):
    rows = sum(b.shape[0] for b in blocks)
    out = np.zeros((rows, width * len(blocks)), dtype=blocks[0].dtype) * blocks[0].flat[0]  # objects stay objects
    at = 0
    for q, b in enumerate(blocks):
        out[at : at + b.shape[0], q * width : (q + 1) * width] = b
        at += b.shape[0]
    return out


def kronecker(rule, W, J, e, c, theta0, eta, mu=MOMENTUM):
    """The matrices of T1, T10 and T11; entries may be floats or any other exact or long numbers."""
    Q, P = np.shape(theta0)
    one = 0 * eta + 1
    eye = np.array([[one if i == j else 0 * one for j in range(P)] for i in range(P)])
    I = np.kron(np.array([[one if i == j else 0 * one for j in range(Q)] for i in range(Q)]), eye)  # noqa: E741
    Wp = np.kron(np.asarray(W), eye)
    Jb = _block_diagonal([np.asarray(j) for j in J], P)
    cJt = _block_diagonal([c[q] * np.asarray(J[q]) for q in range(Q)], P).T  # blockdiag(c_q J_q^T)
    Psi = cJt @ Jb
    g0 = cJt @ np.concatenate([np.asarray(r) for r in e])
    t0 = np.concatenate([np.asarray(t) for t in theta0])
    apart = (Wp - I) @ t0
    zero = 0 * t0
    if rule == "dgd":
        return Dense(Wp - I - eta * Psi, -eta * cJt, Jb, apart - eta * g0, zero)
    if rule == "atc":
        return Dense(Wp - I - eta * Wp @ Psi, -eta * Wp @ cJt, Jb, apart - eta * Wp @ g0, zero)
    if rule == "cta":
        return Dense(Wp - I - eta * Psi @ Wp, -eta * cJt, Jb, apart - eta * Psi @ apart - eta * g0, zero)
    both = np.concatenate([zero, zero])
    C = np.concatenate([Jb, 0 * Jb], axis=1)
    if rule == "cdmsgd":
        A = np.block([[Wp - I - eta * Psi, mu * I], [-eta * Psi, (mu - 1) * I]])
        return Dense(A, np.concatenate([-eta * cJt] * 2), C, np.concatenate([apart - eta * g0, -eta * g0]), both)
    if rule == "diging":
        A = np.block([[Wp - I, -eta * I], [Psi @ (Wp - I), Wp - I - eta * Psi]])
        u = np.concatenate([apart, Psi @ apart])
        return Dense(A, np.concatenate([0 * cJt] * 2), C, u, np.concatenate([zero, g0]))
    raise ValueError(f"no matrices were written down for {rule}")


def dense_flow(dense, times):
    """x(t) by SciPy's exponential of the augmented matrix, one exponential a time: (T, N).

    A balanced first, and the drive brought to length one, by powers of two and so without rounding: DIGing's two
    blocks are in units that differ by eta, and a drive much larger than A makes the exponential scale too far down.
    At t = 1e3 and eta |J|^2 = 0.06 to 0.1 it was off by 1e-13 to 7e-13 of the result of long arithmetic for |J| from
    1e-2 to 1e4, by up to 1e-11 at 1e-4 (3e-11 without balancing), where long arithmetic has to serve.
    """
    A, (scale, _) = scipy.linalg.matrix_balance(dense.A, permute=False, separate=True)
    drive = dense.drive / scale
    length = 2.0 ** np.round(np.log2(np.linalg.norm(drive) or 1.0))
    G = _augmented(A, drive / length)
    return np.array([dense.x0 + scale * length * scipy.linalg.expm(t * G)[:-1, -1] for t in times])


def dense_iteration(dense, steps):
    """x_k by plain repetition, k = 0 ... steps: (steps + 1, N)."""
    x, rows = dense.x0, [dense.x0]
    for _ in range(steps):
        x = x + (dense.A @ x + dense.u)
        rows.append(x)
    return np.array(rows)


def _augmented(A, w):
    N = A.shape[0]
    G = np.zeros((N + 1, N + 1), dtype=A.dtype) * A.flat[0]
    G[:N, :N], G[:N, N] = A, w
    return G


# -------------------------------------------------------------------------------------- arithmetic of many digits
# Fixed-point numbers: Python integers standing for value * 2^-BITS, in NumPy object arrays.  No rounding but
# that of the last of BITS bits, and ten times quicker than mpmath, to whose 50-digit exponential and solver
# test_oracles.py compares them.

BITS = 400
INFINITE = 70  # t = infinity is t = 2^70, about 1e21


def fixed(array):
    """Floats, or anything mpmath takes, as fixed-point integers."""
    with mpmath.workprec(2 * BITS):
        convert = np.vectorize(lambda x: int(mpmath.nint(mpmath.ldexp(mpmath.mpf(x), BITS))), otypes=[object])
        return convert(np.asarray(array, dtype=object))


def to_mpf(array):
    """Fixed-point integers as mpmath numbers."""
    with mpmath.workprec(2 * BITS):
        convert = np.vectorize(lambda x: mpmath.ldexp(mpmath.mpf(int(x)), -BITS), otypes=[object])
        return convert(array)


def exact_numbers(array):
    """Floats as the mpmath numbers that they are, in an object array."""
    return np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(array, dtype=float))


def _product(X, Y):
    return (X @ Y) >> BITS


def _exponential(G):
    """e^G by a Taylor series of G 2^-s, squared s times."""
    N, halvings = G.shape[0], 16
    small = G >> halvings
    identity = fixed(np.eye(N))
    total, term = identity, identity
    for k in range(1, 200):
        term = _product(term, small) // k
        total = total + term
        if not term.any():
            break
    for _ in range(halvings):
        total = _product(total, total)
    return total


def long_states(dense, times, *, flow):
    """x at t = 0, whole numbers and infinity, from a `Dense` of mpmath numbers: (T, N) of mpmath numbers.

    Powers of the one-step propagator by repeated squaring.  Every squaring doubles the error of the last bit,
    and a Jordan block doubles the entries too, so t = 2^70 still has 400 - 2 * 70 = 260 bits, 78 digits.
    Infinity is t = 2^70 and must agree with t = 2^71 to 50 digits, or there is no limit.
    """
    with mpmath.workprec(2 * BITS):
        G = fixed(_augmented(dense.A, dense.drive))
        x0 = fixed(dense.x0)
    squares = [_exponential(G) if flow else fixed(np.eye(G.shape[0])) + G]

    def at(t):
        state = fixed(np.eye(G.shape[0])[-1])
        for bit in range(int(t).bit_length()):
            if len(squares) <= bit:
                squares.append(_product(squares[-1], squares[-1]))
            if int(t) >> bit & 1:
                state = _product(squares[bit], state)
        return to_mpf(x0 + state[:-1])

    rows = []
    for t in times:
        if t == np.inf:
            row, later = at(2**INFINITE), at(2 ** (INFINITE + 1))
            gap = max(abs(a - b) for a, b in zip(row, later, strict=True))
            if not gap <= mpmath.mpf(10) ** -50 * (1 + max(abs(a) for a in row)):
                raise ArithmeticError(f"no limit: t = 2^{INFINITE} and its double differ by {mpmath.nstr(gap, 3)}")
            rows.append(row)
        else:
            rows.append(at(t))
    return np.array(rows)


def long_gap(found, truth):
    """|found - truth|_2 and |truth|_2 of a float vector against a long one."""
    with mpmath.workprec(2 * BITS):
        gap = exact_numbers(found) - truth
        return tuple(float(mpmath.sqrt(sum(x * x for x in vector))) for vector in (gap, truth))


def mpmath_flow(dense, t):
    """x(t) by mpmath's own exponential of the augmented matrix, at its current precision: (N,)."""
    G = mpmath.matrix((_augmented(dense.A, dense.drive) * t).tolist())
    N = len(dense.x0)
    last = mpmath.matrix([0] * N + [1])
    moved = mpmath.expm(G, method="taylor") * last
    return np.array([dense.x0[i] + moved[i] for i in range(N)])


def mpmath_iteration(dense, k):
    """x_k by mpmath's matrix power of the augmented map: (N,)."""
    N = len(dense.x0)
    M = mpmath.matrix(_augmented(dense.A, dense.drive).tolist()) + mpmath.eye(N + 1)
    moved = M**k * mpmath.matrix([0] * N + [1])
    return np.array([dense.x0[i] + moved[i] for i in range(N)])


def mpmath_limit(dense):
    """The limit for an invertible A, x0 - A^-1 w: (N,)."""
    N = len(dense.x0)
    solution = mpmath.lu_solve(mpmath.matrix(dense.A.tolist()), mpmath.matrix(list(dense.drive)))
    return np.array([dense.x0[i] - solution[i] for i in range(N)])
