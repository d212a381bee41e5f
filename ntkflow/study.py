"""A whole experiment as one object: prediction and real training of one design."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from ._array import Array, like, namespace, namespace_or_none
from .algorithms import Rule, get
from .analysis.limits import Limit, limit
from .analysis.minimality import MinimalityReport, minimality
from .analysis.spectrum import Spectrum, spectrum
from .analysis.stability import StabilityReport, stability
from .datasets import Dataset
from .derivation import Derivation
from .errors import (
    InputError,
    ReadOnly,
    ShapeError,
    nearest,
    refuse,
    require,
    require_array,
    require_count,
)
from .gap import Gap
from .linearize import LinearizedModel
from .models import Model
from .results import Trajectory
from .systems import LinearSystem, settled
from .training import Network, train
from .trust import Trust, trust


class Study(ReadOnly):
    r"""Agents, a network, data and an algorithm: predict it, train it, compare.

    Parameters
    ----------
    W : (Q, Q)
        Mixing matrix; None for rules without a graph (gd, fedavg).
    model : Model
        What every agent trains, e.g. ``models.MLP([2, 256, 1])``.
    theta0 : (P,) or (Q, P)
        Where the agents start.
    data : Dataset
        Inputs and targets of every agent.
    algorithm : str or Rule
        A catalogue name or a rule of your own.
    step_size : float
        η.
    normalization : str or (Q,) array
        See `ntkflow.normalization`.
    test_inputs : (m, N), optional
        Where ``Trajectory.test_outputs`` is wanted.
    **parameters : float
        The rule's own numbers by name, e.g. ``momentum=0.9`` or ``local_steps=4``.

    Attributes
    ----------
    rule, mixing, numbers, scale
        What the arguments settle: the rule in the shape asked for, W, the rule's scalars, the factors of the gradient.

    Examples
    --------
    >>> import ntkflow as nf
    >>> data = nf.datasets.half_moons(n_agents=4, n_samples=20, noise=0.1, seed=0)
    >>> model = nf.models.MLP([2, 64, 1])
    >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    >>> study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-3, normalization="sum")
    >>> predicted, observed = study.predict(steps=50), study.train(steps=50)
    >>> bool(abs(predicted.loss - observed.loss).max() < 0.01 * observed.loss[0].max())
    True
    """

    _remedy = "study.using(name=value) makes a changed copy"

    def __init__(
        self,
        W: Array | None,
        model: Model,
        theta0: Array,
        data: Dataset,
        algorithm: str | Rule = "dgd",
        step_size: float = 1e-4,
        normalization: Any = "per_agent",
        test_inputs: Array | None = None,
        **parameters: float,
    ) -> None:
        _require_fit(model, theta0, data)
        if test_inputs is not None:
            require_array("test_inputs", test_inputs, 2, "pass the test inputs as (m, N)")
        self.W, self.model, self.theta0, self.data = W, model, theta0, data
        self.algorithm, self.step_size, self.normalization = get(algorithm), step_size, normalization
        self.test_inputs, self.parameters = test_inputs, parameters
        self.rule = self.algorithm.shaped(parameters)
        self._shared: dict[bool, LinearizedModel] = {}
        sizes = like(data.n_samples, theta0)
        self.mixing, self.numbers, self.scale = settled(
            self.rule, W, sizes, model.n_outputs, step_size, normalization, parameters
        )
        self._settle()

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name} = {value:g}" for name, value in self.numbers.items())
        model = f"{type(self.model).__name__} of {self.model.n_parameters} parameters"
        return f"Study of {self.rule.name} ({numbers}): {self.data.n_agents} agents, {model}"

    def using(self, **changes: Any) -> Study:
        """The same study with some arguments changed, by name.

        Jacobians and their compression are reused unless ``model``, ``theta0``, ``data`` or ``test_inputs``
        change.  A new algorithm starts from its own default parameters.

        Raises
        ------
        InputError
            A name that is neither an argument of `Study` nor a parameter of the rule; bad values.

        Examples
        --------
        >>> import ntkflow as nf
        >>> data, model = nf.datasets.half_moons(4, 10), nf.models.MLP([2, 8, 1])
        >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        >>> study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-3)
        >>> faster = study.using(algorithm="cdmsgd", momentum=0.5)
        >>> faster.linearized is study.linearized
        True
        """
        known = {
            "W": self.W, "model": self.model, "theta0": self.theta0, "data": self.data,
            "algorithm": self.algorithm, "step_size": self.step_size,
            "normalization": self.normalization, "test_inputs": self.test_inputs,
        }  # fmt: skip
        rule = get(changes.get("algorithm", self.algorithm))
        short = rule.parameter_names
        names = {*known, *short}
        for name in changes:
            if name not in names:
                refuse(f"using({name}=...)", "an argument of Study", "an unknown one", nearest(name, names))
        kept = self.parameters if rule is self.algorithm else {}
        renewed = {short.get(name) for name in changes}  # "mu" gives way to "momentum"
        kept = {name: value for name, value in kept.items() if short[name] not in renewed}
        study = Study(**{**known, **kept, **changes})
        if not {"model", "theta0", "data", "test_inputs"} & set(changes):
            study.__dict__["_shared"] = self._shared  # whoever linearises first does it for all
        return study

    @property
    def linearized(self) -> LinearizedModel:
        """The network linearised where the agents start, computed once."""
        absolute = self.rule.moves_consensus
        if absolute not in self._shared:
            self._shared[absolute] = self._linearize(absolute)
        return self._shared[absolute]

    @cached_property
    def system(self) -> LinearSystem:
        """The linear system of this design."""
        return LinearSystem(
            self.algorithm, self.W, self.linearized, self.step_size, self.normalization, **self.parameters
        )

    def stability(self) -> StabilityReport:
        """Whether flow and iteration are stable, how far from not being so, and how large the step may be."""
        return stability(self.system)

    def minimality(self) -> MinimalityReport:
        """How many of the states the residuals reach and the outputs see."""
        return minimality(self.system)

    def spectrum(self) -> Spectrum:
        """The modes by their rate, with what each of them means."""
        return spectrum(self.system)

    def limit(self, flow: bool = False) -> Limit:
        """Where the iteration (or the flow) ends, and whether the common loss is least there."""
        return limit(self.system, flow)

    def derivation(self) -> Derivation:
        """The linear system of the rule, derived step by step under this study's normalization.

        Where the agents' factors differ, by unequal amounts of data or as given, they are a matrix c.

        Examples
        --------
        >>> import ntkflow as nf
        >>> data, model = nf.datasets.half_moons(4, 10), nf.models.MLP([2, 8, 1])
        >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        >>> nf.Study(W, model, model.init(seed=0), data, "cta", step_size=1e-3).derivation().A
        -1 + W - eta*Psi*W/D
        """
        sizes = self.data.n_samples
        named = isinstance(self.normalization, str) and bool((sizes == sizes[0]).all())
        return Derivation(self.rule, self.normalization if named else None)

    @cached_property
    def network(self) -> Network:
        """The real network of every agent."""
        xp = namespace(self.theta0)
        shape = (self.data.n_agents, self.model.n_parameters)
        return Network(self.model, self.data, xp.broadcast_to(self.theta0, shape))

    def predict(
        self, steps: int | None = None, times: Any = None, *, flow: bool = False, method: str = "auto"
    ) -> Trajectory:
        """Every agent's trajectory in closed form, without training.

        Parameters
        ----------
        steps : int
            Predict at k = 0, 1, …, ``steps``.
        times : float or (T,)
            Or exactly at these times, in iterations; inf allowed.  Whole numbers unless ``flow``.
        flow : bool
            The gradient flow instead of the iteration.
        method : str
            "auto", or an engine by name.

        Returns
        -------
        Trajectory

        Raises
        ------
        InputError
            Neither or both of steps and times; times that do not fit.
        NoLimitError
            At t = ∞ when a mode does not decay.

        Notes
        -----
        The first call linearises and compresses the network: one Jacobian, one sketch of it.

        Examples
        --------
        >>> import ntkflow as nf
        >>> data, model = nf.datasets.half_moons(4, 10), nf.models.MLP([2, 8, 1])
        >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        >>> study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-3)
        >>> study.predict(steps=5).loss.shape, study.predict(times=1e6, flow=True).loss.shape
        ((6, 4), (1, 4))
        """
        if (steps is None) == (times is None):
            refuse(
                "predict",
                "either steps or times",
                "both" if steps is not None else "neither",
                "e.g. predict(steps=200)",
            )
        if times is None:
            times = range(require_count("steps", steps, 0) + 1)
        return self.system.flow(times, method) if flow else self.system.iterate(times, method)

    def gap(self, steps: int, method: str = "auto") -> Gap:
        """How far the flow is from the iteration at k = 0 … ``steps``; see `LinearSystem.gap` for steps of your own."""
        return self.system.gap(range(require_count("steps", steps, 0) + 1), method)

    def trust(
        self, steps: int | None = None, times: Any = None, *, flow: bool = False, tolerance: float = 0.01
    ) -> Trust:
        r"""How long the prediction can be trusted, without training: the trust horizon of T14.

        The departure δ_q(t) = ‖f(θ_q(0) + x_q(t)) − f₀ − J_q x_q(t)‖ on the predicted path x, by forward passes only.

        Parameters
        ----------
        steps, times, flow
            As for `predict`; times finite and in increasing order.
        tolerance : float
            Of the departure, relative to how far the predicted outputs have moved so far.

        Returns
        -------
        Trust
            With the departure at every time and the ``horizon``, the first of the times at which it is too large.

        Raises
        ------
        InputError
            Times that do not fit, a tolerance that is not positive.

        Notes
        -----
        A small departure is necessary for a good prediction, not a bound on its error: the training leaves the
        predicted path as well. T14 (b) turns it into a bound where Lipschitz constants are known.
        Cost: a forward pass of every agent a time.  References: theory T14.

        Examples
        --------
        >>> import ntkflow as nf
        >>> data, model = nf.datasets.half_moons(4, 10), nf.models.MLP([2, 256, 1])
        >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        >>> study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=0.01, normalization="sum")
        >>> study.trust(times=[10, 100, 1000], tolerance=0.01).horizon
        1000.0
        """
        return trust(self.network, self.predict(steps, times, flow=flow), tolerance)

    def train(self, steps: int, progress: Callable[[int], None] | None = None) -> Trajectory:
        """The real training at k = 0 … ``steps``, by the same rule expression.

        Parameters
        ----------
        steps : int
            Updates of full batches.
        progress : callable, optional
            Told the number of every step.

        Returns
        -------
        Trajectory
            Losses and parameters met on the way; ``mode`` is "training", and there is no error bound.

        Raises
        ------
        InputError
            A number of steps whose states exceed 8 GiB.

        Notes
        -----
        Cost: one forward and one backward pass of every agent a step (DIGing: the new point's passes serve the
        next step).  Memory: (steps + 1)·blocks·Q·P numbers.
        """
        return train(self.network, self.rule, self.numbers, self.mixing, self.scale, steps, progress)

    def _linearize(self, absolute: bool) -> LinearizedModel:
        theta, x, network = self.network.theta0, self.data.x, self.network
        xp = namespace(theta)
        start = theta if absolute else theta - xp.mean(theta, axis=0, keepdims=True)
        together = self.theta0.ndim == 1 and not absolute
        extra: dict[str, Any] = {}
        if self.test_inputs is not None:
            points = xp.broadcast_to(self.test_inputs[None, :, :], (theta.shape[0], *self.test_inputs.shape))
            extra["test_jacobian"] = self.model.jacobian(theta, points)
            extra["test_outputs"] = xp.reshape(self.model(theta, points), (theta.shape[0], -1))
        return LinearizedModel.from_jacobian(
            self.model.jacobian(theta, x),
            network.residual,
            n_outputs=self.model.n_outputs,
            n_samples=self.data.n_samples,
            outputs=network.outputs,
            start=None if together else start,
            **extra,
        )


def _require_fit(model: Model, theta0: Array, data: Dataset) -> None:
    if not isinstance(model, Model):
        refuse(
            "model",
            "a model of ntkflow.models",
            type(model).__name__,
            "or linearise it yourself: LinearizedModel.from_jacobian",
        )
    if not isinstance(data, Dataset):
        refuse("data", "a Dataset", type(data).__name__, "make one with datasets.from_arrays")
    require_array("theta0", theta0)
    Q, P = data.n_agents, model.n_parameters
    fits = tuple(theta0.shape) in ((P,), (Q, P))
    require(
        fits,
        "theta0",
        f"shape ({P},) or ({Q}, {P})",
        f"shape {tuple(theta0.shape)}",
        "draw it with model.init",
        ShapeError,
    )
    alike = namespace_or_none(theta0, data.x) is not None and theta0.dtype == data.x.dtype
    found = f"{theta0.dtype} of {type(theta0).__module__} beside {data.x.dtype} of {type(data.x).__module__}"
    require(alike, "theta0", "the library and dtype of the data", found, "draw it with model.init(other=data.x)")
    N, M = data.x.shape[2], data.y.shape[2]
    match = (model.n_inputs, model.n_outputs) == (N, M)
    require(match, "data", f"{model.n_inputs} inputs and {model.n_outputs} outputs, as the model has", f"{N} and {M}",
            error=InputError)  # fmt: skip
