r"""How long a prediction can be trusted: the network beside its linearisation on the predicted path (T14).

No training is run: the real network is asked for its outputs where the linear system says that the agents are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ._array import Array, namespace, nan_to_inf, overflow_allowed, to_numpy
from ._tables import cell, text_table
from .errors import require, require_number
from .results import Trajectory
from .training import Network

__all__ = ["Trust", "trust"]


@dataclass(frozen=True, eq=False)
class Trust:
    r"""How far the network departs from its linearisation; made by `Study.trust`.

    Attributes
    ----------
    times : (T,)
        In increasing order.
    departure : (T, Q)
        δ_q(t) = ‖f(θ_q(t)) − f₀ − J_q x_q(t)‖ at the predicted parameters.
    movement : (T, Q)
        ‖J_q x_q(t)‖, how far the predicted outputs have moved.
    tolerance : float
        Of the departure, relative to the largest movement so far.
    """

    times: Array
    departure: Array = field(repr=False)
    movement: Array = field(repr=False)
    tolerance: float

    @property
    def relative(self) -> tuple[float, ...]:
        """max_q δ_q(t) over the largest movement of any agent so far; 0 where nothing moved, inf beyond overflow."""
        shares, furthest = [], 0.0
        for apart, moved in zip(to_numpy(self.departure).max(axis=1), to_numpy(self.movement).max(axis=1), strict=True):
            furthest = max(furthest, float(moved))
            finite = math.isfinite(apart) and math.isfinite(furthest)
            shares.append((float(apart) / furthest if furthest else 0.0) if finite else math.inf)
        return tuple(shares)

    @property
    def horizon(self) -> float:
        """The first of the times at which the tolerance is exceeded; inf where it never is."""
        pairs = zip(to_numpy(self.times), self.relative, strict=True)
        return next((float(t) for t, share in pairs if share > self.tolerance), math.inf)

    def text(self) -> str:
        """One sentence, and the worst agent at each time."""
        last = float(to_numpy(self.times)[-1])
        found = f"exceeded at t = {cell(self.horizon)}" if self.horizon < math.inf else f"kept up to t = {cell(last)}"
        columns = to_numpy(self.times), to_numpy(self.departure).max(axis=1), self.relative
        rows = [tuple(map(float, row)) for row in zip(*columns, strict=True)]
        return f"Trust: {cell(self.tolerance)} of the movement is {found}.\n" + text_table(
            ("time", "departure", "of the movement"), rows
        )

    def __str__(self) -> str:
        return self.text()


def trust(network: Network, predicted: Trajectory, tolerance: float = 0.01) -> Trust:
    """The departure of a network from its linearisation on a predicted path; see `Study.trust`."""
    xp, times = namespace(predicted.times), predicted.times
    tolerance = require_number("tolerance", tolerance, 0.0, open_low=True)
    ordered = bool(xp.all(times[1:] > times[:-1]))
    require(ordered and bool(xp.all(xp.isfinite(times))), "times", "finite times in increasing order", "others")
    with overflow_allowed():
        gap = network.residual_at(predicted.deviation) - predicted.residual
    moved = predicted.residual - predicted.landscape.residual[None, :, :]
    return Trust(times, _size(gap), _size(moved), tolerance)


def _size(rows: Array) -> Array:
    """Norms (T, Q) of outputs (T, Q, n); NaN, from what overflowed, counts as inf."""
    return nan_to_inf(namespace(rows).linalg.vector_norm(rows, axis=2))
