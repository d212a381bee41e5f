"""A whole experiment as one object: prediction and real training of one design."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from ._array import Array, like
from ._design import Design
from .algorithms import Rule, get
from .analysis.limits import Limit, limit
from .analysis.minimality import MinimalityReport, minimality
from .analysis.spectrum import Spectrum, spectrum
from .analysis.stability import StabilityReport, stability
from .datasets import Dataset
from .derivation import Derivation
from .errors import ReadOnly, nearest, refuse, require, require_array, require_count, require_together
from .gap import Gap
from .linearize import LinearizedModel
from .models import Model
from .results import Trajectory
from .systems import LinearSystem
from .tangent import tangent
from .training import Batches, Network, train
from .trust import Trust, trust


class Study(ReadOnly):
    r"""Agents, a network, data and an algorithm: predict it, train it, compare.

    Parameters
    ----------
    W : (Q, Q)
        Mixing matrix; None for rules without a graph (gd, fedavg).
    model : Model or torch.nn.Module
        What every agent trains, e.g. ``models.MLP([2, 256, 1])``; a module takes samples as the data hold them, flat
        (`ntkflow.interop.torch.TorchModel` gives them a shape).
    theta0 : (P,) or (Q, P), or None
        Where the agents start; None where a module stands.
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
        theta0: Array | None,
        data: Dataset,
        algorithm: str | Rule = "dgd",
        step_size: float = 1e-4,
        normalization: Any = "per_agent",
        test_inputs: Array | None = None,
        **parameters: float,
    ) -> None:
        remedy = "make one with datasets.from_arrays, or interop.torch.dataset"
        require(isinstance(data, Dataset), "data", "a Dataset", type(data).__name__, remedy)
        model = _as_model(model, data)
        self._given = theta0
        theta0 = model.own_parameters(data.x) if theta0 is None else theta0
        self.network = Network.of(model, data, theta0)
        if test_inputs is not None:
            require_array("test_inputs", test_inputs, 2, "pass the test inputs as (m, N)")
            require_together({"test_inputs": test_inputs, "the data": data.x})
        self.model, self.theta0, self.data, self.test_inputs = model, theta0, data, test_inputs
        self._shared: dict[bool, LinearizedModel] = {}
        self._choose(W, algorithm, step_size, normalization, **parameters)

    def _choose(
        self, W: Array | None, algorithm: str | Rule, step_size: float, normalization: Any, **parameters: float
    ) -> None:
        sizes, self.W, self.algorithm = like(self.data.n_samples, self.theta0), W, get(algorithm)
        design = Design.of(self.algorithm, W, sizes, self.model.n_outputs, step_size, normalization, parameters)
        self._design = design
        self.rule, self.mixing, self.scale, self.numbers = design.rule, design.mixing, design.scale, design.numbers
        self.step_size, self.normalization, self.parameters = step_size, normalization, parameters
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
        network = {"model": self.model, "theta0": self._given, "data": self.data, "test_inputs": self.test_inputs}
        chosen = {"W": self.W, "algorithm": self.algorithm, "step_size": self.step_size,
                  "normalization": self.normalization}  # fmt: skip
        rule = get(changes.get("algorithm", self.algorithm))
        short = rule.parameter_names
        names = {*network, *chosen, *short}
        for name in changes:
            if name not in names:
                refuse(f"using({name}=...)", "an argument of Study", "an unknown one", nearest(name, names))
        kept = self.parameters if rule is self.algorithm else {}
        renewed = {short.get(name) for name in changes}  # "mu" gives way to "momentum"
        kept = {name: value for name, value in kept.items() if short[name] not in renewed}
        if network.keys() & changes.keys():
            return Study(**{**network, **chosen, **kept, **changes})
        study = Study.__new__(Study)
        for name in ("_given", "_shared", "network", *network):  # whoever linearises first does it for all
            setattr(study, name, getattr(self, name))
        study._choose(**{**chosen, **kept, **changes})
        return study

    @property
    def linearized(self) -> LinearizedModel:
        """The network linearised where the agents start, computed once."""
        absolute = self.rule.moves_consensus
        if absolute not in self._shared:
            self._shared[absolute] = tangent(self.network, absolute, self.test_inputs)
        return self._shared[absolute]

    @cached_property
    def system(self) -> LinearSystem:
        """The linear system of this design."""
        return LinearSystem.of(self._design, self.linearized)

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

    def train(
        self,
        steps: int,
        progress: Callable[[int], None] | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        every: int = 1,
    ) -> Trajectory:
        """The real training at k = 0 … ``steps``, by the same rule expression.

        Parameters
        ----------
        steps : int
            Updates.
        progress : callable, optional
            Told the number of every step.
        batch_size : int, optional
            Samples an agent draws for a gradient, anew at every point where the rule asks for one, without replacement;
            all of them by default, and where it has no more. The gradient is weighted to be right on average.
        seed : int
            Of the draws, which are the same whatever library or device the arrays are of.
        every : int
            Keep the steps 0, ``every``, 2 ``every``, … only, where all of them would not fit into memory.

        Returns
        -------
        Trajectory
            Losses over all data and parameters met on the way; ``mode`` is "training", and there is no error bound.

        Raises
        ------
        InputError
            A number of steps whose states exceed 8 GiB; a batch of no sample.

        Notes
        -----
        Cost: one forward and one backward pass of every agent a step (DIGing: the new point's passes serve the
        next step), with batches too, as losses are recorded over all data.  Memory: blocks·Q·P numbers a step kept.
        """
        batches = Batches(self.network, batch_size, seed)
        return train(self.network, self.rule, self.numbers, self.mixing, self.scale, steps, progress, batches, every)


def _as_model(model: Any, data: Dataset) -> Model:
    """A model of ntkflow; a PyTorch module becomes one that takes samples as the data hold them."""
    if any(base.__module__.partition(".")[0] == "torch" for base in type(model).__mro__):
        from .interop.torch import taking_flat_samples

        return taking_flat_samples(model, data.x)
    remedy = "or linearise it yourself: LinearizedModel.from_jacobian"
    known = isinstance(model, Model)
    require(known, "model", "a model of ntkflow.models or a torch.nn.Module", type(model).__name__, remedy)
    return model
