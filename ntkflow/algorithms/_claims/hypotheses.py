"""What the claims assume of a system."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from . import Predicate
from .measures import ROUNDING, count, curvature, data_rank, hessians, lambda_min, mixing, momentum

if TYPE_CHECKING:
    from ...systems import LinearSystem


def symmetric(system: LinearSystem) -> bool:
    """W is symmetric and non-negative, on a connected graph."""
    return all(bool(system.audit.holds(name)) for name in ("symmetric", "non_negative", "connected"))


def doubly_stochastic(system: LinearSystem) -> bool:
    """W is doubly stochastic, symmetric or not, on a connected graph."""
    return system.audit.doubly_stochastic and bool(system.audit.holds("connected"))


def positive_definite(system: LinearSystem) -> bool:
    """W ≻ 0."""
    return bool(system.audit.holds("positive_definite"))


def invertible(system: LinearSystem) -> bool:
    """W has no eigenvalue 0."""
    return bool(np.linalg.cond(mixing(system)) < 1 / ROUNDING)


def primitive(system: LinearSystem) -> bool:
    """λ_min(W) > −1."""
    return lambda_min(system) > -1 + ROUNDING


def indefinite(system: LinearSystem) -> bool:
    """λ_min(W) < 0."""
    return lambda_min(system) < -ROUNDING


def determined(system: LinearSystem) -> bool:
    """The data of all agents together determine every parameter, so that Σ f_q has one minimiser."""
    return data_rank(system) == system.full.shape[2]


soluble = (symmetric, determined)


def alike(system: LinearSystem) -> bool:
    """All agents have the same Ψ_q."""
    blocks = hessians(system)
    return bool(np.allclose(blocks, blocks[:1], rtol=0.0, atol=ROUNDING * np.max(np.abs(blocks))))


def alike_or_one_local_step(system: LinearSystem) -> bool:
    """All agents have the same Ψ_q, or E = 1."""
    return count(system, "E") == 1 or alike(system)


def damped(system: LinearSystem) -> bool:
    """0 ≤ μ < 1."""
    return 0.0 <= momentum(system) < 1.0


def step_up_to(bound: Callable[[LinearSystem], float]) -> Predicate:
    """η λ_max(Ψ) ≤ bound."""
    return lambda system: curvature(system) <= bound(system)


def step_below(bound: Callable[[LinearSystem], float]) -> Predicate:
    """η λ_max(Ψ) < bound, by a thousandth: at the bound nothing settles."""
    return lambda system: curvature(system) <= 0.999 * bound(system)


def one(system: LinearSystem) -> float:
    """1: no eigenvalue of I − ηΨ is negative."""
    return 1.0


def two(system: LinearSystem) -> float:
    """Gradient descent's bound, 2."""
    return 2.0


def dgd_bound(system: LinearSystem) -> float:
    """1 + λ_min(W^τ)."""
    return 1.0 + float(np.min(np.linalg.eigvalsh(mixing(system)) ** count(system, "tau")))


def heavy_ball_bound(system: LinearSystem) -> float:
    """(1 + μ)(1 + λ_min(W))."""
    return (1.0 + momentum(system)) * (1.0 + lambda_min(system))


def published_bound(system: LinearSystem) -> float:
    """(1 + μ)(1 + λ_min(W)) / (1 + 2μ)."""
    return heavy_ball_bound(system) / (1.0 + 2.0 * momentum(system))
