"""Kalman's decomposition in exact arithmetic, of update rules written out by hand; nothing here uses ntkflow.

Numbers are residues modulo a prime: a rational W, step size and Jacobian have exact residues, and the rank of a matrix
of residues is that of the rational matrix unless the prime divides one of its minors, of which there is no sign in
thousands of cases.  States are (s Q P, k), a column a case.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

PRIME = 67_108_859  # below 2^26: a product of two residues, summed 500 times, fits 64 bits


def residue(x):
    """A rational number of small denominator, or a float that is one to 13 digits."""
    if not isinstance(x, Fraction):
        near = Fraction(float(x)).limit_denominator(1000)
        assert abs(float(near) - x) < 1e-13
        x = near
    return x.numerator * pow(x.denominator, -1, PRIME) % PRIME


def residues(matrix):
    return np.array([[residue(x) for x in row] for row in matrix], dtype=np.int64)


class Problem:
    """Residues of W ⊗ I, 11ᵀ/Q ⊗ I, J, Jᵀc and the numbers of the rules."""

    def __init__(self, W, J, c, step, momentum=Fraction(9, 10)):
        Q, n, P = J.shape
        identity = np.eye(P, dtype=np.int64)
        self.W, self.average = (np.kron(residues(V), identity) for V in (W, np.full((Q, Q), 1.0 / Q)))
        self.J = np.zeros((Q * n, Q * P), dtype=np.int64)
        for q in range(Q):
            self.J[q * n : (q + 1) * n, q * P : (q + 1) * P] = J[q] % PRIME
        self.G = self.J.T * np.repeat(np.asarray(c, dtype=np.int64), n) % PRIME
        self.eta, self.mu, self.half = residue(step), residue(momentum), residue(Fraction(1, 2))

    def gradient(self, origin, e):
        """x -> c J^T (e + J (x - origin))."""
        return lambda x: self.G @ ((e + self.J @ (x - origin)) % PRIME) % PRIME


# the rules: next blocks from the old ones, first auxiliary blocks from the parameters ------------------------------


def gd(k, g, x):
    return [k.average @ (x - k.eta * g(x) % PRIME)]


def fedavg(k, g, x):
    x = (x - k.eta * g(x)) % PRIME
    return [k.average @ ((x - k.eta * g(x)) % PRIME)]


def dgd(k, g, x):
    return [k.W @ x - k.eta * g(x)]


def icdsgd(k, g, x):
    return [k.W @ (k.W @ x % PRIME) - k.eta * g(x)]


def atc(k, g, x):
    return [k.W @ ((x - k.eta * g(x)) % PRIME)]


def cta(k, g, x):
    x = k.W @ x % PRIME
    return [x - k.eta * g(x)]


def cdmsgd(k, g, x, v):
    v = (k.mu * v - k.eta * g(x)) % PRIME
    return [k.W @ x + v, v]


def cdmsgd_nesterov(k, g, x, v):
    v = (k.mu * v - k.eta * g((x + k.mu * v) % PRIME)) % PRIME
    return [k.W @ x + v, v]


def cdmsgd_published(k, g, x, v):
    v = (k.mu * v - k.eta * g(x)) % PRIME
    return [k.W @ x + k.mu * v - k.eta * g(x), v]


def extra(k, g, x, z):
    mixed = k.W @ x % PRIME
    return [x + mixed - k.eta * g(x) - z, k.half * (x + mixed) - k.eta * g(x)]


def exact_diffusion(k, g, x, psi):
    p = (x - k.eta * g(x)) % PRIME
    moved = (p + x - psi) % PRIME
    return [k.half * ((moved + k.W @ moved) % PRIME), p]


def d2(k, g, x, psi):
    p = (x - k.eta * g(x)) % PRIME
    return [k.W @ ((p + x - psi) % PRIME), p]


def nids(k, g, x, d):
    x = (x - k.eta * g(x) - d) % PRIME
    y = (x - k.eta * g(x)) % PRIME
    return [x, k.half * ((y - k.W @ y + d + k.W @ d) % PRIME)]


def diging(k, g, x, y):
    new = (k.W @ x - k.eta * y) % PRIME
    return [new, k.W @ y + g(new) - g(x)]


def aug_dgm(k, g, x, y):
    new = k.W @ ((x - k.eta * y) % PRIME) % PRIME
    return [new, k.W @ ((y + g(new) - g(x)) % PRIME)]


def atc_tracking(k, g, x, y):
    new = k.W @ ((x - k.eta * y) % PRIME) % PRIME
    return [new, k.W @ y + g(new) - g(x)]


ONE_BLOCK = (gd, fedavg, dgd, icdsgd, atc, cta)
TWO_BLOCKS = (
    cdmsgd,
    cdmsgd_nesterov,
    cdmsgd_published,
    extra,
    exact_diffusion,
    d2,
    nids,
    diging,
    aug_dgm,
    atc_tracking,
)
UPDATES = {update.__name__: update for update in ONE_BLOCK + TWO_BLOCKS} | {"cdsgd": dgd}
START_AT_THE_PARAMETERS = ("extra", "exact_diffusion", "d2")
START_AT_THE_GRADIENT = ("diging", "aug_dgm", "atc_tracking")


def first_auxiliary(rule, x, g):
    """What the further blocks start from, when the parameters start from x."""
    if rule in START_AT_THE_PARAMETERS:
        return [x]
    if rule in START_AT_THE_GRADIENT:
        return [g(x)]
    return [0 * x] if UPDATES[rule] in TWO_BLOCKS else []


# orders ------------------------------------------------------------------------------------------------------------


def matrices(rule, problem, start=None, residual=None):
    """M, inputs and C; agents that start apart need the residual too, their first update is a column of the inputs."""
    N, m = problem.J.shape[1], problem.J.shape[0]
    update = UPDATES[rule]
    nowhere, idle = np.zeros((N, m), dtype=np.int64), np.zeros((N, 1), dtype=np.int64)
    one_each = problem.gradient(nowhere, np.eye(m, dtype=np.int64))
    auxiliary = first_auxiliary(rule, nowhere, one_each)
    s = 1 + len(auxiliary)
    linear = problem.gradient(0, np.zeros((m, 1), dtype=np.int64))
    M = np.vstack(update(problem, linear, *np.split(np.eye(s * N, dtype=np.int64), s))) % PRIME
    inputs = [np.vstack(update(problem, one_each, *[nowhere] * s)), np.vstack([nowhere, *auxiliary])]
    if start is not None:
        x = idle + start.reshape(-1, 1)
        g = problem.gradient(x, residual.reshape(-1, 1))
        state = [x, *first_auxiliary(rule, x, g)]
        inputs.append(np.vstack(update(problem, g, *state)) - np.vstack(state))
    C = np.hstack([problem.J, np.zeros((m, (s - 1) * N), dtype=np.int64)])
    return M, np.hstack(inputs) % PRIME, C


def orders(M, inputs, C):
    """Controllable, observable, minimal dimension and dim ker (M - I)."""
    reach, seen = krylov(inputs.T, M.T), krylov(C, M)
    fixed = len(M) - len(row_basis((M - np.eye(len(M), dtype=np.int64)) % PRIME))
    return len(reach), len(seen), len(row_basis(seen @ reach.T % PRIME)), fixed


def krylov(rows, A):
    """A basis of the row space of rows, rows A, rows A², …"""
    basis = row_basis(rows)
    while True:
        longer = row_basis(np.vstack([basis, basis @ A % PRIME]))
        if len(longer) == len(basis):
            return basis
        basis = longer


def row_basis(matrix):
    """The non-zero rows of the reduced echelon form."""
    rest, found = matrix.copy(), 0
    for column in range(rest.shape[1]):
        pivots = found + np.flatnonzero(rest[found:, column])
        if len(pivots):
            rest[[found, pivots[0]]] = rest[[pivots[0], found]]
            rest[found] = rest[found] * pow(int(rest[found, column]), -1, PRIME) % PRIME
            factors = rest[:, column].copy()
            factors[found] = 0
            touched = np.flatnonzero(factors)
            rest[touched] = (rest[touched] - np.outer(factors[touched], rest[found])) % PRIME
            found += 1
    return rest[:found]
