r"""Closed form on a Krylov space: any rule, matrix-free, short and middling horizons.

Arnoldi's relation A V = V H + h v eᵀ turns the iterates x_k = g_k(A) w into V y_k, y_{k+1} = y_k + H y_k + ‖w‖ e₁,
which are those of a small matrix.  What remains, d_k = h (eᵀ y_k) v, is the defect in the equation they obey, and
the error is at most h Σ_{i<k} |eᵀ y_i| where ‖M‖ ≤ 1.  The flow is the Poisson average of the iterates and its
error the average of theirs (T15), or those of M_θ = I + θA at times t/θ where the iteration itself grows.
The space grows until the defects are negligible; where it is full, the next one starts from as far as it reaches,
for rules of one block.
Classical Gram–Schmidt, twice where it leaves little, keeps V orthonormal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import CACHED, Array
from .._path import Path
from ._arnoldi import LARGEST
from ._balanced import Balanced
from ._iterated import Iterated, checked_to
from ._onwards import answered
from ._question import FIRST_CHECK, SEVERAL, Drive, Times

FAR, FAR_SEVERAL = 1e5, 1e4  # iterations, and for rules with several blocks
REACH = 4e3  # of a full space, in iterations


@dataclass(frozen=True, eq=False)
class Krylov:
    """Matrix-free; one space for all times, or one after the other."""

    operator: Balanced

    name = "krylov"
    needs = f"times up to {FAR:,.0f}, with several blocks up to {FAR_SEVERAL:,.0f}"

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Any rule up to a middling horizon."""
        return times.horizon <= (FAR if operator.shape[0] == 1 else FAR_SEVERAL)

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds, with as many vectors as a spectrum in [−2, 0] takes, or around the unit circle."""
        each, spaces = 9.0, 1.0
        if operator.shape[0] == 1:
            each, spaces = 4.0, 1.0 + min(times.horizon, FAR) / REACH
        last = min(times.horizon, FAR) / spaces
        steps = checked_to(last) if times.flow else last
        m = min(FIRST_CHECK + each * math.sqrt(steps), 1.0 + steps, LARGEST, operator.size)
        small = 2e-10 * m * m * steps + (1.5e-5 if times.flow else 1e-6) * times.count
        projection = m * operator.size * (2.5e-10 if m * operator.size < CACHED else 1.6e-9)
        return 6e-4 + spaces * (m * (2.5e-5 + operator.cost + projection) + small)

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Krylov:
        """The space depends on the drive: nothing to prepare."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """g_t(A) w at all times, and a bound on the defects with an estimate of rounding, (T,)."""
        operator, several = self.operator, drive.w.shape[0] > 1
        of = lambda v, left: Iterated.of(operator, v, left, times.flow)  # noqa: E731
        # the start of a second space would set sums drifting that several blocks conserve
        path, error = answered(of, operator.along, times, drive, alone=several)
        return path, (SEVERAL if several else 1.0) * error
