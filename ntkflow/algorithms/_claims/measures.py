"""What the claims measure on a linear system: its map, its matrices and its gradients, as NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..._array import like, to_numpy
from ...notation import mu

if TYPE_CHECKING:
    from ...systems import LinearSystem

Matrix = npt.NDArray[Any]

ROUNDING = 1e-9  # of identities
BLUR = 1e-6  # of verdicts from eigenvalues: a double one with one eigenvector moves by the root of the rounding
GREY = 1e3  # between what passes and this many times as much, a number decides nothing


def update(system: LinearSystem, state: Matrix) -> Matrix:
    """U(s) for a state (blocks, Q, P), parameters relative to the model's origin."""
    columns = like(state, system.mixing)[..., None]
    return to_numpy(system.full.update(columns, system.full.gradient))[..., 0]


def gradient(system: LinearSystem, place: Matrix) -> Matrix:
    """g(θ) for parameters (Q, P)."""
    return to_numpy(system.full.gradient(like(place, system.mixing)[..., None]))[..., 0]


def path(system: LinearSystem, steps: int) -> list[Matrix]:
    """The states s₀, …, s_steps, by running the rule."""
    states = [to_numpy(system.full.start)]
    for _ in range(steps):
        states.append(update(system, states[-1]))
    return states


def some_states(system: LinearSystem, count: int = 3) -> list[Matrix]:
    """States in general position, always the same."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(system.full.shape) for _ in range(count)]


def matrix(system: LinearSystem) -> Matrix:
    """M = I + A, (N, N)."""
    A = to_numpy(system.dense()[0])
    return np.eye(len(A)) + A


def mixing(system: LinearSystem) -> Matrix:
    """W, (Q, Q)."""
    return to_numpy(system.mixing)


def mixing_of_stacks(system: LinearSystem) -> Matrix:
    """𝓦 = W ⊗ I, (QP, QP)."""
    return np.kron(mixing(system), np.eye(system.full.shape[2]))


def hessians(system: LinearSystem) -> Matrix:
    """Every agent's Ψ_q = c_q J_qᵀJ_q, (Q, P, P)."""
    J = to_numpy(system.full.weighted_jacobian)
    return np.matrix_transpose(J) @ J


def hessian(system: LinearSystem) -> Matrix:
    """Ψ, block-diagonal, (QP, QP)."""
    blocks = hessians(system)
    Q, P, _ = blocks.shape
    return np.einsum("qab,qr->qarb", blocks, np.eye(Q)).reshape(Q * P, Q * P)


def data_rank(system: LinearSystem) -> int:
    """The rank of the stacked Jacobian: how many directions of the parameters the data of all agents see."""
    return len(_seen(system))


def loses_faint_directions(system: LinearSystem) -> bool:
    """Whether what the data see most faintly is near A's rounding: A has the square of its singular value."""
    size, seen = 1.0 + curvature(system), _seen(system)
    return bool(len(seen)) and system.step_size * seen[-1] ** 2 / len(mixing(system)) < ROUNDING * size


def _seen(system: LinearSystem) -> Matrix:
    """The singular values of the stacked Jacobian that are not rounding."""
    J = to_numpy(system.full.weighted_jacobian)
    values = np.linalg.svd(J.reshape(-1, J.shape[2]), compute_uv=False)
    return values[values > max(J.shape[0] * J.shape[1], J.shape[2]) * np.finfo(J.dtype).eps * values[:1]]


def curvature(system: LinearSystem) -> float:
    """η λ_max(Ψ)."""
    return system.step_size * system.full.top


def lambda_min(system: LinearSystem) -> float:
    """The smallest eigenvalue of a symmetric W."""
    return float(np.linalg.eigvalsh(mixing(system))[0])


def momentum(system: LinearSystem) -> float:
    """μ; a rule without momentum has 0."""
    return system.numbers.get(mu, 0.0)


def count(system: LinearSystem, name: str) -> int:
    """A whole number that shapes the rule; 1 where the rule has no such number."""
    return system.rule.counts.get(name, 1)


def objective(system: LinearSystem, place: Matrix) -> float:
    """Σ_q f_q(θ_q), the loss whose gradient the agents take, at parameters (Q, P)."""
    moved = like(place, system.mixing) - system.model.start
    residual = to_numpy(system.model.residual_at(moved[None, ...]))[0]
    return float(np.sum(to_numpy(system.scale)[:, None] * residual**2)) / 2


def disagreement(place: Matrix) -> float:
    """(Σ_q ‖θ_q − θ̄‖²)^½."""
    return float(np.linalg.norm(place - place.mean(axis=0)))


def same(found: Any, truth: Any, among: Any = 0.0) -> bool:
    """Equal to rounding, by the size of the truth and of what it was computed from."""
    size = 1.0 + max(np.max(np.abs(truth)), np.max(np.abs(among)))
    return bool(np.max(np.abs(found - truth)) <= ROUNDING * size)


def negligible(size: float, allowed: float) -> bool | None:
    """Whether a size is as small as allowed; None where it is neither that nor clearly larger."""
    return True if size <= allowed else (False if size >= GREY * allowed else None)


def both(one: bool | None, other: bool | None) -> bool | None:
    """Whether both are true, as far as is known."""
    return False if False in (one, other) else (None if None in (one, other) else True)
