r"""Several designs side by side: how fast each of them learns and agrees, how large its step may be, where it ends.

>>> import numpy as np, ntkflow as nf
>>> J = np.random.default_rng(0).normal(size=(4, 2, 10))
>>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 2)))
>>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
>>> found = compare([nf.LinearSystem(rule, W, lin, step_size=0.05) for rule in ("dgd", "extra")])
>>> [(row.label, row.end) for row in found.rows]
[('dgd', 'interpolant'), ('extra', 'interpolant')]
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._array import to_numpy
from .._files import write_file
from .._tables import latex_table, markdown_table, narrow, text_table
from ..errors import refuse, require
from ..notation import eta
from ._arguments import system_of
from ._driven import Driven
from ._largest_step import LargestStep, largest_step
from .limits import Limit, limit
from .spectrum import Mode, Spectrum, spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


def compare(designs: Sequence[Any], labels: Sequence[str] | None = None, max_step_size: bool = True) -> Comparison:
    r"""Compare algorithms, topologies or step sizes.

    Parameters
    ----------
    designs : sequence of LinearSystem or Study
        In the order of the table's rows.
    labels : sequence of str, optional
        What to call them; left out, the rules' names, with the step size where one name occurs twice.
    max_step_size : bool
        Whether to look for the largest stable step size, the most expensive of the columns.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        No designs, something else among them, or another number of labels.

    Notes
    -----
    Reports are made on the host, whatever the systems' libraries and devices.
    Cost: for each design one reduction, one spectrum and the limit; with ``max_step_size`` the search for the largest
    step, once for all designs that differ in their step size only.
    """
    systems = [system_of(design, "designs") for design in designs]
    require(bool(systems), "designs", "at least one LinearSystem or Study", "none")
    names = _labels(systems) if labels is None else [str(label) for label in labels]
    require(len(names) == len(systems), "labels", f"{len(systems)}, one a design", len(names))
    spectra, limits = tuple(map(spectrum, systems)), tuple(map(limit, systems))
    judged = verdicts(systems) if max_step_size else [(found.verdict, math.nan) for found in spectra]
    rows = tuple(map(_row, names, judged, spectra, limits))
    return Comparison(rows, spectra, limits)


@dataclass(frozen=True)
class Row:
    """One design.

    Parameters
    ----------
    label, rule, step_size : str, str, float
        Which one.
    verdict : str
        Of the iteration: "stable", "unstable" or "undecided". As `stability` proves it; without the largest step size,
        only as computed eigenvalues say, see `Spectrum.verdict`.
    radius, margin : float
        The spectral radius of what learns, below 1 where the iteration is stable, and 1 − radius with all its digits.
    abscissa : float
        The largest real part of its flow: stable below 0.
    time_constant : float
        Iterations in which the slowest mode falls to 1/e; negative where it grows, and a dash in the tables of designs
        that are unstable.
    learning, consensus : float
        The same for the slowest mode in which agents move together, and in which they come to agree.
    moving : float
        The same for the mode with which the slowest ones begin to matter, see `Spectrum.slowest_moving`: on a real
        network the slowest of all hardly does.
    max_step_size : float
        The largest stable one, all else fixed; nan where it was not asked for.
    end : str
        Where the iteration ends, see `Limit.kind`.
    final_loss, global_loss, consensus_error : float
        There: the mean of the agents' losses on their own data, on those of all agents, and (Σ_q ‖θ_q − θ̄‖²)^½; nan
        where there is no limit.
    """

    label: str
    rule: str
    step_size: float
    verdict: str
    radius: float
    margin: float
    abscissa: float
    time_constant: float
    learning: float
    consensus: float
    moving: float
    max_step_size: float
    end: str
    final_loss: float
    global_loss: float
    consensus_error: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """A table of designs; made by `compare`.

    Attributes
    ----------
    rows : tuple of Row
        One a design, in the order given.
    spectra, limits : tuple of Spectrum, tuple of Limit
        What the rows were read off.
    """

    rows: tuple[Row, ...]
    spectra: tuple[Spectrum, ...] = field(repr=False)
    limits: tuple[Limit, ...] = field(repr=False)

    def text(self) -> str:
        """A table in plain text."""
        return text_table(list(_TITLES), self._cells())

    def markdown(self) -> str:
        """The same in Markdown."""
        return markdown_table(list(_TITLES), self._cells())

    def latex(self) -> str:
        """The same as three LaTeX tabulars, each no wider than the text: stability, time constants, where it ends."""
        parts = [[0, *range(first, last)] for first, last in pairwise(_PARTS)]
        titles, cells = list(_TITLES.values()), self._cells()
        tables = [
            latex_table([titles[i] for i in part], [[row[i] for i in part] for row in cells], first=_LABEL)
            for part in parts
        ]
        return narrow(*tables)

    def csv(self) -> str:
        """All numbers with all their digits as comma-separated values, one row a design."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(f.name for f in fields(Row))
        writer.writerows(astuple(row) for row in self.rows)
        return lines.getvalue()

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """The same in a file.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        return write_file(path, self.csv().encode())

    def to_pandas(self) -> DataFrame:
        """One row a design."""
        try:
            import pandas as pd
        except ImportError:
            refuse("to_pandas", "pandas", "none installed", "pip install pandas")
        return pd.DataFrame([astuple(row) for row in self.rows], columns=[f.name for f in fields(Row)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """How fast each design learns against how fast it agrees."""
        from ..reports import spectra

        return spectra.balance(self, ax=ax)

    def __str__(self) -> str:
        return self.text()

    def _cells(self) -> list[list[Any]]:
        shown = [f.name for f in fields(Row) if f.name not in ("rule", "radius")]
        return [[_shown(row, name) for name in shown] for row in self.rows]


_TITLES = {  # in text and Markdown, and in LaTeX
    "design": "design", "step size": r"$\eta$", "verdict": "verdict", "1 - radius": r"$1 - \rho$",
    "abscissa": r"$\sigma$",
    "time constant": r"$\tau$", "learning": r"$\tau_{\mathrm{learn}}$", "consensus": r"$\tau_{\mathrm{agree}}$",
    "moving": r"$\tau_{10\,\%}$", "max step size": r"$\eta_{\max}$", "end": "end", "final loss": r"$L_\infty$",
    "global loss": r"$\bar L_\infty$",
    "consensus error": r"$\Vert\vartheta_\infty - \bar\vartheta_\infty\Vert$",
}  # fmt: skip


_PARTS = (1, 5, 10, 14)  # where a LaTeX table ends and the next begins; the design's name is repeated
_LABEL = r"p{0.26\linewidth}"
_CONSTANTS = ("time_constant", "learning", "consensus", "moving")


def verdicts(systems: Sequence[Any]) -> list[tuple[str, float]]:
    """Verdict and largest step size of each; the latter is searched for once where only step sizes differ."""
    from .stability import _judged

    searched: list[tuple[Any, LargestStep]] = []
    found = []
    for system in systems:
        driven = Driven(system.reduced)
        largest = next((step for other, step in searched if _alike(system, other)), None)
        if largest is None:
            largest = largest_step(driven, flow=False)
            searched.append((system, largest))
        found.append((_judged(driven, system.audit, largest, flow=False).verdict, largest.value))
    return found


def _alike(system: Any, other: Any) -> bool:
    """Whether two systems differ in nothing but their step sizes."""
    numbers, others = ({s: x for s, x in of.numbers.items() if s != eta} for of in (system, other))
    if system.rule is not other.rule or system.model is not other.model or numbers != others:
        return False
    pairs = ((system.mixing, other.mixing), (system.scale, other.scale))
    return all(a is b or np.array_equal(to_numpy(a), to_numpy(b)) for a, b in pairs)


def _labels(systems: Sequence[Any]) -> list[str]:
    """Names of rules, told apart by step sizes and, where these are the same, by numbers."""
    names = [system.rule.name for system in systems]
    steps = [f", η = {system.step_size:g}" for system in systems]
    for more in (steps, [f" ({i + 1})" for i in range(len(systems))]):
        often = Counter(names)
        names = [name + extra if often[name] > 1 else name for name, extra in zip(names, more, strict=True)]
    return names


def _row(label: str, judged: tuple[str, float], found: Spectrum, end: Limit) -> Row:
    return Row(
        label=label,
        rule=found.rule,
        step_size=found.step_size,
        verdict=judged[0],
        radius=found.radius,
        margin=found.margin,
        abscissa=found.abscissa,
        time_constant=_constant(found.slowest),
        learning=_constant(found.slowest_of("learning")),
        consensus=_constant(found.slowest_of("consensus")),
        moving=_constant(found.slowest_moving()),
        max_step_size=judged[1],
        end=end.kind,
        final_loss=math.nan if end.loss is None else float(np.mean(end.loss)),
        global_loss=math.nan if end.global_loss is None else float(np.mean(end.global_loss)),
        consensus_error=end.consensus_error,
    )


def _constant(mode: Mode | None) -> float:
    return math.nan if mode is None else mode.time_constant


def _shown(row: Row, name: str) -> Any:
    """A cell's value; None, a dash, for what is not a number or, where a design is unstable, not a decay."""
    value = getattr(row, name)
    missing = isinstance(value, float) and math.isnan(value)
    return None if missing or (name in _CONSTANTS and row.verdict == "unstable") else value
