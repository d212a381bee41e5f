"""What engines are asked for, and the one way in which they overflow."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

from .._array import Array, finite_slices, namespace, norm

BENIGN = 10.0  # largest tolerated ratio of the terms of a sum to the sum
SEVERAL = 16.0  # several blocks: A is far from normal, and one block integrates what another rounds


@dataclass(frozen=True, eq=False)
class Drive:
    """The vector w that the filter acts on, (blocks, Q, p), and how far rounding may have put it off."""

    w: Array
    noise: float

    @cached_property
    def size(self) -> float:
        """‖w‖."""
        return norm(self.w)

    @property
    def relative_noise(self) -> float:
        """The noise beside ‖w‖."""
        return self.noise / self.size if self.size else 0.0


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

    @cached_property
    def finite(self) -> list[float]:
        """The finite ones, in increasing order."""
        return sorted({t for t in self.values if not math.isinf(t)})

    @cached_property
    def horizon(self) -> float:
        """The largest."""
        return max(self.values, default=0.0)


def rounding(times: Times, sizes: list[float], life: list[float], rate: float, drive: Drive, eps: float) -> list[float]:
    """The usual first-order model: every unit of time that a mode lives, it feels eps·rate of its size.

    ``sizes`` and ``life`` go with ``times.values``; the drive's own noise lives as long.
    """
    order = sorted(range(times.count), key=lambda i: (times.values[i], -sizes[i]))
    top = dict(zip(order, itertools.accumulate((sizes[i] for i in order), max), strict=True))  # the largest so far
    relative = drive.relative_noise
    return [
        top[i] * (8.0 * eps * (1.0 + lived * rate) + relative) + drive.noise * lived for i, lived in enumerate(life)
    ]


def overflow_to_inf(states: Array) -> Array:
    """States that hold an infinity or NaN become infinite as a whole: inf − inf must not show as NaN."""
    xp = namespace(states)
    ok = finite_slices(states)
    if bool(xp.all(ok)):
        return states
    return xp.where(ok[:, None, None, None], states, xp.full_like(states, math.inf))
