"""A rule compiled to closures, once for all numbers: one expression graph, under any meaning of ``gradient``.

The same program steps the linear system (gradient is an array map), applies its state matrix
(gradient without the constant) and trains the real network (gradient is the real one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy

from .._array import namespace
from ..errors import RuleError, refuse
from ..notation import W, average, gradient, theta0

Array = Any
Map = Callable[[Array], Array]


@dataclass(eq=False, slots=True)
class _Context:
    values: dict[Any, Array]  # symbols and gradient nodes that have been evaluated
    mix: Map
    gradient: Map
    numbers: tuple[float, ...]
    like: Array

    @property
    def zero(self) -> Array:
        return 0.0 * self.like


Value = Callable[[_Context], Array]
Action = Callable[[Array, _Context], Array]


@dataclass(frozen=True, eq=False)
class Program:
    """The update and the start of a rule, all scalars bound to numbers."""

    compiled: Compiled
    numbers: tuple[float, ...]  # of its coefficients

    @property
    def blocks(self) -> tuple[sympy.Symbol, ...]:
        """The blocks of the state."""
        return self.compiled.blocks

    def update(self, state: tuple[Array, ...], mix: Map, gradient: Map) -> tuple[Array, ...]:
        """The next value of every block, all right-hand sides reading the old ones."""
        context = _Context(dict(zip(self.blocks, state, strict=True)), mix, gradient, self.numbers, state[0])
        return tuple(value(context) for value in self.compiled.updates)

    def start(self, theta_0: Array, mix: Map, gradient: Map) -> tuple[Array, ...]:
        """The first value of every block when the parameters start at ``theta_0``."""
        context = _Context({theta0: theta_0}, mix, gradient, self.numbers, theta_0)
        return tuple(value(context) for value in self.compiled.starts)


@dataclass(frozen=True, eq=False)
class Compiled:
    """Closures for the update and the start, and the coefficients in the scalars that wait for numbers."""

    blocks: tuple[sympy.Symbol, ...]
    updates: tuple[Value, ...]
    starts: tuple[Value, ...]
    coefficients: tuple[sympy.Expr, ...]

    @classmethod
    def of(
        cls,
        update: Mapping[sympy.Symbol, sympy.Expr],
        start: Mapping[sympy.Symbol, sympy.Expr],
        lets: Mapping[sympy.Symbol, sympy.Expr],
    ) -> Compiled:
        """From the expressions of a rule."""
        compiler, blocks = _Compiler(), tuple(update)
        for name, expr in lets.items():
            compiler.lets[name] = _once(name, compiler.value(expr))
        updates, starts = (tuple(compiler.value(part[b]) for b in blocks) for part in (update, start))
        return cls(blocks, updates, starts, tuple(compiler.coefficients))

    def bind(self, numbers: Mapping[sympy.Symbol, float]) -> Program:
        """With every scalar at its number."""
        return Program(self, tuple(in_finite_numbers(expr, numbers) for expr in self.coefficients))


def in_finite_numbers(expr: sympy.Expr, numbers: Mapping[sympy.Symbol, float]) -> float:
    """`in_numbers`, refused where it is no finite real number."""
    value = in_numbers(expr, numbers)
    if not math.isfinite(value):
        refuse(f"the coefficient {expr}", "a finite real number", value, f"at {dict(numbers)}", RuleError)
    return value


def in_numbers(expr: sympy.Expr, numbers: Mapping[sympy.Symbol, float]) -> float:
    """The expression at these values of the scalars, NaN where it is no real number; sums and products at once."""
    if expr in numbers:
        return numbers[expr]
    if isinstance(expr, sympy.Add):
        return sum(in_numbers(term, numbers) for term in expr.args)
    if isinstance(expr, sympy.Mul):
        return math.prod(in_numbers(factor, numbers) for factor in expr.args)
    if isinstance(expr, sympy.Rational):
        return _quotient(int(expr.p), int(expr.q))
    value = expr.xreplace({symbol: sympy.Float(number) for symbol, number in numbers.items()})
    return float(value) if value.is_real else math.nan


def _quotient(p: int, q: int) -> float:
    try:
        return p / q
    except OverflowError:
        return math.inf if p > 0 else -math.inf


class _Compiler:
    def __init__(self) -> None:
        self.lets: dict[sympy.Symbol, Value] = {}
        self.coefficients: dict[sympy.Expr, int] = {}  # and where their numbers stand

    def value(self, expr: sympy.Expr) -> Value:
        """A closure for an expression that stands for a state."""
        if isinstance(expr, sympy.Symbol):
            return self.lets.get(expr) or (lambda context: context.values[expr])
        if isinstance(expr, gradient):
            inside = self.value(expr.args[0])
            return _once(expr, lambda context: context.gradient(inside(context)))
        if isinstance(expr, sympy.Add):
            return _summed([self.value(term) for term in expr.args])
        if isinstance(expr, sympy.Mul):
            *left, state = expr.args
            action, inner = self.action(sympy.Mul(*left)), self.value(state)
            return lambda context: action(inner(context), context)
        return lambda context: context.zero  # the only other state expression is the constant 0

    def action(self, expr: sympy.Expr) -> Action:
        """A closure for a polynomial in W and the average."""
        if expr == W:
            return lambda x, context: context.mix(x)
        if expr == average:
            return lambda x, context: _averaged(x)
        if expr.is_commutative:
            return (lambda x, context: x) if expr == 1 else self._scaled(expr)
        if isinstance(expr, sympy.Add):
            terms = [self.action(term) for term in expr.args]
            return lambda x, context: sum((term(x, context) for term in terms[1:]), terms[0](x, context))
        factors = [expr.args[0]] * int(expr.args[1]) if isinstance(expr, sympy.Pow) else list(expr.args)
        return _chained([self.action(factor) for factor in factors])

    def _scaled(self, coefficient: sympy.Expr) -> Action:
        place = self.coefficients.setdefault(coefficient, len(self.coefficients))

        def scaled(x: Array, context: _Context) -> Array:
            number = context.numbers[place]
            return x if number == 1.0 else number * x  # the same point, where passes over data are remembered

        return scaled


def _averaged(x: Array) -> Array:
    """The mean over the agents, axis 0, for every agent."""
    xp = namespace(x)
    return xp.broadcast_to(xp.mean(x, axis=0, keepdims=True), x.shape)


def _summed(terms: list[Value]) -> Value:
    first, *rest = terms

    def total(context: _Context) -> Array:
        result = first(context)
        for term in rest:
            result = result + term(context)
        return result

    return total


def _chained(actions: list[Action]) -> Action:
    def chain(x: Array, context: _Context) -> Array:
        for action in reversed(actions):
            x = action(x, context)
        return x

    return chain


def _once(key: Any, value: Value) -> Value:
    """Evaluate once per pass: a gradient that two blocks share costs one backward pass."""

    def remembered(context: _Context) -> Array:
        if key not in context.values:
            context.values[key] = value(context)
        return context.values[key]

    return remembered
