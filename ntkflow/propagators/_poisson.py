"""The flow as the Poisson average of the iteration (T15): s_flow(t) = E[s_N], N ~ Poisson(t)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WIDTH = 10.0  # standard deviations on either side, beyond which less than 1e-20 is left


@dataclass(frozen=True, eq=False)
class Weights:
    """P(N = first), P(N = first + 1), …"""

    first: int
    values: npt.NDArray[np.float64]

    @property
    def last(self) -> int:
        """The largest N that counts."""
        return self.first + len(self.values) - 1

    def among(self, first: int, count: int) -> npt.NDArray[np.float64]:
        """P(N = first), …, ``count`` of them."""
        found = np.zeros(count)
        low, high = max(self.first, first), min(self.last + 1, first + count)
        if low < high:
            found[low - first : high - first] = self.values[low - self.first : high - self.first]
        return found


def reach(mean: float) -> int:
    """The largest N that counts."""
    return int(mean + WIDTH * mean**0.5 + 40.0)


def weights(mean: float) -> Weights:
    """The distribution by its ratios, mean/k, so that no logarithm of a large number is rounded."""
    first = max(0, int(mean - WIDTH * mean**0.5 - 40.0))
    ratios = mean / np.arange(first + 1, reach(mean) + 1)
    values = np.cumprod(np.concatenate([np.ones(1), ratios]))
    return Weights(first, values / values.sum())
