"""Step by step: the iteration as it stands, and the flow as its Poisson average (T15).

s_flow(t) = E[s_N], N ~ Poisson(t), is exact for every rule.  Where the iteration grows, the weights
cancel; then M_θ = I + θA with times t/θ takes its place, θ halved until the sum is benign.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._array import Array, eps, like, namespace, norm, zeros
from ._balanced import Balanced
from ._question import Drive, Times, UnconvergedError, overflow_to_inf

LONGEST = 50_000  # steps
CHUNK = 256
BENIGN = 10.0  # largest tolerated ratio of the summed terms to the sum
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
        """Rough seconds: interpreter time and one product with Ψ or J a step."""
        return _steps(times) * (8e-5 + operator.cost)

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Stepping:
        """Nothing to prepare."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Array, Array]:
        """g_t(A) w at all times, (T, blocks, Q, p), and an estimate of its rounding, (T,)."""
        theta = 1.0
        while theta > SMALLEST and _steps(times, theta) <= LONGEST:
            states, rounding, benign = self._weighted(times, drive, theta)
            if benign or not times.flow:
                return states, rounding
            theta /= 2.0
        raise UnconvergedError("the terms of the Poisson average cancel")

    def _weighted(self, times: Times, drive: Drive, theta: float) -> tuple[Array, Array, bool]:
        """Σ_k weight(t, k) x_k over the iterates of M_θ, in chunks; times beyond an overflow are infinite."""
        w, xp = drive.w, namespace(drive.w)
        total = zeros((times.count, self.operator.size), w)
        summed, rounded = np.zeros(times.count), np.zeros(times.count)
        reached = -1
        for ks, iterates, sizes, felt in self._chunks(w, int(_steps(times, theta)), theta):
            weights = _weights(times, ks, theta)
            total = total + like(weights, w) @ xp.reshape(iterates, (len(ks), self.operator.size))
            summed, rounded, reached = summed + weights @ sizes, rounded + weights @ felt, ks[-1]
        needed = np.asarray([_steps(Times((t,), times.flow), theta) for t in times.values])
        lost = needed > reached
        states = xp.reshape(total, (times.count, *w.shape))
        sizes = np.asarray([norm(states[i, ...]) for i in range(times.count)])
        benign = not lost.any() and bool(np.all(summed <= BENIGN * sizes + np.finfo(float).tiny))
        infinite = like(np.where(lost, math.inf, 0.0), w)
        mean = np.asarray(times.values) / theta
        error = 8.0 * eps(w) * (summed + rounded) + drive.relative_noise * sizes + drive.noise * mean
        return overflow_to_inf(states + infinite[:, None, None, None]), like(np.where(lost, math.inf, error), w), benign

    def _chunks(self, w: Array, steps: int, theta: float) -> Iterator[tuple[np.ndarray, Array, np.ndarray, np.ndarray]]:
        """Indices k, iterates, their norms and k times the largest norm so far, until an iterate overflows."""
        xp, x, top = namespace(w), w * 0.0, 0.0
        for first in range(0, steps + 1, CHUNK):
            iterates, sizes = [], []
            for _ in range(first, min(first + CHUNK, steps + 1)):
                size = norm(x)
                if not math.isfinite(size):
                    break
                iterates.append(x)
                sizes.append(size)
                x = x + theta * (self.operator.apply(x) + w)
            if not iterates:
                return
            ks = np.arange(first, first + len(iterates))
            highest = np.maximum(np.maximum.accumulate(sizes), top)
            top = highest[-1]
            yield ks, xp.stack(iterates, axis=0), np.asarray(sizes), ks * highest


def _steps(times: Times, theta: float = 1.0) -> float:
    if math.isinf(times.horizon):
        return math.inf
    if not times.flow:
        return int(times.horizon)
    mean = times.horizon / theta
    return int(mean + 10.0 * mean**0.5 + 40.0)  # beyond it the Poisson tail is below 1e-20


def _weights(times: Times, ks: np.ndarray, theta: float) -> np.ndarray:
    """(T, K): which iterate each time picks, or the Poisson probabilities of t/θ."""
    t = np.asarray(times.values)[:, None]
    if not times.flow:
        return (t == ks[None, :]).astype(float)
    from scipy.special import gammaln, xlogy

    mean = t / theta
    return np.exp(xlogy(ks[None, :], mean) - mean - gammaln(ks + 1.0)[None, :])
