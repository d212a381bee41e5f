r"""python-control as a partner: its `StateSpace` from a linear system, and back.

>>> import control as ct, numpy as np, ntkflow as nf
>>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
>>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 3)))
>>> system = nf.LinearSystem("dgd", nf.weights.metropolis_hastings(nf.graphs.cycle(4)), lin, step_size=0.1)
>>> plant = to_control(system)
>>> t = np.linspace(0, 50, 6)
>>> response = ct.forced_response(plant, t, np.outer(held_input(system), np.ones(6)))
>>> f = system.flow(t).residual - lin.residual
>>> bool(abs(response.outputs.T - f.reshape(6, 12)).max() < 1e-6)
True
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np

from .._array import Array, like, namespace_or_none, to_numpy
from ..analysis.gains import Gains
from ..errors import require
from .matrices import MatrixSystem, held_input, matrices, minimal_matrices

if TYPE_CHECKING:
    import control
    from matplotlib.axes import Axes

    from ..systems import LinearSystem

__all__ = ["from_control", "held_input", "pole_zero_map", "to_control"]


def to_control(system: LinearSystem | MatrixSystem, dt: float | bool = 0, minimal: bool = False) -> control.StateSpace:
    r"""python-control's state space (A, B, C, 0), with names for its states, inputs and outputs.

    Parameters
    ----------
    system : LinearSystem or MatrixSystem
        The latter as `from_control` makes it.
    dt : 0 or True
        0 for the flow, whose A is M − I; True for the iteration, whose A is M.
    minimal : bool
        Only the part that the inputs reach and the outputs see.  Its states have no names of their own.

    Returns
    -------
    control.StateSpace
        States ``theta[q,i]``, ... count from the start of training; inputs ``e[q,i]`` are residuals, which training
        holds at `held_input`; outputs ``f[q,i]`` are what the agents' outputs have changed by.

    Raises
    ------
    InputError
        Another ``dt``; more than 20,000 states without ``minimal``.

    Notes
    -----
    python-control's matrices are NumPy's: arrays of other libraries and devices are taken to the CPU here.
    B takes residuals to the first update, see `matrices`, so that every simulation starts at zero.
    """
    import control

    iterates = _iterates(dt)
    found = _minimal(system) if minimal else _matrices(system)
    A = found.A + np.eye(found.order) if iterates else found.A
    names = {"states": found.states, "inputs": found.inputs, "outputs": found.outputs}
    return control.ss(A, found.B, found.C, 0, iterates or 0, **{key: list(value) for key, value in names.items()})


def from_control(plant: control.StateSpace, held: Array | None = None) -> MatrixSystem:
    """The matrices and names of a state space, as a system that answers in closed form.

    A state space knows no rule and no graph, so that what comes back is a `MatrixSystem`: trajectories of the outputs,
    the minimal part, gains.  The state space of a flow and that of its iteration come back as the same matrices.

    Parameters
    ----------
    plant : control.StateSpace
        Discrete with any sampling time, which counts as one iteration, or continuous.
    held : (m,), optional
        The input that is held.

    Raises
    ------
    InputError
        Something else than a state space; a feedthrough D.

    Examples
    --------
    >>> import control as ct
    >>> from_control(ct.ss([[-0.5]], [[1.0]], [[2.0]], 0), held=[1.0]).flow([0.0, float("inf")])
    array([[0.],
           [4.]])
    """
    import control

    require(isinstance(plant, control.StateSpace), "plant", "a control.StateSpace", type(plant).__name__,
            "convert it with control.ss")  # fmt: skip
    require(not np.any(plant.D), "plant", "no feedthrough, D = 0", "a D that is not zero")
    A = plant.A - np.eye(plant.nstates) if plant.isdtime(strict=True) else plant.A
    if held is not None:
        held = like(held if namespace_or_none(held) is None else to_numpy(held), plant.A)
    return MatrixSystem(A, plant.B, plant.C, held, tuple(plant.state_labels), tuple(plant.input_labels),
                        tuple(plant.output_labels))  # fmt: skip


def pole_zero_map(system: LinearSystem | MatrixSystem, dt: float | bool = 0, ax: Axes | None = None) -> Axes:
    """Poles (crosses) and zeros (circles) of the minimal part in the complex plane, with the boundary of stability.

    python-control's own map shows all of a state space, and has zeros of the same number of inputs and outputs only.

    Parameters
    ----------
    system : LinearSystem or MatrixSystem
        The latter as `from_control` makes it.
    dt : 0 or True
        The flow or the iteration.
    ax : matplotlib Axes, optional
        Where to draw; a new figure of pyplot's when left out.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Another ``dt``.
    """
    from ..reports.plots import FAINT, INK, QUIET, axes, in_style

    iterates = _iterates(dt)
    gains = _minimal(system).gains(flow=not iterates)
    angle = np.linspace(-np.pi, np.pi, 361)
    edge = (np.cos(angle), np.sin(angle)) if iterates else (0 * angle, np.tan(0.49 * angle))

    def draw(ax: Axes | None) -> Axes:
        ax = axes(ax, (4.8, 3.4))
        ax.plot(*edge, color=QUIET, linewidth=0.9, zorder=1)
        ax.plot(gains.poles.real, gains.poles.imag, "x", color=INK, label=f"poles ({gains.poles.size})")
        ax.plot(
            gains.zeros.real, gains.zeros.imag, "o", color=INK, fillstyle="none", label=f"zeros ({gains.zeros.size})"
        )
        ax.axhline(0.0, color=FAINT, linewidth=0.6, zorder=0)
        ax.set(xlabel="real part", ylabel="imaginary part", **_limits(gains, iterates))
        ax.set_aspect("equal" if iterates else "auto")
        ax.legend(loc="best")
        return ax

    return in_style(draw)(ax)


def _limits(gains: Gains, iterates: bool) -> dict[str, tuple[float, float]]:
    """Room for all poles and zeros, and for the disc."""
    points = np.concatenate([gains.poles, gains.zeros, [-1, 1] if iterates else [0]])
    width = float(np.ptp(points.real)) or 1.0
    tall = max(float(np.abs(points.imag).max()), 1.0 if iterates else 0.25 * width)
    left, right = float(points.real.min()), float(points.real.max())
    return {"xlim": (left - 0.08 * width, right + 0.08 * width), "ylim": (-1.1 * tall, 1.1 * tall)}


def _iterates(dt: float | bool) -> bool:
    plain = isinstance(dt, numbers.Real | np.bool_)  # an array's truth would be ambiguous
    require(plain and dt in (0, 1), "dt", "0 (the flow) or True (the iteration)", repr(dt))
    return bool(dt)


def _matrices(system: LinearSystem | MatrixSystem) -> MatrixSystem:
    return system if isinstance(system, MatrixSystem) else matrices(system)


def _minimal(system: LinearSystem | MatrixSystem) -> MatrixSystem:
    return system.minimal if isinstance(system, MatrixSystem) else minimal_matrices(system)
