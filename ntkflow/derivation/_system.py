"""The linear system that a rule's words spell: M, b, A, u, B, C as matrices of operators, one entry a block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from ..algorithms import Rule
from ..algorithms._affine import Operator, add, compose
from ..notation import H, W, average, eta, g0, gradient, theta, theta0
from . import letters
from .letters import JT, Psi, c, e0

LETTERS = {"W": W, "average": average, "H": H}
FACTORS = {  # of the gradient, for agents with D samples each: ∂/∂ϑ of the loss that the normalization names
    "per_agent": 1 / letters.D,
    "global": 1 / (letters.D * letters.Q),
    "sum": sympy.S.One,
    "torch_mse": 2 / (letters.D * letters.n_outputs),
}


@dataclass(frozen=True, eq=False)
class SymbolicSystem:
    """A rule's linear system under a normalization by name, or None for factors c that differ between agents."""

    rule: Rule
    normalization: str | None

    @property
    def factor(self) -> sympy.Expr:
        """The one factor of all gradients, 1 when c is a matrix that Ψ₀ has inside."""
        return sympy.S.One if self.normalization is None else FACTORS[self.normalization]

    @property
    def pull(self) -> sympy.Expr:
        """J₀ᵀ, or J₀ᵀc: what turns residuals into a gradient, but for the factor."""
        return JT * c if self.normalization is None else JT

    @cached_property
    def bracket(self) -> sympy.Expr:
        """J₀ᵀe₀ − Ψ₀ϑ₀, the gradient at the origin of all parameters, but for the factor."""
        return self.pull * e0 - Psi * theta0

    def gradient_at(self, place: sympy.Expr) -> sympy.Expr:
        """The linearised gradient."""
        return self.factor * (Psi * (place - theta0) + self.pull * e0)

    def substituted(self, expr: Any) -> Any:
        """A rule's expression with every gradient replaced by the linearised one, the innermost first."""
        if isinstance(expr, gradient):
            return self.gradient_at(self.substituted(expr.args[0]))
        return expr.func(*map(self.substituted, expr.args)) if expr.args else expr

    def operator(self, words: Operator | None, factor: sympy.Expr = sympy.S.One) -> sympy.Expr:
        """A sum of words as an expression, times a number."""
        terms = (factor * number * self._word(word) for word, number in (words or {}).items())
        return sympy.Add(*terms)

    def _word(self, word: tuple[str, ...]) -> sympy.Expr:
        scaled = {**LETTERS, "H": self.factor * Psi}
        return sympy.Mul(*(scaled[letter] for letter in word))

    @cached_property
    def M(self) -> sympy.ImmutableMatrix:
        """The iteration's matrix, s⁺ = M s + b."""
        words, blocks = self.rule.words, self.rule.blocks
        return sympy.ImmutableMatrix([[self.operator(words[b].get(source)) for source in blocks] for b in blocks])

    @cached_property
    def b(self) -> sympy.ImmutableMatrix:
        """The iteration's constant; every gradient brings H(· − θ₀) + g₀, so it is an operator on one bracket."""
        rows = [self._pulled(b) * self.bracket for b in self.rule.blocks]
        return sympy.ImmutableMatrix([[row] for row in rows])

    def _pulled(self, block: sympy.Symbol) -> sympy.Expr:
        """What stands before J₀ᵀ in a block's constant."""
        return self.operator(self.rule.words[block].get(g0), self.factor)

    @cached_property
    def A(self) -> sympy.ImmutableMatrix:
        """The flow's state matrix M − I."""
        return self.M - sympy.eye(self.M.rows)

    @cached_property
    def start(self) -> dict[sympy.Symbol, sympy.Expr]:
        """The first value of every block."""
        return {b: self._at_start(self.rule.start_words[b]) for b in self.rule.blocks}

    @cached_property
    def B(self) -> sympy.ImmutableMatrix:
        """Residuals e₀ to the input."""
        rows = [self._pulled(b) * self.pull for b in self.rule.blocks]
        return sympy.ImmutableMatrix([[row] for row in rows])

    @cached_property
    def C(self) -> sympy.ImmutableMatrix:
        """Deviations of the state to deviations of the outputs."""
        return sympy.ImmutableMatrix([[letters.J, *[sympy.S.Zero] * (len(self.rule.blocks) - 1)]])

    def input(self, together: bool) -> sympy.ImmutableMatrix:
        """u of ẋ = A x + u, x = (ϑ − ϑ₀, auxiliary blocks); ``together``: 𝓦ϑ₀ = ϑ₀ is used."""
        return sympy.ImmutableMatrix([[self._at_start(self._input_words(b, together))] for b in self.rule.blocks])

    def _input_words(self, block: sympy.Symbol, together: bool) -> Mapping[sympy.Symbol, Operator]:
        words = self.rule.words[block]
        moved = [{theta0: words.get(theta, {})}, {s: op for s, op in words.items() if s in (theta0, g0)}]
        total = add(*moved, {theta0: {(): -sympy.S.One}} if block == theta else {})
        return add({s: _on_consensus(op) if s == theta0 else op for s, op in total.items()}) if together else total

    def _at_start(self, form: Mapping[sympy.Symbol, Operator]) -> sympy.Expr:
        places = {theta0: (sympy.S.One, theta0), g0: (self.factor, self.pull * e0)}
        return sympy.Add(*(self.operator(op, places[s][0]) * places[s][1] for s, op in form.items()))

    @property
    def alpha(self) -> sympy.Expr:
        """η times the factor."""
        return eta * self.factor


def _on_consensus(operator: Operator) -> Operator:
    """What an operator does to agents that agree: W 1 = 1 strips what mixes at the right end."""
    total: Operator = {}
    for word, number in operator.items():
        while word and word[-1] in ("W", "average"):
            word = word[:-1]
        total[word] = total.get(word, sympy.S.Zero) + number
    return compose({(): sympy.S.One}, total)
