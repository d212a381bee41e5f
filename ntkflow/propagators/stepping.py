"""Step by step: the iteration as it stands, and the flow as its Poisson average (T15).

s_flow(t) = E[s_N], N ~ Poisson(t), is exact for every rule.  Where the iteration grows, the weights
cancel; then M_θ = I + θA with times t/θ takes its place, θ halved until the sum is benign.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._array import Array, eps, like, namespace, norm, zeros
from .._path import Path
from ._balanced import Balanced
from ._poisson import reach, weights
from ._question import BENIGN, SEVERAL, Drive, Times, UnconvergedError

LONGEST = 50_000  # steps
CHUNK, HELD = 256, 2**22  # iterates that are summed at a time, and numbers in them
SMALLEST = 2e-3  # the most that the iteration is damped


@dataclass(frozen=True, eq=False)
class Stepping:
    """Matrix-free; any rule, short horizons."""

    operator: Balanced

    name = "stepping"
    needs = f"times up to about {LONGEST:,}"

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Any rule, when the horizon is short."""
        return _steps(times) <= LONGEST

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds: a product with Ψ or J a step."""
        return 4e-4 + _steps(times) * (4e-6 + operator.cost)

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Stepping:
        """Nothing to prepare."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """g_t(A) w at all times, (T, blocks, Q, p), and an estimate of its rounding, (T,)."""
        if not times.flow:
            return self._picked(times, drive)
        theta = 1.0
        while theta > SMALLEST and _steps(times, theta) <= LONGEST:
            states, rounding, benign = self._weighted(times, drive, theta)
            if benign:
                return states, rounding
            theta /= 2.0
        raise UnconvergedError("the terms of the Poisson average cancel")

    def _picked(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """The iterates asked for, one after the other; those beyond an overflow are infinite."""
        w, unit = drive.w, self._unit
        states, error = zeros((times.count, *w.shape), w), np.full(times.count, math.inf)
        places: dict[int, list[int]] = {}
        for i, t in enumerate(times.values):
            places.setdefault(int(t), []).append(i)
        for k, x, size, felt in self._iterates(w, int(_steps(times)), 1.0):
            for i in places.get(k, ()):
                states[i, ...] = x
                error[i] = unit * (size + felt) + drive.relative_noise * size + drive.noise * k
        for beyond in np.flatnonzero(np.isinf(error)):
            states[int(beyond), ...] = math.inf
        return Path(states), like(error, w)

    def _weighted(self, times: Times, drive: Drive, theta: float) -> tuple[Path, Array, bool]:
        """Σ_k weight(t, k) x_k over the iterates of M_θ, in chunks; times beyond an overflow are infinite."""
        w, xp = drive.w, namespace(drive.w)
        total = zeros((times.count, self.operator.size), w)
        summed, rounded, ends = np.zeros((3, times.count))
        needed = [weights(t / theta) for t in times.values]
        last = np.asarray([found.last for found in needed])
        reached, iterates = -1, self._iterates(w, int(_steps(times, theta)), theta)
        while chunk := list(itertools.islice(iterates, max(1, min(CHUNK, HELD // self.operator.size)))):
            ks, held, sizes, felt = zip(*chunk, strict=True)
            p = np.stack([found.among(ks[0], len(ks)) for found in needed])
            total += like(p, w) @ xp.reshape(xp.stack(held, axis=0), (len(ks), self.operator.size))
            summed, rounded, reached = summed + p @ sizes, rounded + p @ felt, ks[-1]
            ends = ends + np.where(last[:, None] == np.asarray(ks)[None, :], p, 0.0) @ sizes
        lost = last > reached
        states = xp.reshape(total, (times.count, *w.shape))
        found = np.asarray([norm(states[i, ...]) for i in range(times.count)])
        least = found + np.finfo(float).tiny
        benign = not lost.any() and bool(np.all((summed <= BENIGN * least) & (ends <= eps(w) * least)))
        infinite = like(np.where(lost, math.inf, 0.0), w)
        mean = np.asarray(times.values) / theta
        error = self._unit * (summed + rounded) + drive.relative_noise * found + drive.noise * mean
        return Path(states + infinite[:, None, None, None]), like(np.where(lost, math.inf, error), w), benign

    @property
    def _unit(self) -> float:
        """What a state of size one is rounded by in a step."""
        return 8.0 * eps(self.operator.units) * (1.0 if self.operator.shape[0] == 1 else SEVERAL)

    def _iterates(self, w: Array, steps: int, theta: float) -> Iterator[tuple[int, Array, float, float]]:
        """Index k, iterate, its norm and k times the largest norm so far, until an iterate overflows."""
        x, top, push = w * 0.0, 0.0, theta * w
        for k in range(steps + 1):
            size = norm(x)
            if not math.isfinite(size):
                return
            top = max(top, size)
            yield k, x, size, k * top
            x = (self.operator.image(x) if theta == 1.0 else x + theta * self.operator.apply(x)) + push


def _steps(times: Times, theta: float = 1.0) -> float:
    if math.isinf(times.horizon):
        return math.inf
    if not times.flow:
        return int(times.horizon)
    return reach(times.horizon / theta)
