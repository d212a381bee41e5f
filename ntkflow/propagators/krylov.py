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
FAR = 1e4  # iterations; beyond it the defect's integral is no longer negligible in this many vectors


@dataclass(frozen=True, eq=False)
class Krylov:
    """Matrix-free; one space for all times."""

    operator: Balanced

    name = "krylov"

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
        basis, columns = [xp.reshape(w, (-1,)) / size], []  # type: tuple[list[Array], list[Array]]
        defect = self._grown(basis, columns, size, times)
        y, H = _small(columns, size, times)
        states = xp.reshape(y @ xp.stack(basis[: len(columns)], axis=0), (times.count, *w.shape))
        sizes = [norm(y[i, :]) for i in range(times.count)]
        error = rounding(times, sizes, list(times.values), norm(H) / len(columns) ** 0.5, drive, 2.0 * eps(w))
        share = defect / (times.horizon or 1.0)
        return overflow_to_inf(states), like(error, w) + share * like(times.values, w)

    def _grown(self, basis: list[Array], columns: list[Array], size: float, times: Times) -> float:
        """Grow the space until the defect is negligible; the defect."""
        last = times.horizon
        probe = Times(tuple(sorted({float(int(last / 8)), float(int(last / 2)), last})), times.flow)
        while True:
            remainder = self._extend(basis, columns)
            if remainder == 0.0:
                return 0.0
            full = len(columns) == LARGEST
            if full or len(columns) % CHECK_EVERY == 0:
                y, _ = _small(columns, size, probe)
                defect, largest = _defect(y, remainder, probe), float(namespace(y).linalg.vector_norm(y[-1, :]))
                if not math.isfinite(largest):
                    raise UnconvergedError("the trajectory overflows")
                if defect <= 10 * eps(y) * largest:
                    return defect
                if full:
                    raise UnconvergedError(
                        f"{LARGEST} Krylov vectors leave a relative defect of {defect / largest:.1g}"
                    )

    def _extend(self, basis: list[Array], columns: list[Array]) -> float:
        """One more column of H and vector of V; the size of what remains (0 when the space is invariant)."""
        xp, last = namespace(basis[-1]), basis[-1]
        image = xp.reshape(self.operator.apply(xp.reshape(last, self.operator.shape)), (-1,))
        scale, V = norm(image), xp.stack(basis, axis=0)
        column = zeros((V.shape[0],), V)
        for _ in range(2):
            part = V @ image
            image, column = image - part @ V, column + part
        remainder = norm(image)
        if remainder <= 100 * eps(image) * max(scale, norm(column)):
            remainder = 0.0
        columns.append(xp.concat([column, like([remainder], V)]))
        if remainder:
            basis.append(image / remainder)
        return remainder


def _small(columns: list[Array], size: float, times: Times) -> tuple[Array, Array]:
    """g_t(H) size·e₁ at all times, (T, m), and H."""
    xp, m = namespace(columns[0]), len(columns)
    padded = [xp.concat([c[: min(m, c.shape[0])], zeros((max(m - c.shape[0], 0),), c)]) for c in columns]
    H = xp.stack(padded, axis=1)
    first = size * xp.astype(xp.arange(m, device=H.device) == 0, H.dtype)
    return xp.stack(propagated(H, first, times), axis=0), H


def _defect(y: Array, remainder: float, times: Times) -> float:
    """t·h·max|eᵀ y|: the integral of the defect, were nothing in the system to grow."""
    return times.horizon * remainder * float(namespace(y).max(namespace(y).abs(y[:, -1])))
