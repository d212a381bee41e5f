"""Agents' deviations in the coordinates of a linearised model: residuals, outputs, losses, parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from .._array import CACHED, Array, empty, eps, namespace, norm, zeros
from .._path import Path
from ..errors import InputError, refuse, require_memory
from ._rows import Rows


@dataclass(frozen=True, eq=False)
class Coordinates:
    """What `LinearizedModel` holds, and what it says of a deviation."""

    jacobian: Array = field(repr=False)
    residual: Array = field(repr=False)
    n_outputs: int
    n_samples: Array
    outputs: Array | None = field(repr=False)
    start: Array = field(repr=False)
    basis: Array | None = field(repr=False)
    left_out: float
    n_parameters: int
    liftable: bool
    absolute: bool
    compressed: bool
    test_jacobian: Array | None = field(default=None, repr=False)
    test_outputs: Array | None = field(default=None, repr=False)
    rows: Rows | None = field(default=None, repr=False)

    @property
    def n_agents(self) -> int:
        """Q."""
        return self.jacobian.shape[0]

    def lift(self, x: Array) -> Array:
        """Coordinates x (..., p) as parameter deviations V x (..., P).

        Raises
        ------
        InputError
            For a model made from a kernel, which has no parameters.
        """
        if not self.liftable:
            refuse(
                "lift",
                "a model made from Jacobians",
                "one made from a kernel",
                "a kernel has no parameters",
                InputError,
            )
        if self.rows is not None:
            numbers = self.n_parameters * (math.prod(x.shape) / x.shape[-1])
            require_memory("lift", numbers, "take lift_blocks, or fewer times")
            blocks = list(self.rows.lift(x))
            return blocks[0] if len(blocks) == 1 else namespace(x).concat(blocks, axis=-1)
        return x if self.basis is None else x @ self.basis.T

    def lift_blocks(self, x: Array) -> Iterator[Array]:
        """The same as consecutive blocks (..., width): those a streamed model came in, else a single one.

        Of a streamed model never more than one block of J and one of the result are in memory.  From products, which
        give all parameters at once, take few agents and times in one go.
        """
        if self.rows is None:
            yield self.lift(x)
        else:
            yield from self.rows.lift(x)

    def residual_at(self, x: Array) -> Array:
        """Residuals (T, Q, n) at deviations x (T, Q, p): r = e₀ + J x."""
        return self.residual[None, :, :] + self.response_at(x)

    def response_at(self, x: Array) -> Array:
        """What deviations x (T, Q, p) add to the outputs, J x (T, Q, n)."""
        return _per_agent(self._turned, x)

    @cached_property
    def _turned(self) -> Array:
        """J_qᵀ, (Q, p, n), written out where it is small: few states are then mapped in half the time."""
        (Q, n, p), turned = self.jacobian.shape, namespace(self.jacobian).matrix_transpose(self.jacobian)
        if Q * n * p > CACHED:
            return turned
        copy = empty((Q, p, n), turned)
        copy[...] = turned
        return copy

    def residual_along(self, path: Path) -> Array:
        """Residuals (T, Q, n) where the first block of the states (T, blocks, Q, p) is the deviation."""
        return self.residual[None, :, :] + path.under(lambda states: self.response_at(states[:, 0, :, :]))

    def test_outputs_at(self, x: Array) -> Array:
        """Outputs (T, Q, m) at the test points, for deviations x (T, Q, p)."""
        if self.test_jacobian is None or self.test_outputs is None:
            refuse(
                "test_outputs", "a model with test_jacobian and test_outputs", "neither", "pass them when linearising"
            )
        turned = namespace(x).matrix_transpose(self.test_jacobian)
        return self.test_outputs[None, :, :] + _per_agent(turned, x)

    def global_loss_at(self, x: Array) -> Array:
        """(T, Q): the mean over *all* agents' data of the loss of agent q's model.

        The residual of model q on agent r's data is e_r + J_r (θ_q − θ_r(0)), Jacobians being
        constant in the linear regime.
        """
        xp = namespace(self.jacobian)
        T, Q, p = x.shape
        place = xp.reshape(x + self.start[None, :, :], (T * Q, p)).T
        total = zeros((T * Q,), x)
        for J, e, origin in zip(*(_unstack(a) for a in (self.jacobian, self.residual, self.start)), strict=True):
            r = e[:, None] + J @ (place - origin[:, None])
            total = total + xp.sum(r * r, axis=0)
        return xp.reshape(total, (T, Q)) / (2.0 * xp.sum(self.n_samples))

    def _as(self, dtype: Any) -> Self:
        """The same in another dtype, whose rounding counts as left out."""
        xp = namespace(self.jacobian)
        if self.jacobian.dtype == dtype:
            return self
        names = ("jacobian", "residual", "n_samples", "outputs", "start", "test_jacobian", "test_outputs")
        arrays = {name: getattr(self, name) for name in names}
        cast = {name: xp.astype(array, dtype) for name, array in arrays.items() if array is not None}
        return replace(self, **cast, left_out=self.left_out + eps(cast["jacobian"]) * norm(self.jacobian))


def _per_agent(turned: Array, x: Array) -> Array:
    """J_q x_q for every time: J_qᵀ (Q, p, n) and x (T, Q, p) to (T, Q, n), as one product an agent."""
    xp = namespace(x)
    return xp.permute_dims(xp.permute_dims(x, (1, 0, 2)) @ turned, (1, 0, 2))


def _unstack(array: Array) -> list[Array]:
    return [array[i, ...] for i in range(array.shape[0])]
