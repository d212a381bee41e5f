"""Activations φ(h) with their derivatives, on the array API."""

from __future__ import annotations

import math
from collections.abc import Callable

from .._array import Array, erf, namespace

Pair = Callable[[Array], tuple[Array, Array]]


def _sigmoid(h: Array) -> tuple[Array, Array]:
    s = 0.5 * (1.0 + namespace(h).tanh(0.5 * h))  # no overflow for large |h|
    return s, s * (1.0 - s)


def _tanh(h: Array) -> tuple[Array, Array]:
    t = namespace(h).tanh(h)
    return t, 1.0 - t * t


def _relu(h: Array) -> tuple[Array, Array]:
    on = namespace(h).astype(h > 0, h.dtype)
    return h * on, on


def _erf(h: Array) -> tuple[Array, Array]:
    return erf(h), 2.0 / math.sqrt(math.pi) * namespace(h).exp(-h * h)


def _gelu(h: Array) -> tuple[Array, Array]:
    below = 0.5 * (1.0 + erf(h / math.sqrt(2.0)))
    return h * below, below + h * namespace(h).exp(-0.5 * h * h) / math.sqrt(2.0 * math.pi)


ACTIVATIONS: dict[str, Pair] = {"sigmoid": _sigmoid, "tanh": _tanh, "relu": _relu, "erf": _erf, "gelu": _gelu}
