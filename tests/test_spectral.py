"""Large factors at long times, where only the slow part takes singular values."""

import mpmath
import numpy as np
import pytest
from libraries import sampled

import ntkflow as nf
from ntkflow.propagators import spectral

Q, P, STEP = 4, 90, 0.5
FAR = [1e2, 1e4, 1e6, 1e8, np.inf]
# Thirty times the table of the accuracy of singular values, as in test_oracles.py; at infinity eps / s_min for the
# rounding of J itself, ten times.
ALLOWED = {1e2: 30 * 8e-15, 1e4: 30 * 2e-14, 1e6: 30 * 1e-12, 1e8: 30 * 5e-12}


def alike(smallest):
    """Agents with one Jacobian U s Vᵀ and residuals of their own, so that every mode is a number."""
    rng = np.random.default_rng(5)
    U, V = (np.linalg.qr(rng.standard_normal((P, P)))[0] for _ in range(2))
    s = np.geomspace(1.0, smallest, P)
    return U, s, V, rng.standard_normal((Q, P))


def exact(rule, W, U, s, V, e, times):
    """Deviations of the flow (T, Q, P), mode by mode in sixty digits."""
    w, X = np.linalg.eigh(W)
    w[np.abs(w - 1.0) < 1e-12] = 1.0
    drive, found = X.T @ e @ U, np.empty((len(times), Q, P))
    with mpmath.workdps(60):
        for place in np.ndindex(Q, P):
            mixing, kappa = mpmath.mpf(float(w[place[0]])), STEP * mpmath.mpf(float(s[place[1]])) ** 2
            z = mixing - kappa - 1 if rule == "dgd" else mixing * (1 - kappa) - 1
            push = -STEP * mpmath.mpf(float(s[place[1]] * drive[place])) * (mixing if rule == "atc" else 1)
            for i, t in enumerate(times):
                found[(i, *place)] = push * (-1 / z if np.isinf(t) else mpmath.expm1(t * z) / z)
    return X @ found @ V.T


@pytest.mark.parametrize("graph", ["path", "complete"])
@pytest.mark.parametrize("rule", ["dgd", "atc", "cta"])
@sampled("smallest", [1e-7, 1e-3], 2)
def test_slow_modes_of_a_large_factor(lib, rule, graph, smallest):
    U, s, V, e = alike(smallest)
    W = nf.weights.metropolis_hastings(getattr(nf.graphs, graph)(Q))
    assert spectral.DIRECT < Q * P
    model = lib.LinearizedModel.from_jacobian(np.stack([(U * s) @ V.T] * Q), e)
    answer = lib.LinearSystem(rule, W, model, STEP, "sum").flow(FAR, "spectral")
    truth = exact(rule, W, U, s, V, e, FAR)
    for t, x, y, bound in zip(FAR, answer.deviation, truth, answer.error_bound, strict=True):
        gap = np.linalg.norm(x - y)
        assert gap <= ALLOWED.get(t, 10 * np.finfo(float).eps / smallest) * np.linalg.norm(y), t
        assert gap <= bound, t
