"""Pictures: losses with the prediction dashed over the observation, networks with their weights, consensus.

Every function draws into an Axes (a new one of pyplot's when none is given) and returns it.  One look for all,
for figures of your own too: ``plt.style.use("ntkflow.reports.ntkflow")``.
"""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from .._array import to_numpy
from ..errors import OutputError, ShapeError, refuse, require, require_path, require_shape
from ..graphs import check
from ..results import Trajectory
from .layout import places

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["STYLE", "agent_colors", "consensus", "figure", "graph", "loss", "save"]

STYLE = "ntkflow.reports.ntkflow"
INK, QUIET, FAINT = "#2e3440", "#5b6770", "#8a93a1"
AGENTS = LinearSegmentedColormap.from_list("agents", ["#06304f", "#0f6296", "#3f95c4", "#86c3dc"])
OWN = LinearSegmentedColormap.from_list("own", ["#ffffff", "#f6d9a8", "#dd8f3d", "#a34f16"])
EDGES = LinearSegmentedColormap.from_list("edges", ["#d3dae3", "#8fa3b8", "#35506b"])
DASHES: tuple[Any, ...] = ((0, (3.2, 2.2)), (0, (1, 1.6)), (0, (6, 2, 1, 2)))
OBSERVED = {"linestyle": "-", "linewidth": 2.4, "alpha": 0.4, "zorder": 2}
LOG_FROM, ZERO_FROM = 10.0, 4.0  # ratios of largest to smallest value from which an axis is logarithmic, shows zero
BEYOND = 1e60  # not drawn: logarithmic axes of matplotlib overflow
NOTHING = 1e-9  # of the largest consensus error: agents that start together are apart by rounding

Draw = TypeVar("Draw", bound=Callable[..., Any])
Styled = list[tuple[Trajectory, dict[str, Any]]]


def in_style(draw: Draw) -> Draw:
    """The function with ntkflow's style while it runs, and nobody else's style touched."""

    @functools.wraps(draw)
    def drawn(*args: Any, **options: Any) -> Any:
        with matplotlib.style.context(STYLE):
            return draw(*args, **options)

    return drawn  # type: ignore[return-value]


def agent_colors(n_agents: int) -> list[Any]:
    """One hue, dark to light, for agents 1 to Q.

    >>> len(agent_colors(8))
    8
    """
    return [AGENTS(i / max(n_agents - 1, 1)) for i in range(n_agents)]


@in_style
def loss(
    predicted: Trajectory | Sequence[Trajectory],
    observed: Trajectory | Sequence[Trajectory] | None = None,
    *,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The loss ‖r_q‖² / (2 D_q) of every agent over time, one colour an agent.

    Training runs are solid, predictions dashed on top of them (a second one dotted).  A limit, t = ∞, is a
    triangle at the right edge.

    Parameters
    ----------
    predicted, observed : Trajectory or sequence of them
        A training run passed as ``predicted`` is solid all the same.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of pyplot's when left out.
    title : str, optional
        Above the axes.

    Returns
    -------
    matplotlib.axes.Axes
        Its y axis is linear, from a factor of 10 between losses on logarithmic.

    Raises
    ------
    InputError, ShapeError
        When there is something else than trajectories, or they differ in their number of agents.
    """
    runs = [*_trajectories("predicted", predicted), *([] if observed is None else _trajectories("observed", observed))]
    ax = axes(ax)
    handles, labels = draw_losses(ax, runs)
    ax.set_title(title or "")
    legend(ax, handles, labels)
    return ax


@in_style
def consensus(*trajectories: Trajectory, ax: Axes | None = None) -> Axes:
    r"""The consensus error (Σ_q ‖θ_q − θ̄‖²)^½ over time, training solid and predictions dashed.

    Parameters
    ----------
    *trajectories : Trajectory
        Runs whose labels agree up to what stands in brackets, such as "dgd (iteration)" and "dgd (training)",
        share a colour.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of pyplot's when left out.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Without a trajectory, or for something else.
    """
    runs, ax = _trajectories("trajectories", trajectories), axes(ax)
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    names = list(dict.fromkeys(_design(run) for run in runs))
    colors = {name: cycle[i % len(cycle)] for i, name in enumerate(names)}
    styled = _styled(runs, lambda run: run.mode)
    low, high = _span([run.consensus_error for run in runs], NOTHING)
    floor = low if high >= LOG_FROM * low else 0.0
    for run, style in styled:
        apart = to_numpy(run.consensus_error)[:, None]
        _draw_run(ax, run, np.where(apart < floor, np.nan, apart), style, [colors[_design(run)]])
    _scale(ax, low, high)
    ax.set(xlabel="iterations", ylabel=r"consensus error,  $(\sum_q \|\theta_q - \bar\theta\|^2)^{1/2}$")
    handles, labels = _key(styled, INK)
    several = names if len(names) > 1 else []
    ax.legend([*(Line2D([], [], color=colors[name], linewidth=2.4) for name in several), *handles], [*several, *labels])
    return ax


@in_style
def graph(graph: nx.Graph, W: Any = None, *, ax: Axes | None = None) -> Axes:
    """The network: agents 1 to Q; an edge the wider and darker, a node the darker, the larger its weight.

    Parameters
    ----------
    graph : networkx.Graph or networkx.DiGraph
        Nodes with a ``pos`` attribute are drawn there, rings on a circle, a star around its centre, other graphs
        where a spring model puts them.
    W : (Q, Q) array, optional
        Mixing matrix, rows in the order of ``list(graph.nodes)``.  An undirected edge shows the mean of its two
        weights; a negative one is dotted.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of pyplot's when left out.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    GraphError, ShapeError
        When ``graphs.check`` refuses the graph, or W does not fit it.
    """
    place, Q = places(check(graph)), len(graph)
    weights = None if W is None else to_numpy(require_shape("W", W, (Q, Q), "one row for each node of the graph"))
    ax, size = axes(ax, (2.6, 2.6)), float(np.clip(1500 / Q, 50, 190))
    index = {node: i for i, node in enumerate(graph)}
    pairs = [(index[a], index[b]) for a, b in graph.edges if a != b]
    (_draw_arrows if graph.is_directed() else _draw_edges)(ax, place, pairs, weights, size)
    own = np.zeros(Q) if weights is None else np.diagonal(weights)
    ax.scatter(place[:, 0], place[:, 1], s=size, c=OWN(np.clip(own, 0, 1)), edgecolors=INK, linewidths=0.9, zorder=3)
    for i in range(Q if Q <= 60 else 0):
        ax.annotate(str(i + 1), place[i], ha="center", va="center_baseline", color="white" if own[i] > 0.75 else INK,
                    fontsize=7 if Q < 20 else 5.5, zorder=4)  # fmt: skip
    if weights is not None:
        heard = [weights[j, i] for i, j in pairs] + [weights[i, j] for i, j in pairs if not graph.is_directed()]
        edges = f"edge {_range(heard)},  " if pairs else ""
        ax.set_xlabel(f"{edges}own weight {_range(own)}", fontsize=7.5, color=FAINT, labelpad=3)
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    margin = 0.14 * max(float(np.ptp(place, axis=0).max()), 1.0)
    ax.update_datalim([place.min(axis=0) - margin, place.max(axis=0) + margin])
    ax.margins(0)
    return ax


@in_style
def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] | None = None) -> tuple[Figure, Any]:
    """A figure of its own, without pyplot and without a window, and its (rows, columns) array of Axes."""
    made = Figure(figsize=size or (5.2 * columns, 3.4 * rows), layout="constrained")
    return made, made.subplots(rows, columns, squeeze=False)


def blank(width: float, height: float) -> Figure:
    """A figure of its own without any axes, sizes in inches."""
    return Figure(figsize=(width, height))


def legend(target: Axes | Figure, handles: list[Any], labels: list[str], **options: Any) -> None:
    """A legend that knows the strip of agents' colours."""
    target.legend(handles, labels, handler_map={tuple: HandlerTuple(None, 0)}, **options)


@in_style
def save(figure: Figure | Axes, path_without_suffix: str | os.PathLike[str]) -> list[Path]:
    """Write the figure as PNG (200 dpi) and SVG and return their paths; a file is complete or not there at all."""
    picture: Any = getattr(figure, "figure", figure)  # an Axes knows its own
    place, written = require_path("path_without_suffix", path_without_suffix), []
    require(
        place.parent.is_dir(), "path_without_suffix", "a place in a folder that exists", place.parent, error=OutputError
    )
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        target = place.with_name(f"{place.name}.{suffix}")
        unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            picture.savefig(unfinished, format=suffix, dpi=200, metadata=metadata)
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
        written.append(target)
    return written


# ------------------------------------------------------------------------------------------------- curves


def _trajectories(name: str, given: Any) -> list[Trajectory]:
    runs = [given] if isinstance(given, Trajectory) or not isinstance(given, Iterable) else list(given)
    wrong = [type(run).__name__ for run in runs if not isinstance(run, Trajectory)] or ([] if runs else ["none"])
    if wrong:
        refuse(name, "a Trajectory or several", wrong[0], "from predict, train, flow or iterate")
    return runs


def axes(ax: Any, size: tuple[float, float] | None = None) -> Axes:
    """The Axes given, or those of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    require(isinstance(ax, Axes), "ax", "a matplotlib Axes", type(ax).__name__)
    return ax


def _design(run: Trajectory) -> str:
    return run.label.split(" (")[0]


def _styled(runs: Sequence[Trajectory], kind: Callable[[Trajectory], Any] = id) -> Styled:
    """Training runs solid and first, so that predictions lie on top; every ``kind`` of these has its own dashes."""
    guessed = [run for run in runs if run.mode != "training"]
    kinds = list(dict.fromkeys(map(kind, guessed)))
    looks = [{"linestyle": DASHES[i % len(DASHES)], "linewidth": 1.1, "zorder": 3} for i in range(len(kinds))]
    trained: Styled = [(run, OBSERVED) for run in runs if run.mode == "training"]
    return trained + [(run, looks[kinds.index(kind(run))]) for run in guessed]


def draw_losses(ax: Axes, runs: Sequence[Trajectory]) -> tuple[list[Any], list[str]]:
    """The losses of all runs; gives back handles and labels of their legend."""
    Q, styled = runs[0].loss.shape[1], _styled(runs)
    for run in runs:
        found = f"{run.loss.shape[1]} in {run.label!r}"
        require(run.loss.shape[1] == Q, "trajectories", f"{Q} agents in all of them", found, "", ShapeError)
    for run, style in styled:
        _draw_run(ax, run, run.loss, style, agent_colors(Q))
    _scale(ax, *_span([run.loss for run in runs]))
    ax.set(xlabel="iterations", ylabel=r"loss of agent $q$,  $\|r_q\|^2 / (2D_q)$")
    return _key(styled, AGENTS(0.25), Q)


def _draw_run(ax: Axes, run: Trajectory, values: Any, style: dict[str, Any], colors: Sequence[Any]) -> None:
    """A line for every column of ``values`` (T, ·) in the order of time, a triangle for its value at infinity."""
    times, values = to_numpy(run.times), drawable(values)
    order, limits = np.argsort(times), np.flatnonzero(np.isinf(times))[:1]
    order = order[np.isfinite(times[order])]
    for q, color in enumerate(colors):
        label = f"_{run.label}, {q + 1}"  # hidden from legends, there for those who look for a line
        if order.size:
            ax.plot(times[order], values[order, q], color=color, label=label, **style)
        for k in limits:
            ax.scatter(
                1, values[k, q], 14, c=[color], marker="<", transform=ax.get_yaxis_transform(), clip_on=False, zorder=4
            )


def drawable(values: Any) -> np.ndarray:
    """The same numbers on the host, NaN for those that no axis can show."""
    values = np.asarray(to_numpy(values), dtype=float)
    return np.where(np.abs(values) < BEYOND, values, np.nan)


def _span(values: Sequence[Any], nothing: float = 0.0) -> tuple[float, float]:
    """Smallest and largest of what is finite and above ``nothing`` times the largest."""
    shown = np.concatenate([drawable(value).ravel() for value in values])
    shown = shown[np.isfinite(shown)]
    shown = shown[shown > nothing * shown.max(initial=0.0)]
    return (float(shown.min()), float(shown.max())) if shown.size else (1.0, 1.0)


def _scale(ax: Axes, low: float, high: float) -> None:
    """A logarithmic axis for values from ``low`` to ``high``, or a linear one, from zero if that is near."""
    if high >= LOG_FROM * low:
        logarithmic(ax, high / low)
        ax.set_ylim(bottom=0.8 * low)
    elif high >= ZERO_FROM * low:
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(whole_numbers())


def whole_numbers() -> MaxNLocator:
    """Places of the ticks of an axis that counts iterations."""
    return MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10])


def logarithmic(ax: Axes, ratio: float) -> None:
    """Powers of ten; where there are few of them 2 and 5 times as well, as plain numbers."""
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(NullFormatter())
    if ratio < 50:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _key(styled: Styled, color: Any, n_agents: int = 0) -> tuple[list[Any], list[str]]:
    """Handles and labels for solid, dashed and, with ``n_agents``, a strip of the agents' colours."""
    names: dict[str, Any] = {}
    for run, style in styled:
        alone = len({id(look) for other, look in styled if other.mode == run.mode}) == 1
        name = "observed (training)" if run.mode == "training" else f"predicted ({run.mode})"
        names[name if alone else run.label] = Line2D([], [], color=color, **style)
    if n_agents:
        label = f"agent 1 … {n_agents}" if n_agents > 1 else "agent 1"
        names[label] = tuple(Rectangle((0, 0), 1, 1, facecolor=c, linewidth=0) for c in agent_colors(min(n_agents, 16)))
    return list(names.values()), list(names)


# ----------------------------------------------------------------------------------------------- networks


def _edge_look(weight: float | None) -> tuple[float, Any, str]:
    """Width in points, colour and line style of an edge."""
    size = 0.15 if weight is None else min(abs(weight), 1.0)
    return 0.5 + 5.0 * size, EDGES(min(1.0, 2.0 * size)), "-" if weight is None or weight >= 0 else ":"


def _draw_edges(ax: Axes, place: np.ndarray, pairs: Sequence[tuple[int, int]], W: Any, size: float) -> None:
    looks = [_edge_look(None if W is None else (W[i, j] + W[j, i]) / 2) for i, j in pairs]
    widths, colors, lines = ([look[k] for look in looks] for k in range(3))
    segments = [place[[i, j]] for i, j in pairs]
    if segments:  # lists: matplotlib takes a tuple of two line styles for one dash pattern
        ax.add_collection(LineCollection(segments, linewidths=widths, colors=colors, linestyles=lines, zorder=1))


def _draw_arrows(ax: Axes, place: np.ndarray, pairs: Sequence[tuple[int, int]], W: Any, size: float) -> None:
    """An arrow i → j where agent j hears agent i, with the weight W[j, i]."""
    gap = size**0.5 / 2 + 1
    for i, j in pairs:
        width, color, line = _edge_look(None if W is None else W[j, i])
        bend = "arc3,rad=0.14" if (j, i) in pairs else "arc3"
        ax.add_patch(FancyArrowPatch(
            place[i], place[j], connectionstyle=bend, arrowstyle="-|>", mutation_scale=7 + 2 * width, shrinkA=gap,
            shrinkB=gap, linewidth=width, color=color, linestyle=line, zorder=1,
        ))  # fmt: skip


def _range(values: Any) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} … {high}"
