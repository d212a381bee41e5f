"""Whole figures: designs side by side, each with its network, its losses and the error of its predictions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._array import to_numpy
from ..results import Trajectory
from . import plots
from .tables import relative_gaps

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panel", "panels"]

LINE, NARROWEST = 0.155, 8.4  # inches: a line of the note; the width that the legend needs
ERRORS = (plots.INK, "#c8553d", plots.FAINT)


@dataclass(frozen=True, eq=False)
class Panel:
    """A column of `panels`: one design, its predictions (the first is drawn, all are compared), its observation."""

    title: str
    graph: nx.Graph
    W: Any
    predicted: Sequence[Trajectory]
    observed: Trajectory | None = None
    caption: str = ""


@plots.in_style
def panels(columns: Sequence[Panel], title: str = "", subtitle: str = "", note: str = "") -> Figure:
    """Designs side by side: network, loss, and below it the error; designs on one graph share its drawing.

    Parameters
    ----------
    columns : sequence of Panel
        At least one.
    title, subtitle, note : str
        Above and below; lines that are too long are broken.

    Returns
    -------
    matplotlib.figure.Figure
        A figure of its own, without a window; its axes share one y scale a row.
    """
    shared = all(panel.graph is columns[0].graph for panel in columns)
    checked = all(panel.observed is not None for panel in columns)
    made, grid, corner = _page(len(columns), shared, checked, (title, subtitle, note))
    keys = [_draw_panel(panel, *axes) for panel, axes in zip(columns, grid, strict=True)]
    _align([main for _, main, _ in grid])
    _align([error for _, _, error in grid if error is not None])
    handles, labels = keys[0]
    plots.legend(made, handles, labels, loc="lower left", bbox_to_anchor=corner, ncols=5, columnspacing=1.6)
    return made


def _page(
    count: int, shared: bool, checked: bool, texts: tuple[str, str, str]
) -> tuple[Figure, list[tuple[Axes | None, Axes, Axes | None]], tuple[float, float]]:
    """A figure with its texts, the axes of network, loss and error for every column, the corner of the legend."""
    left, right, gap, main, side = 0.78, 0.2, 0.24, 2.35, 2.15
    first = left + (side + 0.55 if shared else 0.0)
    wide = max(2.75, (NARROWEST - first - right + gap) / count - gap)
    width = first + count * (wide + gap) - gap + right
    title, subtitle, note = texts[0], _wrapped(texts[1], 15.3 * width - 6), _wrapped(texts[2], 16 * width - 6)
    bottom = 0.9 + LINE * len(note.splitlines())
    top = (0.92 if shared else 0.79) + LINE * len(subtitle.splitlines())
    network, above, error, between = 1.6, 0.5, (0.7 if checked else 0.0), (0.16 if checked else 0.0)
    lower = bottom + error + between
    height = lower + main + top + (0.0 if shared else above + network)
    made = plots.blank(width, height)
    made.text(0.2 / width, 1 - 0.16 / height, title, fontsize=12, fontweight="bold", va="top")
    made.text(0.2 / width, 1 - 0.42 / height, subtitle, color=plots.QUIET, va="top", linespacing=1.4)
    made.text(0.2 / width, 0.14 / height, note, fontsize=7.5, color=plots.QUIET, va="bottom", linespacing=1.4)
    corner = (0.1 / width, (bottom - 0.75) / height)

    def box(x: float, y: float, w: float, h: float) -> Axes:
        return made.add_axes((x / width, y / height, w / width, h / height))

    grid: list[tuple[Axes | None, Axes, Axes | None]] = []
    for i in range(count):
        x = first + i * (wide + gap)
        once = box(0.2, (bottom + lower + main - side) / 2 + 0.1, side, side) if shared and i == 0 else None
        drawing = once if shared else box(x, lower + main + above, wide, network)
        grid.append((drawing, box(x, lower, wide, main), box(x, bottom, wide, error) if checked else None))
    return made, grid, corner


def _wrapped(text: str, letters: float) -> str:
    return "\n".join(
        line for part in text.splitlines() for line in textwrap.wrap(part, int(letters), break_on_hyphens=False)
    )


def _align(axes: Sequence[Axes]) -> None:
    """One y scale for all, its labels at the first."""
    limits = [limit for ax in axes for limit in ax.get_ylim()]
    for i, ax in enumerate(axes):
        if any(other.get_yscale() == "log" for other in axes):
            plots.logarithmic(ax, max(limits) / min(limits))
        ax.set_ylim(min(limits), max(limits))
        if i:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False, which="both")


def _draw_panel(panel: Panel, network: Axes | None, main: Axes, error: Axes | None) -> tuple[list[Any], list[str]]:
    """One column; gives back handles and labels of its legend."""
    handles, labels = plots.draw_losses(main, [panel.predicted[0], *([panel.observed] if panel.observed else [])])
    main.annotate(panel.caption, (0, 1), (0, 5), "axes fraction", "offset points", color=plots.QUIET, fontsize=7.5)
    if network is not None:
        plots.graph(panel.graph, panel.W, ax=network)
    # a drawing above carries the title, one at the side belongs to all columns
    above = network is not None and network.get_position().y0 > main.get_position().y1
    (network if network is not None and above else main).set_title(panel.title, pad=7 if above else 19)
    if error is None or panel.observed is None:
        return handles, labels
    for run, color in zip(panel.predicted, ERRORS, strict=False):
        worst = plots.drawable(relative_gaps(run, panel.observed).max(axis=1))
        handles += error.semilogy(to_numpy(run.times)[1:], worst[1:], color=color, linewidth=1.1)
        labels.append(f"error of the {run.mode}")
    error.set(xlabel="iterations", ylabel="largest\nrelative error", xlim=main.get_xlim())
    error.xaxis.set_major_locator(plots.whole_numbers())
    main.set_xlabel("")
    main.tick_params(labelbottom=False)
    return handles, labels
