"""Where training goes: what falls on the way, and where it ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..._array import overflow_allowed, to_numpy
from .measures import (
    BLUR,
    GREY,
    ROUNDING,
    Matrix,
    both,
    disagreement,
    gradient,
    hessians,
    loses_faint_directions,
    matrix,
    mixing,
    negligible,
    objective,
    path,
    same,
    some_states,
    update,
)

if TYPE_CHECKING:
    from ...systems import LinearSystem

LATE = 100_000  # updates after which a trajectory has settled, has left, or is too slow to tell
SUMS = 1e-11  # of differences between large numbers


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


def rests_at_a_minimiser(system: LinearSystem) -> bool | None:
    """The fixed point in s₀ + range(A), where a trajectory stays, is a consensual minimiser of Σ f_q."""
    rest, left = _rest(system)
    if left > system.step_size * _slope(system) / GREY:
        return None  # it drifts, and comes to rest nowhere
    found = _is_minimiser(system, rest, left)
    return found or (None if loses_faint_directions(system) else found)  # where those end may decide it


def rests_at_a_minimiser_iff_shared(system: LinearSystem) -> bool | None:
    """It rests at a consensual minimiser of Σ f_q exactly if that point is stationary for every agent."""
    rests, shared = rests_at_a_minimiser(system), _shares_a_minimiser(system)
    return None if None in (rests, shared) else rests == shared


def finds_the_minimiser(system: LinearSystem) -> bool | None:
    """The iteration ends at the consensual minimiser of Σ f_q; None where it is still on its way."""
    with overflow_allowed():
        run, last = system.iterate(LATE), system.compact
        state = to_numpy(last.origin + run.states[0, ...])
        if not np.all(np.isfinite(state)):
            return False
        if _is_minimiser(system, to_numpy(system.model.start) + to_numpy(run.deviation)[0]):
            return True
        speed = np.linalg.norm(to_numpy(last.apply(run.states[0, ...]) + last.input))
    at_rest = speed <= ROUNDING * system.step_size * _slope(system)
    return False if at_rest or np.linalg.norm(state) > 1 / BLUR**2 else None


def _rest(system: LinearSystem) -> tuple[Matrix, float]:
    """Parameters (Q, P) at rest, and what the equations leave of themselves there, in the units of an update.

    A s + b = 0, and s is s₀ still where A never moves it, to the left of A's null vectors.  Where A is faint, the state
    may be far off and yet satisfy the equations: they are compared, not solutions.
    """
    start, moved = path(system, 1)
    A = matrix(system) - np.eye(system.full.size)
    left, values, _ = np.linalg.svd(A)
    rounding = len(A) * np.finfo(A.dtype).eps
    equations = np.vstack([A, left[:, values <= rounding * values[0]].T])
    due = np.zeros(len(equations))
    due[: len(A)] = (start - moved).ravel()
    change = np.linalg.lstsq(equations, due, rcond=rounding)[0]
    return start[0] + change.reshape(start.shape)[0], float(np.linalg.norm(equations @ change - due))


def _lyapunov(system: LinearSystem, place: Matrix) -> float:
    """V(θ) = Σ_q f_q(θ_q) + ‖θ‖²_{I − W} / (2η)."""
    apart = place - mixing(system) @ place
    return objective(system, place) + float(np.sum(place * apart)) / (2 * system.step_size)


def _slope(system: LinearSystem) -> float:
    """‖g(θ₀)‖ over all agents."""
    return float(np.linalg.norm(gradient(system, to_numpy(system.model.start))))


def _is_minimiser(system: LinearSystem, place: Matrix, left: float = 0.0) -> bool | None:
    """All agents agree, and their gradients sum to 0; by the first step's size, and what the equations left open."""
    step = system.step_size * _slope(system)
    open_ = 2 * len(place) * left
    rounding = SUMS * (1.0 + float(np.linalg.norm(place)))
    total = system.step_size * float(np.linalg.norm(gradient(system, place).sum(axis=0)))
    apart = negligible(disagreement(place), BLUR * step + rounding + open_)
    return both(apart, negligible(total, BLUR * step + open_))


def _shares_a_minimiser(system: LinearSystem) -> bool | None:
    """One point makes every agent's gradient vanish: the normal equations of all agents have a common solution."""
    J = to_numpy(system.full.weighted_jacobian)
    Q, _, P = J.shape
    start = to_numpy(system.model.start)
    pull = hessians(system).reshape(Q * P, P)
    target = (np.einsum("qab,qb->qa", hessians(system), start) - gradient(system, start)).ravel()
    point = np.linalg.lstsq(pull, target, rcond=None)[0]
    return negligible(float(np.linalg.norm(pull @ point - target)), BLUR * _slope(system))
