"""What inputs reach and what outputs see, by the shortest route that the words of a rule allow.

* Where curvature neither opens nor closes a direction (see `_words`), M gives way to F, its words without H, which on a
  mode λ of a symmetric W is F(λ) ⊗ I.  Modes whose F(λ) share no eigenvalue separate, and what is left to decide is the
  reachability of small matrices; a rule of one block has nothing left to decide (T5).  All of the catalogue goes this
  way, but for what is seen of look-ahead momentum.  Multiples of Ψ at which a rank falls by accident are looked for
  with a staircase, and believed where it shows a clear gap.
* Otherwise a staircase on R^s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..notation import g0
from ._staircase import Matrix, Subspace, joined, largest, norm, observable, reachable, span
from ._words import (
    Words,
    beginnings,
    image,
    is_feedback,
    is_injection,
    left_factor,
    magnitude,
    number,
    numeric,
    transposed,
    without_curvature,
)

if TYPE_CHECKING:
    from ._reduction import Reduction

REGULAR = 1e-6  # how far from 0 an eigenvalue of I + α J Jᵀc must be for the left factor to count as invertible
CLEAR = 1e4  # the gap of singular values at which a staircase is believed against the general case
INSIDE = 1e-8  # how far a unit vector may be outside of a subspace that it lies in
SHARED = 1e-7  # eigenvalues of F(λ) that are no farther apart are one: a double one is known to √eps only


@dataclass(frozen=True, eq=False)
class Part:
    """Coordinates of R^s that F connects to no others: a system (F, inputs, outputs), so many copies of it."""

    where: NDArray[np.intp]
    F: Matrix
    inputs: Matrix
    outputs: Matrix
    copies: int = 1

    def lifted(self, found: Subspace, size: int) -> Subspace:
        """A subspace of the small system as one of R^s."""
        basis = np.zeros((size, found.dimension * self.copies))
        basis[self.where] = np.kron(found.basis, np.eye(self.copies))
        return Subspace(basis, found.kept, found.dropped, found.accuracy)


@dataclass(frozen=True, eq=False)
class Kalman:
    """Subspaces of a reduction, in blocks scaled to what the inputs make of them."""

    reduced: Reduction

    @cached_property
    def scale(self) -> Matrix:
        """For every coordinate the size of its block."""
        return np.repeat(self.block_scale, self.reduced.dimension)

    @cached_property
    def block_scale(self) -> Matrix:
        """How far inputs move every block (DIGing's θ moves by η times its y), (s,)."""
        reduced = self.reduced
        letters = {"W": max(1.0, norm(reduced.mixing)), "H": norm(reduced.jacobian_learning) ** 2, "average": 1.0}
        N = np.array([[magnitude(entry, letters) for entry in row] for row in reduced.words()])
        channels = [np.array([magnitude(entry, letters) for entry in way]) for way in self._ways]
        if reduced.apart:
            channels.append(np.linalg.norm(reduced.drive().reshape(len(N), -1), axis=1))
        powers = [sum((x / (x.max() or 1.0) for x in channels), np.zeros(len(N)))]
        for _ in range(len(N)):
            powers.append(N @ powers[-1])
        sizes = np.max(powers, axis=0)
        return np.where(sizes > 0, sizes, 1.0)

    @cached_property
    def reachable(self) -> Subspace:
        """What residuals, and where agents start apart the first update, can reach."""
        if self.fed_back:
            return self._plainly_reached
        words, ways = self.reduced.words(), self._ways
        enter = beginnings(words) + beginnings([[way[i] for way in ways] for i in range(len(words))])
        entries = [self.reduced.driven(entry, self._gradients) for entry in enter]
        if not self._holds(self._plainly_reached, entries, 1.0 / self.scale):
            return reachable(self._M, self._inputs, self._rounding)
        return self._unless_less(self._plainly_reached, self._M, self._inputs)

    @cached_property
    def observable(self) -> Subspace:
        """The orthogonal complement of what no output sees."""
        if self.injected:
            return self._plainly_seen
        letters, sources = self.reduced.letters_transposed, self._rows.T
        leave = beginnings(transposed(self.reduced.words()))
        exits = [np.vstack([image(words, letters, sources) for words in entry]) for entry in leave]
        if not self._holds(self._plainly_seen, exits, self.scale):
            return observable(self._M, self._outputs, self._rounding)
        return self._unless_less(self._plainly_seen, self._M.T, self._outputs.T)

    @cached_property
    def minimal(self) -> Subspace:
        """What is reachable, without what no output sees of it."""
        if self.reachable is self._plainly_reached and self.observable is self._plainly_seen:
            return self._join((part, _seen(part, self._rounding)) for part in self._parts)
        return self.reachable.seen_by(self.observable)

    @cached_property
    def _plainly_reached(self) -> Subspace:
        """The reachable subspace of F."""
        return self._join((part, reachable(part.F, part.inputs, self._rounding)) for part in self._parts)

    @cached_property
    def _plainly_seen(self) -> Subspace:
        """The observable subspace of F."""
        return self._join((part, observable(part.F, part.outputs, self._rounding)) for part in self._parts)

    def _holds(self, space: Subspace, columns: list[Matrix], scale: Matrix) -> bool:
        """Whether all columns, in scaled blocks, lie in the subspace."""
        scaled = [scale[:, None] * x for x in columns]
        unit = [x / (norm(x) or 1.0) for x in scaled]
        return all(norm(x - space.basis @ (space.basis.T @ x)) <= INSIDE for x in unit)

    def _unless_less(self, space: Subspace, M: Matrix, inputs: Matrix) -> Subspace:
        """The subspace, but where a staircase inside of it stops early, and clearly so, what that reaches."""
        V = space.basis
        found = reachable(V.T @ M @ V, V.T @ inputs, self._rounding)
        return space if found.dimension == space.dimension or found.gap < CLEAR else found.inside(space)

    @cached_property
    def fed_back(self) -> bool:
        """Whether reachability is that of F."""
        return is_feedback(self.reduced.words(), self._ways[0])

    @cached_property
    def injected(self) -> bool:
        """Whether observability is that of F."""
        words = self.reduced.words()
        alpha = left_factor(words)
        if is_injection(words) or alpha is None:
            return is_injection(words)
        J = self.reduced.jacobian
        curvature = np.linalg.eigvalsh(J @ np.swapaxes(J, 1, 2))
        return bool(np.abs(1.0 + alpha * curvature).min(initial=math.inf) > REGULAR)

    @cached_property
    def _parts(self) -> list[Part]:
        """Modes of a symmetric W, joined where their F(λ) share an eigenvalue; everything for any other W."""
        reduced, s = self.reduced, self.reduced.n_blocks
        if not reduced.symmetric:
            return [self._part(np.arange(s * reduced.dimension))]
        parts = []
        for group in self._groups:
            where = np.flatnonzero(np.isin(np.tile(reduced.mode_of_column, s), group))
            if where.size:
                alone = len(group) == 1 and self._alike
                parts.append(self._small(group[0], where) if alone else self._part(where))
        return parts

    def _part(self, where: NDArray[np.intp]) -> Part:
        return Part(where, self._F[np.ix_(where, where)], self._plain_inputs[where], self._outputs[:, where])

    @cached_property
    def _alike(self) -> bool:
        """Whether on one mode every input is a number times the same matrix, of full rank."""
        return not self.reduced.apart and bool(np.all(self.reduced.scale > 0))

    def _small(self, i: int, where: NDArray[np.intp]) -> Part:
        first = where.reshape(self.reduced.n_blocks, -1)[:, 0]
        inputs, copies = self._mode_inputs[i], self.reduced.modes[i].rank
        return Part(where, self._F[np.ix_(first, first)], inputs, np.eye(1, len(first)), copies)

    @cached_property
    def _mode_inputs(self) -> Matrix:
        """The channels as they enter every mode, (modes, s, channels), each of norm 1 where it is largest."""
        letters = [{"W": mode.value, "average": mode.average} for mode in self.reduced.modes]
        numbers = [[[number(entry, at) for entry in way] for way in self._plain_ways] for at in letters]
        columns = np.swapaxes(np.array(numbers), 1, 2) / self.block_scale[:, None]
        size = np.linalg.norm(columns, axis=1).max(axis=0)
        return np.asarray(columns / np.where(size > 0, size, 1.0))

    @cached_property
    def _groups(self) -> list[list[int]]:
        """Indices of modes; those in one group share eigenvalues of F(λ), directly or through others."""
        modes, distance = self.reduced.modes, SHARED if self.reduced.n_blocks > 1 else self.reduced.together
        groups: list[tuple[list[int], NDArray[Any]]] = []
        for i, mode in enumerate(modes):
            values = np.linalg.eigvals(self.reduced.modal_matrix(mode.value, mode.average))
            touched = [bool(np.abs(found[:, None] - values[None, :]).min() <= distance) for _, found in groups]
            near = [group for group, touches in zip(groups, touched, strict=True) if touches]
            groups = [group for group, touches in zip(groups, touched, strict=True) if not touches]
            groups.append(
                ([j for members, _ in near for j in members] + [i], np.hstack([*(v for _, v in near), values]))
            )
        return [group for group, _ in groups]

    @cached_property
    def _ways(self) -> list[list[Words]]:
        """How residuals enter updates, and how the start."""
        rule, numbers = self.reduced.rule, self.reduced.numbers
        return [numeric(rule, g0, numbers), numeric(rule, g0, numbers, start=True)]

    @property
    def _plain_ways(self) -> list[list[Words]]:
        """Those of their words that are without curvature."""
        return [[{w: c for w, c in entry.items() if "H" not in w} for entry in way] for way in self._ways]

    @cached_property
    def _gradients(self) -> Matrix:
        """An orthonormal basis for the range of Jᵀc."""
        return span(self.reduced.jacobian_learning.T, self.reduced.threshold).basis

    @cached_property
    def _rows(self) -> Matrix:
        """Orthonormal rows with the row space of J T."""
        return span(self.reduced.rows_learning.T, self.reduced.threshold).basis.T

    @cached_property
    def _channels(self) -> list[Matrix]:
        """The inputs one by one."""
        driven = [self.reduced.driven(way, self._gradients) for way in self._ways if any(way)]
        return driven + ([self.reduced.drive()[:, None]] if self.reduced.apart else [])

    @cached_property
    def _inputs(self) -> Matrix:
        """All channels side by side, in scaled blocks, each of norm 1."""
        return self._side_by_side(self._channels)

    @cached_property
    def _plain_inputs(self) -> Matrix:
        """The same without curvature."""
        driven = [self.reduced.driven(way, self._gradients) for way in self._plain_ways if any(way)]
        return self._side_by_side(driven + ([self.reduced.drive()[:, None]] if self.reduced.apart else []))

    def _side_by_side(self, channels: list[Matrix]) -> Matrix:
        scaled = [channel / self.scale[:, None] for channel in channels]
        return np.hstack([np.zeros((self.scale.shape[0], 0)), *(x / (norm(x) or 1.0) for x in scaled)])

    @cached_property
    def _outputs(self) -> Matrix:
        """C with orthonormal rows."""
        rows = self._rows
        return np.hstack([rows, np.zeros((rows.shape[0], self.scale.shape[0] - rows.shape[1]))])

    @cached_property
    def _M(self) -> Matrix:
        """M in scaled blocks, of norm 1."""
        M = self.reduced.map() * self.scale[None, :] / self.scale[:, None]
        return np.asarray(M / (largest(M) or 1.0))

    @cached_property
    def _F(self) -> Matrix:
        """The same without curvature."""
        F = self.reduced.spelled(without_curvature(self.reduced.words()))
        F = F * self.scale[None, :] / self.scale[:, None]
        return np.asarray(F / (largest(F) or 1.0))

    @property
    def _rounding(self) -> float:
        return 10 * self.reduced.precision * max(1.0, self.scale.shape[0] ** 0.5)

    def _join(self, found: Iterable[tuple[Part, Subspace]]) -> Subspace:
        size = self.scale.shape[0]
        return joined([part.lifted(subspace, size) for part, subspace in found], size)


def _seen(part: Part, rounding: float) -> Subspace:
    """What is reachable in a part, without what no output sees of it."""
    return reachable(part.F, part.inputs, rounding).seen_by(observable(part.F, part.outputs, rounding))
