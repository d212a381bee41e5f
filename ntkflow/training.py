"""The same rule on the real network: what the prediction is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ._array import Array, like, namespace, overflow_allowed
from ._path import Path
from .algorithms import Rule
from .datasets import Dataset
from .errors import ShapeError, refuse, require, require_array, require_count, require_memory, require_together
from .models import Model
from .results import Trajectory


@dataclass(frozen=True, eq=False)
class Network:
    """Every agent's real network on its own data: the non-linear counterpart of `LinearizedModel`."""

    model: Model
    data: Dataset
    theta0: Array  # (Q, P)
    together: bool = False  # all agents start from the same parameters

    @classmethod
    def of(cls, model: Model, data: Dataset, theta0: Array) -> Network:
        """From θ₀ (P,) shared or (Q, P), refused unless model, data and parameters fit each other."""
        _require_fit(model, data, theta0)
        shape = (data.n_agents, model.n_parameters)
        return cls(model, data, namespace(theta0).broadcast_to(theta0, shape), theta0.ndim == 1)

    @property
    def liftable(self) -> bool:
        """Deviations are parameters."""
        return True

    @property
    def n_outputs(self) -> int:
        """M."""
        return self.model.n_outputs

    @property
    def n_samples(self) -> Array:
        """True sizes D_q as real numbers."""
        return like(self.data.n_samples, self.theta0)

    @property
    def start(self) -> Array:
        """Where the agents start, (Q, P)."""
        return self.theta0

    @cached_property
    def x(self) -> Array:
        """Inputs (Q, D, N) whose padding repeats the agent's first sample: a network may not bear zeros."""
        x, mask = self.data.x, self.data.mask[:, :, None]
        return namespace(x).where(mask, x, x[:, :1, :]) if len(set(self.data.n_samples.tolist())) > 1 else x

    @cached_property
    def outputs(self) -> Array:
        """f_q(θ_q(0)), (Q, n)."""
        return namespace(self.theta0).reshape(self.model(self.theta0, self.x), (self.theta0.shape[0], -1))

    @cached_property
    def residual(self) -> Array:
        """f_q(θ_q(0)) − y_q, zero on padding, (Q, n)."""
        return self._missed(namespace(self.theta0).reshape(self.outputs, self.data.y.shape))

    def pullback(self, theta: Array) -> tuple[Array, Callable[[Array], Array]]:
        """Residuals (Q, n) at θ (Q, P), and r (Q, n) ↦ J_qᵀ r_q."""
        xp = namespace(theta)
        outputs, pull = self.model.pullback(theta, self.x)
        return self._missed(outputs), lambda r: pull(xp.reshape(r, outputs.shape))

    def _missed(self, outputs: Array) -> Array:
        """Outputs (Q, D, M) minus targets, zero on padding, as (Q, n)."""
        xp = namespace(outputs)
        missed = (outputs - self.data.y) * xp.astype(self.data.mask, outputs.dtype)[:, :, None]
        return xp.reshape(missed, (outputs.shape[0], -1))

    def residual_at(self, x: Array) -> Array:
        """Residuals (T, Q, n) at deviations x (T, Q, P)."""
        at = (self.model.outputs(self.theta0 + x[i, ...], self.x) for i in range(x.shape[0]))
        return namespace(x).stack([self._missed(outputs) for outputs in at])

    def residual_along(self, path: Path) -> Array:
        """Residuals (T, Q, n) where the first block of the states (T, blocks, Q, P) is the deviation."""
        return self.residual_at(path.states[:, 0, :, :])

    def global_loss_at(self, x: Array) -> Array:
        """(T, Q): the mean over all agents' data of the loss of agent q's network."""
        xp, (Q, D, N) = namespace(x), self.x.shape
        inputs = xp.broadcast_to(xp.reshape(self.x, (1, Q * D, N)), (Q, Q * D, N))
        target = xp.reshape(self.data.y, (1, Q * D, -1))
        mask = xp.reshape(xp.astype(self.data.mask, x.dtype), (1, Q * D, 1))
        rows = []
        for i in range(x.shape[0]):
            r = (self.model.outputs(self.theta0 + x[i, ...], inputs) - target) * mask
            rows.append(xp.sum(r * r, axis=(1, 2)))
        return xp.stack(rows) / (2.0 * xp.sum(self.n_samples))

    def test_outputs_at(self, x: Array) -> Array:
        """Not known to a network; evaluate the model at θ₀ + deviation instead."""
        refuse("test_outputs", "a linearised prediction", "a training run", "call the model at theta0 + deviation")

    def lift(self, x: Array) -> Array:
        """Deviations are parameters already."""
        return x


def _require_fit(model: Model, data: Dataset, theta0: Array) -> None:
    require_array("theta0", theta0)
    Q, P = data.n_agents, model.n_parameters
    fits = tuple(theta0.shape) in ((P,), (Q, P))
    found = f"shape {tuple(theta0.shape)}"
    require(fits, "theta0", f"shape ({P},) or ({Q}, {P})", found, "draw it with model.init", ShapeError)
    require_together({"theta0": theta0, "the data": data.x})
    found, remedy = f"{theta0.dtype} beside {data.x.dtype}", "draw it with model.init(other=data.x)"
    require(theta0.dtype == data.x.dtype, "theta0", "the dtype of the data", found, remedy)
    N, M = data.x.shape[2], data.y.shape[2]
    match = (model.n_inputs, model.n_outputs) == (N, M)
    expected = f"{model.n_inputs} inputs and {model.n_outputs} outputs, as the model has"
    require(match, "data", expected, f"{N} and {M}")


def train(
    network: Network,
    rule: Rule,
    numbers: dict[Any, float],
    W: Array,
    scale: Array,
    steps: int,
    progress: Callable[[int], None] | None = None,
    batches: Batches | None = None,
    every: int = 1,
) -> Trajectory:
    r"""Run s⁺ = U(s) for ``steps`` updates with the real gradient c_q J_q(θ_q)ᵀ r_q(θ_q).

    Every forward pass at the agents' parameters serves the record and the gradient alike.  Memory: the whole state at
    every step that is kept, blocks·Q·P numbers each.  ``progress`` is told every step.  With ``batches`` a gradient is
    that of some of the samples, the same for as long as it is asked for at the same point.
    """
    Q, P = network.theta0.shape
    kept = range(0, require_count("steps", steps, 0) + 1, require_count("every", every))
    require_memory("steps", float(len(kept)) * len(rule.blocks) * Q * P, "train fewer steps, or keep less with every=")
    xp = namespace(network.theta0)
    program = rule.bind(numbers)
    passes = _LastPass(network, batches or Batches(network))

    def gradient(theta: Array) -> Array:
        point = passes.at(theta)
        return point.pull(scale[:, None] * point.weighted)

    def mix(theta: Array) -> Array:
        return W @ theta

    states, residuals = [], []
    with overflow_allowed():
        state = program.start(network.theta0, mix, gradient)
        for k in range(steps + 1):
            if k in kept:
                states.append(xp.stack((state[0] - network.theta0, *state[1:]), axis=0))
                residuals.append(passes.at(state[0]).residual)
            if progress is not None:
                progress(k)
            if k < steps:
                state = program.update(state, mix, gradient)
    return Trajectory(
        times=like(list(kept), network.theta0),
        path=Path(xp.stack(states, axis=0)),
        blocks=tuple(str(b) for b in rule.blocks),
        landscape=network,
        method="training",
        mode="training",
        label=f"{rule.name} ({passes.batches.label})",
        recorded=xp.stack(residuals, axis=0),
    )


@dataclass(frozen=True, eq=False)
class Batches:
    """Which of an agent's samples a gradient is of: ``size`` of them at random, or all."""

    network: Network
    size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size is not None:
            require_count("batch_size", self.size)
        require_count("seed", self.seed, 0)

    @property
    def label(self) -> str:
        """What a legend says."""
        return "training" if self.size is None else f"training, batches of {self.size}"

    @cached_property
    def generator(self) -> np.random.Generator:
        """NumPy's, whatever the library of the arrays."""
        return np.random.default_rng(self.seed)

    def draw(self) -> Array | None:
        """A factor for every residual (Q, n): D_q/b on a batch of b samples, else 0; None for all samples."""
        data, size = self.network.data, self.size
        if size is None or size >= data.x.shape[1]:
            return None
        weights = np.zeros(data.x.shape[:2])
        for q, D in enumerate(data.n_samples):
            b = min(size, int(D))
            weights[q, self.generator.choice(int(D), b, replace=False)] = D / b
        return like(np.repeat(weights, self.network.n_outputs, axis=1), self.network.theta0)


@dataclass(frozen=True, eq=False)
class _Pass:
    """One forward pass of every agent, and the samples that its gradient is of."""

    theta: Array
    residual: Array
    pull: Callable[[Array], Array]
    batches: Batches

    @cached_property
    def weighted(self) -> Array:
        """The residual of the batch, which is drawn when it is first asked for."""
        weights = self.batches.draw()
        return self.residual if weights is None else weights * self.residual


class _LastPass:
    """Remembers the last forward passes: recording and gradient ask for the same one."""

    def __init__(self, network: Network, batches: Batches) -> None:
        self.network, self.batches = network, batches
        self.known: list[_Pass] = []

    def at(self, theta: Array) -> _Pass:
        for found in self.known:
            if found.theta is theta:
                return found
        found = _Pass(theta, *self.network.pullback(theta), self.batches)
        self.known = [*self.known[-1:], found]  # two: a tracker asks for the old and the new point
        return found
