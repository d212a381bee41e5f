r"""Closed form on a Krylov space of a symmetric map: DGD, ATC, CTA and every rule of their shape, matrix-free.

A V = V T + v eᵀ with T tridiagonal, from three terms; M = V S or S V is symmetric in ⟨x, y⟩ = xᵀ S y.  The answers are
V y(t), y(t) = g_t(T) ‖w‖ e₁ by T's eigenvalues.  What is left out is ‖v‖ (eᵀ y) a moment, which for the flow is of one
sign and grows, so that ‖v‖ t eᵀ y(t) is a bound, however large the step size; for the iteration ‖v‖ Σ_{i<k} |eᵀ y_i|
(T15).  Nothing is orthogonalised again: the relation holds without.  Where the space is full, the next one starts from
as far as it reaches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .._array import Array, eps, like, namespace, to_numpy, zeros
from .._path import Path
from ..operator import CACHED
from ..structure import DEFINITE, Form
from ._balanced import FORMED, Balanced
from ._chain import LARGEST, Chain
from ._filter import gain, gain_slope
from ._question import Drive, Numbers, Times, UnconvergedError, next_check, rounding

FAR = 1e5  # iterations
FIRST_CHECK = 16
AHEAD, AT_ONCE = 2**14, 2**15  # iterates that are looked at together, and numbers in them that stay in cache
REACH = 3.3e3  # of a full space, in iterations, on a thousand states
STRETCHES = 1000.0  # the most

WIDEST = (1.0 - DEFINITE) ** -0.5  # a vector that S gives the length 1 is no longer


@dataclass(frozen=True, eq=False)
class Lanczos:
    """Matrix-free; one space for all times, or one after the other."""

    operator: Balanced

    name = "lanczos"
    needs = f"a rule whose map is symmetric, or a product of which one order is; a symmetric W; times up to {FAR:,.0f}"

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Whether the rule's words have the structure."""
        factors = operator.factors
        return times.horizon <= FAR and factors is not None and factors.form(operator.operator.hessian) is not None

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds: as many vectors as a spectrum in [−2, 0] takes, fewer where N is small; a few looks at T."""
        last, N = min(times.horizon, FAR), operator.size
        spaces = 1.0 + last / min(REACH * max(1.0, (1e3 / N) ** 2), math.inf if times.flow else AHEAD)
        m = min(FIRST_CHECK + 4.0 * math.sqrt(last), LARGEST, 10.0 + 0.6 * N, math.inf if times.flow else 1.0 + last)
        product = 1.3e-10 * N * N if N <= FORMED else operator.cost + N * (2.5e-9 if N < CACHED else 6e-9)
        looks = 2e-4 + 6e-10 * m**3 + (0.0 if times.flow else 4e-9 * m * min(last, AHEAD))
        return 4e-4 + spaces * (m * (6e-6 + product) + looks) + 2e-8 * m * times.count

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Lanczos:
        """The space depends on the drive: nothing to prepare."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """g_t(A) w at all times, and a bound on the defects with an estimate of rounding, (T,)."""
        w, form = drive.w, _form(self.operator)
        if form is None:
            raise TypeError("the rule has no symmetric form; ask accepts first")
        if drive.size == 0.0:
            return Path(zeros((times.count, *w.shape), w)), zeros((times.count,), w)
        xp = namespace(w)
        flat = xp.reshape(w, (-1,))
        first = Stretch.of(form, flat, times.horizon, times.flow)
        if first.reach >= times.horizon:
            y, lacking = first.at(list(times.values))
            path = Path(xp.reshape(first.chain.directions, (-1, *w.shape)), like(y, w))
            sizes = (WIDEST if form.S else 1.0) * np.linalg.norm(y, axis=1)
        else:
            states, lacking = _onwards(form, first, times, flat)
            sizes = to_numpy(xp.linalg.vector_norm(states, axis=1))
            path = Path(xp.reshape(states, (-1, *w.shape)))
        error = rounding(times, sizes, np.asarray(times.values), first.fastest, drive, 2.0 * eps(w))
        return path, like(error + lacking, w)


def _form(operator: Balanced) -> Form | None:
    factors = operator.factors
    form = None if factors is None else factors.form(operator.operator.hessian)
    small = form is not None and form.S is None and operator.size <= FORMED
    return Form(operator.along) if small else form


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
            lacks, allowed = found._lacking(found._halvings())
            if np.all(lacks <= allowed):
                return found
            if chain.complete:
                return replace(found, reach=found._farthest())
            seen.append((chain.m, float(np.max(lacks))))
            check = next_check(seen, float(allowed[0]))

    @property
    def fastest(self) -> float:
        """The largest rate, T's spectral radius."""
        return float(np.max(np.abs(self.values), initial=0.0))

    def at(self, times: list[float]) -> tuple[Numbers, Numbers]:
        """Coefficients of the chain's directions at some times (T, ...), and a bound on what they lack (T,)."""
        t, after = np.asarray(times), self.chain.after
        start, end = self.chain.size * self.vectors[:1, :].sum(axis=0), self.vectors[-1:, :].sum(axis=0)
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
        return lacking, eps(self.chain.directions) * (10.0 + self.fastest * np.asarray(times))

    def _halvings(self) -> list[float]:
        """The last time, and those before it where something may have grown since."""
        if self.flow:
            return [self.reach]
        return list(np.unique(np.floor(self.reach * 2.0 ** -np.arange(1.0 + math.log2(max(1.0, self.reach))))))[::-1]

    def _farthest(self) -> float:
        """The latest time at which no more is left out than is negligible."""
        times = self.reach * 2.0 ** (-np.arange(60.0) / 2.0)
        times = times if self.flow else np.unique(np.floor(times))
        lacks, allowed = self._lacking(list(times))
        return float(np.max(times[lacks <= allowed], initial=0.0))


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


def _onwards(form: Form, stretch: Stretch, times: Times, w: Array) -> tuple[Array, Numbers]:
    """States (T, N) where one space does not reach all times: the next starts where it ends, with the speed there."""
    states, lacking = zeros((times.count, w.shape[0]), w), np.zeros(times.count)
    begun, lacked, x = 0.0, 0.0, states[0, :]
    waiting = sorted(range(times.count), key=lambda i: -times.values[i])
    while True:
        end = begun + stretch.reach
        if end < times.horizon and stretch.reach < times.horizon / STRETCHES:
            raise UnconvergedError(f"{stretch.chain.m} vectors reach {stretch.reach:.3g} iterations")
        here = [waiting.pop() for _ in range(len(waiting)) if times.values[waiting[-1]] <= end]
        y, more = stretch.at([times.values[i] - begun for i in here] + [stretch.reach])
        moved = like(y, w) @ stretch.chain.directions
        for row, i in enumerate(here):
            states[i, :], lacking[i] = x + moved[row, :], lacked + more[row]
        if not waiting:
            return states, lacking
        begun, lacked, x = end, lacked + float(more[-1]), x + moved[-1, :]
        stretch = Stretch.of(form, w + form.A(x), times.horizon - begun, times.flow)
