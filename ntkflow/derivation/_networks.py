"""Small explicit networks in exact arithmetic, whose derivatives SymPy takes: nothing here knows the derivation.

Three agents with two parameters θ = (a, b), two samples and five outputs each: f_m(x; θ) = b σ(a x)/m + m a with
σ(z) = z + z².  Polynomials keep every derivative rational; the numbers of agents, samples and outputs
differ, and none is one, so that none can be mistaken for another or left out unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import prod
from typing import Any

import numpy as np
import sympy

from ._arrays import Exact
from ._evaluate import fraction

AGENTS, SAMPLES, OUTPUTS, PARAMETERS = 3, 2, 5, 2
WEIGHTS = {  # of a squared residual in the loss of one agent: the definitions, halved by ½‖r‖²
    "per_agent": Fraction(1, SAMPLES),
    "global": Fraction(1, AGENTS * SAMPLES),
    "sum": Fraction(1),
    "torch_mse": Fraction(2, SAMPLES * OUTPUTS),
}
UNEQUAL = (Fraction(1, 2), Fraction(3), Fraction(2, 5))  # factors c_q that no single number replaces
a, b = PARAMETER_LETTERS = sympy.symbols("a b")
TARGET_LETTERS = sympy.symbols(f"y:{SAMPLES * OUTPUTS}")
Terms = tuple[tuple[Any, tuple[tuple[int, int], ...]], ...]


@dataclass(frozen=True, eq=False)
class Networks:
    """Every agent's outputs and loss as polynomials in its own parameters, and their derivatives by SymPy."""

    outputs: tuple[tuple[sympy.Poly, ...], ...]  # (Q, n)
    targets: tuple[tuple[Fraction, ...], ...]
    weights: tuple[Fraction, ...]
    start: tuple[tuple[Fraction, ...], ...]  # (Q, P), where the networks are linearised

    @property
    def n(self) -> int:
        """Outputs on all samples of an agent."""
        return len(self.targets[0])

    def loss(self, q: int, theta: Exact) -> Exact:
        """½ c_q ‖f_q − y_q‖² at the agent's parameters (P, 1)."""
        return _at(_loss(self.outputs[q], self.weights[q]), theta, self.targets[q])

    def gradient(self, q: int, theta: Exact) -> Exact:
        """The gradient of that loss (P, 1), differentiated by SymPy."""
        slopes = (_loss(self.outputs[q], self.weights[q], p) for p in PARAMETER_LETTERS)
        return np.array([[_at(slope, theta, self.targets[q])] for slope in slopes], dtype=object)

    def jacobian(self, q: int, theta: Exact) -> Exact:
        """∂f_q/∂θ_q, (n, P)."""
        rows = [[_at(_output(o, p), theta) for p in PARAMETER_LETTERS] for o in self.outputs[q]]
        return np.array(rows, dtype=object)

    def predict(self, q: int, theta: Exact) -> Exact:
        """f_q at parameters (P, 1), (n, 1)."""
        return np.array([[_at(_output(o), theta)] for o in self.outputs[q]], dtype=object)


def linearized(given: Networks) -> Networks:
    """The first two terms of Taylor's series about the start."""
    lines = tuple(tuple(_tangent(o, given.start[q]) for o in given.outputs[q]) for q in range(AGENTS))
    return replace(given, outputs=lines)


@cache
def networks(normalization: str | None, together: bool, linear: bool) -> Networks:
    """The networks under a normalization by name (None: unequal factors), agents starting together or apart."""
    if linear:
        return linearized(networks(normalization, together, False))
    draw = _fractions()
    inputs = [[next(draw) for _ in range(SAMPLES)] for _ in range(AGENTS)]
    targets = tuple(tuple(next(draw) for _ in range(SAMPLES * OUTPUTS)) for _ in range(AGENTS))
    places = tuple(tuple(next(draw) for _ in range(PARAMETERS)) for _ in range(AGENTS))
    weights = UNEQUAL if normalization is None else (WEIGHTS[normalization],) * AGENTS
    outputs = tuple(tuple(_network(x, m) for x in row for m in range(1, OUTPUTS + 1)) for row in inputs)
    return Networks(outputs, targets, weights, places[:1] * AGENTS if together else places)


@cache
def mixing() -> Exact:
    """A mixing matrix that is neither symmetric nor doubly stochastic, so that orders and transposes show."""
    rows = [[1, 2, 3], [4, 1, 2], [1, 3, 1]]
    return np.array([[Fraction(w, sum(row)) for w in row] for row in rows], dtype=object)


def _network(x: Fraction, m: int) -> sympy.Poly:
    z = a * sympy.Rational(x)
    return sympy.Poly(b * (z + z**2) / m + m * a, *PARAMETER_LETTERS)


def _tangent(output: sympy.Poly, place: tuple[Fraction, ...]) -> sympy.Poly:
    at = [sympy.Rational(v) for v in place]
    slopes = [output.diff(p)(*at) for p in PARAMETER_LETTERS]
    line = output(*at) + sum(s * (p - v) for s, p, v in zip(slopes, PARAMETER_LETTERS, at, strict=True))
    return sympy.Poly(line, *PARAMETER_LETTERS)


@cache
def _loss(outputs: tuple[sympy.Poly, ...], weight: Fraction, by: sympy.Symbol | None = None) -> Terms:
    """The loss of one agent, or its derivative, as a polynomial in parameters and targets."""
    letters = (*PARAMETER_LETTERS, *TARGET_LETTERS)
    missed = [sympy.Poly(o.as_expr() - y, *letters) for o, y in zip(outputs, TARGET_LETTERS, strict=True)]
    loss = sum((m**2 for m in missed), sympy.Poly(0, *letters)) * (sympy.Rational(weight) / 2)
    return _terms(loss.diff(by) if by else loss)


@cache
def _output(output: sympy.Poly, by: sympy.Symbol | None = None) -> Terms:
    return _terms(output.diff(by) if by else output)


def _terms(polynomial: sympy.Poly) -> Terms:
    """(coefficient, ((variable's place, its power), ...)) of every term."""
    found = polynomial.terms()
    return tuple((fraction(number), tuple((i, n) for i, n in enumerate(powers) if n)) for powers, number in found)


def _at(terms: Terms, theta: Exact, targets: tuple[Fraction, ...] = ()) -> Any:
    place = (*theta[:, 0], *targets)
    return sum((prod((place[i] ** n for i, n in powers), start=number) for number, powers in terms), Fraction(0))


def _fractions() -> Any:
    """Fractions of small numbers, all different, none zero."""
    for i in range(1, 1000):
        yield Fraction((-1) ** (i // 2) * (i % 11 + 1), 4 + i % 7)
