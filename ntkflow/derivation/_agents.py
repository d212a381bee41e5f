r"""A rule as one agent computes it, in LaTeX: every W a sum over neighbours, as in arXiv 2409.15267, eqs. (4)–(6)."""

from __future__ import annotations

import sympy

from ..notation import W, average, gradient, theta, theta0, x_next
from ..printing import indexed, latex, ordered
from .letters import Letter

INDICES = "qjkl"  # the agent, its neighbours, their neighbours
NAMES = {theta: r"\theta", theta0: r"\theta", x_next: r"\hat{\theta}"}
MATRICES = {W: Letter("W", commutative=False),
            average: Letter("average", r"\tfrac{1}{Q} \mathbf{1} \mathbf{1}^{\top}", commutative=False)}  # fmt: skip


def agent(expr: sympy.Expr, depth: int = 0) -> str:
    """The expression for the agent with the index of that depth."""
    if expr == 0:
        return "0"
    if isinstance(expr, sympy.Symbol):
        return of_agent(expr, depth)
    if isinstance(expr, gradient):
        return rf"{indexed('g', _index(depth))}\!\left({agent(expr.args[0], depth)}\right)"
    if isinstance(expr, sympy.Add):
        return _sum([agent(term, depth) for term in ordered(expr)])
    *left, inner = expr.args
    return _applied(sympy.Mul(*left), inner, depth)


def of_agent(symbol: sympy.Symbol, depth: int = 0) -> str:
    """A block's letter with the agent's index, and (0) where it is the start."""
    marked = indexed(NAMES.get(symbol) or latex(symbol), _index(depth))
    return f"{marked}(0)" if symbol == theta0 else marked


def _index(depth: int) -> str:
    last = len(INDICES) - 1
    return INDICES[depth] if depth <= last else f"{INDICES[last]}_{{{depth - last + 1}}}"


def _applied(operator: sympy.Expr, inner: sympy.Expr, depth: int) -> str:
    """A polynomial in W before an expression."""
    scalars, words = operator.args_cnc()
    number = _number(sympy.Mul(*scalars))
    if not words:
        return f"{number} {_grouped(inner, depth)}".strip()
    first, *rest = words
    below = sympy.Mul(*rest, inner)
    if first.is_Add:
        terms = [_applied(term, below, depth) for term in ordered(first)]
        return rf"{number} \left({_sum(terms)}\right)".strip() if number else _sum(terms)
    return rf"{number} {_mixing(first, depth)} {_grouped(below, depth + 1)}".strip()


def _number(scalar: sympy.Expr) -> str:
    """What stands before a sum, without its 1."""
    printed = latex(scalar)
    return {"1": "", "-1": "-"}.get(printed, rf"\left({printed}\right)" if scalar.is_Add else printed)


def _mixing(operator: sympy.Expr, depth: int) -> str:
    """The sum over neighbours for W, the average, or a power; that of a polynomial has its entries in brackets."""
    (base, power), q, j = operator.as_base_exp(), _index(depth), _index(depth + 1)
    if base == average:  # as often as one likes: the average of averages is the average
        return rf"\frac{{1}}{{Q}} \sum_{{{j}}}"
    if base == W and power == 1:
        return rf"\sum_{{{j}}} w_{{{q}{j}}}"
    return rf"\sum_{{{j}}} [{latex(operator.xreplace(MATRICES))}]_{{{q}{j}}}"


def _grouped(expr: sympy.Expr, depth: int) -> str:
    """What a sum or a number acts on: in brackets where it is printed as a sum."""
    printed = agent(expr, depth)
    spread = expr.is_Mul and expr.args[0].is_Add and not expr.args[0].is_commutative
    return rf"\bigl({printed}\bigr)" if expr.is_Add or spread else printed


def _sum(terms: list[str]) -> str:
    return terms[0] + "".join(f" - {t[1:].strip()}" if t.startswith("-") else f" + {t}" for t in terms[1:])
