"""The basis of a Jacobian that is never in memory: applied through whatever reaches the Jacobian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from .._array import Array, eps, namespace

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


@dataclass(frozen=True, eq=False)
class Stack:
    """A Jacobian (Q n, P) that is in memory."""

    J: Array

    def pulled(self, weights: Array, dtype: Any) -> Iterator[Array]:
        """Jᵀ w as one block."""
        yield namespace(weights).astype(weights @ self.J, dtype, copy=False)


def independent(J: Array) -> tuple[Array, Array, float] | None:
    """U S, U S⁻¹ and the error of J = U S Vᵀ with V = Jᵀ U S⁻¹ for large wide J whose rows are far from dependent.

    V would be as large as J; it is applied instead.
    """
    xp, (N, P) = namespace(J), J.shape
    if N * P < LARGE or 2 * N > P:
        return None
    values, U = xp.linalg.eigh(J @ J.T)
    if float(values[0]) <= DIGITS * eps(J) * float(values[-1]):
        return None
    s = values**0.5
    return U * s, U / s, N * eps(J) * float(values[-1]) / float(s[0])


def inverted(US: Array) -> Array:
    """C = U S⁻¹ of U S (N, r); an idle direction, where S is zero, stays zero."""
    xp = namespace(US)
    squares = xp.sum(US * US, axis=0)
    return US / xp.where(squares > 0, squares, xp.ones_like(squares))[None, :]
