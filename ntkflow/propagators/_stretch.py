"""How far the answers of one chain of vectors reach, and what they lack (T15)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._array import Array, eps
from ..structure import Form
from ._chain import Chain
from ._filter import gain, gain_slope
from ._iterates import Iterates
from ._question import Numbers, next_check

FIRST_LOOK = 22  # vectors, which cost little beside a look at T
AHEAD = 2**14  # iterates that are looked at together
ENOUGH = 1e4  # times eps: what is left out may be as large as rounding, but no larger than that


@dataclass(frozen=True, eq=False)
class Stretch:
    """A space with T's modes, and how far its answers reach."""

    chain: Chain
    flow: bool
    values: Numbers
    vectors: Numbers
    reach: float

    @classmethod
    def of(cls, form: Form, w: Array, horizon: float, flow: bool) -> Stretch:
        """As many vectors as the horizon takes, or as there is room for."""
        chain, reach = Chain(form, w), horizon if flow else min(horizon, AHEAD)
        seen: list[tuple[int, float]] = []
        check = FIRST_LOOK if flow else min(FIRST_LOOK, max(1, int(reach)))
        while True:
            while not chain.complete and chain.m < check:
                chain.extend()
            found = cls(chain, flow, *chain.modes(), reach)
            lacks, allowed, size = (float(part[0]) for part in found._lacking([reach]))
            if lacks <= allowed * size < math.inf:
                return found
            if chain.complete:
                return replace(found, reach=found._farthest())
            seen.append((chain.m, lacks / size if 0.0 < size < math.inf else math.inf))
            check = next_check(seen, allowed)

    @property
    def directions(self) -> Array:
        """The chain's."""
        return self.chain.directions

    @property
    def rate(self) -> float:
        """T's spectral radius."""
        return float(np.max(np.abs(self.values), initial=0.0))

    def at(self, times: list[float]) -> tuple[Numbers, Numbers]:
        """Coefficients of the directions at some times (T, ...), and a bound on what they lack (T,)."""
        modes, beside, lacking = self._modal(np.asarray(times))
        y = modes @ self.vectors.T
        return (np.concatenate([beside[:, None], y], axis=1) if self.chain.after else y), lacking

    def _modal(self, t: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """The same in T's modes (T, m), with the coefficient (T,) of what is beside them."""
        chain, after = self.chain, self.chain.after
        start, end = (chain.size * self.vectors[0, :], self.vectors[-1, :]) if chain.m else (self.values, self.values)
        if self.flow or chain.climbing:  # eᵀy has one sign and grows
            slow = np.maximum(-self.values, 0.0) if self.flow else -self.values
            modes = (gain_slope if after else gain)(t, slow, flow=self.flow) * start
            lacking = t * np.abs(modes @ end)
        else:
            k = (np.maximum(t - 1.0, 0.0) if after else t).astype(int)
            modes = self._iterates.at(k) * start
            last = np.abs(self._iterates.summed(start * end))
            lacking = (np.cumsum(last) - last)[k]
        if not self.flow:  # an iterate takes a vector each
            lacking = np.where(t <= chain.m + int(after), 0.0, lacking)
        at_once = -np.expm1(-t) if self.flow else np.minimum(t, 1.0)
        return modes, chain.beside * at_once, lacking * chain.rest

    @cached_property
    def _iterates(self) -> Iterates:
        return Iterates.of(self.values, int(self.reach))

    def _lacking(self, times: list[float]) -> tuple[Numbers, Numbers, Numbers]:
        """At most; which part of the answers is negligible, being rounding, of what is left out too; their sizes."""
        t = np.asarray(times)
        modes, beside, lacking = self._modal(t)
        sizes = np.sqrt(np.vecdot(modes, modes) + (beside**2 if self.chain.after else 0.0))
        if self.chain.ended:
            lacking = np.zeros_like(t)
        return lacking, eps(self.chain.directions) * (10.0 + np.minimum(self.rate * t, ENOUGH)), sizes

    def _farthest(self) -> float:
        """The latest time at which no more is left out than is negligible, as then there is not before either."""
        times = self.reach * 2.0 ** (-np.arange(60.0) / 2.0)
        times = times if self.flow else np.unique(np.floor(times))
        lacks, allowed, sizes = self._lacking(list(times))
        return float(np.max(times[(lacks <= allowed * sizes) & (sizes < math.inf)], initial=0.0))
