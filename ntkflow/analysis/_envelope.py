r"""The worst limit over a spectrum of which only the smallest eigenvalue is known.

For W with eigenvalues in [λ_min, 1], one of them λ_min and one of them 1, the step size is bounded by the infimum of
the limit over [λ_min, 1).  Where the limit rises with λ that is its value at λ_min; where the infimum sits in between,
it need not be attained, and the bound is sufficient only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import sympy

from ._crossing import Cell
from ._signs import UndecidedError, between, require_one_sign, roots_inside
from ._symbols import lam


@dataclass(frozen=True)
class Segment:
    """For low ≤ λ_min < high the bound is ``value``, in λ_min as λ; ``exact`` says whether it is attained."""

    low: sympy.Expr
    high: sympy.Expr
    value: sympy.Expr
    exact: bool


def worst(cells: Sequence[Cell], consensus: sympy.Expr) -> tuple[Segment, ...]:
    """The infimum of the cells' limits over [λ_min, 1) and of the limit at λ = 1, as λ_min goes down from 1."""
    least, exact, found = consensus, True, []
    for cell in reversed(cells):
        for low, high, falls in reversed(list(_monotone(cell))):
            end = cell.limit.subs(lam, high if falls else low)
            if falls:
                least, exact = (end, False) if _less(end, least, low, high) else (least, exact)
                found.append(Segment(low, high, least, exact))
                continue
            for a, b in reversed(list(pairwise([low, *_meetings(cell.limit, least, low, high), high]))):
                own = _less(cell.limit, least, a, b)
                found.append(Segment(a, b, cell.limit if own else least, own or exact))
            least, exact = (end, False) if _less(end, least, low, high) else (least, exact)
    return tuple(_merged(found[::-1]))


def _monotone(cell: Cell) -> Iterator[tuple[sympy.Expr, sympy.Expr, bool]]:
    """The parts of a cell on which the limit only rises or only falls (then True)."""
    slope = sympy.factor(sympy.diff(cell.limit, lam))
    if not sympy.numer(slope).is_polynomial(*slope.free_symbols):
        raise UndecidedError("the largest step size contains a root, so where it is least over the spectrum")
    for low, high in pairwise([cell.low, *roots_inside(slope, cell.low, cell.high), cell.high]):
        require_one_sign(slope, low, high)
        yield low, high, bool(_sampled(slope, low, high) < 0)


def _meetings(limit: sympy.Expr, least: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> list[sympy.Expr]:
    return [] if sympy.oo in (limit, least) else roots_inside(limit - least, low, high)


def _less(one: sympy.Expr, other: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> bool:
    """Whether one is below the other while low < λ < high, where they do not cross."""
    if sympy.oo in (one, other):
        return bool(one != sympy.oo)
    difference = sympy.together(one - other)
    require_one_sign(difference, low, high)
    return bool(_sampled(difference, low, high) < 0)


def _sampled(expr: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> sympy.Expr:
    point = dict.fromkeys(expr.free_symbols, sympy.Rational(1, 2)) | {lam: between(low, high)}
    return sympy.simplify(expr.subs(point))


def _merged(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Neighbours with the same bound as one."""
    current = segments[0]
    for segment in segments[1:]:
        if (segment.value, segment.exact) == (current.value, current.exact):
            current = Segment(current.low, segment.high, current.value, current.exact)
        else:
            yield current
            current = segment
    yield current
