r"""How far a compressed prediction can be from the full linear system's (T12).

With r̃ the compressed system's residual, the full system follows the compressed trajectory up to the
neglected gradients δ_q = c_q (J_q − J̃_q)ᵀ r̃_q.  If ‖M‖₂ ≤ 1 nothing ever grows, and the error is at
most η · left_out · ∫₀ᵗ ‖c∘r̃‖ dτ.  Otherwise the same rule is run with J = 0 and the largest neglected
gradient as a constant input, which is an estimate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ._array import Array, floats, namespace
from .linearize import LinearizedModel
from .operator import StateOperator
from .propagators import Times, solve

HELD = 2**19  # numbers in the states that are looked at together


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A bound on the error by compression at every time, its kind, and ‖r_q‖² (T, Q) where it has needed them."""

    bound: list[float]
    kind: str
    squares: Array | None = None


def grid(operator: StateOperator, times: Times) -> Times:
    """Each time once in increasing order, 0 first; where an integral needs them, times between those far apart."""
    finite = sorted({0.0, *times.finite})
    wanted = operator.model.left_out > 0 and _contracts(operator, times.flow)
    extra = [t for a, b in itertools.pairwise(finite) for t in _between(a, b)] if wanted else []
    whole = extra if times.flow else [float(round(t)) for t in extra]
    return Times(tuple(sorted({*finite, *whole, *times.values})), times.flow)


def _between(a: float, b: float) -> list[float]:
    """Times that cut an interval into pieces that are no longer than they are late: each at most twice the last."""
    first = max(a, min(1.0, b))
    parts = math.ceil(math.log2(b / first) - 1e-9)
    return [first * (b / first) ** (i / parts) for i in range(parts)] if parts > 1 else []


def left_out(operator: StateOperator, states: Array, times: Times) -> LeftOut:
    """What compression left out can do to the states (T, blocks, Q, p) at the times of a `grid`."""
    sure = _contracts(operator, times.flow)
    kind = "rigorous" if sure else "estimate"
    if operator.model.left_out == 0.0:
        return LeftOut([0.0] * times.count, kind)
    finite, beyond = Times(tuple(times.finite), times.flow), [math.inf] * (times.count - len(times.finite))
    if not sure:
        return LeftOut(_surrogate(operator, states[: finite.count, ...], finite) + beyond, kind)
    squares = _squares(operator, states)
    known = squares if _trailing(operator) <= {0} else None  # of the residuals at θ itself
    return LeftOut(_integrated(operator, states, squares, finite) + beyond, kind, known)


def _contracts(operator: StateOperator, flow: bool) -> bool:
    """Whether the bound is a theorem here: no difference ever grows, and all gradients are taken at one Wᵏθ."""
    factors = operator.factors
    if factors is None or not operator.plain or len(_trailing(operator)) > 1 or not factors.averaging:
        return False
    return factors.contracting_flow if flow else factors.contracting


def _integrated(operator: StateOperator, states: Array, squares: Array, times: Times) -> list[float]:
    r"""h·left_out·∫‖c∘r̃‖ at increasing times, from the states (T, 1, Q, p) and ‖r̃_q‖² there; h = η for DGD, ATC, CTA.

    Between two times a, b the residual ρ = c∘r̃ is at most L v (τ − a) above its norm at a, and
    L v (b − τ) above the one at b, where v ≥ ‖ẋ(a)‖ and L = ‖cJ‖; the mean of the two
    bounds integrates to Δ (‖ρ_a‖ + ‖ρ_b‖)/2 + L v Δ²/2, for the sum over iterations likewise (theory 12).
    """
    xp, model = namespace(states), operator.model
    sizes, speeds = floats((squares @ operator.scale**2) ** 0.5), _speeds(operator, states, times)
    lipschitz = (float(xp.max(operator.scale)) * operator.top) ** 0.5
    total, sums = 0.0, [0.0]
    for i, (a, b) in enumerate(itertools.pairwise(times.values)):
        total += (b - a) * ((sizes[i] + sizes[i + 1]) / 2 + lipschitz * speeds[i] * (b - a) / 2)
        sums.append(total)
    strength = sum(abs(c) for word, c in operator.words.items() if "H" in word)
    return [strength * model.left_out * value for value in sums]


def _squares(operator: StateOperator, states: Array) -> Array:
    """‖r̃_q‖² (T, Q) of the residuals that the gradients are taken with."""
    xp, model = namespace(states), operator.model
    points = (_gradient_points(operator, states[a:b, ...]) for a, b in _edges(states.shape[0], operator))
    return xp.concat([xp.vecdot(r, r) for r in map(model.residual_at, points)], axis=0)


def _speeds(operator: StateOperator, states: Array, times: Times) -> list[float]:
    """‖ẋ‖ or more at increasing times: it only falls, so the one at half the time or later will do."""
    xp, asked, latest = namespace(states), [0], []
    for i, t in enumerate(times.values):
        if t >= 2.0 * times.values[asked[-1]] and t > 0.0:
            asked.append(i)
        latest.append(len(asked) - 1)
    found: list[float] = []
    for a, b in _edges(len(asked), operator):
        some = xp.take(states, xp.asarray(asked[a:b], device=states.device), axis=0)
        velocity = operator.apply(xp.permute_dims(some, (1, 2, 3, 0))) + operator.input[..., None]
        found += floats(xp.linalg.vector_norm(velocity, axis=(0, 1, 2)))
    return [found[i] for i in latest]


def _edges(count: int, operator: StateOperator) -> Iterator[tuple[int, int]]:
    """A few states at a time."""
    step = max(1, HELD // operator.size)
    return ((i, min(i + step, count)) for i in range(0, count, step))


def _surrogate(operator: StateOperator, states: Array, times: Times) -> list[float]:
    """The rule with J = 0 driven by a constant gradient of size c_q·left_out, times the largest residual so far."""
    xp, model = namespace(states), operator.model
    residual = xp.max(xp.linalg.vector_norm(model.residual_at(states[:, 0, :, :]), axis=2), axis=1)
    loudest = itertools.accumulate(floats(residual), max)
    push = (operator.scale * model.left_out)[:, None, None]
    idle = replace(operator, model=_without_network(model))
    start = xp.stack(idle.program.start(xp.zeros_like(push), idle.mix, lambda _: push), axis=0)
    drive = (idle.update(start, lambda _: push) - start)[..., 0]
    response, _, _ = solve(idle, drive, times)
    sizes = floats(xp.linalg.vector_norm(response[:, 0, :, :], axis=(1, 2)))
    return [size * loud for size, loud in zip(sizes, loudest, strict=True)]


def _without_network(model: LinearizedModel) -> LinearizedModel:
    """The same agents with one parameter each and J = 0."""
    xp, J = namespace(model.jacobian), model.jacobian
    return replace(
        model,
        jacobian=xp.zeros_like(J[:, :1, :1]),
        residual=xp.zeros_like(J[:, :1, 0]),
        start=xp.zeros_like(J[:, 0, :1]),
        outputs=None,
        basis=None,
        test_jacobian=None,
        test_outputs=None,
    )


def _trailing(operator: StateOperator) -> set[int]:
    """The powers k for which the rule takes a gradient at Wᵏθ."""
    return {len(word) - 1 - word.index("H") for word in operator.words if "H" in word}


def _gradient_points(operator: StateOperator, states: Array) -> Array:
    """Where the rule takes its gradient, as deviations (T, Q, p): θ, or Wᵏθ (CTA)."""
    x, start = states[:, 0, :, :], operator.model.start[None, ...]
    for _ in range(max(_trailing(operator), default=0)):
        x = operator.W @ (x + start) - start
    return x
