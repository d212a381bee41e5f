"""Lanczos' chain of vectors of a symmetric map: A V = V T + v eᵀ with T tridiagonal, three vectors at a time."""

from __future__ import annotations

import math

import numpy as np

from .._array import Array, empty, eps, norm
from ..structure import Form
from ._question import Numbers, UnconvergedError

LEAST, LARGEST = 16, 160  # vectors
ROOM = 2**27  # numbers in more than the least of them
NOTHING = 100.0  # eps: a remainder that is rounding


class Chain:
    """The vectors, and T on them; both grow in place.

    ``directions`` are what the states are made of: the vectors, or with ``after`` w/‖w‖ and their images under S.
    ``size`` is ‖w‖ or ‖V w‖, in the length that S measures, ``beside`` ‖w‖.
    """

    def __init__(self, form: Form, w: Array) -> None:
        v = form.V(w) if form.after and form.V is not None else w
        self._form, self._v, self._u, self._before = form, v, v if form.S is None else form.S(v), v
        self.room, self._lead = max(LEAST, min(LARGEST, ROOM // w.shape[0])), int(form.after)
        self.m = 0
        self.after, self.beside = form.after, norm(w)
        self.size = self._next = self._length(self._v, self._u)
        self.ended = self.size == 0.0
        self._nothing = NOTHING * eps(w)
        self._T = np.zeros((self.room, self.room))
        self._rows = empty((self._lead + self.room, w.shape[0]), w)
        if form.after:
            self._rows[0, :] = w / self.beside

    @property
    def directions(self) -> Array:
        """(m, N), or (1 + m, N)."""
        return self._rows[: self._lead + self.m, :]

    @property
    def complete(self) -> bool:
        """Whether the space is invariant, or as large as it may be."""
        return self.ended or self.m == self.room

    @property
    def rest(self) -> float:
        """The length of what comes next."""
        return 0.0 if self.m == 0 else self._next if self._form.S is None else norm(self._v)

    @property
    def climbing(self) -> bool:
        """Whether no entry of I + T is negative, so that no entry of its powers is."""
        return bool(self._T.diagonal()[: self.m].min(initial=0.0) >= -1.0)

    def modes(self) -> tuple[Numbers, Numbers]:
        """Eigenvalues (m,) and eigenvectors (m, m) of T."""
        # SciPy's for a tridiagonal matrix would be quicker, and takes half a second to import
        values, vectors = np.linalg.eigh(self._T[: self.m, : self.m])
        return values, vectors

    def extend(self) -> None:
        """One more vector: T's next column from three terms, two of which are there."""
        form, m, size = self._form, self.m, self._next
        v = self._v / size
        u = v if form.S is None else self._u / size
        self._rows[self._lead + m, :] = u if form.after else v
        z = form.A(v) if form.V is None else form.V(u) - v
        if m:
            z -= size * self._before
            self._T[m, m - 1] = size
        along = float(u @ z)
        z -= along * v
        self._T[m, m] = along
        self._before, self._v, self._u = v, z, z if form.S is None else form.S(z)
        self._next, self.m = self._length(z, self._u), m + 1
        scale = abs(along) + self._next + (size if m else 0.0)
        if not math.isfinite(scale):
            raise UnconvergedError("the state matrix overflows")
        self.ended = self._next <= self._nothing * scale

    @staticmethod
    def _length(v: Array, u: Array) -> float:
        return math.sqrt(max(0.0, float(v @ u)))
