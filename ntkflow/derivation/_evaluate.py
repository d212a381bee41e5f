"""An expression's value in exact arithmetic: operators are matrices of fractions, a stack of all agents a column.

This is the stacked reading of a rule, with 𝓦 = W ⊗ I as a matrix; `_specimen` has the agents' own, with sums over
neighbours.  A step of a derivation holds when the two agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import sympy

from ..notation import gradient
from ._arrays import Exact, identity
from .letters import j

DIGITS = 60  # of irrational numbers
ORDER = 5  # of the power series in time that stand for e^{tA}


def evaluate(expr: Any, values: Mapping[Any, Any], shape: tuple[int, int] = (1, 1)) -> Exact:
    """``expr`` with every symbol replaced; numbers in a matrix of operators are multiples of I.

    ``values`` maps commutative symbols to SymPy numbers, operators and stacks to object arrays, and `gradient` to a
    function of a stack.  ``shape`` is that of one block, for zeros in a block matrix.
    """
    if isinstance(expr, sympy.MatrixBase):
        return np.block([[_sized(evaluate(e, values), shape) for e in expr.row(i)] for i in range(expr.rows)])
    return _sized(_value(expr, values), shape) if shape != (1, 1) else _value(expr, values)


def fraction(number: sympy.Expr) -> Fraction:
    """The number as a fraction: exact where it is rational, to 60 digits where it is not."""
    if not number.is_Rational:
        number = sympy.Rational(str(sympy.N(number, DIGITS)))
    return Fraction(int(number.p), int(number.q))


def same(one: Exact, other: Exact) -> bool:
    """Equality of every entry: exact, but for the last third of the digits of numbers that are irrational."""
    return one.shape == other.shape and bool(np.all(np.abs(one - other) <= Fraction(1, 10 ** (2 * DIGITS // 3))))


def _value(expr: sympy.Expr, values: Mapping[Any, Any]) -> Exact:
    if expr.is_commutative:
        return fraction(_settled(expr, values))
    if isinstance(expr, sympy.Symbol):
        return values[expr]
    if isinstance(expr, gradient):
        return values[gradient](_value(expr.args[0], values))
    if isinstance(expr, sympy.Add):
        return _sum([_value(term, values) for term in expr.args])
    if isinstance(expr, sympy.Mul):
        return reduce(_product, [_value(factor, values) for factor in expr.args])
    if isinstance(expr, sympy.Pow):
        base, power = _value(expr.args[0], values), int(_settled(expr.args[1], values))
        return np.linalg.matrix_power(base, power) if power else identity(len(base))
    return _closed_form(expr, values)


def _closed_form(expr: sympy.Expr, values: Mapping[Any, Any]) -> Exact:
    """Σ_j over whole numbers; e^{tA} and its integral over [0, t] as power series, cut behind t^ORDER."""
    if isinstance(expr, sympy.Sum):
        ((_, low, high),) = expr.limits
        return _sum(
            [_value(expr.function.subs(j, i), values) for i in range(int(low), int(_settled(high, values)) + 1)]
        )
    if isinstance(expr, sympy.exp):
        return series(_value(expr.args[0], values), ORDER)
    ((variable, _, high),) = expr.limits
    time = fraction(_settled(high, values))
    A = _value(expr.function.args[0].subs(variable, 1), values)
    return time * series(time * A, ORDER - 1, shift=1)


def series(A: Exact, order: int, shift: int = 0) -> Exact:
    """Σ_i Aⁱ / (i + shift)! for i ≤ order: e^A for shift 0, φ₁(A) for shift 1."""
    term = total = identity(len(A))
    for i in range(1, order + 1):
        term = A @ term / Fraction(i + shift)
        total = total + term
    return total


def _settled(scalar: sympy.Expr, values: Mapping[Any, Any]) -> sympy.Expr:
    return scalar.subs({symbol: values[symbol] for symbol in scalar.free_symbols if symbol in values})


def _sized(value: Exact, shape: tuple[int, int]) -> Exact:
    """A number as that multiple of I, or as the zero block that it stands for."""
    if np.ndim(value):
        return value
    return value * identity(shape[0]) if shape[0] == shape[1] else np.full(shape, Fraction(0), dtype=object) + value


def _sum(values: list[Exact]) -> Exact:
    size = next((len(v) for v in values if np.ndim(v)), None)
    return sum(values if size is None else [v if np.ndim(v) else v * identity(size) for v in values])


def _product(left: Exact, right: Exact) -> Exact:
    return left @ right if np.ndim(left) and np.ndim(right) else left * right
