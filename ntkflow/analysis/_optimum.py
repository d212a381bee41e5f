r"""The step size and the momentum that converge fastest, for modes with κ_min ≤ κ ≤ κ_max.

With one free number, η, the slowest and the fastest mode are balanced: a root r at κ_min and −r at κ_max.  With two, η
and the momentum, the slowest mode is critically damped as well: a double root r at κ_min.  Both are algebraic
equations; what they give is kept only if nothing on a grid of step sizes and momenta does better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ..notation import eta, mu
from ._signs import UndecidedError, factors
from ._symbols import kappa, kappa_max, kappa_min

_slow, _fast, _rate = sympy.symbols("x y r", positive=True)  # the roots of κ_min and κ_max; a root of the polynomial
_ROOTS = {kappa_min: _slow**2, kappa_max: _fast**2}
GRID = 41  # points a number
ROUNDING = 1e-7  # a double root moves by the square root of the machine's precision
DEGREE = 12  # in the step size; beyond, the elimination could take long


@dataclass(frozen=True)
class Optimum:
    """The best step size and momentum (None where the rule has none), and the factor an update then gains."""

    step_size: sympy.Expr
    momentum: sympy.Expr | None
    rate: sympy.Expr | None


def optimum(polynomial: sympy.Poly) -> Optimum:
    """The least largest |z| over κ_min ≤ κ ≤ κ_max, for a characteristic polynomial of degree one or two."""
    if polynomial.degree() not in (1, 2):
        raise UndecidedError(f"the modes have degree {polynomial.degree()}")
    free = polynomial.free_symbols_in_domain
    if free - {eta, kappa, mu}:
        raise UndecidedError("a parameter other than the momentum is not a number")
    if sympy.degree(polynomial.as_expr(), eta) > DEGREE:
        raise UndecidedError("its degree in the step size is too high")
    candidates = _tuned(polynomial) if mu in free else _balanced(polynomial)
    for candidate in candidates:
        if all(_nothing_is_better(polynomial, candidate, ratio) for ratio in (2, 16)):
            return candidate
    raise UndecidedError("no closed form was found that no other step size beats")


def _balanced(polynomial: sympy.Poly) -> Iterator[Optimum]:
    """A root r at κ_min and −r, or for even powers r, at κ_max."""
    slow, fast = _at(polynomial, kappa_min), _at(polynomial, kappa_max)
    mirrored = sympy.Poly(fast.as_expr().subs(polynomial.gen, -polynomial.gen), polynomial.gen)
    for factor in factors(slow.resultant(mirrored)) + factors(slow.resultant(fast)):
        for step in _roots(factor, eta):
            root = -slow.all_coeffs()[-1].subs(eta, step) if polynomial.degree() == 1 else None
            yield Optimum(step, None, root if root is None else sympy.factor(root))


def _tuned(polynomial: sympy.Poly) -> Iterator[Optimum]:
    """A double root r at κ_min and −r at κ_max."""
    slow, fast = _at(polynomial, kappa_min), _at(polynomial, kappa_max)
    damped = [slow(_rate).subs(_ROOTS), slow.diff()(_rate).subs(_ROOTS)]
    for found in sympy.solve(damped, [eta, mu], dict=True):
        for factor in factors(fast(-_rate).subs(_ROOTS).subs(found)):
            for rate in _roots(factor, _rate):
                values = [found[eta].subs(_rate, rate), found[mu].subs(_rate, rate), rate]
                yield Optimum(*(_in_kappa(value) for value in values))


def _at(polynomial: sympy.Poly, value: sympy.Symbol) -> sympy.Poly:
    return sympy.Poly(polynomial.as_expr().subs(kappa, value), polynomial.gen)


def _roots(factor: sympy.Expr, symbol: sympy.Symbol) -> list[sympy.Expr]:
    polynomial = sympy.Poly(factor, symbol)
    return [sympy.factor(r) for r in sympy.roots(polynomial, multiple=True)] if 1 <= polynomial.degree() <= 2 else []


def _in_kappa(expr: sympy.Expr) -> sympy.Expr:
    """With the curvatures back in place of their roots, in the shortest of a few forms."""
    forms = [sympy.factor(expr), sympy.cancel(sympy.together(expr))]
    shortest = min(forms, key=sympy.count_ops)
    return shortest.subs({_slow: sympy.sqrt(kappa_min), _fast: sympy.sqrt(kappa_max)})


def _nothing_is_better(polynomial: sympy.Poly, candidate: Optimum, ratio: int) -> bool:
    """Whether no point of a grid has a smaller radius, for κ from 1 to ``ratio``."""
    values = [v for v in (candidate.step_size, candidate.momentum) if v is not None]
    here = [sympy.N(value.subs({kappa_min: 1, kappa_max: ratio})) for value in values]
    if not all(value.is_real and value > 0 for value in here):
        return False
    steps, momenta = np.linspace(0, 4 / ratio, GRID), np.linspace(0, 1, GRID)
    others = _radius(polynomial, ratio, steps, momenta if len(here) > 1 else np.zeros(1))
    own = _radius(polynomial, ratio, *(np.array([float(value)]) for value in (*here, 0)[:2]))
    return bool(own.min() <= others.min() + ROUNDING)


def _radius(polynomial: sympy.Poly, ratio: int, steps: np.ndarray, momenta: np.ndarray) -> np.ndarray:
    """The largest |z| over κ in [1, ratio], for every step size and momentum."""
    curvatures = np.linspace(1, ratio, GRID)
    values = dict(zip((kappa, eta, mu), np.ix_(curvatures, steps, momenta), strict=True))
    *middle, last = [_evaluate(c, values) for c in polynomial.all_coeffs()[1:]]
    half = -sum(middle) / 2 + 0j
    spread = np.sqrt(half**2 - last) if middle else last  # of degree one: z = −last
    return np.abs([half + spread, half - spread]).max(axis=(0, 1))


def _evaluate(coefficient: sympy.Expr, values: dict[sympy.Symbol, np.ndarray]) -> Any:
    terms = sympy.Poly(coefficient, *values).terms()
    return sum(float(c) * math.prod(v**k for v, k in zip(values.values(), powers, strict=True)) for powers, c in terms)
