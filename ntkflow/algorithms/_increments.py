"""M − I in words of W − I: what a rule keeps at rest cancels in symbols, before anything is rounded.

Every run of W in a word is written as 1 + (W…W − 1), the bracket being one letter.  Words without such a letter are
the rule on the consensus; a polynomial c(H) with c (M − I) = 0 there is a sum over the agents that the rule conserves:
in the coordinate c s, in the place of one block, every word begins with a bracket, which uᵀ = uᵀW annihilates from the
left, whatever W, Ψ and the numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

import sympy
from sympy.polys.matrices import DomainMatrix

from ..notation import g0, theta0
from ._affine import Affine, Operator, _sum, add, compose, times

Grid = tuple[tuple[Operator, ...], ...]  # a row and a column a block
kappa = sympy.Symbol("kappa")


@dataclass(frozen=True)
class Increments:
    """The words of M − I; a letter is "H" or a run of mixing letters, which stands for the run less the identity.

    ``weights`` are the c_i, words in H, where the rule conserves Σ_q u_q Σ_i c_i s_i: that sum stands in the place of
    block ``conserved``, of which c is 1, in rows and columns of ``grid``.  Without one, ``conserved`` is None.
    ``drive`` is the first update less the start, from θ₀ and the gradient g₀ there, with the same sum in its place.
    """

    grid: Grid
    drive: tuple[Affine, ...]
    conserved: int | None = None
    weights: tuple[Operator, ...] = ()

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """The blocks that the conserved sum does not replace."""
        return tuple(i for i in range(len(self.grid)) if i != self.conserved)

    @cached_property
    def at_rest(self) -> tuple[tuple[sympy.Expr, ...], ...]:
        """The rows a with Σ_i a_i s_i conserved, i over `kept`, on the consensus where nothing is learned."""
        null = self._idle.transpose().nullspace().to_Matrix()
        return tuple(tuple(null.row(i)) for i in range(null.rows))

    @cached_property
    def ramping(self) -> tuple[int, ...]:
        """How many of its Jordan blocks are longer than 1, 2, ..."""
        ranks = [(self._idle**k).rank() for k in range(1, len(self.kept) + 2)]
        return tuple(before - after for before, after in pairwise(ranks) if before > after)

    @cached_property
    def _idle(self) -> DomainMatrix:
        rows = [[self.grid[i][k].get((), sympy.S.Zero) for k in self.kept] for i in self.kept]
        return DomainMatrix.from_Matrix(sympy.Matrix(rows)).to_field()

    @property
    def runs(self) -> set[Any]:
        """The runs that occur."""
        operators = [
            *(entry for row in self.grid for entry in row),
            *(op for form in self.drive for op in form.values()),
        ]
        return {a for operator in operators for word in operator for a in word if a != "H"}


def increments(words: dict[sympy.Symbol, Affine], start: dict[sympy.Symbol, Affine]) -> Increments:
    """Of a rule's linearised update {block: {source: {word: coefficient}}} and start."""
    identity: Operator = {(): -sympy.S.One}
    grid = tuple(
        tuple(_sum([_less_one(words[i].get(j, {})), identity if i == j else {}]) for j in words) for i in words
    )
    drive = tuple(_first_update(words[i], start, start[i]) for i in words)
    for weights in _left_null(grid):
        for place in reversed(range(1, len(grid))):
            c = _scaled(weights, place)
            changed = c and _in_the_sum(grid, c, place)
            if changed and all(word and word[0] != "H" for entry in changed[place] for word in entry):
                total = add(*(times(factor, part) for factor, part in zip(c, drive, strict=True)))
                return Increments(changed, (*drive[:place], total, *drive[place + 1 :]), place, c)
    return Increments(grid, drive)


def _first_update(row: Affine, start: dict[sympy.Symbol, Affine], before: Affine) -> Affine:
    """What a block becomes less what it was, from theta0 and g0."""
    moved = [times(row[j], first) for j, first in start.items() if j in row]
    constant = {source: row[source] for source in (theta0, g0) if source in row}
    form = add(*moved, constant, times({(): -sympy.S.One}, before))
    return {source: _less_one(operator) for source, operator in form.items()}


def _less_one(operator: Operator) -> Operator:
    return _sum([compose({(): c}, _expanded(word)) for word, c in operator.items()])


def _expanded(word: tuple[str, ...]) -> Operator:
    form: Operator = {(): sympy.S.One}
    for learns, letters in groupby(word, key=lambda letter: letter == "H"):
        run: Any = tuple(letters)
        form = compose(form, {run: sympy.S.One} if learns else {(): sympy.S.One, (run,): sympy.S.One})
    return form


def _left_null(grid: Grid) -> list[list[sympy.Expr]]:
    """A basis of the c(κ) with c (M − I) = 0 on the consensus."""
    consensus = sympy.Matrix(len(grid), len(grid), lambda i, j: _polynomial(grid[j][i]))
    basis = DomainMatrix.from_Matrix(consensus).to_field().nullspace().to_Matrix()
    return [list(basis.row(i)) for i in range(basis.rows)]


def _polynomial(operator: Operator) -> sympy.Expr:
    return sum((c * kappa ** len(word) for word, c in operator.items() if set(word) <= {"H"}), sympy.S.Zero)


def _scaled(weights: list[sympy.Expr], place: int) -> tuple[Operator, ...]:
    """The weights as words in H with 1 in one place; empty where that takes a division by H."""
    if weights[place] == 0:
        return ()
    quotients = [sympy.cancel(weight / weights[place]) for weight in weights]
    if any(sympy.denom(q).has(kappa) for q in quotients):
        return ()
    return tuple({("H",) * k: c for (k,), c in sympy.Poly(q, kappa).terms() if c != 0} for q in quotients)


def _in_the_sum(grid: Grid, weights: tuple[Operator, ...], place: int) -> Grid:
    """The grid with Σ_i c_i s_i in one place: rows are summed, and s_place = sum − Σ_other c_i s_i is put in."""
    blocks = range(len(grid))
    total = tuple(_sum([compose(weights[i], grid[i][k]) for i in blocks]) for k in blocks)
    rows = [total if i == place else grid[i] for i in blocks]
    minus = [compose({(): -sympy.S.One}, c) for c in weights]
    return tuple(
        tuple(row[k] if k == place else _sum([row[k], compose(row[place], minus[k])]) for k in blocks) for row in rows
    )
