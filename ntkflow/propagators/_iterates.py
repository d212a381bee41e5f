"""The filter of the iteration, g_k = Σ_{i<k} (1 + λ)ⁱ, for every k up to a last one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._question import Numbers

AT_ONCE = 2**15  # numbers that stay in cache


@dataclass(frozen=True, eq=False)
class Iterates:
    """g_k(λ) = Σ_{i<k} (1 + λ)ⁱ for all k = j n + i up to some last one, as g_{jn} + (1 + λ)^{jn} g_i."""

    few: Numbers  # g_i, (n, m)
    far: Numbers  # g_{jn}, (J, m)
    powers: Numbers  # (1 + λ)^{jn}, (J, m)

    @classmethod
    def of(cls, values: Numbers, last: int) -> Iterates:
        """All of them where they are not many, else as many far ones as few."""
        n = (last if last * len(values) <= AT_ONCE else math.isqrt(last)) + 1
        few = _geometric(1.0 + values, n + 1)
        ratio = 1.0 + values * few[n]
        sums = _geometric(ratio, last // n + 1)
        return cls(few[:n], few[n] * sums, 1.0 + (ratio - 1.0) * sums)

    def at(self, k: npt.NDArray[np.int_]) -> Numbers:
        """(T, m)."""
        j, i = np.divmod(k, len(self.few))
        return self.far[j] + self.powers[j] * self.few[i]

    def summed(self, weights: Numbers) -> Numbers:
        """Σ_λ of all of them, weighted by ``weights`` (m,): (J n,)."""
        return ((self.far @ weights)[:, None] + (self.powers * weights) @ self.few.T).ravel()


def _geometric(ratio: Numbers, count: int) -> Numbers:
    """Σ_{i<j} ratioⁱ for j < ``count``, (count, m), by doubling."""
    sums, n, end = np.zeros((count, len(ratio))), 1, np.ones_like(ratio)
    while n < count:
        some = sums[n : 2 * n]
        np.multiply(sums[: len(some)], ratio, out=some)
        some += end
        n, end, ratio = 2 * n, end + ratio * end, ratio * ratio
    return sums
