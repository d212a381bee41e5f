r"""Signs of polynomials in λ and a rule's parameters, exactly.

Without parameters a polynomial changes its sign at real roots, which are isolated exactly.  With parameters the box
λ in (a, b), every parameter in (0, 1), is mapped onto positive numbers, λ = (a + b t)/(1 + t), μ = u/(1 + u): where
all coefficients then have one sign (they are those in Bernstein's basis), so has the polynomial.  The converse does
not hold, so the answer is "one sign" or "not known".
"""

from __future__ import annotations

import sympy

from ._symbols import kappa, lam


class UndecidedError(Exception):
    """What this method cannot decide, and why; it never leaves the package."""


def factors(expr: sympy.Expr) -> list[sympy.Expr]:
    """The irreducible factors of the numerator that are not numbers."""
    numerator = sympy.numer(sympy.together(expr))
    return [] if numerator.is_number else [factor for factor, _ in sympy.factor_list(numerator)[1]]


def roots_inside(expr: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> list[sympy.Expr]:
    """The λ between the two where a factor without parameters vanishes."""
    alone = [factor for factor in factors(expr) if factor.free_symbols == {lam}]
    roots = {root for factor in alone for root in sympy.Poly(factor, lam).real_roots()}
    return sorted(root for root in roots if low < root < high)


def require_one_sign(expr: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> None:
    """Go on only if no factor with parameters changes its sign while low < λ < high."""
    for factor in factors(expr):
        if factor.free_symbols - {lam} and not _one_sign(factor, low, high):
            raise UndecidedError(f"the sign of {factor} depends on the parameters")


def between(low: sympy.Expr, high: sympy.Expr) -> sympy.Rational:
    """A rational number strictly between the two."""
    middle, digits = (low + high) / 2, 2
    while not low < (found := sympy.Rational(str(sympy.N(middle, digits)))) < high:
        digits += 2
    return found


def _one_sign(expr: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> bool:
    free = sorted(expr.free_symbols, key=str)
    onto_box = {s: s / (1 + s) for s in free} | {kappa: kappa, lam: (low + high * lam) / (1 + lam)}
    mapped = sympy.numer(sympy.together(expr.subs(onto_box, simultaneous=True)))
    coefficients = sympy.Poly(mapped, *free).coeffs()
    return all(c.is_nonnegative for c in coefficients) or all(c.is_nonpositive for c in coefficients)
