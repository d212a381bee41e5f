"""The filter of the iteration, g_k = Σ_{i<k} (1 + λ)ⁱ, for every k up to a last one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._question import Numbers


@dataclass(frozen=True, eq=False)
class Iterates:
    """g_k(λ) = Σ_{i<k} (1 + λ)ⁱ for all k = j n + i up to some last one, as g_{jn} + (1 + λ)^{jn} g_i."""

    few: Numbers  # g_i, (n, m)
    far: Numbers  # g_{jn}, (J, m)
    powers: Numbers  # (1 + λ)^{jn}, (J, m)

    @classmethod
    def of(cls, values: Numbers, last: int) -> Iterates:
        """As many far ones as few."""
        n = math.isqrt(last) + 1
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
    """Σ_{i<j} ratioⁱ for j < ``count``, (count, m)."""
    sums = np.zeros((count, len(ratio)))
    powers = sums[1:]
    powers[:1], powers[1:] = 1.0, ratio
    np.multiply.accumulate(powers, axis=0, out=powers)
    np.add.accumulate(powers, axis=0, out=powers)
    return sums
