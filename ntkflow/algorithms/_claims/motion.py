"""What one update does, and what it equals."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import sympy

from ..._array import like, to_numpy
from ...notation import mu, theta, theta0, y
from .._program import Compiled
from . import Predicate
from .measures import (
    ROUNDING,
    Matrix,
    count,
    disagreement,
    gradient,
    hessian,
    matrix,
    mixing,
    mixing_of_stacks,
    momentum,
    path,
    same,
    some_states,
    update,
)

if TYPE_CHECKING:
    from ...systems import LinearSystem

before = sympy.Symbol("before", commutative=False)  # θ one update ago, in a recursion over two updates


def has_both_diffusions_spectrum(system: LinearSystem) -> bool:
    """M has the spectrum of both 𝓦(I − ηΨ) and (I − ηΨ)𝓦: the traces of all powers agree."""
    keep = np.eye(len(hessian(system))) - system.step_size * hessian(system)
    stacks = mixing_of_stacks(system)
    return all(_cospectral(matrix(system), other) for other in (stacks @ keep, keep @ stacks))


def mixes_into_atc(system: LinearSystem) -> bool:
    """𝓦 U(θ) is ATC's update of 𝓦 θ."""

    def image(state: Matrix) -> Matrix:
        mixed = mixing(system) @ state[0]
        return mixing(system) @ (mixed - system.step_size * gradient(system, mixed))

    return all(same(mixing(system) @ update(system, s)[0], image(s)) for s in some_states(system))


def is_dgd_after_rounds(system: LinearSystem) -> bool:
    """U(θ) = W^τ θ − η g(θ)."""
    power = np.linalg.matrix_power(mixing(system), count(system, "tau"))
    return all(
        same(update(system, s)[0], power @ s[0] - system.step_size * gradient(system, s[0]))
        for s in some_states(system)
    )


def is_gradient_descent_per_round(system: LinearSystem) -> bool:
    """U is E steps of gradient descent on the mean of the agents' losses."""

    def pooled(place: Matrix) -> Matrix:
        for _ in range(count(system, "E")):
            step = place - system.step_size * gradient(system, place)
            place = np.broadcast_to(step.mean(axis=0), place.shape)
        return place

    return all(same(update(system, s)[0], pooled(s[0])) for s in some_states(system))


def is_look_ahead_seen_from_behind(system: LinearSystem) -> bool:
    """(x − μv, v) moves by the look-ahead form, v⁺ = μv − ηg(x), but for μ(I − W)v."""
    m, W = momentum(system), mixing(system)

    def moves(state: Matrix) -> bool:
        (x, v), (x_new, v_new) = state, update(system, state)
        look_ahead = W @ (x - m * v) + v_new - m * (v - W @ v)
        return same(v_new, m * v - system.step_size * gradient(system, x)) and same(x_new - m * v_new, look_ahead)

    return system.full.shape[0] == 2 and all(moves(s) for s in some_states(system))


def obeys(recursion: sympy.Expr) -> Predicate:
    """θ_{k+2} is the recursion, with θ_{k+1} for ``theta`` and θ_k for ``before``, all along the trajectory."""

    def follows(system: LinearSystem) -> bool:
        numbers = {mu: 0.0, **system.numbers}
        program = Compiled.of({theta: recursion, before: theta}, {theta: theta0, before: theta0}, {}).bind(numbers)
        places = [like(s[0], system.mixing)[..., None] for s in path(system, 6)]
        due = [program.update((b, a), system.full.mix, system.full.gradient)[0] for a, b in pairwise(places[:-1])]
        return all(same(to_numpy(d), to_numpy(c)) for d, c in zip(due, places[2:], strict=True))

    return follows


def agrees_at_once(system: LinearSystem) -> bool:
    """After the first update all agents agree, from any state."""
    news = [update(system, s)[0] for s in some_states(system)]
    return all(disagreement(new) <= ROUNDING * (1.0 + np.linalg.norm(new)) for new in news)


def mean_follows_mean_gradient(system: LinearSystem) -> bool:
    """θ̄⁺ = θ̄ − η Σ_q g_q(θ_q) / Q all along the trajectory."""
    return all(
        same(b[0].mean(axis=0), (a[0] - system.step_size * gradient(system, a[0])).mean(axis=0), among=b)
        for a, b in pairwise(path(system, 6))
    )


def tracks_the_mean_gradient(system: LinearSystem) -> bool:
    """The mean of y is the mean of the agents' gradients at all times."""
    if y not in system.rule.blocks:
        return False
    block = system.rule.blocks.index(y)
    return all(same(s[block].mean(axis=0), gradient(system, s[0]).mean(axis=0), among=s) for s in path(system, 10))


def _cospectral(M: Matrix, other: Matrix) -> bool:
    size = max(np.linalg.norm(M, 2), np.linalg.norm(other, 2))
    M, other = M / size, other / size
    P, R = M, other
    for _ in range(len(M)):
        if abs(np.trace(P) - np.trace(R)) > ROUNDING * len(M):
            return False
        P, R = P @ M, R @ other
    return True
