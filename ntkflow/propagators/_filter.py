r"""The one filter behind every answer, g_t(A) w, as a function of y = −z for an eigenvalue z of A.

flow       g_t = (1 − e^{−ty}) / y          (e^{tz} − 1)/z
iteration  g_k = (1 − (1 − y)^k) / y        ((1 + z)^k − 1)/z
both       t at y = 0, and 1/y at t = ∞ where |…| < 1
"""

from __future__ import annotations

import math

from .._array import Array, namespace


def gain(times: Array, y: Array, *, flow: bool) -> Array:
    """g_t at every y ≥ 0 (N,), for finite times (T,): (T, N)."""
    xp, t = namespace(y), times[:, None]
    zero = y == 0
    safe = xp.where(zero, xp.ones_like(y), y)
    part = -xp.expm1(-t * safe) if flow else -_powm1(t, safe)
    return xp.where(zero, t, part / safe)


def limit(y: Array) -> Array:
    """1/y, and ∞ at y = 0: what both filters tend to where |…| < 1."""
    xp = namespace(y)
    zero = y == 0
    return xp.where(zero, xp.full_like(y, math.inf), 1.0 / xp.where(zero, xp.ones_like(y), y))


def gain_slope(times: Array, y: Array, *, flow: bool) -> Array:
    """d(1 − z) = (g(z−1) − g(−1))/z with z = 1 − y: the divided difference of the product form; its limit is g's."""
    xp, t = namespace(y), times[:, None]
    if not flow:  # g_k(z−1) = 1 + z + ... + z^{k−1}, so the difference over z is g_{k−1}
        return gain(xp.clip(times - 1.0, min=0.0), y, flow=False)
    z = 1.0 - y
    far = xp.abs(z) > 0.5
    direct = (gain(times, y, flow=True) + xp.expm1(-t)) / xp.where(far, z, xp.ones_like(z))
    near = xp.where(far, xp.zeros_like(z), z)
    tiny = near == 0
    late = 1.9 * math.log(float(xp.finfo(y.dtype).max))  # e^{late/2} is still a number, and e^{−late/2} already nothing
    early = xp.clip(t, max=late)  # later e^{−t} (e^{tz} − 1)/z is nothing on |z| <= 1/2, and stays so
    tail = xp.where(tiny, early, xp.expm1(early * near) / xp.where(tiny, xp.ones_like(near), near))
    series = (-xp.expm1(-t) - xp.exp(-early) * tail) / (1.0 - near)
    return xp.where(far, direct, series)


def _powm1(k: Array, y: Array) -> Array:
    """(1 − y)^k − 1 for whole k ≥ 0 (T, 1), accurate for small y."""
    xp = namespace(y)
    below = y < 1
    decay = xp.expm1(k * xp.log1p(-xp.where(below, y, xp.zeros_like(y))))
    beyond = xp.where(below, xp.ones_like(y), y - 1.0)
    sign = 1.0 - 2.0 * (k % 2.0)
    return xp.where(below, decay, sign * beyond**k - 1.0)
