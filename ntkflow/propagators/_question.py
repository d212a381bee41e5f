"""What engines are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .._array import Array, namespace, norm

Numbers = npt.NDArray[np.float64]
FIRST_CHECK = 16  # Krylov vectors
BENIGN = 10.0  # largest tolerated ratio of the terms of a sum to the sum
SEVERAL = 16.0  # several blocks: A is far from normal, and one block integrates what another rounds


@dataclass(frozen=True, eq=False)
class Drive:
    """The vector w that the filter acts on, (blocks, Q, p), and how far rounding may have put it off."""

    w: Array
    noise: float

    @cached_property
    def top(self) -> float:
        """The largest entry, without its sign."""
        xp = namespace(self.w)
        return float(xp.max(xp.abs(self.w)))

    @cached_property
    def size(self) -> float:
        """‖w‖, 0 for nothing but zeros."""
        return self.top * norm(self.w / self.top) if 0.0 < self.top < math.inf else self.top

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


def next_check(seen: list[tuple[int, float]], goal: float) -> int:
    """How many vectors to look at next, from how many left which relative defect: these fall like exp(−c m^p).

    p is between 1 and 2; 1.8 is a first guess.
    """
    m, defect = seen[-1]
    most = 3 * m if defect < 0.1 else m + m // 2 + 1
    if not 0.0 < goal < defect < 1.0:
        return most
    gone, before, p = -math.log(defect), [(k, -math.log(d)) for k, d in seen[:-1] if defect < d < 1.0], 1.8
    if before:
        k, less = before[-1]
        p = min(2.0, max(1.0, math.log(gone / less) / math.log(m / k)))
    return min(most, 2 + math.ceil(m * (-math.log(goal) / gone) ** (1.0 / p)))  # looking costs as much as a few vectors


def rounding(times: Times, sizes: Numbers, life: Numbers, rate: float, drive: Drive, eps: float) -> Numbers:
    """The usual first-order model: every unit of time that a mode lives, it feels eps·rate of its size.

    ``sizes`` and ``life`` go with ``times.values``; the drive's own noise lives as long.
    """
    order = np.lexsort(np.stack([-sizes, np.asarray(times.values)]))
    top = np.empty(times.count)
    top[order] = np.maximum.accumulate(sizes[order])  # the largest so far
    return top * (8.0 * eps * (1.0 + life * rate) + drive.relative_noise) + drive.noise * life
