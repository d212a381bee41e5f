"""The linear system of an algorithm on a network: its operators and its trajectories in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import bounds
from ._array import Array, device, eye, like, namespace, overflow_allowed, zeros
from ._design import Design
from ._path import Path
from ._times import times_given
from .algorithms import Rule, get
from .errors import ReadOnly, refuse, require, require_memory
from .gap import Gap, gap
from .linearize import LinearizedModel
from .operator import LinearMap, StateOperator
from .propagators import Explanation, Times, choices, solve
from .results import Trajectory
from .weights import MixingAudit, audit

if TYPE_CHECKING:
    import control

    from .analysis._reduction import Reduction
    from .interop.matrices import MatrixSystem

FEW_STEPS = 50.0  # beyond so many, compressing first always pays
DENSE_LIMIT = 20_000  # states; beyond it A alone would take more than 3 GB


class LinearSystem(ReadOnly):
    r"""ẋ = A x + u (flow) and x⁺ = x + A x + u (iteration), derived from an update rule.

    The state x has the shape (blocks, Q, p): θ − θ(0), then the rule's auxiliary blocks as they are.
    A = M − I, u = B e₀ (+ what starting apart adds), outputs f = f₀ + C x
    (arXiv 2409.15267, eqs. 12a–c; theory T1, T11).

    Parameters
    ----------
    algorithm : str or Rule
        A catalogue name ("dgd", "atc", ...) or a rule of your own.
    W : (Q, Q)
        Mixing matrix, rows summing to 1; taken to the model's library and device.  None for rules
        without a graph (gd, fedavg), which average over all agents.
    model : LinearizedModel
        Residuals and Jacobians of all agents.
    step_size : float
        η > 0, the one scalar outside the gradient.
    normalization : str or (Q,) array
        The factor c_q of the gradient, see `ntkflow.normalization`.
    **parameters : float
        The rule's own numbers by name, e.g. ``momentum=0.9`` or ``local_steps=4``.

    Raises
    ------
    MixingError, InputError, UnknownNameError
        See the message: name, expected, found, remedy.

    Notes
    -----
    Trajectories work on the compressed model (`LinearizedModel.compact`), or on the one given where few steps are
    asked for before anything else and cost less than compressing; `dense` works on the one given.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
    >>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 3)))
    >>> system = nf.LinearSystem("atc", np.full((4, 4), 0.25), lin, step_size=0.05)
    >>> system.flow([0.0, 10.0, np.inf]).loss.shape
    (3, 4)
    >>> A, B, C, D = system.dense()
    >>> A.shape, B.shape, C.shape, D.shape
    ((40, 40), (40, 12), (12, 40), (12, 12))
    """

    def __init__(
        self,
        algorithm: str | Rule,
        W: Array | None,
        model: LinearizedModel,
        step_size: float,
        normalization: Any = "per_agent",
        **parameters: float,
    ) -> None:
        if not isinstance(model, LinearizedModel):
            refuse("model", "a LinearizedModel", type(model).__name__, "make one with LinearizedModel.from_jacobian")
        sizes = model.n_samples
        self._take(Design.of(get(algorithm), W, sizes, model.n_outputs, step_size, normalization, parameters), model)

    @classmethod
    def of(cls, design: Design, model: LinearizedModel) -> LinearSystem:
        """The same from a design that has been checked against the model's agents."""
        system = cls.__new__(cls)
        system._take(design, model)
        return system

    def _take(self, design: Design, model: LinearizedModel) -> None:
        self.rule, self.mixing, self.scale, self.numbers = design.rule, design.mixing, design.scale, design.numbers
        self.step_size, self.normalization, self.parameters = design.step_size, design.normalization, design.parameters
        self.model, self._program = model, design.program
        if self.rule.moves_consensus and not model.absolute:
            why = f"rule {self.rule.name!r} acts on the parameters themselves (weight decay?)"
            refuse("model", "a start in absolute coordinates", "none", f"{why}; pass start= when linearising")
        self._settle()

    @cached_property
    def full(self) -> StateOperator:
        """The operators on the model as it was given."""
        return self._operator(self.model)

    @cached_property
    def compact(self) -> StateOperator:
        """The operators on the compressed model, where trajectories are computed."""
        return self.full if self.model.compressed else self._operator(self.model.compact)

    @cached_property
    def reduced(self) -> Reduction:
        """The part that learns and the part that only mixes, which verdicts, orders and spectra are read off (T5)."""
        from .analysis._reduction import reduction

        return reduction(self)

    @property
    def A(self) -> LinearMap:
        """The state matrix M − I as an operator on (blocks, Q, p)."""
        return LinearMap(self.full.apply, self.full.shape, self.full.shape)

    @property
    def B(self) -> LinearMap:
        """Residuals (Q, n) to the input's part of u; the step size and W's factor are in it."""
        return LinearMap(self.full.input_of, tuple(self.model.residual.shape), self.full.shape)

    @property
    def C(self) -> LinearMap:
        """States to output deviations (Q, n)."""
        return LinearMap(self.full.output_of, self.full.shape, tuple(self.model.residual.shape))

    @property
    def u(self) -> Array:
        """The constant input, (blocks, Q, p)."""
        return self.full.input

    @property
    def x0(self) -> Array:
        """The first state, (blocks, Q, p): zero but for auxiliary blocks (DIGing's y₀ is a gradient)."""
        return self.full.start - self.full.origin

    @cached_property
    def audit(self) -> MixingAudit:
        """Every property of W that a theorem may ask for, with its measured value."""
        return audit(self.mixing)

    def flow(self, times: Any, method: str = "auto") -> Trajectory:
        r"""The gradient flow ṡ = U(s) − s in closed form, s(t) = s₀ + ((e^{tA} − 1)/A) w with w = U(s₀) − s₀.

        Parameters
        ----------
        times : float or (T,)
            Exactly these, in iterations, in any order; 0 and inf allowed, a scalar is one time.
        method : str
            "auto", or an engine by name: "spectral", "lanczos", "krylov", "stepping", "dense".

        Returns
        -------
        Trajectory
            With an error bound for every time.

        Raises
        ------
        NoLimitError
            At t = ∞ when a mode does not decay.
        InputError
            Times that are negative, NaN or no numbers; an engine that does not take this question.

        Notes
        -----
        Cost: see the engines.  References: arXiv 2409.15267, eq. (14); theory T1, T15.

        Examples
        --------
        >>> import numpy as np, ntkflow as nf
        >>> lin = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 3)), np.ones((2, 1)))
        >>> system = nf.LinearSystem("dgd", np.full((2, 2), 0.5), lin, step_size=0.1)
        >>> system.flow([0.0, np.inf]).loss.round(6)
        array([[0.5, 0.5],
               [0. , 0. ]])
        """
        return self._trajectory(Times(times_given("times", times), True), method)

    def iterate(self, steps: Any, method: str = "auto") -> Trajectory:
        r"""The iteration s⁺ = U(s) in closed form, s_k = s₀ + (((I + A)ᵏ − I)/A) w with w = U(s₀) − s₀.

        Parameters
        ----------
        steps : int or (T,)
            After exactly these numbers of updates, in any order; 0 and inf allowed, a scalar is one.
        method : str
            "auto", or an engine by name: "spectral", "lanczos", "krylov", "stepping", "dense".

        Returns
        -------
        Trajectory
            With an error bound for every step; states that overflow are inf.

        Raises
        ------
        NoLimitError
            At k = ∞ when a mode does not decay, which a smaller step size may mend.
        InputError
            Steps that are not whole, negative or no numbers; an engine that does not take this question.

        Notes
        -----
        Cost: see the engines.  References: arXiv 2409.15267, eqs. (4)–(6) with (11); theory T1.

        Examples
        --------
        >>> import numpy as np, ntkflow as nf
        >>> lin = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 3)), np.ones((2, 1)))
        >>> system = nf.LinearSystem("dgd", np.full((2, 2), 0.5), lin, step_size=0.1)
        >>> system.iterate([0, 1]).loss.round(6)
        array([[0.5  , 0.5  ],
               [0.245, 0.245]])
        """
        counts = times_given("steps", steps)
        whole = all(math.isinf(k) or k == int(k) for k in counts)
        require(whole, "steps", "whole numbers", counts, "use flow(times) for times in between")
        return self._trajectory(Times(counts, False), method)

    def gap(self, steps: Any, method: str = "auto") -> Gap:
        r"""How far the flow is from the iteration at the same steps, ‖θ_flow(k) − θ_k‖: what continuous time costs.

        Agents that start together: O(η) at a fixed time η k (theory T2); both have the same limit.

        Parameters
        ----------
        steps, method
            As for `iterate`.

        Returns
        -------
        Gap
            Distances, their share of the movement, the losses' differences, and a bound on the error.

        Examples
        --------
        >>> import numpy as np, ntkflow as nf
        >>> lin = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 3)), np.ones((2, 1)))
        >>> system = nf.LinearSystem("dgd", np.full((2, 2), 0.5), lin, step_size=0.01)
        >>> system.gap([1, 100]).relative.round(4)
        array([0.0149, 0.0023])
        """
        _ = self.compact  # both in the same coordinates
        iteration = self.iterate(steps, method)
        return gap(self.flow(steps, method), iteration)

    def explain(self, times: Any, *, flow: bool = False) -> Explanation:
        """Which engine ``method="auto"`` takes for these times, what each would cost, and what each needs.

        Parameters
        ----------
        times : float or (T,)
            As for `flow` or `iterate`.
        flow : bool
            The gradient flow instead of the iteration.

        Returns
        -------
        Explanation

        Examples
        --------
        >>> import numpy as np, ntkflow as nf
        >>> lin = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 3)), np.ones((2, 1)))
        >>> system = nf.LinearSystem("dgd", np.full((2, 2), 0.5), lin, step_size=0.1)
        >>> system.explain(np.inf).chosen
        'spectral'
        """
        operator, asked = self._for(Times(times_given("times", times), flow), "auto")
        return choices(operator, operator.drive, asked)

    def dense(self) -> tuple[Array, Array, Array, Array]:
        """The state-space matrices (A, B, C, D) as plain arrays; small systems only.

        Returns
        -------
        A : (N, N), B : (N, Q n), C : (Q n, N), D : (Q n, Q n)
            N = blocks·Q·p, states ordered by block, agent, parameter; D = 0.  With agents that start together
            u = B e₀; outputs are f₀ + C x.

        Raises
        ------
        InputError
            Beyond 20,000 states, where A alone takes 3 GB.

        Notes
        -----
        Cost: one product with Ψ for N columns.  References: arXiv 2409.15267, eqs. (12a–c); theory T1.
        """
        operator, xp = self.full, namespace(self.mixing)
        N, (Q, n) = operator.size, self.model.residual.shape
        require(
            N <= DENSE_LIMIT,
            "dense",
            f"at most {DENSE_LIMIT} states",
            N,
            "compress the model, or use A, B, C as operators",
        )
        states = xp.reshape(eye(N, self.mixing), (*operator.shape, N))
        residuals = xp.reshape(eye(Q * n, self.mixing), (Q * n, Q, n))
        A = xp.reshape(operator.apply(states), (N, N))
        B = xp.stack([xp.reshape(operator.input_of(residuals[i, ...]), (N,)) for i in range(Q * n)], axis=1)
        C = xp.reshape(self.model.jacobian @ states[0, ...], (Q * n, N))
        return A, B, C, zeros((Q * n, Q * n), A)

    def to_control(self, dt: float | bool = 0, minimal: bool = False) -> control.StateSpace:
        """python-control's state space: ``dt=0`` the flow, ``dt=True`` the iteration; see `ntkflow.interop.control`."""
        from .interop.control import to_control

        return to_control(self, dt, minimal)

    @staticmethod
    def from_control(plant: control.StateSpace, held: Array | None = None) -> MatrixSystem:
        """A state space as a system of matrices: without rule and graph, with trajectories, minimal part and gains."""
        from .interop.control import from_control

        return from_control(plant, held)

    def _operator(self, model: LinearizedModel) -> StateOperator:
        return StateOperator(self.rule, self._program, self.numbers, self.mixing, model, self.scale)

    def _for(self, times: Times, method: str) -> tuple[StateOperator, Times]:
        """What to work on and at which times: a few steps are not worth a compression."""
        few = method == "auto" and times.horizon <= FEW_STEPS and self.model.compression_cost > 0
        first = choices(self.full, self.full.drive, times).choices[0] if few else None
        at_once = first is not None and first.seconds < self.model.compression_cost
        operator = self.full if at_once else self.compact
        require_memory("times", times.count * operator.size, "ask for fewer times")
        return operator, bounds.grid(operator, times)

    def _trajectory(self, times: Times, method: str) -> Trajectory:
        with overflow_allowed():
            return self._solved(times, method)

    def _solved(self, times: Times, method: str) -> Trajectory:
        xp, (operator, asked) = namespace(self.mixing), self._for(times, method)
        path, rounding, engine = solve(operator, operator.drive, asked, method)
        if operator.shape[0] > 1:
            path = Path(path.states + (operator.start - operator.origin)[None, ...])
        places = None
        if asked.values != times.values:
            place = {t: i for i, t in enumerate(asked.values)}
            places = xp.asarray([place[t] for t in times.values], device=device(rounding))
        return Trajectory(
            times=like(times.values, rounding),
            path=path if places is None else path.take(places),
            blocks=tuple(b.name for b in self.rule.blocks),
            landscape=operator.model,
            method=engine,
            mode=(mode := "flow" if times.flow else "iteration"),
            label=f"{self.rule.name} ({mode})",
            certificate=bounds.Certificate(replace(operator), path, asked, rounding, places),  # without large factors
        )
