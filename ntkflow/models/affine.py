"""The affine model, for which linearisation is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._array import Array, eye, namespace
from ..errors import require_count, require_number
from ._base import Model, Pull


@dataclass(frozen=True)
class Affine(Model):
    r"""f(x) = wᵀ x + b, plainly parameterised (arXiv 2409.15267, eq. 15).

    θ holds w (N, M) row by row, then b (M,): P = (N + 1) M.  Weights and biases are drawn from
    N(0, std²).

    Examples
    --------
    >>> import numpy as np
    >>> model = Affine(3)
    >>> model(model.init(seed=0), np.ones((2, 5, 3))).shape
    (2, 5, 1)
    """

    n_inputs: int
    n_outputs: int = 1
    std: float = 0.1

    def __post_init__(self) -> None:
        require_count("n_inputs", self.n_inputs)
        require_count("n_outputs", self.n_outputs)
        require_number("std", self.std, 0.0)

    @property
    def n_parameters(self) -> int:
        """(N + 1) M."""
        return (self.n_inputs + 1) * self.n_outputs

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        return self.std * generator.standard_normal(self.n_parameters)

    def _pullback(self, theta: Array, x: Array) -> tuple[Array, Pull]:
        xp, (Q, N, M) = namespace(theta), (x.shape[0], self.n_inputs, self.n_outputs)
        w = xp.reshape(theta[:, : N * M], (Q, N, M))

        def pull(r: Array) -> Array:
            return xp.concat([xp.reshape(xp.matrix_transpose(x) @ r, (Q, N * M)), xp.sum(r, axis=1)], axis=1)

        return x @ w + theta[:, None, N * M :], pull

    def _jacobian(self, theta: Array, x: Array) -> Array:
        xp, (Q, D, N), M = namespace(theta), x.shape, self.n_outputs
        unit = eye(M, theta)
        weights = x[:, :, None, :, None] * unit[None, None, :, None, :]
        biases = xp.broadcast_to(unit[None, None, :, :], (Q, D, M, M))
        return xp.concat([xp.reshape(weights, (Q, D, M, N * M)), biases], axis=3)
