"""From inequalities to step sizes: on one mode, on a spectrum, on every spectrum with a given smallest eigenvalue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy

from ..notation import eta
from ._answers import Bound, Conditions
from ._crossing import Crossing
from ._envelope import Segment, worst
from ._signs import UndecidedError
from ._symbols import kappa, kappa_max, lam, lam_min


@dataclass(frozen=True)
class StepSizes:
    """The step sizes that satisfy the conditions; every answer is exact or an UndecidedError."""

    conditions: Conditions

    def limit(self) -> sympy.Expr:
        """The first η at which the disagreement (λ, κ) fails."""
        if self._by_product:
            return self._crossings[0].piecewise(1 / kappa)
        return Crossing(self.conditions.disagreement).piecewise(sympy.S.One)

    def bound_between(self, smallest: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> Bound:
        """On graphs whose λ_min is ``smallest``, somewhere in [low, high]."""
        live = [s for s in self._segments if s.low <= high and s.high > low]
        values = [_tidy(s.value.subs(lam, smallest) / kappa_max) for s in live]
        cases = zip(values, [*(lam_min < s.high for s in live[:-1]), True], strict=True)
        return Bound(sympy.Piecewise(*cases), smallest, all(s.exact for s in live))

    def bound_on(self, eigenvalues: Sequence[sympy.Expr]) -> Bound:
        """On a graph with these eigenvalues, the largest, 1, first."""
        apart, together = self._crossings
        if any(c.free_symbols - {eta, lam} for c in (*apart.conditions, *together.conditions)):
            return self.bound_between(eigenvalues[-1], eigenvalues[-1], eigenvalues[-1])  # formulas cannot be sorted
        limits = [together.at(sympy.S.One), *(apart.at(value) for value in eigenvalues[1:])]
        return Bound(_tidy(min(limits, key=sympy.N) / kappa_max), eigenvalues[-1], exact=True)

    @cached_property
    def _by_product(self) -> bool:
        """Whether η and κ enter by their product only; a bound for κ_max then holds for every smaller κ."""
        parts = self.conditions.disagreement, self.conditions.consensus
        return not any(_in_units(c).has(kappa) for part in parts for c in part)

    @cached_property
    def _crossings(self) -> tuple[Crossing, Crossing]:
        """On the disagreements and on the consensus, in units of 1/κ."""
        if not self._by_product:
            raise UndecidedError("kappa enters by more than the product eta*kappa")
        parts = self.conditions.disagreement, self.conditions.consensus
        apart, together = (Crossing(tuple(_in_units(c) for c in part)) for part in parts)
        return apart, together

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        apart, together = self._crossings
        return worst(apart.cells, together.at(sympy.S.One))


def _in_units(condition: sympy.Expr) -> sympy.Expr:
    return sympy.factor(condition.subs(eta, eta / kappa))


def _tidy(expr: sympy.Expr) -> sympy.Expr:
    """Factors, with 2 − cos rather than −(cos − 2)."""
    number, rest = sympy.factor(expr).as_coeff_Mul()
    bases = [f.as_base_exp() for f in sympy.Mul.make_args(rest)]
    turned = [(b, p) for b, p in bases if b.is_Add and b.has(sympy.cos) and b.as_coeff_Add()[0] < 0]
    if number * math.prod((-1) ** p for _, p in turned) < 0:
        turned = turned[:-1]
    for base, power in turned:
        number, rest = number * (-1) ** power, rest / base**power * (-base) ** power
    return number * rest
