"""Where a state is at every time: as it stands, or in few directions, which linear maps read in its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ._array import Array, finite_slices, namespace, overflow_allowed

HELD = 2**19  # numbers in the states that are mapped together
FEW = 2  # directions a state: a state takes a combination of them before it is mapped


@dataclass(frozen=True, eq=False)
class Path:
    """States x_t = Σ_j y_tj v_j (T, ...) from directions v (m, ...) and coefficients y (T, m).

    Without coefficients the directions are states themselves, all of them or those at ``places`` (T,).
    """

    directions: Array
    coefficients: Array | None = None
    places: Array | None = None

    @property
    def count(self) -> int:
        """T."""
        return next(a for a in (self.coefficients, self.places, self.directions) if a is not None).shape[0]

    @cached_property
    def states(self) -> Array:
        """(T, ...); a state that holds an infinity or NaN is infinite as a whole: inf − inf must not show as NaN."""
        with overflow_allowed():
            states = self._some(0, self.count)
        xp, ok = namespace(states), finite_slices(states)
        if bool(xp.all(ok)):
            return states
        return xp.where(xp.reshape(ok, (-1, *[1] * (states.ndim - 1))), states, xp.full_like(states, math.inf))

    @cached_property
    def finite(self) -> Array:
        """Whether the state is a number, (T,)."""
        return finite_slices(self.states if self.coefficients is None else self.coefficients)

    def under(self, linear: Callable[[Array], Array]) -> Array:
        """``linear`` of every state, (T, ...), by way of the directions unless they are many more."""
        if self.coefficients is None or self.coefficients.shape[1] > FEW * self.count:
            parts = [linear(some) for some in self.pieces()]
            return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts, axis=0)
        return _combined(self.coefficients, Path(self.directions).under(linear))

    def pieces(self) -> Iterator[Array]:
        """The states, a few at a time: what a map makes of them on its way stays small."""
        step = max(1, HELD // max(1, math.prod(self.directions.shape[1:])))
        return (self._some(a, min(a + step, self.count)) for a in range(0, self.count, step))

    def take(self, places: Array) -> Path:
        """Some of the times, or all of them in another order."""
        xp = namespace(self.directions)
        if self.coefficients is not None:
            return Path(self.directions, xp.take(self.coefficients, places, axis=0))
        return Path(self.directions, None, places if self.places is None else xp.take(self.places, places))

    def _some(self, a: int, b: int) -> Array:
        """The states from a to b."""
        if self.coefficients is not None:
            return _combined(self.coefficients[a:b, :], self.directions)
        if self.places is not None:
            return namespace(self.directions).take(self.directions, self.places[a:b], axis=0)
        return self.directions if (a, b) == (0, self.count) else self.directions[a:b, ...]


def _combined(y: Array, rows: Array) -> Array:
    xp = namespace(y)
    return xp.reshape(y @ xp.reshape(rows, (rows.shape[0], -1)), (y.shape[0], *rows.shape[1:]))
