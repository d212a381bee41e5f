"""An orthonormal basis of the Krylov space of A and w, and A on it: A V = V H + h v eᵀ."""

from __future__ import annotations

import math

from .._array import Array, eps, namespace, norm, zeros
from ._balanced import Balanced

LARGEST = 160  # vectors
ROOM = 40  # vectors to begin with
AGAIN = 0.3  # a second projection where less than this share is left of an image, or rounding would tell


class Space:
    """An orthonormal basis, one vector a row, and the map on it; both grow in place."""

    def __init__(self, operator: Balanced, first: Array) -> None:
        self.operator, self.m = operator, 0
        self.defect = self.remainder = math.inf
        self._rows, self._columns = zeros((ROOM + 1, first.shape[0]), first), zeros((ROOM + 1, ROOM + 1), first)
        self._rows[0, :] = first

    @property
    def V(self) -> Array:
        """(m + 1, N), the last row what comes next."""
        return self._rows[: self.m + 1, :]

    @property
    def H(self) -> Array:
        """(m, m)."""
        return self._columns[: self.m, : self.m]

    @property
    def complete(self) -> bool:
        """Whether the space is invariant, or as large as it may be."""
        return self.remainder == 0.0 or self.m == LARGEST

    def extend(self) -> None:
        """One more vector; ``defect`` is what remains of its image, ``remainder`` as well, but 0 for rounding."""
        V = self.V
        image = self.operator.along(V[-1, :])
        scale = norm(image)
        column = V @ image
        image = image - column @ V
        remainder = norm(image)
        if remainder < AGAIN * scale:
            again = V @ image
            image, column = image - again @ V, column + again
            remainder = norm(image)
        self.defect, self.remainder = remainder, remainder if remainder > 100 * eps(image) * scale else 0.0
        self._make_room()
        self._columns[: self.m + 1, self.m] = column
        self._columns[self.m + 1, self.m] = self.remainder
        self.m += 1
        if self.remainder:
            self._rows[self.m, :] = image / remainder

    def _make_room(self) -> None:
        """Twice as much of it, when the next vector has none."""
        xp, held = namespace(self._rows), self._rows.shape[0]
        if self.m + 2 > held:
            self._rows = xp.concat([self._rows, xp.zeros_like(self._rows)], axis=0)
            wider = xp.concat([self._columns, xp.zeros_like(self._columns)], axis=1)
            self._columns = xp.concat([wider, xp.zeros_like(wider)], axis=0)
