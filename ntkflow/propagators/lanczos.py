r"""Closed form on a Krylov space of a symmetric map: DGD, ATC, CTA and every rule of their shape, matrix-free.

A V = V T + v eᵀ with T tridiagonal, from three terms; M = V S or S V is symmetric in ⟨x, y⟩ = xᵀ S y.  The answers are
V y(t), y(t) = g_t(T) ‖w‖ e₁ by T's eigenvalues.  What is left out is ‖v‖ (eᵀ y) a moment, which for the flow is of one
sign and grows, so that ‖v‖ t eᵀ y(t) is a bound, however large the step size; for the iteration it is one where I + T
has no negative entry, and ‖v‖ Σ_{i<k} |eᵀ y_i| elsewhere (T15).  Nothing is orthogonalised again: the relation holds
without.  Where the space is full, the next one starts from as far as it reaches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import CACHED, Array
from .._path import Path
from ..structure import DEFINITE, Form
from ._balanced import FORMED, Balanced
from ._chain import LARGEST
from ._onwards import answered
from ._question import Drive, Times
from ._stretch import AHEAD, FIRST_LOOK, Stretch

FAR = 1e5  # iterations
REACH = 3.3e3  # of a full space, in iterations, on a thousand states
WIDEST = (1.0 - DEFINITE) ** -0.5  # a vector that S gives the length 1 is no longer


@dataclass(frozen=True, eq=False)
class Lanczos:
    """Matrix-free; one space for all times, or one after the other."""

    operator: Balanced

    name = "lanczos"
    needs = (
        "a rule whose map is symmetric, or a product of which one order is and a step of at most "
        f"{DEFINITE} over the largest curvature; a symmetric W; no growth; times up to {FAR:,.0f}"
    )

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Whether the rule's words have the structure, and nothing grows: a hardly driven mode would not be seen."""
        factors = operator.factors
        if factors is None or times.horizon > FAR or not factors.measurable:
            return False
        return times.flow or (factors.contracting if factors.symmetric else factors.averaging)

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds: as many vectors as a spectrum in [−2, 0] takes, fewer where N is small; a few looks at T."""
        last, N = min(times.horizon, FAR), operator.size
        spaces = 1.0 + last / min(REACH * max(1.0, (1e3 / N) ** 2), math.inf if times.flow else AHEAD)
        m = min(FIRST_LOOK + 4.0 * math.sqrt(last), LARGEST, 10.0 + 0.6 * N, math.inf if times.flow else 1.0 + last)
        product = 1.3e-10 * N * N if N <= FORMED else operator.cost + N * (2.5e-9 if N < CACHED else 6e-9)
        looks = 2e-4 + 6e-10 * m**3 + (0.0 if times.flow else 4e-9 * m * min(last, AHEAD))
        return 4e-4 + spaces * (m * (6e-6 + product) + looks) + 2e-8 * m * times.count

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Lanczos:
        """The space depends on the drive: nothing to prepare."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """g_t(A) w at all times, and a bound on the defects with an estimate of rounding, (T,)."""
        form, flow = _form(self.operator), times.flow
        widest = WIDEST if form.S else 1.0
        return answered(lambda v, left: Stretch.of(form, v, left, flow), form.A, times, drive, widest)


def _form(operator: Balanced) -> Form:
    factors = operator.factors
    if factors is None:
        raise TypeError("the rule has no symmetric form; ask accepts first")
    if factors.symmetric and operator.size <= FORMED:
        return Form(operator.along)
    return factors.form(operator.operator.curvature)
