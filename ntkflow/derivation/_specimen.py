"""A rule on small explicit networks: run agent by agent, and what every letter of a derivation stands for there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from ..algorithms import Rule
from ..notation import W, average, eta, gradient, theta, theta0
from . import letters
from ._arrays import Exact, column, diagonal, identity, parts, stack
from ._evaluate import evaluate, fraction
from ._networks import AGENTS, PARAMETERS, SAMPLES, Networks, mixing, networks

State = dict[sympy.Symbol, list[Exact]]  # block -> one column (P, 1) an agent
STEPS, TIME = 3, Fraction(1, 2)  # where closed forms are compared


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
        """Numbers for the step size and the parameters: squares, so that roots of them stay rational."""
        squares = (sympy.Rational(4 + i, 9 + 2 * i) ** 2 for i in range(len(self.rule.parameters)))
        return dict(zip([eta, *self.rule.parameters], [sympy.Rational(1, 9), *squares], strict=True))

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
        return {b: self.each(self.rule.update[b], state) for b in self.rule.blocks}

    def each(self, expr: sympy.Expr, state: State) -> list[Exact]:
        """An expression of the rule, agent by agent."""
        return [self._agent(expr, state, q) for q in range(AGENTS)]

    def _agent(self, expr: sympy.Expr, state: State, q: int) -> Exact:
        if expr == 0:
            return column([0] * PARAMETERS)
        if isinstance(expr, sympy.Symbol):
            return state[expr][q] if expr in state else self._agent(self.rule.lets[expr], state, q)
        if isinstance(expr, gradient):
            return self.networks.gradient(q, self._agent(expr.args[0], state, q))
        if isinstance(expr, sympy.Add):
            return sum(self._agent(term, state, q) for term in expr.args)
        *left, inner = expr.args
        return self._mixed(sympy.Mul(*left), lambda r: self._agent(inner, state, r), q)

    def _mixed(self, operator: sympy.Expr, of: Callable[[int], Exact], q: int) -> Exact:
        """A polynomial in W applied to what every agent has, as agent q computes it from its neighbours."""
        if operator == W:
            return sum(mixing()[q, r] * of(r) for r in range(AGENTS))
        if operator == average:
            return sum(of(r) for r in range(AGENTS)) / Fraction(AGENTS)
        if operator.is_commutative:
            return fraction(operator.subs(self.scalars)) * of(q)
        if isinstance(operator, sympy.Add):
            return sum(self._mixed(term, of, q) for term in operator.args)
        if isinstance(operator, sympy.Pow):
            first, rest = operator.base, operator.base ** (operator.exp - 1)
        else:
            first, rest = operator.as_two_terms()
        return self._mixed(first, lambda r: self._mixed(rest, of, r), q)

    # ---------------------------------------------------------------------------------- the rule, in matrices

    def value(self, expr: Any, shape: str, known: dict[Any, Any]) -> Exact:
        """A derived expression in matrices; ``shape`` names the sides of one block (`sides`)."""
        return evaluate(expr, self._values | known, (self.sides[shape[0]], self.sides[shape[1]]))

    @cached_property
    def _values(self) -> dict[Any, Any]:
        """What every letter stands for."""
        lets = {name: stack(self.each(name, self.state)) for name in self.rule.lets}
        return {
            **self.scalars, **self._sizes, **self._network, **lets,
            W: np.kron(mixing(), identity(PARAMETERS)),
            average: np.kron(np.full((AGENTS, AGENTS), Fraction(1, AGENTS)), identity(PARAMETERS)),
            gradient: lambda x: stack([self.networks.gradient(q, part) for q, part in enumerate(parts(x, AGENTS))]),
            theta0: stack(self.origin), **{b: stack(rows) for b, rows in self.state.items()},
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
