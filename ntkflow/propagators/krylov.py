"""Closed form on a Krylov space: any rule, matrix-free, short and middling horizons.

Arnoldi's relation A V = V H + h v eᵀ turns g_t(A) w into ‖w‖ V g_t(H) e₁, for all times from one space.
What remains, h·(eᵀ y(t)) v with y = g_t(H) ‖w‖ e₁, is the defect of the answer in its own equation;
the space grows until its integral is negligible.  Classical Gram–Schmidt, twice, keeps V orthonormal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import Array, eps, like, namespace, norm, zeros
from ._balanced import Balanced
from ._matrix import propagated
from ._question import Drive, Times, UnconvergedError, overflow_to_inf, rounding

LARGEST = 160  # vectors
CHECK_EVERY = 8
ROOM = 40  # vectors to begin with
FAR = 1e4  # iterations; beyond it the defect's integral is no longer negligible in this many vectors


@dataclass(frozen=True, eq=False)
class Krylov:
    """Matrix-free; one space for all times."""

    operator: Balanced

    name = "krylov"
    needs = f"times up to {FAR:,.0f}"

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Any rule up to a middling horizon."""
        return times.horizon <= FAR

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds, with the number of vectors that a spectrum in [−2, 0] takes."""
        vectors = min(16 + 4 * math.sqrt(1.0 + times.horizon), LARGEST)
        return 2e-3 + vectors * (1e-4 + operator.cost + 4e-9 * vectors * operator.size) + 2e-5 * times.count

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Krylov:
        """The space depends on the drive: nothing to prepare."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Array, Array]:
        """g_t(A) w at all times, (T, blocks, Q, p), and an estimate of rounding and defect, (T,)."""
        w, size, xp = drive.w, drive.size, namespace(drive.w)
        if size == 0.0:
            return zeros((times.count, *w.shape), w), zeros((times.count,), w)
        space = _Space(self.operator, xp.reshape(w, (-1,)) / size)
        defect = _grown(space, size, times)
        y = _small(space.H, size, times)
        states = xp.reshape(y @ space.V[: space.m, :], (times.count, *w.shape))
        sizes = [norm(y[i, :]) for i in range(times.count)]
        error = rounding(times, sizes, list(times.values), norm(space.H) / space.m**0.5, drive, 2.0 * eps(w))
        share = defect / (times.horizon or 1.0)
        return overflow_to_inf(states), like(error, w) + share * like(times.values, w)


class _Space:
    """An orthonormal basis, one vector a row, and the map on it; both grow in place."""

    def __init__(self, operator: Balanced, first: Array) -> None:
        self.operator, self.m = operator, 0
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

    def extend(self) -> float:
        """One more vector; the size of what remains of its image (0 when the space is invariant)."""
        V, xp = self.V, namespace(self._rows)
        image = xp.reshape(self.operator.apply(xp.reshape(V[-1, :], self.operator.shape)), (-1,))
        scale, column = norm(image), zeros((V.shape[0],), V)
        for _ in range(2):
            part = V @ image
            image, column = image - part @ V, column + part
        remainder = norm(image)
        if remainder <= 100 * eps(image) * max(scale, norm(column)):
            remainder = 0.0
        self._make_room()
        self._columns[: self.m + 1, self.m] = column
        self._columns[self.m + 1, self.m] = remainder
        self.m += 1
        if remainder:
            self._rows[self.m, :] = image / remainder
        return remainder

    def _make_room(self) -> None:
        """Twice as much of it, when the next vector has none."""
        xp, held = namespace(self._rows), self._rows.shape[0]
        if self.m + 2 > held:
            self._rows = xp.concat([self._rows, xp.zeros_like(self._rows)], axis=0)
            wider = xp.concat([self._columns, xp.zeros_like(self._columns)], axis=1)
            self._columns = xp.concat([wider, xp.zeros_like(wider)], axis=0)


def _grown(space: _Space, size: float, times: Times) -> float:
    """Grow the space until the defect is negligible; the defect."""
    last = times.horizon
    probe = Times(tuple(sorted({float(int(last / 8)), float(int(last / 2)), last})), times.flow)
    while True:
        remainder = space.extend()
        if remainder == 0.0:
            return 0.0
        full = space.m == LARGEST
        if full or space.m % CHECK_EVERY == 0:
            y = _small(space.H, size, probe)
            defect, largest = _defect(y, remainder, probe), float(namespace(y).linalg.vector_norm(y[-1, :]))
            if not math.isfinite(largest):
                raise UnconvergedError("the trajectory overflows")
            if defect <= 10 * eps(y) * largest:
                return defect
            if full:
                raise UnconvergedError(f"{LARGEST} Krylov vectors leave a relative defect of {defect / largest:.1g}")


def _small(H: Array, size: float, times: Times) -> Array:
    """g_t(H) size·e₁ at all times, (T, m)."""
    xp = namespace(H)
    first = size * xp.astype(xp.arange(H.shape[0], device=H.device) == 0, H.dtype)
    return xp.stack(propagated(H, first, times), axis=0)


def _defect(y: Array, remainder: float, times: Times) -> float:
    """t·h·max|eᵀ y|: the integral of the defect, were nothing in the system to grow."""
    return times.horizon * remainder * float(namespace(y).max(namespace(y).abs(y[:, -1])))
