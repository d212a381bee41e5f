"""T1 checked: the derived words are the paper's, and the filter on the drive is the trajectory."""

import numpy as np
from scipy.linalg import block_diag, expm

import ntkflow as nf
from ntkflow.notation import eta, theta

ETA, Q, n, P = 0.05, 4, 3, 6
PAPER = {  # eqs. (12a)-(12c): M as {word: coefficient}
    "dgd": {("W",): 1, ("H",): -eta},
    "atc": {("W",): 1, ("W", "H"): -eta},
    "cta": {("W",): 1, ("H", "W"): -eta},
}


def matrices(rng):
    """A random case: 𝓦, Ψ, the gradient at the start, a start that is not a consensus."""
    W = nf.weights.metropolis_hastings(nf.graphs.path(Q))
    J, e = rng.standard_normal((Q, n, P)), rng.standard_normal((Q, n))
    gradient = np.concatenate([J_q.T @ e_q / n for J_q, e_q in zip(J, e, strict=True)])
    Psi = block_diag(*(J_q.T @ J_q / n for J_q in J))
    return W, J, e, np.kron(W, np.eye(P)), Psi, gradient, rng.standard_normal(Q * P)


def check_words():
    """The library's words are the paper's."""
    for name, words in PAPER.items():
        assert nf.algorithms.get(name).words[theta][theta] == words, name


def check_trajectories():
    """A and u of the table, the filter by its definition, against the library."""
    rng = np.random.default_rng(1)
    W, J, e, WW, Psi, g0, start = matrices(rng)
    identity = np.eye(Q * P)
    apart = (WW - identity) @ start
    table = {
        "dgd": (WW - identity - ETA * Psi, -ETA * g0 + apart),
        "atc": (WW - identity - ETA * WW @ Psi, -ETA * WW @ g0 + apart),
        "cta": (WW - identity - ETA * Psi @ WW, -ETA * g0 + (identity - ETA * Psi) @ apart),
    }
    lin = nf.LinearizedModel.from_jacobian(J, e, start=start.reshape(Q, P))
    for name, (A, u) in table.items():
        system = nf.LinearSystem(name, W, lin, ETA)
        augmented = np.block([[A, u[:, None]], [np.zeros((1, Q * P + 1))]])
        flow = expm(30.0 * augmented)[:-1, -1]
        iteration = np.linalg.matrix_power(np.eye(Q * P + 1) + augmented, 30)[:-1, -1]
        # 30 steps of an order-one map: a few dozen roundings
        for found, wanted in ((system.flow(30.0), flow), (system.iterate(30), iteration)):
            assert np.abs(found.deviation.ravel() - wanted).max() < 3e-12 * np.abs(wanted).max(), name


check_words()
check_trajectories()
