"""The filters behind every answer, t φ₁(−ty) and its like for iterations, against sixty digits."""

import math

import mpmath
import numpy as np
import pytest
from conftest import to_numpy

from ntkflow.propagators._filter import gain, gain_slope, limit

EPS = 2.0**-52
RATES = [0.0, 1e-300, 1e-18, 1e-9, 0.3, 0.5, 0.999999, 1.0, 1.25, 1.5, 1.9999999, 2.0]
TIMES = [0.0, 1.0, 2.0, 7.0, 300.0, 1e6, 1e15]
both_modes = pytest.mark.parametrize("flow", [True, False], ids=["flow", "iteration"])


def exact_gain(t, y, flow):
    """(1 − e^{−ty})/y, or (1 − (1 − y)^k)/y; t at y = 0."""
    t, y = mpmath.mpf(t), mpmath.mpf(y)
    if y == 0 or t == 0:
        return t
    return (1 - (mpmath.exp(-t * y) if flow else (1 - y) ** int(t))) / y


def exact_slope(t, y, flow):
    """(g(z − 1) − g(−1))/z at z = 1 − y, and its limit at z = 0."""
    z = 1 - mpmath.mpf(y)
    at = z if z else mpmath.mpf(10) ** -25
    return (exact_gain(t, 1 - at, flow) - exact_gain(t, 1, flow)) / at


def tried(xp, function, exact, flow):
    """What a filter finds (T, N), and what it should."""
    with mpmath.workdps(400):  # 1 − e^{−ty} at ty = 1e-300
        expected = np.array([[float(exact(t, y, flow)) for y in RATES] for t in TIMES])
    return to_numpy(function(xp.asarray(TIMES), xp.asarray(RATES), flow=flow)), expected


@both_modes
def test_gains(xp, flow):
    """To full relative accuracy, however slow the mode; of an iteration that flips, beside its largest value, 1."""
    found, expected = tried(xp, gain, exact_gain, flow)
    scale = abs(expected) if flow else np.maximum(abs(expected), np.array(RATES) > 1)
    np.testing.assert_array_less(abs(found - expected), 4 * EPS * scale + 1e-320)


@both_modes
def test_slopes(xp, flow):
    """A difference over z: rounded like the two that it is made of, and twice that where z is one half."""
    found, expected = tried(xp, gain_slope, exact_slope, flow)
    parts, _ = tried(np, lambda t, y, flow: gain(t, y, flow=flow) + gain(t, np.ones(1), flow=flow), exact_gain, flow)
    z = np.maximum(abs(1 - np.array(RATES)), 0.5)
    np.testing.assert_array_less(abs(found - expected), 8 * EPS * parts / z + 1e-320)


def test_limits(xp):
    np.testing.assert_allclose(to_numpy(limit(xp.asarray(RATES))), [1 / y if y else math.inf for y in RATES], rtol=EPS)


def test_single_precision_stays_single(xp):
    times, rates = xp.asarray([3.0], dtype=xp.float32), xp.asarray([0.0, 0.5], dtype=xp.float32)
    for function in (gain, gain_slope):
        assert function(times, rates, flow=True).dtype == xp.float32
    assert limit(rates).dtype == xp.float32
