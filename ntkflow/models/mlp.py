"""Fully connected networks in the neural-tangent parameterisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._array import Array, eye, like, namespace
from ..errors import InputError, require, require_choice, require_count, require_number, require_shape
from ._activations import ACTIVATIONS
from ._base import Model, Pull

Layer = tuple[Array, Array]  # weight (Q, in, out), bias (Q, out)


@dataclass(frozen=True, eq=False)
class MLP(Model):
    r"""hˡ = σ_w/√n_{l−1} · zˡ⁻¹ ωˡ + σ_b βˡ, zˡ = φ(hˡ), the last layer linear (arXiv 2409.15267, eq. 1).

    All ω and β are drawn from N(0, 1).  θ holds ω¹ (n₀, n₁) row by row, β¹, ω², β², ...

    Parameters
    ----------
    widths : sequence of int
        [N, hidden widths ..., M].
    activation : str
        "sigmoid", "tanh", "relu", "erf" or "gelu".
    weight_std, bias_std : float
        σ_w and σ_b.
    trainable : str
        "all", or "last": only the last layer is trained and θ holds it alone.
    frozen : (P_hidden,) array or int
        For ``trainable="last"``: the parameters of the layers before, or the seed to draw them from.

    Raises
    ------
    InputError, UnknownNameError
        Fewer than two widths, an unknown activation, negative standard deviations.

    Notes
    -----
    The Jacobian is analytic, one backward pass for each of the M outputs; memory is that of the result.

    Examples
    --------
    >>> model = MLP([2, 256, 1])
    >>> model.n_parameters
    1025
    >>> tuned, theta = model.fine_tune(model.init(seed=0))
    >>> tuned.n_parameters, theta.shape
    (257, (257,))
    """

    widths: Sequence[int]
    activation: str = "sigmoid"
    weight_std: float = 1.0
    bias_std: float = 0.1
    trainable: str = "all"
    frozen: Any = 0
    n_inputs: int = field(init=False)
    n_outputs: int = field(init=False)

    def __post_init__(self) -> None:
        listed = isinstance(self.widths, Sequence) and not isinstance(self.widths, str)
        require(listed and len(self.widths) >= 2, "widths", "a list [N, ..., M] of two or more", repr(self.widths))
        object.__setattr__(self, "widths", tuple(require_count("widths", w) for w in self.widths))
        object.__setattr__(self, "n_inputs", self.widths[0])
        object.__setattr__(self, "n_outputs", self.widths[-1])
        require_choice("activation", self.activation, ACTIVATIONS)
        require_choice("trainable", self.trainable, ["all", "last"])
        require_number("weight_std", self.weight_std, 0.0)
        require_number("bias_std", self.bias_std, 0.0)
        if self.trainable == "last":
            hidden = sum(self._sizes[:-1])
            seeded = isinstance(self.frozen, int)
            seed = require_count("frozen", self.frozen, 0) if seeded else 0
            frozen = np.random.default_rng(seed).standard_normal(hidden) if seeded else self.frozen
            object.__setattr__(
                self, "frozen", require_shape("frozen", frozen, (hidden,), "pass the hidden layers' part of theta")
            )

    @property
    def n_parameters(self) -> int:
        """Trainable parameters."""
        return sum(self._sizes) if self.trainable == "all" else self._sizes[-1]

    def fine_tune(self, theta: Array) -> tuple[MLP, Array]:
        """The model that trains only its last layer from θ (P,) on, and the last layer's part of θ."""
        require(
            self.trainable == "all",
            "fine_tune",
            "a model that trains all layers",
            "one that does not",
            error=InputError,
        )
        require_shape("theta", theta, (sum(self._sizes),))
        hidden = sum(self._sizes[:-1])
        return replace(self, trainable="last", frozen=theta[:hidden]), theta[hidden:]

    @property
    def _sizes(self) -> list[int]:
        return [a * b + b for a, b in zip(self.widths, self.widths[1:], strict=False)]

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        return generator.standard_normal(self.n_parameters)

    def _layers(self, theta: Array) -> list[Layer]:
        """ω and β of every layer, frozen ones first."""
        xp, Q = namespace(theta), theta.shape[0]
        if self.trainable == "last":
            frozen = like(self.frozen, theta)
            theta = xp.concat([xp.broadcast_to(frozen[None, :], (Q, frozen.shape[0])), theta], axis=1)
        layers, at = [], 0
        for n_in, n_out in zip(self.widths, self.widths[1:], strict=False):
            middle, end = at + n_in * n_out, at + n_in * n_out + n_out
            layers.append((xp.reshape(theta[:, at:middle], (Q, n_in, n_out)), theta[:, middle:end]))
            at = end
        return layers

    def _forward(self, layers: list[Layer], x: Array) -> tuple[list[Array], list[Array], Array]:
        """Inputs z of every layer, slopes φ'(h) of every hidden one, and the outputs."""
        inputs: list[Array] = [x]
        slopes: list[Array] = []
        for i, (omega, beta) in enumerate(layers):
            h = self._gain(omega) * (inputs[-1] @ omega) + self.bias_std * beta[:, None, :]
            if i == len(layers) - 1:
                return inputs, slopes, h
            z, slope = ACTIVATIONS[self.activation](h)
            inputs.append(z)
            slopes.append(slope)
        raise AssertionError("a network has at least one layer")

    def _gain(self, omega: Array) -> float:
        return self.weight_std / float(omega.shape[1]) ** 0.5

    def _pullback(self, theta: Array, x: Array) -> tuple[Array, Pull]:
        xp, layers = namespace(theta), self._layers(theta)
        inputs, slopes, outputs = self._forward(layers, x)

        def pull(r: Array) -> Array:
            parts: list[Array] = []
            for i in range(len(layers) - 1, self._first(layers) - 1, -1):
                omega = layers[i][0]
                weight = self._gain(omega) * (xp.matrix_transpose(inputs[i]) @ r)
                parts = [xp.reshape(weight, (r.shape[0], -1)), self.bias_std * xp.sum(r, axis=1), *parts]
                if i:
                    r = self._gain(omega) * (r @ xp.matrix_transpose(omega)) * slopes[i - 1]
            return xp.concat(parts, axis=1)

        return outputs, pull

    def _jacobian(self, theta: Array, x: Array) -> Array:
        xp, layers = namespace(theta), self._layers(theta)
        inputs, slopes, outputs = self._forward(layers, x)
        Q, D, M = outputs.shape
        unit = eye(M, x)
        delta = xp.broadcast_to(unit[None, None, :, :], (Q, D, M, M))  # ∂f_m / ∂h of the current layer
        parts: list[Array] = []
        for i in range(len(layers) - 1, self._first(layers) - 1, -1):
            omega = layers[i][0]
            weight = self._gain(omega) * inputs[i][:, :, None, :, None] * delta[:, :, :, None, :]
            parts = [xp.reshape(weight, (Q, D, M, -1)), self.bias_std * delta, *parts]
            if i:
                back = xp.reshape(delta, (Q, D * M, -1)) @ xp.matrix_transpose(omega)
                delta = self._gain(omega) * xp.reshape(back, (Q, D, M, -1)) * slopes[i - 1][:, :, None, :]
        return xp.concat(parts, axis=3)

    def _first(self, layers: list[Layer]) -> int:
        return len(layers) - 1 if self.trainable == "last" else 0
