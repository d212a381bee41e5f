"""What the modal analysis answers with: inequalities, bounds, and what had to be left implicit."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from ..printing import latex, text

SUFFICIENT = " (sufficient)"


def formula(expr: sympy.Expr) -> str:
    """LaTeX in which min and max are upright, as operators are."""
    return latex(expr).replace("{min}", r"{\min}").replace("{max}", r"{\max}")


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
        where none is small enough. Cases are told apart by λ_min.
    smallest : sympy expression
        What λ_min is on this graph.
    exact : bool
        Whether η just above it is unstable for some κ ≤ κ_max; otherwise the bound is sufficient only.
    """

    value: sympy.Expr
    smallest: sympy.Expr
    exact: bool

    def __str__(self) -> str:
        return f"eta <= {text(self.value)}" + ("" if self.exact else SUFFICIENT)

    def latex(self) -> str:
        """The inequality in LaTeX."""
        return rf"\eta \le {formula(self.value)}" + ("" if self.exact else rf"\text{{{SUFFICIENT}}}")
