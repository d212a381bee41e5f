r"""A linear system as plain matrices (A, B, C): what control theory works on.

>>> import numpy as np, ntkflow as nf
>>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
>>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 3)))
>>> system = nf.LinearSystem("diging", nf.weights.metropolis_hastings(nf.graphs.cycle(4)), lin, step_size=0.01)
>>> whole = matrices(system)
>>> whole.order, whole.minimal.order
(80, 54)
>>> residual = system.iterate(7).residual - lin.residual
>>> bool(abs(whole.minimal.iterate(7) - residual.ravel()).max() < 1e-12)
True
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._array import Array, eye, namespace, svd, to_numpy, zeros
from .._times import times_given
from ..analysis._staircase import observable, reachable
from ..analysis.gains import Gains
from ..errors import ShapeError, refuse, require, require_array, require_shape
from ..propagators._matrix import propagated
from ..propagators._question import Times

if TYPE_CHECKING:
    from ..operator import StateOperator
    from ..systems import LinearSystem

__all__ = ["MatrixSystem", "held_input", "matrices", "minimal_matrices"]

RANK_SLACK = 100.0  # times N·eps: what an exact zero among singular values looks like


@dataclass(frozen=True, eq=False)
class MatrixSystem:
    r"""ẋ = A x + B e (flow) and x⁺ = x + A x + B e (iteration), x(0) = 0, outputs f = C x.

    Parameters
    ----------
    A, B, C : (N, N), (N, m), (l, N)
        Of any library, taken to NumPy, on the CPU.  A = M − I for the flow and the iteration alike.
    held : (m,) or None
        The input that training holds for ever: the residuals at the start.
    states, inputs, outputs : tuple of str
        Their names, such as ``"theta[0,3]"``, ``"e[0,1]"`` and ``"f[0,1]"``: agent first.
    """

    A: Array = field(repr=False)
    B: Array = field(repr=False)
    C: Array = field(repr=False)
    held: Array | None = field(default=None, repr=False)
    states: tuple[str, ...] = field(default=(), repr=False)
    inputs: tuple[str, ...] = field(default=(), repr=False)
    outputs: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        N, m = require_array("B", self.B, 2).shape
        require_shape("A", self.A, (N, N))
        require_shape("C", self.C, (require_array("C", self.C, 2).shape[0], N))
        if self.held is not None:
            require_shape("held", self.held, (m,))
        for name in ("A", "B", "C", "held"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, to_numpy(getattr(self, name)))
        for name, size in (("states", N), ("inputs", m), ("outputs", len(self.C))):
            given = tuple(getattr(self, name)) or tuple(f"{name[:-1]}[{i}]" for i in range(size))
            require(len(given) == size, name, f"{size} names", len(given), error=ShapeError)
            object.__setattr__(self, name, given)

    def __repr__(self) -> str:
        return f"MatrixSystem: {self.order} states, {self.B.shape[1]} inputs, {len(self.C)} outputs"

    @property
    def order(self) -> int:
        """N, the number of states."""
        return len(self.A)

    @cached_property
    def minimal(self) -> MatrixSystem:
        """The part that the inputs reach and the outputs see, the same response with the fewest states.

        By a staircase on the bare matrices, whose rank decisions are as good as rounding allows; of a `LinearSystem`
        take `minimal_matrices`, which knows the structure.
        """
        rounding = RANK_SLACK * max(self.order, 1) * float(np.finfo(float).eps)
        seen = self._on(reachable(self.A, self.B, rounding).basis)
        return seen._on(observable(seen.A, seen.C, rounding).basis)

    def flow(self, times: Any, held: Array | None = None) -> Array:
        """Outputs (T, l) of the flow at these times, inf allowed; (l,) for a single one.  ``held`` is the input."""
        return self._response(times, held, flow=True)

    def iterate(self, steps: Any, held: Array | None = None) -> Array:
        """The same for the iteration after so many updates."""
        return self._response(steps, held, flow=False)

    def gains(self, *, flow: bool = False) -> Gains:
        """Gramians, Hankel singular values, norms, poles and zeros, of the flow or the iteration.

        Raises
        ------
        InputError
            When the system is not stable; take `minimal` first, since what is not reached or seen need not be.
        """
        return Gains(self.A, self.B, self.C, flow)

    def _on(self, frame: Array) -> MatrixSystem:
        """The system on the range of orthonormal columns."""
        A, B, C = frame.T @ self.A @ frame, frame.T @ self.B, self.C @ frame
        return MatrixSystem(A, B, C, self.held, (), self.inputs, self.outputs)

    def _response(self, times: Any, held: Array | None, *, flow: bool) -> Array:
        e = self.held if held is None else to_numpy(require_shape("held", held, (self.B.shape[1],)))
        if e is None:
            refuse("held", f"an input of {self.B.shape[1]} numbers", None, "pass held=")
        values = times_given("times", times)
        require(flow or all(math.isinf(t) or t.is_integer() for t in values), "times", "whole numbers >= 0", values)
        found = np.stack(propagated(self.A, self.B @ e, Times(values, flow))) @ self.C.T
        return found if np.ndim(times) else found[0]


def matrices(system: LinearSystem) -> MatrixSystem:
    r"""The matrices of a system in the coordinates of its own model.

    States count from the start, so that they begin at zero, and B takes residuals to what the first update adds to
    them: B e = U(s₀) − s₀ for residuals e.  For rules whose auxiliary blocks start from a gradient (the trackers), this
    is what carries the residuals at all; for the others B is that of `LinearSystem.dense`.  Agents that start apart add
    one input ``start``, held at 1.

    Parameters
    ----------
    system : LinearSystem
        Any rule; agents may start apart.

    Returns
    -------
    MatrixSystem
        In NumPy, on the CPU, whatever library the system's arrays are of.

    Raises
    ------
    InputError
        Beyond 20,000 states.

    Notes
    -----
    Every answer is s₀ + g_t(A) w with w the first update (theory T1): outputs are f₀ + C x with x(0) = 0 and w = B e as
    the block θ starts at θ(0).  Cost: one product with Ψ for N + 2 Q n columns.
    """
    operator = system.full
    A, _, C, _ = system.dense()
    Q, n = operator.model.residual.shape
    B, inputs = namespace(A).reshape(_first_updates(operator), (A.shape[0], -1)), _names("e", Q, n)
    B, inputs = (B, [*inputs, "start"]) if _has_start(system) else (B[:, :-1], inputs)
    states = [name for block in operator.program.blocks for name in _names(str(block), *operator.shape[1:])]
    return MatrixSystem(A, B, C, held_input(system), tuple(states), tuple(inputs), tuple(_names("f", Q, n)))


def minimal_matrices(system: LinearSystem) -> MatrixSystem:
    """The minimal part of `matrices`, found from the structure of the compressed model; its states have no names.

    Of a tracker it has fewer states than `ntkflow.analysis.minimality` counts: what the start puts on modes that never
    move is no part of the motion.
    """
    found = system.reduced
    part = found.minimal
    A = part.M - np.eye(part.order)
    B = part.B + A @ part.X0
    inputs, outputs = (_names(letter, *found.residual.shape) for letter in "ef")
    if _has_start(system):
        B, inputs = np.column_stack([B, part.drive - B @ found.residual.ravel()]), [*inputs, "start"]
    smallest = MatrixSystem(A, B, part.C, held_input(system), (), tuple(inputs), tuple(outputs))
    if not np.any(part.X0):
        return smallest
    return smallest.minimal if np.any(part.B) else smallest._on(_range(A, float(np.linalg.norm(part.M, 2))))


def _range(A: Array, size: float) -> Array:
    """An orthonormal basis of range(A): what (M − I) X reaches under M, where X reaches everything.

    What starting apart adds lies there as well, as a tracker comes to rest wherever the agents start.
    """
    U, s, _ = svd(A)
    return U[:, s > RANK_SLACK * len(A) * float(np.finfo(float).eps) * max(1.0, size)]


def held_input(system: LinearSystem) -> Array:
    """What training holds the inputs at: the residuals at the start, and 1 for where agents start."""
    residual = to_numpy(system.model.residual).ravel()
    return np.append(residual, 1.0) if _has_start(system) else residual


def _has_start(system: LinearSystem) -> bool:
    """Whether where the agents start moves them: they start apart, or the rule acts on the parameters themselves."""
    start = to_numpy(system.model.start)
    return system.rule.moves_consensus or bool(np.any(start != start[:1]))


def _first_updates(operator: StateOperator) -> Array:
    """U(s₀) − s₀ for a residual of 1 in each row of each agent, and for the agents' starts, (blocks, Q, p, Q n + 1)."""
    model, xp = operator.model, namespace(operator.W)
    Q, n, p = model.jacobian.shape
    pulled = xp.matrix_transpose(operator.scale[:, None, None] * model.jacobian)
    own = xp.reshape(eye(Q, pulled)[:, None, :, None] * pulled[:, :, None, :], (Q, p, Q * n))
    forces = xp.concat([own, zeros((Q, p, 1), pulled)], axis=2)
    theta = xp.concat([xp.zeros_like(own), model.start[:, :, None]], axis=2)

    def gradient(x: Array) -> Array:
        return operator.hessian(x - theta) + forces

    start = xp.stack(operator.program.start(theta, operator.mix, gradient), axis=0)
    return operator.update(start, gradient) - start


def _names(letter: str, agents: int, size: int) -> list[str]:
    return [f"{letter}[{q},{i}]" for q in range(agents) for i in range(size)]
