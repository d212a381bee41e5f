"""From inequalities to step sizes: on one mode, on a spectrum, on every spectrum with a given smallest eigenvalue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy

from ..notation import eta
from ._answers import Bound, Conditions, cases
from ._crossing import Crossing
from ._envelope import Segment, worst
from ._signs import UndecidedError
from ._symbols import kappa, kappa_max, lam, lam_min


@dataclass(frozen=True)
class StepSizes:
    """The step sizes that satisfy the conditions; every answer is exact or an UndecidedError."""

    conditions: Conditions

    def limit(self, mixes: bool) -> sympy.Expr:
        """The first η at which the mode (λ, κ), −1 < λ ≤ 1, fails; of any mode where nothing mixes, λ being absent."""
        (apart, together), unit = self._in_units
        single, limit = together.at(sympy.S.One) * unit, apart.piecewise(unit)
        if not mixes:
            return sympy.Min(single, limit)
        continued = limit.subs(lam, 1)
        goes_on = continued == single or (continued.is_finite and sympy.simplify(continued - single) == 0)
        return limit if goes_on else sympy.Piecewise((single, sympy.Eq(lam, 1)), *cases(limit))

    def bound_between(self, smallest: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> Bound:
        """On graphs whose λ_min is ``smallest``, somewhere in [low, high]."""
        live = [s for s in self._segments if s.low <= high and s.high > low]
        values = [_tidy(s.value.subs(lam, smallest) / kappa_max) for s in live]
        edges = [*(_below(smallest, s.high) for s in live[:-1]), True]
        return Bound(sympy.Piecewise(*zip(values, edges, strict=True)), smallest, all(s.exact for s in live))

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
        return not any(_over_kappa(c).has(kappa) for part in parts for c in part)

    @cached_property
    def _in_units(self) -> tuple[tuple[Crossing, Crossing], sympy.Expr]:
        """On the disagreements and on the consensus, in units of 1/κ where that is possible, and the unit."""
        if self._by_product:
            return self._crossings, 1 / kappa
        return (Crossing(self.conditions.disagreement), Crossing(self.conditions.consensus)), sympy.S.One

    @cached_property
    def _crossings(self) -> tuple[Crossing, Crossing]:
        """On the disagreements and on the consensus, in units of 1/κ."""
        if not self._by_product:
            raise UndecidedError("kappa enters by more than the product eta*kappa")
        parts = self.conditions.disagreement, self.conditions.consensus
        apart, together = (Crossing(tuple(_over_kappa(c) for c in part)) for part in parts)
        return apart, together

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        apart, together = self._crossings
        return worst(apart.cells, together.at(sympy.S.One))


def _over_kappa(condition: sympy.Expr) -> sympy.Expr:
    return sympy.factor(condition.subs(eta, eta / kappa))


def _below(smallest: sympy.Expr, edge: sympy.Expr) -> sympy.Expr:
    """λ_min < edge, in the graph's sides where λ_min is a formula in them."""
    if smallest == lam_min:
        return lam_min < edge
    sides = smallest.free_symbols
    if len(sides) == 1 and smallest.is_rational_function(*sides):  # the hypercube: it falls with the dimension
        [side] = sides
        free = sympy.Dummy()
        [root] = sympy.solve(smallest.subs(side, free) - edge, free)
        return side > sympy.floor(root)
    constant, varying = (smallest - edge).as_independent(*sides, as_Add=True)
    number, cosines = varying.as_content_primitive()
    return -cosines > constant / number if cosines.could_extract_minus_sign() else cosines < -constant / number


def _tidy(expr: sympy.Expr) -> sympy.Expr:
    """Factors, each turned so that it is positive: 2 − cos rather than −(cos − 2); λ_min is left as it is."""
    number, rest = sympy.factor(expr).as_coeff_Mul()
    for base, power in [f.as_base_exp() for f in sympy.Mul.make_args(rest)]:
        if base.is_Add and not base.has(lam, lam_min) and _usual(base) < 0:
            number, rest = number * (-1) ** power, rest / base**power * (-base) ** power
    return number * rest


def _usual(expr: sympy.Expr) -> sympy.Expr:
    """The value at a large graph and medium parameters, where cosines of π/Q are nearly one."""
    near = expr.replace(sympy.cos, lambda x: sympy.cos(x) if x.is_number else sympy.Rational(9, 10))
    values = {s: sympy.Integer(10) if s.is_integer else sympy.Rational(1, 2) for s in near.free_symbols}
    return sympy.N(near.subs(values))
