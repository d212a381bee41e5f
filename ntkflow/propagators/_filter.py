r"""The one filter behind every answer, g_t(A) w, as a function of y = −z for an eigenvalue z of A.

flow       g_t = (1 − e^{−ty}) / y          (e^{tz} − 1)/z
iteration  g_k = (1 − (1 − y)^k) / y        ((1 + z)^k − 1)/z
both       t at y = 0, and 1/y at t = ∞ where |…| < 1
"""

from __future__ import annotations

import math

from .._array import Array, namespace

LATE = 1400.0  # e^{t/2} is still a number at this time, and e^{−t/2} already nothing


def gain(time: float, y: Array, *, flow: bool) -> Array:
    """g_t at every y ≥ 0, for one time; t may be infinite where the mode has a limit."""
    xp = namespace(y)
    zero = y == 0
    safe = xp.where(zero, xp.ones_like(y), y)
    if math.isinf(time):
        return xp.where(zero, xp.full_like(y, math.inf), 1.0 / safe)
    part = -_expm1(time, safe) if flow else -_powm1(time, safe)
    return xp.where(zero, xp.full_like(y, time), part / safe)


def gain_slope(time: float, y: Array, *, flow: bool) -> Array:
    """d(1 − z) = (g(z−1) − g(−1))/z with z = 1 − y: the divided difference of the product form."""
    xp = namespace(y)
    if math.isinf(time):
        return gain(time, y, flow=flow)
    if not flow:  # g_k(z−1) = 1 + z + ... + z^{k−1}, so the difference over z is g_{k−1}
        return gain(max(time - 1.0, 0.0), y, flow=False)
    z = 1.0 - y
    far = xp.abs(z) > 0.5
    away = xp.where(far, z, xp.ones_like(z))
    direct = (gain(time, y, flow=True) + math.expm1(-time)) / away
    near = xp.where(far, xp.zeros_like(z), z)
    tiny = near == 0
    divisor = xp.where(tiny, xp.ones_like(near), near)
    if time > LATE:  # e^{−t} (e^{tz} − 1)/z is below e^{−t/2} on |z| <= 1/2
        tail = xp.zeros_like(near)
    else:
        tail = math.exp(-time) * xp.where(tiny, xp.full_like(near, time), xp.expm1(time * near) / divisor)
    series = (-math.expm1(-time) - tail) / (1.0 - near)
    return xp.where(far, direct, series)


def _expm1(time: float, y: Array) -> Array:
    return namespace(y).expm1(-time * y)


def _powm1(k: float, y: Array) -> Array:
    """(1 − y)^k − 1 for whole k ≥ 0, accurate for small y."""
    xp = namespace(y)
    if k == 0:
        return xp.zeros_like(y)
    below = y < 1
    decay = xp.expm1(k * xp.log1p(-xp.where(below, y, xp.zeros_like(y))))
    beyond = xp.where(below, xp.ones_like(y), y - 1.0)
    sign = -1.0 if k % 2 else 1.0
    return xp.where(below, decay, sign * beyond**k - 1.0)
