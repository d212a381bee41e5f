"""The basis of a Jacobian that is never in memory: applied through whatever reaches the Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from .._array import Array, eps, namespace
from ._kernel import Factor, largest, triangular

LARGE = 2**20  # numbers in J, from which V is not worth its room
DIGITS = 1e12  # eigenvalues of the kernel are told apart from 0 by so many eps: then V is orthonormal to 1e-12


class Source(Protocol):
    """A way to apply Jᵀ."""

    def pulled(self, weights: Array, dtype: Any) -> Iterator[Array]:
        """Jᵀ w for the rows w of ``weights`` (k, Q n), as consecutive blocks (k, width) of that dtype."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """V = Jᵀ C, orthonormal columns made of the rows of J: applied, never formed.  C (Q n, p) is in double."""

    source: Source
    made: Callable[[], Array]

    @cached_property
    def C(self) -> Array:
        """Made when it is first asked for."""
        return self.made()

    def within(self, V: Array) -> Rows:
        """In the coordinates of a further basis (p, p')."""
        return Rows(self.source, lambda: self.C @ namespace(V).astype(V, self.C.dtype))

    def lift(self, x: Array) -> Iterator[Array]:
        """V x for x (..., p), as consecutive blocks (..., width)."""
        xp, (*lead, p) = namespace(x), x.shape
        weights = xp.astype(xp.reshape(x, (-1, p)), self.C.dtype) @ self.C.T
        for part in self.source.pulled(weights, x.dtype):
            yield xp.reshape(part, (*lead, part.shape[1]))
            del part


@dataclass(frozen=True, eq=False)
class Stack:
    """A Jacobian (Q n, P) that is in memory."""

    J: Array

    def pulled(self, weights: Array, dtype: Any) -> Iterator[Array]:
        """Jᵀ w as one block."""
        yield namespace(weights).astype(weights @ self.J, dtype, copy=False)


def independent(J: Array) -> Factor | None:
    """J V for large wide J whose rows are far from dependent: V would be as large as J, and is applied instead."""
    N, P = J.shape
    if N * P < LARGE or 2 * N > P:
        return None
    K = J @ J.T
    top = largest(K)
    return triangular(K, N * eps(J) * top, DIGITS * eps(J) * top)
