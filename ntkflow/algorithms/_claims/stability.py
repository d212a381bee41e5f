"""Which systems are stable, and for which step sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._array import like, to_numpy
from . import Predicate
from .measures import (
    BLUR,
    GREY,
    ROUNDING,
    Matrix,
    curvature,
    data_rank,
    hessian,
    hessians,
    lambda_min,
    loses_faint_directions,
    matrix,
    mixing_of_stacks,
    momentum,
)

if TYPE_CHECKING:
    from ...systems import LinearSystem


def flow_is_stable(system: LinearSystem) -> bool:
    """No eigenvalue of A has a positive real part."""
    return _flow_excess(system) <= BLUR


def iteration_is_stable(system: LinearSystem) -> bool:
    """No eigenvalue of M is outside the unit circle."""
    return _iteration_excess(system) <= BLUR


def never_spreads(system: LinearSystem) -> bool:
    """‖M‖ ≤ 1: no two trajectories move apart."""
    return bool(np.linalg.norm(matrix(system), 2) <= 1 + ROUNDING)


def flow_is_stable_iff(condition: Predicate) -> Predicate:
    """Stability of the flow and the condition are one."""
    return lambda system: _agree(_flow_excess(system), condition(system))


def iteration_is_stable_iff(condition: Predicate) -> Predicate:
    """Stability of the iteration and the condition are one."""
    return lambda system: _agree(_iteration_excess(system), condition(system))


def below_exact_dgd_bound(system: LinearSystem) -> bool:
    """η λ_max(J(𝓦 + I)⁻¹Jᵀ) ≤ 1, through the eigenvalues of (𝓦 + I)⁻¹Ψ."""
    inverse = np.linalg.inv(mixing_of_stacks(system) + np.eye(len(hessian(system))))
    return bool(system.step_size * np.max(np.linalg.eigvals(inverse @ hessian(system)).real) <= 1 + BLUR)


def below_pooled_bound(system: LinearSystem) -> bool:
    """η λ_max(Σ_q Ψ_q / Q) ≤ 2."""
    return bool(system.step_size * np.linalg.eigvalsh(hessians(system).mean(axis=0))[-1] <= 2 + BLUR)


def below_diffusion_flow_bound(system: LinearSystem) -> bool:
    """η λ_max(Ψ) ≤ 1 + 1/|λ_min(W)|."""
    return curvature(system) <= 1.0 + 1.0 / abs(lambda_min(system)) + BLUR


def below_nesterov_bound(system: LinearSystem) -> bool:
    """η λ_max(Ψ) ≤ (1 + λ)(1 + μ) / (1 + μ + λ μ) at λ = λ_min(W)."""
    low, m = lambda_min(system), momentum(system)
    return curvature(system) <= (1.0 + low) * (1.0 + m) / (1.0 + m + low * m) + BLUR


def mixing_is_stable_iff(condition: Predicate) -> Predicate:
    """The iteration with all gradients struck out is stable exactly under the condition."""

    def stable(system: LinearSystem) -> bool:
        N, shape = system.full.size, system.full.shape
        states = like(np.eye(N).reshape(*shape, N), system.mixing)
        idle = to_numpy(system.full.update(states, lambda x: 0.0 * x)).reshape(N, N)
        return bool(np.max(np.abs(np.linalg.eigvals(idle))) <= 1 + BLUR) == condition(system)

    return stable


def above_minus_a_third(system: LinearSystem) -> bool:
    """λ_min(W) ≥ −1/3."""
    return lambda_min(system) >= -1 / 3 - BLUR


def forgets_what_data_see(system: LinearSystem) -> bool | None:
    """dim ker A = P − rank of the stacked Jacobian."""
    if loses_faint_directions(system):
        return None
    A = matrix(system) - np.eye(system.full.size)
    return system.full.size - int(np.linalg.matrix_rank(A)) == system.full.shape[2] - data_rank(system)


def has_real_spectrum(system: LinearSystem) -> bool:
    """All eigenvalues of M are real."""
    M = matrix(system)
    return bool(np.max(np.abs(np.linalg.eigvals(M).imag)) <= BLUR * _size(M))


def _size(M: Matrix) -> float:
    """What the rounding of eigenvalues is relative to."""
    return max(1.0, float(np.linalg.norm(M, 2)))


def _flow_excess(system: LinearSystem) -> float:
    """How far eigenvalues reach into the right half-plane, by the size of M."""
    M = matrix(system)
    return float(np.max(np.linalg.eigvals(M).real) - 1) / _size(M)


def _iteration_excess(system: LinearSystem) -> float:
    """How far eigenvalues reach out of the unit circle, by the size of M."""
    M = matrix(system)
    return float(np.max(np.abs(np.linalg.eigvals(M))) - 1) / _size(M)


def _agree(excess: float, condition: bool | None) -> bool | None:
    """Whether stability and the condition are one; so near to the boundary that rounding decides, either may be."""
    if (excess <= BLUR) == condition:
        return True
    return None if abs(excess) <= GREY * BLUR else False
