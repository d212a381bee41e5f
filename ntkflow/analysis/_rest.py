"""Whether a rule ends where the agents' common loss is least, whatever their data: decided in exact arithmetic.

Two agents with unlike curvatures and gradients that do not cancel are enough to tell, one coordinate each. Where the
rule rests there is a rational function of η; its distance from the minimiser vanishes with some power of η, or is zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce

import sympy
from sympy.polys.matrices import DomainMatrix

from ..algorithms import Rule
from ..algorithms._affine import Operator
from ..notation import eta, g0, theta

GENERIC = sympy.Rational(3, 11)  # an eigenvalue of W that no rule treats in a special way
CURVATURE = sympy.diag(sympy.Rational(5, 7), sympy.Rational(13, 3))
GRADIENT = sympy.Matrix([2, -sympy.Rational(3, 5)])
MINIMISER = -sum(GRADIENT) / CURVATURE.trace()


def bias_order(rule: Rule, numbers: Mapping[sympy.Symbol, float], eigenvalue: float | None = None) -> float:
    """The power of η with which the distance of the resting point from the minimiser of Σ f_q vanishes.

    inf where there is no distance, nan where the rule does not rest. ``eigenvalue`` is that of all disagreements,
    where W has but one.

    >>> from ntkflow.algorithms import get
    >>> bias_order(get("dgd"), {}), bias_order(get("extra"), {}), bias_order(get("atc"), {}, 0.0)
    (1.0, inf, inf)
    """
    letters = _letters(GENERIC if eigenvalue is None else sympy.Rational(str(eigenvalue)))
    given = {symbol: sympy.Rational(str(value)) for symbol, value in numbers.items() if symbol != eta}
    rest = _rest(rule, letters, given)
    if rest is None:
        return math.nan
    powers = [_power(sympy.cancel(place - MINIMISER)) for place in rest]
    return min(powers)


def _letters(eigenvalue: sympy.Expr) -> dict[str, sympy.Matrix]:
    own, other = (1 + eigenvalue) / 2, (1 - eigenvalue) / 2
    half = sympy.Rational(1, 2)
    return {
        "W": sympy.Matrix([[own, other], [other, own]]),
        "average": sympy.Matrix([[half, half], [half, half]]),
        "H": CURVATURE,
    }


def _rest(rule: Rule, letters: Mapping[str, sympy.Matrix], given: Mapping[sympy.Symbol, sympy.Expr]) -> list | None:
    """θ of the fixed point in s₀ + range(A), where a trajectory from θ₀ = 0 stays: A² z = −(A s₀ + b), s = s₀ + A z."""

    def matrix(operator: Operator) -> sympy.Matrix:
        return sum((c.subs(given) * reduce(lambda X, a: X * letters[a], word, sympy.eye(2))
                    for word, c in operator.items()), sympy.zeros(2, 2))  # fmt: skip

    blocks = rule.blocks
    M = sympy.BlockMatrix([[matrix(rule.words[a].get(b, {})) for b in blocks] for a in blocks]).as_explicit()
    b = sympy.Matrix.vstack(*(matrix(rule.words[a].get(g0, {})) * GRADIENT for a in blocks))
    start = sympy.Matrix.vstack(*(matrix(rule.start_words[a].get(g0, {})) * GRADIENT for a in blocks))
    A = M - sympy.eye(M.rows)
    z = _solved(A * A, -(A * start + b))
    place = blocks.index(theta)
    return None if z is None else list((start + A * z)[2 * place : 2 * place + 2])


def _solved(A: sympy.Matrix, b: sympy.Matrix) -> sympy.Matrix | None:
    """One solution of A z = b over the rational functions of η, or None."""
    field = sympy.QQ.frac_field(eta)
    augmented = DomainMatrix.from_Matrix(A.row_join(b)).convert_to(field)
    reduced, pivots = augmented.rref()
    if A.cols in pivots:
        return None
    rows, z = reduced.to_Matrix(), sympy.zeros(A.cols, 1)
    for row, column in enumerate(pivots):
        z[column] = rows[row, A.cols]
    return z


def _power(value: sympy.Expr) -> float:
    """The power of η that a rational function begins with; inf for zero."""
    if value == 0:
        return math.inf
    above, below = (sympy.Poly(part, eta) for part in sympy.fraction(sympy.together(value)))
    return float(min(above.monoms())[0] - min(below.monoms())[0])
