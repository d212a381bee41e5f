"""What engines are asked for, and the one way in which they overflow."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import Array, namespace


class UnconvergedError(Exception):
    """An engine met its limit; the next one is asked."""


@dataclass(frozen=True)
class Times:
    """The times of one question, in iterations, in any order; ``flow`` or iteration."""

    values: tuple[float, ...]
    flow: bool

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def finite(self) -> list[float]:
        """The finite ones, in increasing order."""
        return sorted({t for t in self.values if not math.isinf(t)})

    @property
    def horizon(self) -> float:
        """The largest."""
        return max(self.values, default=0.0)


def overflow_to_inf(states: Array) -> Array:
    """States that hold an infinity or NaN become infinite as a whole: inf − inf must not show as NaN."""
    xp = namespace(states)
    ok = xp.all(xp.isfinite(xp.reshape(states, (states.shape[0], -1))), axis=1)
    return xp.where(ok[:, None, None, None], states, xp.full_like(states, math.inf))
