"""Every algorithm of the catalogue as a recursion of the agents' stacked parameters, in the form its paper prints.

Nothing here uses ntkflow.  The numbers may be floats or long ones: `long_system` takes a problem's floats as the exact
numbers that they are and has the matrices of the recursion in long arithmetic, read off by applying it to unit vectors.
Two-step recursions go through pairs (x_k, x_{k+1}); the flow, being the Poisson average of the iteration (T15), does
not depend on which state a recursion is written in.  test_long_times.py holds them against the loops of loops.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import oracles


@dataclass(frozen=True)
class Network:
    """W and the average as matrices on the stacked parameters, the gradient H x + h, the step size and parameters."""

    W: Any
    mean: Any
    H: Any
    h: Any
    a: Any
    momentum: Any = None
    local_steps: int = 1
    consensus_steps: int = 1

    def g(self, x):
        """The gradients of all agents at columns x."""
        return self.H @ x + self.h

    def half(self, x):
        """(I + W)/2."""
        return (x + self.W @ x) / 2


def _gd(n, x):
    return (n.mean @ (x - n.a * n.g(x)),)


def _fedavg(n, x):
    for _ in range(n.local_steps):
        x = x - n.a * n.g(x)
    return (n.mean @ x,)


def _dgd(n, x):
    return (n.W @ x - n.a * n.g(x),)


def _atc(n, x):
    return (n.W @ (x - n.a * n.g(x)),)


def _cta(n, x):
    mixed = n.W @ x
    return (mixed - n.a * n.g(mixed),)


def _icdsgd(n, x):
    mixed = x
    for _ in range(n.consensus_steps):
        mixed = n.W @ mixed
    return (mixed - n.a * n.g(x),)


def _cdmsgd(n, x, v):
    v = n.momentum * v - n.a * n.g(x)
    return n.W @ x + v, v


def _cdmsgd_nesterov(n, x, v):
    v = n.momentum * v - n.a * n.g(x + n.momentum * v)
    return n.W @ x + v, v


def _cdmsgd_published(n, x, v):
    v = n.momentum * v - n.a * n.g(x)
    return n.W @ x + n.momentum * v - n.a * n.g(x), v


def _extra(n, old, x):
    return x, x + n.W @ x - n.half(old) - n.a * (n.g(x) - n.g(old))


def _exact_diffusion(n, x, psi):
    adapted = x - n.a * n.g(x)
    return n.half(adapted + x - psi), adapted


def _d2(n, old, x):
    return x, n.W @ (2 * x - old - n.a * (n.g(x) - n.g(old)))


def _nids(n, old, x):
    return x, n.half(2 * x - old - n.a * (n.g(x) - n.g(old)))


def _diging(n, x, y):
    new = n.W @ x - n.a * y
    return new, n.W @ y + n.g(new) - n.g(x)


def _aug_dgm(n, x, y):
    new = n.W @ (x - n.a * y)
    return new, n.W @ (y + n.g(new) - n.g(x))


def _atc_tracking(n, x, y):
    new = n.W @ (x - n.a * y)
    return new, n.W @ y + n.g(new) - n.g(x)


STEP = {
    "gd": _gd, "fedavg": _fedavg, "dgd": _dgd, "cdsgd": _dgd, "atc": _atc, "cta": _cta, "icdsgd": _icdsgd,
    "cdmsgd": _cdmsgd, "cdmsgd_nesterov": _cdmsgd_nesterov, "cdmsgd_published": _cdmsgd_published, "extra": _extra,
    "exact_diffusion": _exact_diffusion, "d2": _d2, "nids": _nids, "diging": _diging, "aug_dgm": _aug_dgm,
    "atc_tracking": _atc_tracking,
}  # fmt: skip
SECOND = {  # what goes with the first parameters: nothing moves yet, the gradient, or the paper's first step
    **dict.fromkeys(("cdmsgd", "cdmsgd_nesterov", "cdmsgd_published"), lambda n, x: 0 * x),
    **dict.fromkeys(("diging", "aug_dgm", "atc_tracking"), Network.g),
    "exact_diffusion": lambda n, x: x,
    "extra": lambda n, x: n.W @ x - n.a * n.g(x),
    "d2": lambda n, x: n.W @ (x - n.a * n.g(x)),
    "nids": lambda n, x: x - n.a * n.g(x),
}


def states(rule, network, start, steps):
    """The parameters after 0 ... ``steps`` updates, from stacked parameters (Q P, 1)."""
    state = _first(rule, network, start)
    yield state[0]
    for _ in range(steps):
        state = STEP[rule](network, *state)
        yield state[0]


def _first(rule, network, start):
    return (start, SECOND[rule](network, start)) if rule in SECOND else (start,)


def network(W, J, e, c, start, step_size, number=float, **parameters):
    """The problem of agents with Jacobians J_q, residuals e_q and factors c_q, in numbers of one kind."""
    Q, P = np.shape(start)
    exact = np.vectorize(number, otypes=[object])
    identity, J = exact(np.eye(P)), [exact(j) for j in J]
    Jt = oracles._block_diagonal([number(c[q]) * J[q] for q in range(Q)], P).T
    start = exact(np.asarray(start).reshape(-1, 1))
    H = Jt @ oracles._block_diagonal(J, P)
    h = Jt @ exact(np.concatenate(e))[:, None] - H @ start
    if "momentum" in parameters:
        parameters["momentum"] = number(parameters["momentum"])
    mean = exact(np.ones((Q, Q))) / Q
    mixing = mean if W is None else exact(W)
    return Network(np.kron(mixing, identity), np.kron(mean, identity), H, h, number(step_size), **parameters), start


def long_system(rule, W, J, e, c, start, step_size, **parameters):
    """ẋ = A x + w from x = 0 for an `oracles.Dense` in long numbers; the first Q P entries are θ − θ(0)."""
    with mpmath.workprec(2 * oracles.BITS):
        problem, x = network(W, J, e, c, start, step_size, mpmath.mpf, **parameters)
        state = _first(rule, problem, x)
        drive = np.concatenate(STEP[rule](problem, *state)) - np.concatenate(state)
        blocks, N = len(state), len(drive)
        identity = np.vectorize(mpmath.mpf, otypes=[object])(np.eye(N))
        zero = 0 * identity
        linear = [np.concatenate(STEP[rule](problem, *np.split(s, blocks))) for s in (identity, zero)]
        return oracles.Dense(linear[0] - linear[1] - identity, None, None, drive[:, 0], zero[0])
