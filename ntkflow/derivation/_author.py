"""The derivation itself: from the update rule to the closed form, one step after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from ..algorithms import Rule
from ..notation import theta, theta0
from ..printing import latex
from . import letters
from ._prose import PROSE
from ._specimen import Specimen
from ._steps import Equation, Step
from ._system import SymbolicSystem
from .letters import JT, J, JxT, Y, c, f, f0, j, k, s0, t, tau


@dataclass(frozen=True, eq=False)
class Author:
    """Writes the steps for one rule under one normalization."""

    system: SymbolicSystem

    def steps(self) -> tuple[Step, ...]:
        """All steps, in their order."""
        apart = self.system.input(together=False) != self.system.input(together=True)
        return (
            self.update(), self.flow(), self.chain_rule(), self.linearisation(), self.linear_gradient(),
            self.substitution(), self.collection(), self.state_space(), self.deviation(),
            *([self.together()] if apart else []), self.closed_form(),
        )  # fmt: skip

    @property
    def rule(self) -> Rule:
        """The rule that is derived from."""
        return self.system.rule

    @property
    def weighted(self) -> bool:
        """Whether the agents' factors c_q differ, so that c is a matrix."""
        return self.system.normalization is None

    @cached_property
    def real(self) -> Specimen:
        """Small explicit networks."""
        return Specimen(self.rule, self.system.normalization, linear=False)

    @cached_property
    def linear(self) -> Specimen:
        """The same, linearised at the start."""
        return Specimen(self.rule, self.system.normalization, linear=True)

    def update(self) -> Step:
        """ϑ⁺ = U(ϑ), stacked."""
        lets = [Equation("let", expr, name) for name, expr in self.rule.lets.items()]
        updates = [Equation("next", self.rule.update[b], b) for b in self.rule.blocks]
        return _step("rule", self.real, *lets, *updates)

    def flow(self) -> Step:
        """ϑ̇ = U(ϑ) − ϑ."""
        return _step("flow", self.real, *(Equation("flow", self.rule.update[b] - b, b) for b in self.rule.blocks))

    def chain_rule(self) -> Step:
        """g(ϑ) = ∂L/∂ϑ through f."""
        factor, square = self.system.factor, letters.weighted_square if self.weighted else letters.square
        inner = c if self.weighted else sympy.S.One
        loss = Equation("loss", factor / 2 * square, shape="11")
        return _step("gradient", self.real, loss, Equation("gradient", factor * JxT * inner * (f - Y)))

    def linearisation(self) -> Step:
        """f(ϑ) ≈ f₀ + J₀(ϑ − ϑ₀)."""
        outputs = Equation("outputs", f0 + J * (theta - theta0), approximate=True)
        return _step("linearisation", self.linear, outputs, Equation("jacobian", J, shape="nP", approximate=True))

    def linear_gradient(self) -> Step:
        """g(ϑ) = Ψ₀(ϑ − ϑ₀) + J₀ᵀe₀, times the factor."""
        curvature = Equation("hessian", JT * c * J if self.weighted else JT * J, shape="PP")
        gradient = Equation("gradient", self.system.gradient_at(theta))
        return _step("linear_gradient", self.linear, Equation("residual", f0 - Y), curvature, gradient)

    def substitution(self) -> Step:
        """The rule with that gradient in it."""
        put = self.system.substituted
        lets = [Equation("let", put(expr), name) for name, expr in self.rule.lets.items()]
        updates = [Equation("next", put(self.rule.update[b]), b) for b in self.rule.blocks]
        return _step("substitution", self.linear, *lets, *updates)

    def collection(self) -> Step:
        """ϑ⁺ = Σ M_ij s_j + b_i."""
        M, b, blocks = self.system.M, self.system.b, self.rule.blocks
        rows = [sum((M[i, col] * s for col, s in enumerate(blocks)), b[i, 0]) for i in range(len(blocks))]
        return _step("collection", self.linear, *map(_next, rows, blocks))

    def state_space(self) -> Step:
        """M, b, A, u: eqs. (12a–c)."""
        system, names = self.system, ", ".join(f"${latex(block)}$" for block in self.rule.blocks)
        state = r"$s = \vartheta$" if len(self.rule.blocks) == 1 else f"$s$ stacks {names}"
        maps = Equation("M", system.M, shape="PP"), Equation("A", system.A, shape="PP")
        constants = Equation("b", system.b), Equation("u", system.b)
        return _step("system", self.linear, maps[0], constants[0], maps[1], constants[1], state=state)

    def deviation(self) -> Step:
        """ẋ = A x + u_x, f = f₀ + C x."""
        system, more = self.system, " and the other blocks as they are" if self.rule.blocks[1:] else ""
        starts = (Equation("start", system.start[b], b) for b in self.rule.blocks[1:])
        ends = Equation("B", system.B, shape="Pn"), Equation("C", system.C, shape="nP")
        drive = Equation("u_x", system.input(together=False))
        return _step("deviation", self.linear, *starts, drive, *ends, more=more, driven=self._driven)

    @property
    def _driven(self) -> str:
        """How the residuals come in."""
        if any(self.system.B):
            return "the residuals enter through $B$"
        later = [f"${latex(b)}$" for b, start in self.system.start.items() if start.has(letters.e0)]
        return f"the residuals enter through the start of {', '.join(later)}" if later else "no residuals enter"

    def together(self) -> Step:
        """u_x = B e₀, where nothing else is driven by the start."""
        specimen = Specimen(self.rule, self.system.normalization, linear=True, together=True)
        return _step("together", specimen, Equation("u_x", self.system.input(together=True)))

    def closed_form(self) -> Step:
        """s_k and s(t)."""
        system = self.system
        start = sympy.ImmutableMatrix([[system.start[b]] for b in self.rule.blocks])
        summed = sympy.Sum(letters.M**j, (j, 0, k - 1))
        integrated = sympy.Integral(sympy.exp(letters.A * tau), (tau, 0, t))
        driven = any(entry != 0 for entry in system.b)
        iterate = Equation("iterate", letters.M**k * s0 + (summed * letters.b if driven else 0))
        trajectory = Equation("trajectory", sympy.exp(letters.A * t) * s0 + (integrated * letters.u if driven else 0))
        known = (
            (letters.M, system.M, "PP"), (letters.b, system.b, "P1"), (letters.A, system.A, "PP"),
            (letters.u, system.b, "P1"), (s0, start, "P1"),
        )  # fmt: skip
        return _step("closed_form", self.linear, iterate, trajectory, known=known)


def _next(right: sympy.Expr, block: sympy.Symbol) -> Equation:
    return Equation("next", right, block)


def _step(name: str, specimen: Specimen, *equations: Equation, known: Any = (), **words: str) -> Step:
    """A step with its prose, ``words`` put in for the names in braces."""
    prose = PROSE[name]
    reason = prose.reason.format(**words) if words else prose.reason
    return Step(name, prose.title, reason, equations, prose.evidence, specimen, known)
