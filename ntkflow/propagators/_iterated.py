"""How far the answers of one Arnoldi space reach, by the iterates of its small matrix (T15)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._array import Array, eps, eye, like, namespace, norm, to_numpy, zeros
from ._arnoldi import Space
from ._balanced import Balanced
from ._poisson import reach, weights
from ._question import BENIGN, FIRST_CHECK, UnconvergedError, next_check

AHEAD = 1e4  # iterations that one space is asked for
LONGEST = 5e4  # iterations of M_θ
DAMPED = 2e-2  # the least θ
HELD = 2**22  # weights at a time


@dataclass(frozen=True, eq=False)
class Iterated:
    """A space, the damping θ of the iterates that a flow is the average of, and how far they reach."""

    space: Space
    size: float
    flow: bool
    theta: float
    reach: float

    @classmethod
    def of(cls, operator: Balanced, w: Array, horizon: float, flow: bool) -> Iterated:
        """As many vectors as the horizon takes, or as there is room for."""
        size, theta, reach = norm(w), 1.0, min(horizon, AHEAD)
        space = Space(operator, w / size if size else w)
        if not flow:
            held = _grow(space, size, int(reach), theta)
            if held < 0:
                raise UnconvergedError("the trajectory overflows")
            return cls(space, size, flow, theta, float(held))
        while theta > DAMPED and reach / theta <= LONGEST:
            last = checked_to(reach / theta)
            held = _grow(space, size, last, theta)
            found = cls(space, size, flow, theta, reach if held == last else theta * _mean(held))
            if held >= 0 and found._averages([found.reach])[2]:
                return found
            theta /= 2.0
        raise UnconvergedError("the terms of the Poisson average cancel")

    @property
    def directions(self) -> Array:
        """An orthonormal basis."""
        return self.space.V[: self.space.m, :]

    @property
    def rate(self) -> float:
        """The size of A on the space, as a root of the mean square."""
        return norm(self.space.H) / self.space.m**0.5

    def at(self, times: list[float]) -> tuple[Array, Array]:
        """Coefficients of the directions at some times (T, m), and what the defects add up to (T,)."""
        if self.flow:
            averages, sums, benign = self._averages(times)
            if not benign:
                raise UnconvergedError("the terms of the Poisson average cancel")
            return averages, sums
        y, sums = self._iterates
        xp = namespace(y)
        chosen = xp.asarray([int(t) for t in times], device=y.device)
        return xp.take(y, chosen, axis=0), xp.take(sums, chosen, axis=0)

    @cached_property
    def _iterates(self) -> tuple[Array, Array]:
        last = reach(self.reach / self.theta) if self.flow else int(self.reach)
        return _summed(self.space, self.size, last, self.theta)

    def _averages(self, times: list[float]) -> tuple[Array, Array, bool]:
        """The same for the flow; whether the iterates do not cancel in their average, nor outgrow its weights."""
        y, sums = self._iterates
        xp, count = namespace(y), y.shape[0]
        norms, found, benign, step = xp.linalg.vector_norm(y, axis=1), [], True, max(1, HELD // count)
        for some in (times[i : i + step] for i in range(0, len(times), step)):
            poisson = [weights(t / self.theta) for t in some]
            P = like(np.stack([p.among(0, count) for p in poisson]), y)
            ends = [float(p.values[-1]) * float(norms[p.last]) for p in poisson]
            average = P @ y
            smallest = xp.linalg.vector_norm(average, axis=1) + float(xp.finfo(y.dtype).smallest_normal)
            lost = xp.any((P @ norms > BENIGN * smallest) | (like(ends, y) > eps(y) * smallest))
            benign = benign and not bool(lost)
            found.append((average, P @ sums))
        averages, totals = zip(*found, strict=True)
        return xp.concat(averages, axis=0), xp.concat(totals), benign


def checked_to(mean: float) -> int:
    """Iterates beyond this one have less than 1e-7 of the weight: what they lack need not be negligible."""
    return int(mean + 5.0 * mean**0.5 + 10.0)


def _mean(last: int) -> float:
    """The largest mean that iterates up to ``last`` do for."""
    return ((25.0 + 4.0 * max(0, last - 10)) ** 0.5 - 5.0) ** 2 / 4.0


def _grow(space: Space, size: float, last: int, theta: float) -> int:
    """Grow the space until the defects up to ``last`` are negligible: up to where they are, −1 for an overflow."""
    seen: list[tuple[int, float]] = []
    check, goal = max(1, min(FIRST_CHECK, last), space.m), 10 * eps(space.V)  # as many vectors as iterates say all
    while True:
        while not space.complete and space.m < check:
            space.extend()
        defect = _seen(space, size, last, theta)
        if not math.isfinite(defect):
            return -1
        if defect <= goal:
            return last
        if space.complete:
            return _farthest(space, size, last, theta, goal)
        seen.append((space.m, defect))
        check = next_check(seen, goal)


def _farthest(space: Space, size: float, last: int, theta: float, goal: float) -> int:
    """The iterate up to which the defects of a full space are negligible."""
    y, sums = _summed(space, size, last, theta)
    largest = np.maximum.accumulate(to_numpy(namespace(y).linalg.vector_norm(y, axis=1)))
    lacking = np.flatnonzero(~(to_numpy(sums) <= goal * largest))
    return int(lacking[0]) - 1 if lacking.size else last


def _seen(space: Space, size: float, last: int, theta: float) -> float:
    """What the defects add up to beside the largest y so far, at most, from y₁, y₂, y₄, …; inf where they overflow."""
    D, total, k, worst = theta * space.H, 0.0, 1, 0.0
    y = theta * size * eye(space.m, D)[:, 0]
    largest = norm(y)
    while k < last:
        before, y, D = float(y[-1]), 2.0 * y + D @ y, D @ D + 2.0 * D
        total, k, largest = total + k * max(abs(before), abs(float(y[-1]))), 2 * k, max(largest, norm(y))
        worst = max(worst, total / largest)
        if not math.isfinite(largest):
            return math.inf
    return theta * space.remainder * worst


def _summed(space: Space, size: float, last: int, theta: float) -> tuple[Array, Array]:
    """y₀ … y_last of M_θ (last + 1, m), by doubling, and the sums of the defects' sizes before each (last + 1,)."""
    D, xp = theta * space.H, namespace(space.H)
    end = theta * size * eye(space.m, D)[:, 0]
    y = zeros((1, space.m), D)
    while y.shape[0] <= last:
        held = y[: min(y.shape[0], last + 1 - y.shape[0]), :]
        y = xp.concat([y, end + held + held @ D.T], axis=0)
        end, D = 2.0 * end + D @ end, D @ D + 2.0 * D
    sizes = theta * space.defect * xp.abs(y[:, -1])
    return y, xp.cumulative_sum(sizes) - sizes
