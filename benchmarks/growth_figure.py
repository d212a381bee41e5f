"""The picture of `growth`: a column for what is varied, seconds above and peak memory below.

python benchmarks/growth_figure.py    # from benchmarks/results/growth.json
"""

from __future__ import annotations

import json
from typing import Any

import matplotlib
import numpy as np
from contest import RESULTS
from growth import CURVES, Curve, exponent
from matplotlib.ticker import LogLocator, NullFormatter

from ntkflow import plots
from ntkflow.reports.plots import INK, QUIET, STYLE

ROWS = (("seconds", "seconds"), ("peak_MiB", "peak memory, MiB"))
COLORS = ("#0b5394", "#c8553d")
Found = list[tuple[Curve, list[dict[str, Any]]]]


def draw(found: Found) -> None:
    """benchmarks/results/growth.png."""
    columns = list(dict.fromkeys(curve.label for curve, _ in found))
    with matplotlib.style.context(STYLE):
        figure, axes = plots.figure(2, len(columns), (2.75 * len(columns), 5.8))
        for row, (what, title) in enumerate(ROWS):
            for column, label in enumerate(columns):
                chosen = [pair for pair in found if pair[0].label == label]
                _panel(axes[row, column], chosen, what)
                if row:
                    axes[row, column].set_xlabel(label)
                else:
                    _headed(axes[row, column], label.partition(",")[0].capitalize(), chosen)
            axes[row, 0].set_ylabel(title)
            _one_scale(axes[row])
        figure.savefig(RESULTS / "growth.png", dpi=170, metadata={"Software": None})


def _headed(ax: Any, title: str, chosen: Found) -> None:
    """A title, and below it what the agents and their networks are."""
    notes = [curve.note.partition(": ")[0] for curve, _ in chosen]
    ax.set_title(title, pad=29, fontsize=10.5)
    ax.annotate("\n".join(notes), (0, 1), (0, 26), "axes fraction", "offset points", color=QUIET, fontsize=7.2,
                va="top", linespacing=1.3)  # fmt: skip


def _panel(ax: Any, chosen: Found, what: str) -> None:
    """Points, the fit over the upper half, its exponent, and the goal as a slope."""
    for (curve, points), color in zip(chosen, COLORS, strict=False):
        sizes = np.asarray([point[curve.axis] for point in points], dtype=float)
        values = np.asarray([max(point[what], 0.1 if what == "peak_MiB" else 0.0) for point in points])
        slope, upper = exponent(curve, points, what), sizes**2 >= sizes[0] * sizes[-1]
        level = np.exp(np.mean(np.log(values[upper]) - slope * np.log(sizes[upper])))
        ax.loglog(sizes, values, color=color, alpha=0.25, linewidth=1.0)
        ax.loglog(sizes, values, "o", color=color, markersize=4.2, zorder=3)
        ax.loglog(sizes[upper], level * sizes[upper] ** slope, color=color, linewidth=1.6)
        name = "" if len(chosen) == 1 else ("paper's network: " if curve.sizes[0].network else "full rank: ")
        goal = f"  (goal ≤ {curve.goal})" if curve.goal and what == "seconds" else ""
        grows = f"{slope:.2f}".replace("-0.00", "0.00").replace("-", "−")
        place = 0.96 - 0.085 * [c for c, _ in chosen].index(curve)
        ax.text(0.04, place, f"{name}exponent {grows}{goal}", transform=ax.transAxes, color=color, fontsize=8,
                va="top", fontweight="bold", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip


def _one_scale(row: Any) -> None:
    """The same decades for all panels of a row, with room for the words above."""
    low, high = min(ax.get_ylim()[0] for ax in row), max(ax.get_ylim()[1] for ax in row)
    for i, ax in enumerate(row):
        ax.margins(x=0.07)
        ax.set_ylim(low, high * (high / low) ** 0.26)
        ax.yaxis.set_major_locator(LogLocator(10))
        ax.xaxis.set_major_locator(LogLocator(10, numticks=6))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(which="minor", length=0)
        ax.tick_params(axis="y", labelleft=i == 0, labelcolor=INK)


def main() -> None:
    """From what was measured last."""
    saved = json.loads((RESULTS / "growth.json").read_text(encoding="utf-8"))["curves"]
    draw([(curve, record["points"]) for curve, record in zip(CURVES, saved, strict=True)])


if __name__ == "__main__":
    main()
