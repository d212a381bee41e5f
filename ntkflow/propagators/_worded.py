r"""A and the drive as dense arrays from a rule's words in L = W − I: what cancels has cancelled in symbols.

Where the rule conserves a sum over the agents (`ntkflow.algorithms._increments`), that sum stands in the place of a
block; its rows are small where L is, to full relative accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._array import Array, eps, eye, namespace, svd, zeros
from ..algorithms._increments import Increments
from ..algorithms._program import in_numbers
from ..notation import g0, theta0
from ._balanced import Balanced
from ._mixing import Mixing

Words = dict[tuple[Any, ...], float]
BENIGN = 1e3  # words that add up to more than so many times the state are left to the update itself
ZERO = 4.0  # times (size)^½·eps·σ_max: a singular value of J that is zero but for rounding


@dataclass(frozen=True, eq=False)
class Worded:
    """The rule's words in numbers, blocks in their units, parameters in coordinates [learned, not learned]."""

    balanced: Balanced

    @property
    def increments(self) -> Increments:
        """The words in symbols."""
        return self.balanced.operator.rule.increments

    @cached_property
    def mixing(self) -> Mixing:
        """W, or the average."""
        return Mixing(self.balanced.operator.W)

    @cached_property
    def exists(self) -> bool:
        """Whether the words say it without cancelling much, and there is one kind of mixing."""
        rule, blocks = self.balanced.operator.rule, range(self.balanced.shape[0])
        sizes = [[self._size(entry) for entry in row] for row in self._grid]
        loudest = max((sizes[i][k] * sizes[k][i]) ** 0.5 for i in blocks for k in blocks)  # whatever the units
        return not (rule.uses_graph and rule.averages) and loudest <= BENIGN

    def _size(self, words: Words) -> float:
        top = self.balanced.operator.top
        return sum(abs(c) * math.prod(top if a == "H" else 2.0 for a in word) for word, c in words.items())

    @cached_property
    def A(self) -> Array:
        """(N, N)."""
        return self._assembled(self._grid)

    @cached_property
    def drive(self) -> Array:
        """The rule's first update (N,): w itself has lost what is small in it."""
        operator, (R, root) = self.balanced.operator, self.coordinates
        xp = namespace(root)
        residual = operator.model.residual * (operator.scale**0.5)[:, None]
        first = (operator.model.start @ R)[:, :, None], xp.matrix_transpose(root) @ residual[:, :, None]
        parts = [[self._image(self._bound(form.get(source, {}), 1.0 / unit), x)
                  for source, x in zip((theta0, g0), first, strict=True)]
                 for form, unit in zip(self.increments.drive, self.units, strict=True)]  # fmt: skip
        return xp.reshape(xp.stack([a + b for a, b in parts]), (-1,))

    def summed(self, w: Array) -> Array:
        """[s with the sum in its place] of a state s (N,)."""
        return self._sum(1.0) @ self._rotated(w[:, None], self.coordinates[0].T)[:, 0]

    @cached_property
    def unsummed(self) -> Array:
        """(N, N): back from there."""
        return self._rotated(self._sum(-1.0), self.coordinates[0])

    @cached_property
    def units(self) -> list[float]:
        """Of the blocks."""
        return [float(self.balanced.units[i, 0, 0]) for i in range(self.balanced.shape[0])]

    @cached_property
    def coordinates(self) -> tuple[Array, Array]:
        """R (p, p) and √c_q J_q R, whose last columns are 0 where J has no more than rounding and what is left out."""
        operator = self.balanced.operator
        J, xp = operator.weighted_jacobian, namespace(operator.W)
        _, s, Rt = svd(tall(J))
        left_out = operator.model.left_out * float(xp.max(operator.scale)) ** 0.5
        learned = s > max(ZERO * tall(J).shape[0] ** 0.5 * eps(J) * float(s[0]), left_out)
        if bool(xp.all(learned)):
            return eye(J.shape[2], J), J
        return Rt.T, xp.where(learned[None, None, :], J @ Rt.T, xp.zeros_like(J))

    def number(self, coefficient: Any) -> float:
        """A coefficient in the rule's scalars, at their values."""
        return in_numbers(coefficient, self.balanced.operator.numbers)

    def _bound(self, words: Any, factor: float) -> Words:
        return {word: self.number(c) * factor for word, c in words.items()}

    @cached_property
    def _grid(self) -> list[list[Words]]:
        units, grid = self.units, self.increments.grid
        return [[self._bound(entry, units[k] / units[i]) for k, entry in enumerate(row)] for i, row in enumerate(grid)]

    def _sum(self, sign: float) -> Array:
        """[s with the sum in its place] from s for 1, and back for −1: the identity but for one row."""
        blocks, place = range(self.balanced.shape[0]), self.increments.conserved
        rows: list[list[Words]] = [[{(): 1.0} if i == k else {} for k in blocks] for i in blocks]
        for k, c in enumerate(self.increments.weights):
            if place is not None and k != place:
                rows[place][k] = self._bound(c, sign * self.units[k] / self.units[place])
        return self._assembled(rows)

    @cached_property
    def _letters(self) -> dict[Any, Array]:
        return {run: self.mixing.less_one(len(run)) for run in self.increments.runs}

    @cached_property
    def _hessian(self) -> Array:
        root = self.coordinates[1]
        return namespace(root).matrix_transpose(root) @ root

    def _image(self, words: Words, x: Array) -> Array:
        """The operator that the words spell, on (Q, p, k)."""
        total, xp = 0.0 * x, namespace(x)
        for word, coefficient in words.items():
            y = x
            for a in reversed(word):
                flat = xp.reshape(y, (y.shape[0], -1))
                y = self._hessian @ y if a == "H" else xp.reshape(self._letters[a] @ flat, y.shape)
            total = total + coefficient * y
        return total

    def _assembled(self, rows: list[list[Words]]) -> Array:
        (_, Q, p), xp = self.balanced.shape, namespace(self.mixing.W)
        columns = xp.reshape(eye(Q * p, self.mixing.W), (Q, p, Q * p))
        flat = [[xp.reshape(self._image(entry, columns), (Q * p, Q * p)) for entry in row] for row in rows]
        return xp.concat([xp.concat(row, axis=1) for row in flat], axis=0)

    def _rotated(self, matrix: Array, R: Array) -> Array:
        """R times the parameters' axis of the rows of a matrix (N, k)."""
        xp, (blocks, Q, p) = namespace(matrix), self.balanced.shape
        return xp.reshape(R @ xp.reshape(matrix, (blocks * Q, p, -1)), (blocks * Q * p, -1))


def tall(J: Array) -> Array:
    """The stack of Jacobians (Q, n, p) as (rows, p), no wider than tall: a thin SVD then has all p directions."""
    xp, p = namespace(J), J.shape[2]
    flat = xp.reshape(J, (-1, p))
    missing = p - flat.shape[0]
    return xp.concat([flat, zeros((missing, p), J)], axis=0) if missing > 0 else flat
