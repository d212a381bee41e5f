"""ẋ = A x + w and x⁺ = x + A x + w from x = 0, for one plain matrix."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from .._array import Array, eps, expm1, eye, namespace, norm, power1, zeros
from ..errors import NoLimitError
from ._question import Times

WALK = 20  # so many single steps cost about as much as one product of matrices of that size
DECAYED, GROWN = 1e-6, 1e60


def propagated(A: Array, w: Array, times: Times) -> list[Array]:
    """x(t) in the order of the times: the exponential of [[A, w], [0, 0]], from one time to the next."""
    xp = namespace(A)
    state = xp.concat([xp.zeros_like(w), xp.ones((1,), dtype=w.dtype, device=w.device)])
    stepper = _Stepper(_augmented(A, w), times.flow)
    found: dict[float, Array] = {}
    for before, t in itertools.pairwise([0.0, *times.finite]):
        state = stepper.advance(state, t - before)
        found[t] = state[:-1]
    if math.isinf(times.horizon):
        found[math.inf] = limit(A, w, flow=times.flow)
    return [found[t] for t in times.values]


def limit(A: Array, w: Array, *, flow: bool) -> Array:
    """−A⁻¹ w, after repeated squaring has shown that every mode of the propagator dies out."""
    xp = namespace(A)
    kind = "flow" if flow else "iteration"
    if not A.shape[0] or norm(w) == 0:
        return xp.zeros_like(w)
    if int(xp.linalg.matrix_rank(A)) < A.shape[0]:
        raise NoLimitError(
            f"the {kind} has no limit that can be told from rounding: a mode whose eigenvalue is {int(not flow)} "
            "to within it is driven, and grows like t or decays too slowly to see; take finite times"
        )
    E = eye(A.shape[0], A) + (expm1(A) if flow else A)
    longest = 1.0 / (8.0 * A.shape[0] * eps(A))  # beyond it, powers show the rounding of a modulus of 1
    size, before, power = norm(E), 1.0, 1.0
    while DECAYED <= size <= GROWN and power < longest:
        E, power = E @ E, 2.0 * power
        size, before = norm(E), size
    if size < DECAYED:
        return -xp.linalg.solve(A, w[:, None])[:, 0]
    modulus = (size / before) ** (2.0 / power) if math.isfinite(size) else math.inf  # ‖E²ᵏ‖ / ‖Eᵏ‖ is about ρᵏ
    raise NoLimitError(
        f"the {kind} has no limit: a mode that grows {modulus:.9g} times per iteration does not "
        "decay, unless nothing drives it; take a smaller step size or finite times"
    )


def distinct_gaps(times: Times) -> int:
    """How many different gaps there are between the times, those equal but for rounding taken as one."""
    t = np.asarray([0.0, *times.finite])
    gaps = np.sort(t[1:] - t[:-1])
    return min(len(gaps), 1) + int(np.count_nonzero(gaps[1:] - gaps[:-1] > 1e-13 * gaps[1:]))


def _rounded(gap: float) -> float:
    return float(f"{gap:.13g}")


def _augmented(A: Array, w: Array) -> Array:
    xp = namespace(A)
    top = xp.concat([A, w[:, None]], axis=1)
    return xp.concat([top, zeros((1, top.shape[1]), A)], axis=0)


@dataclass(frozen=True, eq=False)
class _Stepper:
    """Advances [x; 1] by a gap, remembering the propagator (less I) of every gap seen."""

    generator: Array
    flow: bool
    known: dict[float, Array] = field(default_factory=dict)

    def advance(self, state: Array, gap: float) -> Array:
        if not self.flow and gap * WALK <= self.generator.shape[0]:
            for _ in range(int(gap)):
                state = state + self.generator @ state
            return state
        key = _rounded(gap)
        if key not in self.known:
            self.known[key] = expm1(self.generator, gap) if self.flow else power1(self.generator, int(gap))
        return state + self.known[key] @ state
