"""Faults to plant in an expression: a sign, a factor W, a factor Q, at every place where one can stand."""

from collections.abc import Iterator

import sympy

from ntkflow.derivation import letters
from ntkflow.notation import W, average, gradient


def faults(expr) -> Iterator[tuple[str, object]]:
    """(what was done, the faulty expression), every fault once."""
    if isinstance(expr, sympy.MatrixBase):
        for place, entry in enumerate(expr):
            for what, changed in faults(entry):
                faulty = expr.as_mutable()
                faulty[place] = changed
                yield f"{what} in entry {place}", faulty.as_immutable()
        return
    if expr == 0:
        return
    yield "sign", -expr
    yield "factor Q", letters.Q * expr
    if not _leads_with(expr, average):  # W times the average is the average
        yield "factor W added", W * expr
    yield from _without_mixing(expr)
    for i, part in enumerate(expr.args):
        if expr.is_Add or isinstance(part, sympy.Add | gradient) or isinstance(expr, gradient):
            for what, changed in faults(part):
                yield what, expr.func(*expr.args[:i], changed, *expr.args[i + 1 :], evaluate=not expr.is_Add)


def _without_mixing(expr):
    """One W, or one average, left out of a product."""
    for i, factor in enumerate(expr.args if expr.is_Mul else ()):
        base, power = factor.as_base_exp()
        if base in (W, average):
            yield "factor W dropped", expr.func(*expr.args[:i], base ** (power - 1), *expr.args[i + 1 :])


def _leads_with(expr, letter):
    """Whether the letter stands first in every term."""
    if expr.is_Add:
        return all(_leads_with(term, letter) for term in expr.args)
    if expr.is_Mul:
        return bool(word := expr.args_cnc()[1]) and _leads_with(word[0], letter)
    return letter in (expr, expr.as_base_exp()[0])
