"""A rule on small explicit networks: run agent by agent, and what every letter of a derivation stands for there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from ..algorithms import Rule
from ..errors import RuleError, refuse
from ..notation import W, average, eta, gradient, theta, theta0
from . import letters
from ._arrays import Exact, column, diagonal, identity, parts, stack
from ._evaluate import evaluate, fraction
from ._networks import AGENTS, PARAMETERS, SAMPLES, Networks, mixing, networks

State = dict[Any, list[Exact]]  # block, let or gradient -> one column (P, 1) an agent
STEPS, TIME = 3, Fraction(1, 2)  # where closed forms are compared
LONG, SHORT = 10**300, 10**6  # a fraction that is folded; the denominator of what it is folded to
ATTEMPTS = 8  # at finding numbers that a rule can be evaluated at


@dataclass(frozen=True, eq=False)
class Specimen:
    """A rule on three small networks, real or linearised, whose agents start together or apart."""

    rule: Rule
    normalization: str | None
    linear: bool
    together: bool = False
    targets: Exact | None = None  # other than the networks' own, (Q n, 1)
    measured: dict[Any, Exact] = field(default_factory=dict, init=False)  # what `_measure` has found

    @cached_property
    def networks(self) -> Networks:
        """The explicit networks."""
        found = networks(self.normalization, self.together, self.linear)
        if self.targets is None:
            return found
        return replace(found, targets=tuple(map(tuple, np.reshape(self.targets, (AGENTS, found.n)))))

    @cached_property
    def scalars(self) -> dict[sympy.Symbol, Any]:
        """Numbers for the step size and the parameters at which every coefficient is finite and real."""
        tried = (_numbers(self.rule, attempt) for attempt in range(ATTEMPTS))
        found = next((numbers for numbers in tried if _all_finite(self.rule, numbers)), None)
        if found is None:
            refuse(f"rule {self.rule.name!r}", "finite real coefficients at its parameters' defaults", "others",
                   "give parameters defaults inside their range", RuleError)  # fmt: skip
        return found

    @property
    def sides(self) -> dict[str, int]:
        """Of a block matrix's block, by letter: parameters, residuals, or one."""
        return {"P": AGENTS * PARAMETERS, "n": AGENTS * self.networks.n, "1": 1}

    @cached_property
    def origin(self) -> list[Exact]:
        """Where the agents start, (P, 1) each."""
        return [column(place) for place in self.networks.start]

    @cached_property
    def state(self) -> State:
        """Some state that is neither the start nor a consensus."""
        draw = (Fraction((-1) ** i * (2 * i + 1), 3 + i % 5) for i in range(10_000))
        return {b: [column([next(draw) for _ in range(PARAMETERS)]) for _ in range(AGENTS)] for b in self.rule.blocks}

    @cached_property
    def start(self) -> State:
        """The state that the rule starts from."""
        return {b: self.each(self.rule.start_of(b), {theta0: self.origin}) for b in self.rule.blocks}

    # ------------------------------------------------------------------------------- the rule, agent by agent

    def update(self, state: State) -> State:
        """The agents' next state."""
        known = self.with_lets(state)
        return {b: self.each(self.rule.update[b], known) for b in self.rule.blocks}

    def with_lets(self, state: State) -> State:
        """The state and the rule's named intermediates, each computed once."""
        known = dict(state)
        for name, expr in self.rule.lets.items():
            known[name] = self.each(expr, known)
        return known

    @cached_property
    def known(self) -> State:
        """The state with its lets, a hundred of which would take their time if each were computed anew."""
        return self.with_lets(self.state)

    def each(self, expr: sympy.Expr, known: State) -> list[Exact]:
        """An expression of the rule for every agent; ``known`` has its symbols, and remembers its gradients."""
        if expr == 0:
            return [column([0] * PARAMETERS)] * AGENTS
        if isinstance(expr, gradient) and expr not in known:
            inside = self.each(expr.args[0], known)
            known[expr] = self.gradients(inside)
        if expr in known:
            return known[expr]
        if isinstance(expr, sympy.Add):
            return _added([self.each(term, known) for term in expr.args])
        *left, inner = expr.args
        return self._mixed(sympy.Mul(*left), self.each(inner, known))

    def gradients(self, places: list[Exact]) -> list[Exact]:
        """Every agent's gradient, of networks that are not linear at short places only.

        They multiply the digits of their place by five, a chain of ten of them by ten million.  A rule's equations hold
        for any gradient, so that they also hold for one that folds long places first, always by the same map.
        """
        long = not self.linear and (not self.rational or any(_is_long(x) for place in places for x in place[:, 0]))
        taken = [column(map(_folded, place[:, 0])) for place in places] if long else places
        return [self.networks.gradient(q, taken[q]) for q in range(AGENTS)]

    @cached_property
    def rational(self) -> bool:
        """Whether no coefficient is rounded, so that numbers that ought to be equal have the same digits."""
        return all(c.is_Rational for c in _coefficients(self.rule, self.scalars))

    def _mixed(self, operator: sympy.Expr, rows: list[Exact]) -> list[Exact]:
        """A polynomial in W applied to what every agent has, sums over neighbours written out."""
        if operator == W:
            return [sum(mixing()[q, r] * rows[r] for r in range(AGENTS)) for q in range(AGENTS)]
        if operator == average:
            return [sum(rows) / Fraction(AGENTS)] * AGENTS
        if operator.is_commutative:
            number = fraction(operator.subs(self.scalars))
            return [number * row for row in rows]
        if isinstance(operator, sympy.Add):
            return _added([self._mixed(term, rows) for term in operator.args])
        factors = [operator.base] * int(operator.exp) if isinstance(operator, sympy.Pow) else list(operator.args)
        for factor in reversed(factors):
            rows = self._mixed(factor, rows)
        return rows

    # ---------------------------------------------------------------------------------- the rule, in matrices

    def value(self, expr: Any, shape: str, known: dict[Any, Any]) -> Exact:
        """A derived expression in matrices; ``shape`` names the sides of one block (`sides`)."""
        return evaluate(expr, self._values | known, (self.sides[shape[0]], self.sides[shape[1]]))

    @cached_property
    def _values(self) -> dict[Any, Any]:
        """What every letter stands for."""
        return {
            **self.scalars, **self._sizes, **self._network,
            W: np.kron(mixing(), identity(PARAMETERS)),
            average: np.kron(np.full((AGENTS, AGENTS), Fraction(1, AGENTS)), identity(PARAMETERS)),
            gradient: lambda x: stack(self.gradients(parts(x, AGENTS))),
            theta0: stack(self.origin), **{b: stack(rows) for b, rows in self.known.items()},
        }  # fmt: skip

    @property
    def _sizes(self) -> dict[Any, Any]:
        outputs = self.networks.n // SAMPLES
        numbers = {letters.D: SAMPLES, letters.n_outputs: outputs, letters.Q: AGENTS, letters.k: STEPS}
        return {letter: sympy.Integer(n) for letter, n in numbers.items()} | {letters.t: sympy.Rational(TIME)}

    @property
    def _network(self) -> dict[Any, Any]:
        """Outputs, Jacobians, residuals, and the products of them that have a letter."""
        places, nets = (self.origin, self.state[theta]), self.networks
        J, Jx = (diagonal([nets.jacobian(q, x[q]) for q in range(AGENTS)]) for x in places)
        f0, f = (stack([nets.predict(q, x[q]) for q in range(AGENTS)]) for x in places)
        y = stack([column(row) for row in self.networks.targets])
        factors = diagonal([weight * identity(nets.n) for weight in self.networks.weights])
        inside = factors if self.normalization is None else identity(AGENTS * nets.n)
        return {
            letters.J: J, letters.JT: J.T, letters.JxT: Jx.T, letters.Psi: J.T @ inside @ J, letters.c: factors,
            letters.f: f, letters.f0: f0, letters.Y: y, letters.e0: f0 - y,
            letters.square: (f - y).T @ (f - y), letters.weighted_square: (f - y).T @ factors @ (f - y),
        }  # fmt: skip


def _added(terms: list[list[Exact]]) -> list[Exact]:
    return [sum(rows) for rows in zip(*terms, strict=True)]


def _is_long(number: Fraction) -> bool:
    return max(abs(number.numerator), number.denominator) > LONG


def _folded(number: Fraction) -> Fraction:
    """A short number between -1/2 and 1/2 that depends on the given one alone."""
    return Fraction(round((number - round(number)) * SHORT), SHORT)


def _numbers(rule: Rule, attempt: int) -> dict[sympy.Symbol, Any]:
    """The defaults where they are telling, other fractions where they are not: 0 and 1 would hide a mistake."""
    numbers = {eta: sympy.Rational(2, 7 + 4 * attempt)}
    for i, (symbol, default) in enumerate(rule.parameters.items()):
        telling = default not in (None, 0, 1)
        numbers[symbol] = sympy.Rational(str(default)) if telling else sympy.Rational(4 + i, 9 + 2 * i + 3 * attempt)
    return numbers


def _all_finite(rule: Rule, numbers: dict[sympy.Symbol, Any]) -> bool:
    return all(value.is_finite and value.is_real for value in _coefficients(rule, numbers))


def _coefficients(rule: Rule, numbers: dict[sympy.Symbol, Any]) -> Iterator[sympy.Expr]:
    forms = [*rule.words.values(), *rule.start_words.values()]
    return (c.subs(numbers) for form in forms for operator in form.values() for c in operator.values())
