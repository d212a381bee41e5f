"""Where training goes: what falls on the way, and where it ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..._array import overflow_allowed, to_numpy
from .measures import (
    BLUR,
    ROUNDING,
    Matrix,
    disagreement,
    gradient,
    hessians,
    matrix,
    mixing,
    objective,
    path,
    same,
    some_states,
    update,
)

if TYPE_CHECKING:
    from ...systems import LinearSystem

LATE = 100_000  # updates after which a trajectory has settled or never will


def descends_on_lyapunov(system: LinearSystem) -> bool:
    """U(θ) − θ = −η ∇V(θ): central differences, which are exact for a quadratic V."""

    def along(state: Matrix, direction: Matrix) -> bool:
        slope = (_lyapunov(system, state[0] + direction[0]) - _lyapunov(system, state[0] - direction[0])) / 2
        return same(np.sum((update(system, state)[0] - state[0]) * direction[0]), -system.step_size * slope)

    return all(along(a, b) for a, b in pairwise(some_states(system, 4)))


def lyapunov_never_rises(system: LinearSystem) -> bool:
    """V falls along the trajectory."""
    values = [_lyapunov(system, s[0]) for s in path(system, 30)]
    return all(b <= a + ROUNDING * values[0] for a, b in pairwise(values))


def rests_at_a_minimiser(system: LinearSystem) -> bool:
    """The fixed point in s₀ + range(A), where a trajectory stays, is a consensual minimiser of Σ f_q."""
    A = matrix(system) - np.eye(system.full.size)
    start, moved = path(system, 1)
    z = np.linalg.lstsq(A @ A, (start - moved).ravel(), rcond=ROUNDING)[0]
    rest = start + (A @ z).reshape(start.shape)
    return same(update(system, rest), rest) and _is_minimiser(system, rest[0])


def rests_at_a_minimiser_iff_shared(system: LinearSystem) -> bool:
    """It rests at a consensual minimiser of Σ f_q exactly if that point is stationary for every agent."""
    return rests_at_a_minimiser(system) == _shares_a_minimiser(system)


def finds_the_minimiser(system: LinearSystem) -> bool:
    """The iteration ends at the consensual minimiser of Σ f_q."""
    with overflow_allowed():
        moved = to_numpy(system.iterate(LATE).deviation)[0]
    return bool(np.all(np.isfinite(moved))) and _is_minimiser(system, to_numpy(system.model.start) + moved)


def _lyapunov(system: LinearSystem, place: Matrix) -> float:
    """V(θ) = Σ_q f_q(θ_q) + ‖θ‖²_{I − W} / (2η)."""
    apart = place - mixing(system) @ place
    return objective(system, place) + float(np.sum(place * apart)) / (2 * system.step_size)


def _is_minimiser(system: LinearSystem, place: Matrix) -> bool:
    """All agents agree, and their gradients sum to 0; by the size of their gradients at the start."""
    slope = np.linalg.norm(gradient(system, to_numpy(system.model.start)))
    apart = disagreement(place) <= BLUR * (1.0 + np.linalg.norm(place))
    return bool(apart and np.linalg.norm(gradient(system, place).sum(axis=0)) <= BLUR * slope)


def _shares_a_minimiser(system: LinearSystem) -> bool:
    """One point makes every agent's gradient vanish: the normal equations of all agents have a common solution."""
    J = to_numpy(system.full.weighted_jacobian)
    Q, _, P = J.shape
    start = to_numpy(system.model.start)
    pull = hessians(system).reshape(Q * P, P)
    target = (np.einsum("qab,qb->qa", hessians(system), start) - gradient(system, start)).ravel()
    point = np.linalg.lstsq(pull, target, rcond=None)[0]
    return bool(np.linalg.norm(pull @ point - target) <= BLUR * np.linalg.norm(gradient(system, start)))
