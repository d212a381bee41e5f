"""What comes back: frozen records, arrays in the caller's library, everything derived on demand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Protocol

from ._array import Array, namespace, overflow_allowed, to_numpy
from ._path import Path
from .errors import refuse, require_choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


class Landscape(Protocol):
    """What a trajectory runs on: the linearised model, or the real network."""

    @property
    def n_outputs(self) -> int:
        """M."""

    @property
    def n_samples(self) -> Array:
        """(Q,) true sizes as real numbers."""

    @property
    def start(self) -> Array:
        """(Q, p) where the agents start."""

    @property
    def residual(self) -> Array:
        """(Q, n) outputs minus targets at the start."""

    @property
    def outputs(self) -> Array | None:
        """(Q, n) outputs at the start, where known."""

    @property
    def liftable(self) -> bool:
        """Whether there are parameters behind the coordinates."""

    def residual_along(self, path: Path) -> Array:
        """Residuals (T, Q, n) at states (T, blocks, Q, p), the first block deviations."""

    def global_loss_at(self, x: Array) -> Array:
        """(T, Q): loss of agent q's model over all agents' data."""

    def test_outputs_at(self, x: Array) -> Array:
        """(T, Q, m): outputs at the test inputs."""

    def lift(self, x: Array) -> Array:
        """Coordinates (..., p) as parameter deviations (..., P)."""


class Certificate(Protocol):
    """What a prediction's error is bounded by."""

    @property
    def sure(self) -> bool:
        """Whether a theorem carries what compression left out."""

    @property
    def bound(self) -> Array:
        """(T,)."""


def _derived(compute: Callable[[Trajectory], Array]) -> cached_property[Array]:
    """Computed when first asked for, and inf wherever the state overflowed."""

    @wraps(compute)
    def value(self: Trajectory) -> Array:
        with overflow_allowed():
            return self._or_inf(compute(self))

    return cached_property(value)


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    r"""Where every agent is at every time; losses and outputs are computed when first asked for.

    Attributes
    ----------
    times : (T,)
        In iterations: t = k is the k-th update.
    method : str
        How it was found: ``"spectral"``, ``"lanczos"``, ``"krylov"``, ``"stepping"``, ``"dense"``, or ``"training"``
        for the real network.
    mode : str
        ``"flow"``, ``"iteration"`` or ``"training"``.
    label : str
        What a legend says.
    error_bound : (T,) or None
        On ‖deviation − exact deviation of the linear system‖ over all agents (Frobenius, absolute):
        what compression left out and rounding.  None for training runs.
    bound_kind : str
        ``"rigorous"`` where a theorem carries the truncation part (T12; the rounding part is the usual
        first-order model), else ``"estimate"``.

    Notes
    -----
    A state that overflowed gives inf in everything derived from it, never NaN.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
    >>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 3)))
    >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    >>> trajectory = nf.LinearSystem("dgd", W, lin, step_size=0.1).iterate(range(5))
    >>> trajectory.loss.shape, trajectory.deviation.shape
    ((5, 4), (5, 4, 10))
    """

    times: Array
    path: Path = field(repr=False)  # of states (blocks, Q, p); block 0 is θ − θ(0)
    blocks: tuple[str, ...]
    landscape: Landscape = field(repr=False)
    method: str
    mode: str
    label: str
    certificate: Certificate | None = field(default=None, repr=False)
    recorded: Array | None = field(default=None, repr=False)  # residuals (T, Q, n) met on the way

    @property
    def states(self) -> Array:
        """(T, blocks, Q, p): deviations in the landscape's coordinates, then the rule's other blocks."""
        return self.path.states

    def __repr__(self) -> str:
        T, (Q, p) = self.times.shape[0], self.landscape.start.shape
        bound = "" if self.bound_kind is None else f", bound {self.bound_kind}"
        return f"Trajectory of {self.label}: {T} times, {Q} agents, {p} coordinates each, by {self.method}{bound}"

    @property
    def error_bound(self) -> Array | None:
        """(T,), worked out when first asked for; None for training runs."""
        return None if self.certificate is None else self.certificate.bound

    @property
    def bound_kind(self) -> str | None:
        """``"rigorous"`` or ``"estimate"``."""
        return None if self.certificate is None else "rigorous" if self.certificate.sure else "estimate"

    @_derived
    def residual(self) -> Array:
        """Outputs minus targets, (T, Q, n); zero on padding."""
        return self._residual()

    @_derived
    def loss(self) -> Array:
        """‖r_q‖² / (2 D_q), (T, Q), under every normalization."""
        residual = self._residual()
        return namespace(residual).vecdot(residual, residual) / (2.0 * self.landscape.n_samples)[None, :]

    @_derived
    def global_loss(self) -> Array:
        """The mean loss of agent q's model over all agents' data, (T, Q)."""
        return self.landscape.global_loss_at(self._x)

    @cached_property
    def outputs(self) -> Array:
        """f_q, (T, Q, n); padding is NaN."""
        xp, model = namespace(self.times), self.landscape
        if model.outputs is None:
            refuse("outputs", "a model that knows its outputs", "residuals only", "pass outputs= when linearising")
        values = model.outputs[None, :, :] + (self.residual - model.residual[None, :, :])
        rows = xp.arange(values.shape[2], dtype=values.dtype, device=values.device)
        real = rows[None, :] < model.n_outputs * model.n_samples[:, None]
        return xp.where(real[None, :, :], values, xp.full_like(values, math.nan))

    @_derived
    def test_outputs(self) -> Array:
        """Outputs at the test points, (T, Q, m)."""
        return self.landscape.test_outputs_at(self._x)

    @cached_property
    def deviation(self) -> Array:
        """θ_q(t) − θ_q(0), (T, Q, P); rank coordinates when only a kernel is known."""
        return self.block("theta")

    @_derived
    def consensus_error(self) -> Array:
        """(Σ_q ‖θ_q − θ̄‖²)^½, (T,)."""
        xp = namespace(self.times)
        place = self._x + self.landscape.start[None, :, :]
        apart = place - xp.mean(place, axis=1, keepdims=True)
        return xp.sqrt(xp.sum(apart * apart, axis=(1, 2)))

    def block(self, name: str) -> Array:
        """A block of the state, (T, Q, P): ``"theta"`` as deviation, auxiliary ones as they are."""
        index = self.blocks.index(require_choice("block", name, self.blocks))
        states = self.states[:, index, :, :]
        with overflow_allowed():
            return self._or_inf(self.landscape.lift(states) if self.landscape.liftable else states)

    def to_pandas(self) -> DataFrame:
        """One row a time and agent: time, agent, loss, and the consensus error at that time."""
        import numpy as np

        try:
            import pandas as pd
        except ImportError:
            refuse("to_pandas", "pandas", "none installed", "pip install pandas")

        T, Q = self.loss.shape
        return pd.DataFrame({
            "time": np.repeat(to_numpy(self.times), Q),
            "agent": np.tile(np.arange(Q), T),
            "loss": to_numpy(self.loss).ravel(),
            "consensus_error": np.repeat(to_numpy(self.consensus_error), Q),
        })  # fmt: skip

    def plot(self, ax: Axes | None = None) -> Axes:
        """The loss of every agent over time."""
        from .reports import plots

        return plots.loss(self, ax=ax)

    def _residual(self) -> Array:
        return self.landscape.residual_along(self.path) if self.recorded is None else self.recorded

    @property
    def _x(self) -> Array:
        return self.states[:, 0, :, :]

    def _or_inf(self, values: Array) -> Array:
        """Inf wherever the state overflowed (inf − inf would be NaN) or the value itself did."""
        xp = namespace(values)
        good = xp.reshape(self.path.finite, (-1, *[1] * (values.ndim - 1)))
        return xp.where(good & ~xp.isnan(values), values, xp.full_like(values, math.inf))
