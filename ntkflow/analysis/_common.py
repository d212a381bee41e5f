"""The agents' common loss: its minimiser nearest to where they start, and their own gradients there (T13)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._array import eps, to_numpy

if TYPE_CHECKING:
    from ..systems import LinearSystem

Matrix = npt.NDArray[np.float64]
SLACK = 100.0  # rounding errors allowed, in units of eps times the size of what is subtracted
CLEAR = 1e4  # how far a singular value stands above what rounding and compression leave, to decide anything


class Common:
    """F(v) = Σ_q π_q c_q ‖e_q + J_q (v − θ_q(0))‖² / 2 of one parameter vector v, in compressed coordinates."""

    def __init__(self, system: LinearSystem) -> None:
        model = system.compact.model
        self.J, self.e, self.start, self.sizes, self.scale, self.W = (
            to_numpy(a).astype(float)
            for a in (model.jacobian, model.residual, model.start, model.n_samples, system.scale, system.mixing)
        )
        self.left_out, self.eps = float(model.left_out), eps(system.mixing)

    @cached_property
    def weights(self) -> Matrix:
        """π, (Q,): how much each agent counts in the end; all ones where the columns of W sum to 1."""
        balanced = np.abs(self.W.sum(axis=0) - 1).max() <= SLACK * len(self.W) * self.eps
        if balanced or self.apart:
            return np.ones(len(self.W))
        values, vectors = np.linalg.eig(self.W.T)
        left = vectors[:, np.argmin(abs(values - 1))].real
        return np.asarray(len(left) * left / left.sum())

    @property
    def apart(self) -> bool:
        """Whether the eigenvalue 1 of W is multiple: some agents never hear of each other."""
        near = abs(np.linalg.eigvals(self.W) - 1) <= SLACK * len(self.W) * self.eps
        return int(near.sum()) > 1

    @property
    def averages(self) -> bool:
        """Whether W = 11ᵀ/Q."""
        return bool(np.all(abs(self.W - 1 / len(self.W)) <= SLACK * self.eps))

    @cached_property
    def mean(self) -> Matrix:
        """The mean of the starts, (p,)."""
        return np.asarray(self.weights @ self.start / self.weights.sum())

    @cached_property
    def minimiser(self) -> Matrix:
        """v*, (p,)."""
        return self._least(None)

    @cached_property
    def clear_minimiser(self) -> Matrix:
        """The same without directions so faint that a step along them is mostly noise: where "shared" is decided.

        A real network has no sharp rank; all of v* would be so far away that any residual could be called noise.
        """
        size = float(np.linalg.norm(self.J)) or 1.0
        return self._least(min(CLEAR * (self.left_out / size + SLACK * self.eps), 1.0))

    def _least(self, rcond: float | None) -> Matrix:
        pull = np.sqrt(np.abs(self.weights) * self.scale)[:, None]
        Q, n, p = self.J.shape
        rows, missed = (pull[:, :, None] * self.J).reshape(Q * n, p), (pull * self.residual(self.mean)).ravel()
        return np.asarray(self.mean - np.linalg.lstsq(rows, missed, rcond=rcond)[0])

    def residual(self, v: Matrix) -> Matrix:
        """e_q + J_q (v − θ_q(0)), (Q, n): all agents at v."""
        return np.asarray(self.e + (self.J @ (v - self.start)[:, :, None])[..., 0])

    def loss(self, v: Matrix) -> Matrix:
        """‖r_q‖² / (2 D_q), (Q,): all agents at v."""
        return np.asarray(np.sum(self.residual(v) ** 2, axis=1) / (2.0 * self.sizes))

    @cached_property
    def gradient(self) -> Matrix:
        """g*_q = c_q J_qᵀ r_q at v*, (Q, p)."""
        return self._gradient(self.minimiser)

    def _gradient(self, v: Matrix) -> Matrix:
        pulled = np.swapaxes(self.J, 1, 2) @ self.residual(v)[:, :, None]
        return np.asarray(self.scale[:, None] * pulled[..., 0])

    @cached_property
    def noise(self) -> float:
        """What rounding and compression may leave of a residual that vanishes."""
        moved, size = np.linalg.norm(self.clear_minimiser - self.start, axis=1).max(), np.linalg.norm(self.J)
        rounding = SLACK * self.eps * (size * moved + np.linalg.norm(self.e))
        return float(rounding + len(self.W) ** 0.5 * self.left_out * moved)

    @property
    def interpolates(self) -> bool:
        """Whether all residuals of agents that count vanish together."""
        return bool(np.linalg.norm((self.scale > 0)[:, None] * self.residual(self.clear_minimiser)) <= self.noise)

    @property
    def shares_minimiser(self) -> bool:
        """Whether all own gradients vanish together."""
        steepest = float((self.scale * np.linalg.norm(self.J, axis=(1, 2))).max())
        return bool(np.linalg.norm(self._gradient(self.clear_minimiser)) <= steepest * self.noise)
