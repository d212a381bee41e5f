"""How far the gradient flow is from the iteration that it stands for: the price of continuous time (T2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._array import Array, namespace, nan_to_inf, overflow_allowed, to_numpy
from ._tables import text_table
from .results import Trajectory

__all__ = ["Gap", "gap"]


@dataclass(frozen=True, eq=False)
class Gap:
    r"""Flow beside iteration at the same steps; made by `LinearSystem.gap`.

    Attributes
    ----------
    times : (T,)
        Steps.
    distance : (T,)
        (Σ_q ‖θ_q(flow) − θ_q(iteration)‖²)^½.
    movement : (T,)
        (Σ_q ‖θ_q − θ_q(0)‖²)^½ of the iteration.
    loss : (T, Q)
        Loss of the flow minus loss of the iteration.
    error_bound : (T,)
        On the distance: the error bounds of both.
    """

    times: Array
    distance: Array = field(repr=False)
    movement: Array = field(repr=False)
    loss: Array = field(repr=False)
    error_bound: Array = field(repr=False)

    @property
    def relative(self) -> Array:
        """Distance over movement, (T,); 0 where nothing moved."""
        xp = namespace(self.distance)
        moved = self.movement > 0
        safe = xp.where(moved, self.movement, xp.ones_like(self.movement))
        return xp.where(moved, self.distance / safe, xp.zeros_like(safe))

    def text(self) -> str:
        """A row a step."""
        columns = (self.times, self.distance, self.relative, self.error_bound)
        rows = [tuple(map(float, row)) for row in zip(*map(to_numpy, columns), strict=True)]
        return text_table(("step", "flow − iteration", "of the movement", "error bound"), rows)

    def __str__(self) -> str:
        return self.text()


def gap(flow: Trajectory, iteration: Trajectory) -> Gap:
    """The two trajectories of one system at the same steps, held against each other."""
    xp = namespace(flow.states)
    norm = xp.linalg.vector_norm
    with overflow_allowed():
        apart = flow.states[:, 0, :, :] - iteration.states[:, 0, :, :]
        distance, movement = norm(apart, axis=(1, 2)), norm(iteration.states[:, 0, :, :], axis=(1, 2))
        loss = flow.loss - iteration.loss
    bound = flow.error_bound + iteration.error_bound  # type: ignore[operator]  # only training has none
    return Gap(iteration.times, nan_to_inf(distance), movement, nan_to_inf(loss), bound)
