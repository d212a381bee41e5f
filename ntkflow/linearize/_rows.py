"""The basis of a Jacobian that is never in memory: applied through whatever reaches the Jacobian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from .._array import Array, namespace


class Source(Protocol):
    """A way to apply Jᵀ."""

    def pulled(self, weights: Array, dtype: Any) -> Iterator[Array]:
        """Jᵀ w for the rows w of ``weights`` (k, Q n), as consecutive blocks (k, width) of that dtype."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """V = Jᵀ C, orthonormal columns made of the rows of J: applied, never formed.  C (Q n, p) is in double."""

    source: Source
    C: Array

    def within(self, V: Array) -> Rows:
        """In the coordinates of a further basis (p, p')."""
        return Rows(self.source, self.C @ namespace(V).astype(V, self.C.dtype))

    def lift(self, x: Array) -> Iterator[Array]:
        """V x for x (..., p), as consecutive blocks (..., width)."""
        xp, (*lead, p) = namespace(x), x.shape
        weights = xp.astype(xp.reshape(x, (-1, p)), self.C.dtype) @ self.C.T
        for part in self.source.pulled(weights, x.dtype):
            yield xp.reshape(part, (*lead, part.shape[1]))
            del part


def inverted(US: Array) -> Array:
    """C = U S⁻¹ of U S (N, r); an idle direction, where S is zero, stays zero."""
    xp = namespace(US)
    squares = xp.sum(US * US, axis=0)
    return US / xp.where(squares > 0, squares, xp.ones_like(squares))[None, :]
