r"""The first step size at which an inequality fails, in closed form, as λ runs from −1 to 1.

A cylindrical decomposition in one variable: between the roots of the inequalities' coefficients, discriminants and
pairwise resultants (as polynomials in η) their own roots keep their number and order, so that one sample tells which
of them comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import sympy

from ..notation import eta
from ._signs import UndecidedError, between, require_one_sign, roots_inside
from ._symbols import lam

DEGREE = 2  # in the step size, of an irreducible inequality with λ or a parameter in it; in numbers alone any is quick
DIGITS = 30  # to which closed forms are compared
ZERO = sympy.Rational(1, 10 ** (DIGITS // 2))
Point = dict[sympy.Symbol, sympy.Expr]


@dataclass(frozen=True)
class Cell:
    """For low < λ < high the first inequality fails at ``limit``: 0 is at once, oo is never."""

    low: sympy.Expr
    high: sympy.Expr
    limit: sympy.Expr


@dataclass(frozen=True)
class Crossing:
    """The first positive η at which one of the inequalities, each an expression > 0, fails."""

    conditions: tuple[sympy.Expr, ...]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """−1 < λ < 1 in pieces with one closed form each."""
        projected = [p for p in self._projection() if not p.is_number]
        splits = sorted({root for p in projected for root in roots_inside(p, -sympy.S.One, sympy.S.One)})
        cells = []
        for low, high in pairwise([-sympy.S.One, *splits, sympy.S.One]):
            for p in projected:
                require_one_sign(p, low, high)
            cells.append(Cell(low, high, self._first(self._point(between(low, high)), self._roots)))
        return tuple(cells)

    def piecewise(self, unit: sympy.Expr) -> sympy.Expr:
        """The limit times ``unit`` as an expression in λ."""
        branches: list[tuple[sympy.Expr, Any]] = []
        for cell, following in pairwise(self.cells):
            edge, here, point = cell.high, self.at(cell.high), self._point(cell.high)
            if _same(here, following.limit, point):
                branches += [] if following.limit == cell.limit else [(cell.limit, lam < edge)]
            elif _same(here, cell.limit, point):
                branches.append((cell.limit, lam <= edge))
            elif cell.limit == following.limit:  # but for the edge itself
                branches.append((here, sympy.Eq(lam, edge)))
            else:
                branches += [(cell.limit, lam < edge), (here, sympy.Eq(lam, edge))]
        branches.append((self.cells[-1].limit, True))
        return sympy.Piecewise(*((limit * unit, where) for limit, where in branches))

    def at(self, value: sympy.Expr) -> sympy.Expr:
        """The limit at one λ."""
        point = self._point(value)
        return self._first(point, [root for curve in self.curves for root in _roots_at(curve, value, point)])

    @cached_property
    def polynomials(self) -> tuple[sympy.Poly, ...]:
        """The inequalities as polynomials in η."""
        fractions = [sympy.fraction(sympy.together(c)) for c in self.conditions]
        products = [sympy.expand(above * below) for above, below in fractions]  # the sign of above / below
        if not all(c.is_polynomial(*c.free_symbols) for c in products):
            raise UndecidedError("an inequality is not a polynomial in λ, η and the parameters")
        return tuple(sympy.Poly(c, eta) for c in products)

    @cached_property
    def curves(self) -> tuple[sympy.Poly, ...]:
        """Their irreducible factors that change sign and are not η itself."""
        found = [
            sympy.Poly(factor, eta)
            for polynomial in self.polynomials
            for factor, multiplicity in sympy.factor_list(polynomial.as_expr())[1]
            if factor.has(eta) and factor != eta and multiplicity % 2
        ]
        for curve in found:
            _require_low_degree(curve)
        return tuple(dict.fromkeys(found))

    def _projection(self) -> Iterator[sympy.Expr]:
        yield from (polynomial.coeffs()[-1] for polynomial in self.polynomials)  # their sign for small η
        for curve in self.curves:
            yield from curve.coeffs()
            if curve.degree() > 1:
                yield curve.discriminant()
        for one, other in combinations(self.curves, 2):
            yield one.resultant(other)

    def _point(self, value: sympy.Expr) -> Point:
        """A sample: λ = ``value``, every parameter one half."""
        free = {symbol for condition in self.conditions for symbol in condition.free_symbols}
        return dict.fromkeys(free - {eta}, sympy.Rational(1, 2)) | {lam: value}

    @cached_property
    def _roots(self) -> list[sympy.Expr]:
        low = [root for c in self.curves if c.degree() <= DEGREE for root in _solutions(c.all_coeffs())]
        high = [root for c in self.curves if c.degree() > DEGREE for root in c.real_roots()]  # in numbers alone
        return [sympy.factor(root) for root in low] + high

    def _first(self, point: Point, roots: Sequence[sympy.Expr]) -> sympy.Expr:
        """That of the roots which is the first failure at the point."""
        for polynomial in self.polynomials:
            lowest = [c for c in reversed(polynomial.all_coeffs()) if _number(c, point)]
            if lowest and _number(lowest[0], point) < 0:
                return sympy.S.Zero
        values = [(_positive(root, point), root) for root in roots]
        return min(((v, root) for v, root in values if v), key=lambda pair: pair[0], default=(0, sympy.oo))[1]


def _same(value: sympy.Expr, limit: sympy.Expr, point: Point) -> bool:
    """Whether a piece's formula goes on to its edge."""
    there = sympy.N(limit.subs(point), DIGITS)
    if not (there.is_finite and value.is_finite):
        return bool(there == value)
    return bool(abs(sympy.N(value.subs(point), DIGITS) - there) < ZERO)


def _roots_at(curve: sympy.Poly, value: sympy.Expr, point: Point) -> list[sympy.Expr]:
    """The roots at one λ, where leading coefficients may vanish; `value` may be an irrational number."""
    if curve.degree() > DEGREE:
        return list(curve.real_roots())  # one in numbers alone
    vanishing = [not _number(c, point) for c in curve.all_coeffs()]
    return _solutions([c.subs(lam, value) for c in curve.all_coeffs()[vanishing.index(False) :]])


def _number(coefficient: sympy.Expr, point: Point) -> sympy.Expr:
    number = sympy.N(coefficient.subs(point), DIGITS)
    return number if abs(number) > ZERO else sympy.S.Zero


def _positive(root: sympy.Expr, point: Point) -> sympy.Expr:
    """The root's value if it is real and positive, else zero; a double root may be real but for rounding."""
    real, imaginary = sympy.N(root.subs(point), DIGITS).as_real_imag()
    return real if abs(imaginary) < ZERO < real else sympy.S.Zero


def _solutions(coefficients: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    """The roots of a polynomial of degree two or less, the highest coefficient first."""
    if len(coefficients) == 3:
        a, b, c = coefficients
        spread = sympy.sqrt(b**2 - 4 * a * c)
        return [(-b + spread) / (2 * a), (-b - spread) / (2 * a)]
    return [-coefficients[1] / coefficients[0]] if len(coefficients) == 2 else []


def _require_low_degree(curve: sympy.Poly) -> None:
    if curve.free_symbols_in_domain and curve.degree() > DEGREE:
        raise UndecidedError(f"an inequality has degree {curve.degree()} in the step size")
