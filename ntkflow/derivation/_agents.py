r"""A rule as one agent computes it, in LaTeX: every W a sum over neighbours, as in arXiv 2409.15267, eqs. (4)–(6)."""

from __future__ import annotations

import re

import sympy

from ..notation import average, gradient, theta, theta0, x_next
from ..printing import latex, ordered

INDICES = "qjkl"  # the agent, its neighbours, their neighbours
NAMES = {theta: r"\theta", theta0: r"\theta", x_next: r"\hat{\theta}"}


def agent(expr: sympy.Expr, depth: int = 0) -> str:
    """The expression for the agent with the index of that depth."""
    if expr == 0:
        return "0"
    if isinstance(expr, sympy.Symbol):
        return indexed(expr, INDICES[depth])
    if isinstance(expr, gradient):
        return rf"g_{INDICES[depth]}\!\left({agent(expr.args[0], depth)}\right)"
    if isinstance(expr, sympy.Add):
        return _sum([agent(term, depth) for term in ordered(expr)])
    *left, inner = expr.args
    return _applied(sympy.Mul(*left), inner, depth)


def indexed(symbol: sympy.Symbol, index: str) -> str:
    """A block's letter with the agent's index, and (0) where it is the start."""
    letter = NAMES.get(symbol) or latex(symbol)
    inside = re.fullmatch(r"(.*)_\{(.*)\}", letter)  # x1 prints as x_{1}; two subscripts in a row are an error
    marked = rf"{inside[1]}_{{{inside[2]},{index}}}" if inside else f"{letter}_{index}"
    return f"{marked}(0)" if symbol == theta0 else marked


def _applied(operator: sympy.Expr, inner: sympy.Expr, depth: int) -> str:
    """A polynomial in W before an expression."""
    scalars, words = operator.args_cnc()
    number = latex(sympy.Mul(*scalars)) if scalars else ""
    number = {"1": "", "-1": "-"}.get(number, rf"\left({number}\right)" if sympy.Mul(*scalars).is_Add else number)
    if not words:
        return f"{number} {_grouped(inner, depth)}".strip()
    first, *rest = words
    if first.is_Add:
        terms = [_applied(term, sympy.Mul(*rest, inner), depth) for term in ordered(first)]
        return rf"{number} \left({_sum(terms)}\right)".strip() if number else _sum(terms)
    below = sympy.Mul(*rest, inner)
    if first == average:
        j = INDICES[depth + 1]
        return rf"{number} \frac{{1}}{{Q}} \sum_{{{j}}} {_grouped(below, depth + 1)}".strip()
    q, j = INDICES[depth], INDICES[depth + 1]
    power = rf"[W^{{{latex(first.args[1])}}}]_{{{q}{j}}}" if first.is_Pow else f"w_{{{q}{j}}}"
    return rf"{number} \sum_{{{j}}} {power} {_grouped(below, depth + 1)}".strip()


def _grouped(expr: sympy.Expr, depth: int) -> str:
    printed = agent(expr, depth)
    return rf"\bigl({printed}\bigr)" if expr.is_Add else printed


def _sum(terms: list[str]) -> str:
    return terms[0] + "".join(f" - {t[1:].strip()}" if t.startswith("-") else f" + {t}" for t in terms[1:])
