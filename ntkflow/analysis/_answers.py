"""What the modal analysis answers with: inequalities, bounds, and what had to be left implicit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy

from ..printing import latex, text

SUFFICIENT = " (sufficient)"
LONGEST, DECIMALS = 10**9, 12  # a denominator beyond which a fraction stands for a computed number; its digits
EVERY, NONE = "every step size", "no step size"


def formula(expr: sympy.Expr) -> str:
    """LaTeX in which min and max are upright, as operators are."""
    return latex(expr).replace("{min}", r"{\min}").replace("{max}", r"{\max}")


def cases(expr: sympy.Expr) -> list[tuple[sympy.Expr, sympy.Expr]]:
    """An expression's (value, condition) pairs, the last condition being true."""
    folded = sympy.piecewise_fold(expr)
    return list(folded.args) if isinstance(folded, sympy.Piecewise) else [(folded, sympy.true)]


def sentence(expr: sympy.Expr, prefix: str = "") -> str:
    """Step sizes in plain text, case by case: ``a if condition, else b``; oo and 0 in words."""
    special = {sympy.oo: EVERY, sympy.S.Zero: NONE}
    parts = [
        special.get(value, prefix + text(value)) + ("" if where == sympy.true else f" if {_condition(where)}")
        for value, where in cases(expr)
    ]
    return ", ".join([*parts[:-1], "else " * bool(parts[:-1]) + parts[-1]])


def _condition(where: sympy.Expr) -> str:
    return f"{text(where.lhs)} = {text(where.rhs)}" if isinstance(where, sympy.Equality) else text(where)


@dataclass(frozen=True)
class Conditions:
    """Inequalities, each an expression > 0: on the disagreements (λ < 1) and on the consensus (λ = 1).

    What is positive for every κ, η > 0 by its signs alone is left out, and so are structural roots at one.
    """

    disagreement: tuple[sympy.Expr, ...]
    consensus: tuple[sympy.Expr, ...]

    def __str__(self) -> str:
        parts = {"disagreement": self.disagreement, "consensus": self.consensus}
        joined = {name: ", ".join(f"{text(c)} > 0" for c in part) or "always" for name, part in parts.items()}
        return "; ".join(f"{name}: {inequalities}" for name, inequalities in joined.items())

    def latex(self) -> str:
        """The inequalities in LaTeX, those of the consensus last."""
        return r",\quad ".join(f"{formula(c)} > 0" for c in (*self.disagreement, *self.consensus)) or r"\text{always}"


@dataclass(frozen=True)
class Implicit:
    """What was left implicit: the inequalities (None where not even they were written out), and why."""

    conditions: Conditions | None
    reason: str

    def __str__(self) -> str:
        return f"left implicit, as {self.reason}" + (f": {self.conditions}" if self.conditions else "")

    def latex(self) -> str:
        """The inequalities in LaTeX."""
        return self.conditions.latex() if self.conditions else r"\text{left implicit}"


@dataclass(frozen=True)
class Bound:
    r"""The largest stable step size on a graph, for all κ ≤ κ_max.

    Attributes
    ----------
    value : sympy expression
        η is at most this: in κ_max, the rule's parameters and the graph's sides; oo where no step size is too large, 0
        where none is small enough. Cases are told apart by λ_min, or by the sides that it is known in.
    smallest : sympy expression
        What λ_min is on this graph.
    exact : bool
        Whether η just above it is unstable for some κ ≤ κ_max; otherwise the bound is sufficient only.
    """

    value: sympy.Expr
    smallest: sympy.Expr
    exact: bool

    def in_decimals(self) -> Bound:
        """Fractions that stand for computed numbers as decimals, the digits that are known."""
        parts = self.value.atoms(sympy.Rational) | self.smallest.atoms(sympy.Rational)
        decimals = {r: sympy.Float(r, DECIMALS) for r in parts if r.q > LONGEST}
        return replace(self, value=self.value.xreplace(decimals), smallest=self.smallest.xreplace(decimals))

    def __str__(self) -> str:
        return sentence(self.value, "eta <= ") + ("" if self.exact else SUFFICIENT)

    def latex(self) -> str:
        """The inequality in LaTeX."""
        if self.value in (sympy.oo, sympy.S.Zero):
            return rf"\text{{{EVERY if self.value else NONE}}}"
        return rf"\eta \le {formula(self.value)}" + ("" if self.exact else rf"\text{{{SUFFICIENT}}}")
