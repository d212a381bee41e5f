r"""How far a compressed prediction can be from the full linear system's (T12).

With r̃ the compressed system's residual, the full system follows the compressed trajectory up to the
neglected gradients δ_q = c_q (J_q − J̃_q)ᵀ r̃_q.  If ‖M‖₂ ≤ 1 nothing ever grows, and the error is at
most η · left_out · ∫₀ᵗ ‖c∘r̃‖ dτ.  Otherwise the same rule is run with J = 0 and the largest neglected
gradient as a constant input, which is an estimate.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property

from ._array import Array, device, floats, like, namespace, nan_to_inf, overflow_allowed
from ._path import Path
from .linearize import LinearizedModel
from .operator import StateOperator
from .propagators import Times, solve


@dataclass(frozen=True, eq=False)
class Known:
    """What is kept of a certificate that is stored."""

    sure: bool
    bound: Array


@dataclass(frozen=True, eq=False)
class Certificate:
    """How far a path at the times of a `grid` can be from the full linear system's; worked out when it is asked for.

    ``rounding`` (T,) has what the engine says of itself; ``places`` are the times that somebody wanted.
    """

    operator: StateOperator
    path: Path
    times: Times
    rounding: Array
    places: Array | None

    def __reduce__(self) -> tuple[type[Known], tuple[bool, Array]]:
        """Stored as what it says."""
        return Known, (self.sure, self.bound)

    @cached_property
    def sure(self) -> bool:
        """Whether what compression left out is bounded by a theorem."""
        return _contracts(self.operator, self.times.flow)

    @cached_property
    def bound(self) -> Array:
        """(T,) at the times wanted; inf where a state has overflown."""
        xp, left_out = namespace(self.rounding), self._left_out()
        bound = self.rounding if left_out is None else self.rounding + like(left_out, self.rounding)
        if not self.sure:  # something may have grown
            bound = nan_to_inf(xp.where(self.path.finite, bound, xp.full_like(bound, math.inf)))
        return bound if self.places is None else xp.take(bound, self.places)

    def _left_out(self) -> list[float] | None:
        if self.operator.model.left_out == 0.0:
            return None
        finite, beyond = Times(tuple(self.times.finite), self.times.flow), self.times.count - len(self.times.finite)
        with overflow_allowed():
            found = (_integrated if self.sure else _surrogate)(self.operator, self.path, finite)
        return found + [math.inf] * beyond


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


def _contracts(operator: StateOperator, flow: bool) -> bool:
    """Whether the bound is a theorem here: no difference ever grows, and all gradients are taken at one Wᵏθ."""
    factors = operator.factors
    if factors is None or not operator.plain or len(_trailing(operator)) > 1 or not factors.averaging:
        return False
    return factors.contracting_flow if flow else factors.contracting


def _integrated(operator: StateOperator, path: Path, times: Times) -> list[float]:
    r"""h·left_out·∫‖c∘r̃‖ at increasing times, from the states (1, Q, p) and ‖r̃_q‖² there; h = η for DGD, ATC, CTA.

    Between two times a, b the residual ρ = c∘r̃ is at most L v (τ − a) above its norm at a, and
    L v (b − τ) above the one at b, where v ≥ ‖ẋ(a)‖ and L = ‖cJ‖; the mean of the two
    bounds integrates to Δ (‖ρ_a‖ + ‖ρ_b‖)/2 + L v Δ²/2, for the sum over iterations likewise (theory 12).
    """
    xp, model = namespace(operator.W), operator.model
    sizes = floats((_squares(operator, path) @ operator.scale**2) ** 0.5)
    speeds = _speeds(operator, path, times)
    lipschitz = (float(xp.max(operator.scale)) * operator.top) ** 0.5
    total, sums = 0.0, [0.0]
    for i, (a, b) in enumerate(itertools.pairwise(times.values)):
        total += (b - a) * ((sizes[i] + sizes[i + 1]) / 2 + lipschitz * speeds[i] * (b - a) / 2)
        sums.append(total)
    strength = sum(abs(c) for word, c in operator.words.items() if "H" in word)
    return [strength * model.left_out * value for value in sums]


def _squares(operator: StateOperator, path: Path) -> Array:
    """‖r̃_q‖² (T, Q) of the residuals that the gradients are taken with, at Wᵏθ: e₀ + J (Wᵏ − 1) θ(0) + J Wᵏ x."""
    xp, model, k = namespace(operator.W), operator.model, max(_trailing(operator), default=0)
    if k == 0:
        residual = model.residual_along(path)
    else:
        at_start = model.residual_at((_mixed(operator, k, model.start) - model.start)[None, ...])
        residual = at_start + path.under(lambda states: model.response_at(_mixed(operator, k, states[:, 0, :, :])))
    return xp.vecdot(residual, residual)


def _speeds(operator: StateOperator, path: Path, times: Times) -> list[float]:
    """‖ẋ‖ or more at increasing times: it only falls, so the one at half the time or later will do."""
    xp, asked, latest = namespace(operator.W), [0], []
    for i, t in enumerate(times.values):
        if t >= 2.0 * times.values[asked[-1]] and t > 0.0:
            asked.append(i)
        latest.append(len(asked) - 1)
    some = path.take(xp.asarray(asked, device=device(operator.W)))
    found = floats(xp.concat([_speed(operator, states) for states in some.pieces()], axis=0))
    return [found[i] for i in latest]


def _speed(operator: StateOperator, states: Array) -> Array:
    """‖A x + u‖ (T,) at states (T, 1, Q, p)."""
    xp = namespace(states)
    velocity = operator.apply(xp.permute_dims(states, (1, 2, 3, 0))) + operator.input[..., None]
    return xp.linalg.vector_norm(velocity, axis=(0, 1, 2))


def _surrogate(operator: StateOperator, path: Path, times: Times) -> list[float]:
    """The rule with J = 0 driven by a constant gradient of size c_q·left_out, times the largest residual so far."""
    xp, model = namespace(operator.W), operator.model
    residual = xp.max(xp.linalg.vector_norm(model.residual_along(path), axis=2), axis=1)
    loudest = itertools.accumulate(floats(residual)[: times.count], max)
    push = (operator.scale * model.left_out)[:, None, None]
    idle = replace(operator, model=_without_network(model))
    start = xp.stack(idle.program.start(xp.zeros_like(push), idle.mix, lambda _: push), axis=0)
    drive = (idle.update(start, lambda _: push) - start)[..., 0]
    response, _, _ = solve(idle, drive, times)
    sizes = floats(xp.linalg.vector_norm(response.states[:, 0, :, :], axis=(1, 2)))
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


def _mixed(operator: StateOperator, k: int, x: Array) -> Array:
    """Wᵏ x for (..., Q, p)."""
    for _ in range(k):
        x = operator.W @ x
    return x
