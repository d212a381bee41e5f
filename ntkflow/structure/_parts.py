"""What factors are made of, and the roots of small symmetric matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import array_api_extra as xpx

from .._array import Array, eps, eye, namespace, zeros

Words = dict[tuple[str, ...], float]
PSD_SLACK = 50.0  # eigenvalues above -slack * Q * eps count as zero


@dataclass(frozen=True, eq=False)
class Parts:
    """What the factors are made of: W, the Jacobians J_q (Q, n, p) and their weights c_q, what they left out."""

    W: Array
    jacobian: Array
    scale: Array
    top: float  # max_q λ_max(c_q J_qᵀJ_q)
    left_out: float
    given: tuple[Array | None, Array] | None = None  # what stands for `reduced`, where it is not that of J

    @cached_property
    def spectrum(self) -> list[float]:
        """The eigenvalues of W: those of p(W) are p of them."""
        values = namespace(self.W).linalg.eigvalsh(self.W)
        return [float(values[i]) for i in range(values.shape[0])]

    @cached_property
    def J(self) -> Array:
        """√c_q J_q."""
        return self.jacobian * (self.scale**0.5)[:, None, None]

    @cached_property
    def reduced(self) -> tuple[Array | None, Array]:
        """√c_q J_q = Q_q R_q, with R_q no taller than wide (Q_q = I where it is that already)."""
        if self.given is not None:
            return self.given
        return (None, self.J) if self.J.shape[1] <= self.J.shape[2] else namespace(self.J).linalg.qr(self.J)

    @property
    def roots(self) -> Array:
        """R_q with R_qᵀR_q = c_q J_qᵀJ_q, (Q, min(n, p), p)."""
        return self.reduced[1]

    @cached_property
    def R(self) -> Array:
        """The roots as one block-diagonal matrix, RᵀR = Ψ."""
        return self.diagonal(self.roots)

    def curvature(self, factor: float) -> Callable[[Array], Array]:
        """``factor`` RᵀR x for (Q, p, k)."""
        xp, roots = namespace(self.roots), self.roots
        return lambda x: factor * (xp.matrix_transpose(roots) @ (roots @ x))

    def reduced_residual(self, residual: Array) -> Array:
        """ε_q = Q_qᵀ r_q for weighted residuals √c_q e_q (Q, n), so that R_qᵀ ε_q is the gradient; flat."""
        xp, frame = namespace(self.J), self.reduced[0]
        return xp.reshape(residual if frame is None else (residual[:, None, :] @ frame)[:, 0, :], (-1,))

    def mixed(self, matrix: Array) -> Array:
        """matrix ⊗ I_p."""
        xp = namespace(matrix)
        return xpx.kron(matrix, eye(self.jacobian.shape[2], matrix), xp=xp)

    def diagonal(self, blocks: Array) -> Array:
        """The block-diagonal matrix of (Q, r, p)."""
        xp = namespace(blocks)
        Q, r, p = blocks.shape
        identity = eye(Q, blocks)
        return xp.reshape(identity[:, None, :, None] * blocks[:, :, None, :], (Q * r, Q * p))

    def shrunk(self, alpha: float, power: float, *, dual: bool = False) -> Array:
        """(I − αΨ)^power as one block-diagonal matrix, or with ``dual`` (I − α R Rᵀ)^power; ⪰ 0 unless power is 1."""
        xp, R = namespace(self.J), self.roots
        values, U = xp.linalg.eigh(R @ xp.matrix_transpose(R) if dual else xp.matrix_transpose(R) @ R)
        values = 1.0 - alpha * values
        if power != 1:
            values = xp.where(values > 0, values, xp.zeros_like(values)) ** power
        return self.diagonal((U * values[:, None, :]) @ xp.matrix_transpose(U))


@dataclass(frozen=True, eq=False)
class Structure:
    """What both structures share."""

    parts: Parts

    @property
    def floor(self) -> float:
        """What counts as zero beside eigenvalues of W."""
        return PSD_SLACK * self.parts.W.shape[0] * eps(self.parts.W)

    @cached_property
    def averaging(self) -> bool:
        """Whether ‖W‖₂ ≤ 1, which negative weights can break."""
        return max(map(abs, self.parts.spectrum)) <= 1.0 + self.floor


def power_of(W: Array, k: int) -> Array:
    result = eye(W.shape[0], W)
    for _ in range(k):
        result = result @ W
    return result


def root(V: Array) -> Array:
    """V^½ for a positive semi-definite V."""
    xp = namespace(V)
    values, U = xp.linalg.eigh((V + V.T) / 2)
    floor = PSD_SLACK * V.shape[0] * eps(V)
    values = xp.where(values > floor, values, xp.zeros_like(values)) ** 0.5  # the root of rounding is not small
    return (U * values[None, :]) @ U.T


def root_of_complement(V: Array) -> Array:
    """N with NᵀN = I − V ⪰ 0 and N 1 = 0 *exactly* where V 1 = 1.

    The consensus direction must not be left to rounding: its decay is the slowest that there is.
    """
    xp = namespace(V)
    Q = V.shape[0]
    identity = eye(Q, V)
    ones = xp.full((Q, 1), Q**-0.5, dtype=V.dtype, device=V.device)
    keeps_consensus = float(xp.max(xp.abs(V @ ones - ones))) <= 10 * Q * eps(V)
    if keeps_consensus and Q == 1:
        return zeros((1, 1), V)
    frame = xp.linalg.qr(ones, mode="complete")[0][:, 1:] if keeps_consensus else identity
    values, U = xp.linalg.eigh(frame.T @ (identity - (V + V.T) / 2) @ frame)
    floor = PSD_SLACK * Q * eps(V)
    values = xp.where(values > floor, values, xp.zeros_like(values)) ** 0.5
    return values[:, None] * (U.T @ frame.T)
