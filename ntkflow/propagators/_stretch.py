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
from ._question import FIRST_CHECK, Numbers, next_check

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
        check = FIRST_CHECK if flow else min(FIRST_CHECK, max(1, int(reach)))
        while True:
            while not chain.complete and chain.m < check:
                chain.extend()
            found = cls(chain, flow, *chain.modes(), reach)
            lacks, allowed = (float(part[0]) for part in found._lacking([reach]))
            if lacks <= allowed:
                return found
            if chain.complete:
                return replace(found, reach=found._farthest())
            seen.append((chain.m, lacks))
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
        t, after = np.asarray(times), self.chain.after
        first, end = (self.vectors[rows, :].sum(axis=0) for rows in (slice(0, 1), slice(-1, None)))  # of none: zero
        start = self.chain.size * first
        if self.flow:
            gains = (gain_slope if after else gain)(t, np.maximum(-self.values, 0.0), flow=True)
            y = (gains * start) @ self.vectors.T
            lacking = t * np.abs((gains * start) @ end)
        else:
            k = np.maximum(t - 1, 0).astype(int) if after else t.astype(int)
            y = (self._iterates.at(k) * start) @ self.vectors.T
            last = np.abs(self._iterates.summed(start * end))
            lacking = (np.cumsum(last) - last)[k]
        if after:
            at_once = -np.expm1(-t) if self.flow else np.minimum(t, 1.0)
            y = np.concatenate([self.chain.beside * at_once[:, None], y], axis=1)
        return y, lacking * self.chain.rest

    @cached_property
    def _iterates(self) -> Iterates:
        return Iterates.of(self.values, int(self.reach))

    def _lacking(self, times: list[float]) -> tuple[Numbers, Numbers]:
        """Relative to the answers, and how much is negligible: rounding, of what is left out too."""
        y, lacking = self.at(times)
        if self.chain.ended or (not self.flow and max(times) <= self.chain.m):
            lacking = np.zeros_like(lacking)
        sizes = np.maximum(np.linalg.norm(y, axis=1), np.finfo(float).tiny)
        lacking = np.where(np.isfinite(sizes), lacking / sizes, math.inf)
        return lacking, eps(self.chain.directions) * (10.0 + np.minimum(self.rate * np.asarray(times), ENOUGH))

    def _farthest(self) -> float:
        """The latest time at which no more is left out than is negligible, as then there is not before either."""
        times = self.reach * 2.0 ** (-np.arange(60.0) / 2.0)
        times = times if self.flow else np.unique(np.floor(times))
        lacks, allowed = self._lacking(list(times))
        return float(np.max(times[lacks <= allowed], initial=0.0))
