"""Pictures of spectra: eigenvalues in the complex plane, how they move with the step size, and rates side by side.

Every function draws into an Axes (a new one of pyplot's when none is given) and returns it.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from .plots import AGENTS, FAINT, QUIET, axes, in_style, logarithmic

if TYPE_CHECKING:
    from ..analysis.compare import Comparison
    from ..analysis.locus import Locus
    from ..analysis.spectrum import Spectrum

__all__ = ["balance", "eigenvalues", "locus", "rates"]

STABLE, BEST = "#eef3f8", "#c8553d"
MARKERS = "oDs^vPX"  # one more than there are colours, so that pairs repeat after 42
LEGEND_ROWS = 18
SAME = 0.04  # a relative distance of dots that cover each other
NARROW, WIDE = 4.0, 50.0  # ratios on an axis below which powers of ten are too few ticks
LOOK = {  # kind: marker, colour, filled, what a legend calls it
    "learning": ("o", "#0b5394", True, "learning"),
    "consensus": ("D", BEST, True, "consensus"),
    "hidden": ("s", "#8e6c8a", False, "hidden"),
    "mixing": ("o", "#5b6770", False, "pure mixing"),
}


@in_style
def eigenvalues(spectrum: Spectrum, *, ax: Axes | None = None) -> Axes:
    """All modes in the complex plane: filled what learns, open what only mixes.

    The disc is where the iteration is stable, left of the dashed line the flow is.

    Parameters
    ----------
    spectrum : Spectrum
        From ``spectrum(system)``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of pyplot's when left out.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax, z = _plane(ax), spectrum.eigenvalues
    for kind, (marker, color, filled, name) in LOOK.items():
        where = spectrum.kinds == kind
        if where.any():
            count = int(spectrum.multiplicity[where].sum())
            look = {"color": color, "linewidths": 0} if filled else {"edgecolors": color, "facecolors": "none"}
            size, label = 16 if filled else 52, f"{name} ({count})"
            ax.scatter(z[where].real, z[where].imag, size, marker=marker, alpha=0.75, zorder=3, label=label, **look)
    _extend(ax, z)
    ax.set_title(f"{spectrum.rule}, $\\eta$ = {spectrum.step_size:.3g}")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


@in_style
def locus(locus: Locus, *, ax: Axes | None = None) -> Axes:
    """The eigenvalues of what learns, from light to dark as the step size grows; red at the best one.

    Parameters
    ----------
    locus : Locus
        From ``root_locus(system)``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of pyplot's when left out.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax, z, etas = _plane(ax), locus.eigenvalues, locus.step_sizes
    near = abs(z) < 2.2  # what has left for good would leave no room for the rest
    shade = LogNorm(etas.min(), etas.max()) if len(etas) > 1 else LogNorm(etas[0] / 2, etas[0] * 2)
    colors = np.broadcast_to(etas[:, None], z.shape)
    palette = AGENTS.reversed()
    ax.scatter(z[near].real, z[near].imag, 5, c=colors[near], cmap=palette, norm=shade, linewidths=0, zorder=3)
    best = int(np.argmax(locus.rate))
    ax.scatter(z[best].real, z[best].imag, 9, color=BEST, linewidths=0, zorder=4)
    bar = ax.figure.colorbar(ScalarMappable(shade, palette), ax=ax, shrink=0.8, pad=0.03)
    bar.set_label(r"step size $\eta$")
    bar.outline.set_visible(False)
    _extend(ax, z[near])
    ax.set_title(f"{locus.rule}, best at $\\eta$ = {locus.best:.3g}")
    return ax


@in_style
def rates(*loci: Locus, ax: Axes | None = None) -> Axes:
    """How fast the slowest mode decays against the step size; a dot at the best, a dotted line where stability ends.

    Parameters
    ----------
    *loci : Locus
        One curve each, from ``root_locus(system)``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of pyplot's when left out.

    Returns
    -------
    matplotlib.axes.Axes
        Both axes logarithmic.
    """
    ax, shown = axes(ax), []
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    for found, color in zip(loci, cycle * len(loci), strict=False):
        order = np.argsort(found.step_sizes)
        etas, rate = found.step_sizes[order], found.rate[order]
        stable = np.where(rate > 0, rate, np.nan)
        ax.plot(etas, stable, color=color, label=found.rule)
        if np.isfinite(stable).any():
            best = int(np.nanargmax(stable))
            ax.scatter(etas[best], stable[best], 26, color=color, zorder=4)
            shown += [float(np.nanmin(stable)), float(np.nanmax(stable))]
        if found.end is not None and np.isfinite(stable[etas < found.end]).any():
            last = stable[etas < found.end]
            top = float(last[np.isfinite(last)][-1])
            ax.plot([found.end] * 2, [top, 1e-30], color=color, linewidth=0.9, linestyle=":", zorder=1)
    ax.set_xscale("log")
    logarithmic(ax, 1e3)
    if shown:
        ax.set_ylim(min(shown) / 1.5, max(shown) * 2.5)
    ax.set(xlabel=r"step size $\eta$", ylabel=r"rate of the slowest mode,  $-\log\,\max|z|$")
    ax.legend()
    return ax


@in_style
def balance(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """How fast the designs learn against how fast their agents agree: each a dot, fast is up and to the right.

    Learning is by the mode with which the slowest begin to matter (`Spectrum.slowest_moving`), agreeing by the slowest
    consensus mode.

    Parameters
    ----------
    comparison : Comparison
        From ``compare([...])``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure of pyplot's when left out.

    Returns
    -------
    matplotlib.axes.Axes
        Both axes logarithmic. Designs that are unstable, or have no such mode, are left out and named above.
    """
    drawn = [row for row in comparison.rows if 0 < row.consensus < np.inf and 0 < row.moving < np.inf]
    columns = 1 + (len(drawn) - 1) // LEGEND_ROWS
    longest = max((len(row.label) for row in drawn), default=0)
    ax = axes(ax, (4.0 + max(columns, 1) * (0.5 + 0.065 * longest), 3.4))
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    places = np.log([(1 / row.consensus, 1 / row.moving) for row in drawn]).reshape(-1, 2)
    for i, row in enumerate(drawn):
        below = int(np.sum(abs(places[:i] - places[i]).max(axis=1) < SAME))  # rings around what is there already
        color, marker = cycle[i % len(cycle)], MARKERS[i % len(MARKERS)]
        look = {"edgecolors": color, "facecolors": "none" if below else color, "linewidths": 1.3 if below else 0}
        x, y = np.exp(places[i])
        ax.scatter(x, y, 34 * (1 + below) ** 1.4, marker=marker, alpha=0.85, zorder=3, label=row.label, **look)
    left_out = [row.label for row in comparison.rows if row not in drawn]
    ax.set(xscale="log", yscale="log", xlabel=r"rate of agreement,  $1/\tau$", ylabel=r"rate of learning,  $1/\tau$")
    ax.margins(0.15)
    ax.grid(True, axis="both")
    for axis, values in zip((ax.xaxis, ax.yaxis), places.T, strict=True):
        _few_ticks(axis, float(np.exp(np.ptp(values))) if len(values) else 1.0)
    if drawn:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), ncols=columns)
    if left_out:
        said = textwrap.fill(f"not shown: {', '.join(left_out)}", 70)
        ax.set_title(said, fontsize=8, color=FAINT, fontweight="normal")
    return ax


def _few_ticks(axis: Axis, ratio: float) -> None:
    """Labels that do not run into each other on a logarithmic axis: powers of ten, or a few plain numbers."""
    axis.set_minor_formatter(NullFormatter())
    if ratio < WIDE:
        axis.set_major_locator(MaxNLocator(4) if ratio < NARROW else LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
        axis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    else:
        axis.set_major_locator(LogLocator(numticks=6))


def _plane(ax: Axes | None) -> Axes:
    """The complex plane with the unit disc and the flow's line."""
    ax = axes(ax, (4.8, 3.4))
    ax.add_patch(Circle((0, 0), 1.0, facecolor=STABLE, edgecolor=QUIET, linewidth=0.9, zorder=0))
    ax.add_line(Line2D([1, 1], [-9, 9], color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1))
    ax.set(xlabel=r"$\mathrm{Re}\,z$", ylabel=r"$\mathrm{Im}\,z$")
    ax.set_aspect("equal", adjustable="box")
    ax.grid(False)
    return ax


def _extend(ax: Axes, z: np.ndarray) -> None:
    """Room for the disc and for all eigenvalues."""
    shown = z[np.isfinite(z)]
    low = min(-1.0, float(shown.real.min(initial=0.0)))
    high = max(1.0, float(shown.real.max(initial=0.0)))
    tall = max(1.0, float(abs(shown.imag).max(initial=0.0)))
    margin = 0.06 * (high - low)
    ax.set(xlim=(low - margin, high + margin), ylim=(-tall - margin, tall + margin))
