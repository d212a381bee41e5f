r"""When all roots of a polynomial lie in the left half-plane, or in the unit disc, as inequalities.

Routh and Hurwitz, with the half of their determinants that Liénard and Chipart found to be enough.  Jury's conditions
are the same ones after the Cayley map z = (1 + w)/(1 − w), which takes the left half-plane onto the disc; for degree
two they are the well-known triangle p(1) > 0, p(−1) > 0, p(0) < 1.
"""

from __future__ import annotations

import sympy

Conditions = tuple[sympy.Expr, ...]  # every entry > 0


def hurwitz(polynomial: sympy.Poly) -> Conditions:
    """What must be positive for every root of a monic real polynomial to have a negative real part."""
    return _positive(polynomial.all_coeffs(), monic=True)


def jury(polynomial: sympy.Poly) -> Conditions:
    """What must be positive for every root of a monic real polynomial to have a modulus below one."""
    w, degree = polynomial.gen, polynomial.degree()
    mapped = sum(c * (1 + w) ** k * (1 - w) ** (degree - k) for (k,), c in polynomial.terms())
    expanded = sympy.Poly(mapped, w)  # not all_coeffs: a root at −1 makes the leading one vanish
    return _positive([expanded.coeff_monomial(w**k) for k in range(degree, -1, -1)], monic=False)


def without_ones(polynomial: sympy.Poly) -> tuple[sympy.Poly, int]:
    """The polynomial without its roots at one, and how many there were."""
    count = 0
    while polynomial.degree() and sympy.expand(polynomial(1)) == 0:
        polynomial, count = polynomial.exquo(sympy.Poly(polynomial.gen - 1, polynomial.gen)), count + 1
    return polynomial, count


def _positive(coefficients: list[sympy.Expr], monic: bool) -> Conditions:
    """Liénard and Chipart: every coefficient, and every second Hurwitz determinant, the largest but one first."""
    degree = len(coefficients) - 1
    minors = [_minor(coefficients, size) for size in range(degree - 1, 1, -2)]
    found = [_primitive(sympy.factor(c)) for c in [*coefficients[monic:], *minors]]
    return tuple(dict.fromkeys(c for c in found if not c.is_positive))


def _minor(coefficients: list[sympy.Expr], size: int) -> sympy.Expr:
    """The leading Hurwitz minor: entry (i, j) is the coefficient number 2j − i, counted from one and the highest."""

    def entry(i: int, j: int) -> sympy.Expr:
        place = 2 * (j + 1) - (i + 1)
        return coefficients[place] if 0 <= place < len(coefficients) else sympy.S.Zero

    return sympy.Matrix(size, size, entry).det(method="berkowitz")


def _primitive(expr: sympy.Expr) -> sympy.Expr:
    """The inequality expr > 0 without a positive number in front."""
    content, rest = expr.as_content_primitive()
    return rest if content.is_positive else expr
