"""A rule's expressions as sums of words: Σ coefficient · word in {W, average, H} · source.

This is the whole linearisation.  ``gradient(e)`` becomes ``H e − H θ₀ + g₀``, products are written
out, and what is not (words) times (one state) is refused with the term that offends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy

from ..errors import RuleError
from ..notation import H, W, average, g0, gradient, theta0

Word = tuple[str, ...]  # ("W", "H") is the operator W H; () is the identity
Operator = dict[Word, Any]  # word -> commutative coefficient
Affine = dict[sympy.Symbol, Operator]  # source (a block, theta0 or g0) -> operator

LARGEST_POWER = 100  # of an operator: so many words or more come of it


def affine(expr: sympy.Expr, known: Mapping[sympy.Symbol, Affine]) -> Affine:
    """``expr`` as {source: {word: coefficient}}; ``known`` has the form of every allowed symbol."""
    if expr == 0:
        return {}
    if isinstance(expr, sympy.Symbol) and expr in known:
        return known[expr]
    if isinstance(expr, gradient):
        inside = affine(expr.args[0], known)
        return add(times({("H",): 1}, inside), {theta0: {("H",): -sympy.S.One}, g0: {(): sympy.S.One}})
    if isinstance(expr, sympy.Add):
        return add(*(affine(term, known) for term in expr.args))
    if isinstance(expr, sympy.Mul):
        *left, state = expr.args
        if not holds_state(state, known):
            raise RuleError(f"{expr}: not an operator times a state; write scalars and W to the left of the block")
        if holds_state(sympy.Mul(*left), known):
            raise RuleError(f"{expr}: {_complaint(expr, known)}")
        return times(operator(sympy.Mul(*left), known), affine(state, known))
    raise RuleError(f"{expr}: {_complaint(expr, known)}")


def operator(expr: sympy.Expr, known: Iterable[sympy.Symbol] = ()) -> Operator:
    """A polynomial in W and the average with scalar coefficients as {word: coefficient}."""
    if expr in (W, average):
        return {(str(expr),): sympy.S.One}
    if expr.is_commutative:
        return {(): expr}
    if isinstance(expr, sympy.Add):
        return _sum(operator(term, known) for term in expr.args)
    if isinstance(expr, sympy.Mul):
        result: Operator = {(): sympy.S.One}
        for factor in expr.args:
            result = compose(result, operator(factor, known))
        return result
    if isinstance(expr, sympy.Pow) and not holds_state(expr, known):
        base, power = expr.args
        if power.is_Integer and 0 <= int(power) <= LARGEST_POWER:
            factor, result = operator(base, known), {(): sympy.S.One}
            for _ in range(int(power)):
                result = compose(result, factor)
            return result
    raise RuleError(f"{expr}: {_complaint(expr, known)}")


def holds_state(expr: sympy.Expr, known: Iterable[sympy.Symbol]) -> bool:
    """Whether ``expr`` contains a state (a block, a let, theta0) or a gradient."""
    return bool(expr.has(gradient) or expr.free_symbols & set(known))


def times(left: Operator, form: Affine) -> Affine:
    """The operator ``left`` applied to every term."""
    return {source: compose(left, op) for source, op in form.items()}


def add(*forms: Affine) -> Affine:
    """The sum, terms that cancel left out."""
    sources = dict.fromkeys(source for form in forms for source in form)
    total = {source: _sum(form[source] for form in forms if source in form) for source in sources}
    return {source: op for source, op in total.items() if op}


def compose(left: Operator, right: Operator) -> Operator:
    """The product of two operators, words concatenated."""
    return _sum({a + b: c * d} for a, c in left.items() for b, d in right.items())


def of_consensus(form: Affine, shift: Mapping[sympy.Symbol, Operator]) -> Operator:
    """What a form makes of a common shift 1 ⊗ v of its sources; W 1 = 1 strips a trailing W, or average."""
    moved = add(*({theta0: compose(op, shift[source])} for source, op in form.items() if source in shift))
    return _sum({_without_mixing(word): c} for word, c in moved.get(theta0, {}).items())


def _without_mixing(word: Word) -> Word:
    while word and word[-1] != "H":
        word = word[:-1]
    return word


def _sum(operators: Iterable[Operator]) -> Operator:
    total: Operator = {}
    for op in operators:
        for word, coefficient in op.items():
            total[word] = total[word] + coefficient if word in total else coefficient
    # most coefficients are monomials, and expanding those would be most of the work
    simple = {word: sympy.expand(c) if c.has(sympy.Add) else c for word, c in total.items()}
    return {word: c for word, c in simple.items() if c != 0}


def _complaint(expr: sympy.Expr, known: Iterable[sympy.Symbol]) -> str:
    if isinstance(expr, sympy.Symbol):
        if expr in (W, average):
            return "an operator is not a state; write it to the left of a block"
        if expr in (H, g0):
            return "belongs to the linearised rule; write gradient(...) instead"
        if expr == theta0:
            return "has a meaning in start only; the update reads the blocks"
        return "unknown symbol; neither a block, a let nor a parameter (in start: only theta0 and gradient(theta0))"
    if expr.is_commutative:
        return "a number is not a state; multiply it by a block"
    if holds_state(expr, known):
        return "not linear in the state and the gradient"
    return f"not a polynomial in W and average with powers up to {LARGEST_POWER}"
