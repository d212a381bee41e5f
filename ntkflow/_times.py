"""Times as users give them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sized
from numbers import Real
from typing import Any

import numpy as np

from .errors import refuse, require, require_memory


def times_given(name: str, given: Any) -> tuple[float, ...]:
    """Non-negative times as Python floats; a scalar is one time."""
    if isinstance(given, str | bytes):
        refuse(name, "numbers", repr(given))
    if getattr(given, "ndim", 0) > 1:
        refuse(name, "a number or a one-dimensional sequence", f"shape {tuple(given.shape)}")
    if _is_sequence(given) and isinstance(given, Sized):
        require_memory(name, 16.0 * len(given), "ask for fewer, such as every hundredth")  # a Python float is no double
    numbers = _numbers(given)
    if any(t is None for t in numbers):
        refuse(name, "a number or a one-dimensional sequence of numbers", " ".join(repr(given).split())[:60])
    values = [t for t in numbers if t is not None]
    require(bool(values), name, "at least one", "none")
    bad = [t for t in values if math.isnan(t) or t < 0]
    require(not bad, name, "numbers >= 0 (inf allowed)", bad[:3])
    return tuple(values)


def _is_sequence(given: Any) -> bool:
    return given.ndim == 1 if hasattr(given, "ndim") else isinstance(given, Iterable)


def _numbers(given: Any) -> list[float | None]:
    if isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype.kind in "iuf":
        return [*map(float, given.tolist())]  # at once
    return [_number(t) for t in (_items(given) if _is_sequence(given) else [given])]


def _items(given: Any) -> list[Any]:
    return [given[i] for i in range(given.shape[0])] if hasattr(given, "shape") else list(given)


def _number(t: Any) -> float | None:
    """A real scalar, of Python or of an array library, as a float; None for anything else."""
    kind = getattr(getattr(t, "dtype", None), "kind", None)  # of NumPy's and CuPy's types
    real = (hasattr(t, "dtype") and kind in (None, "i", "u", "f")) or isinstance(t, Real)
    try:
        return float(t) if real else None
    except (TypeError, ValueError):
        return None
