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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._files import write_file
from .._tables import latex_table, markdown_table, text_table
from ..errors import refuse, require
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
    Cost: for each design one reduction, one spectrum, the limit and, with ``max_step_size``, one stability report.
    """
    systems = [_system(design) for design in designs]
    require(bool(systems), "designs", "at least one LinearSystem or Study", "none")
    names = _labels(systems) if labels is None else [str(label) for label in labels]
    require(len(names) == len(systems), "labels", f"{len(systems)}, one a design", len(names))
    spectra, limits = tuple(map(spectrum, systems)), tuple(map(limit, systems))
    largest = [_largest(system) if max_step_size else math.nan for system in systems]
    rows = tuple(map(_row, names, systems, spectra, limits, largest))
    return Comparison(rows, spectra, limits)


@dataclass(frozen=True)
class Row:
    """One design.

    Parameters
    ----------
    label, rule, step_size : str, str, float
        Which one.
    radius, margin : float
        The spectral radius of what learns, below 1 where the iteration is stable, and 1 − radius with all its digits.
    abscissa : float
        The largest real part of its flow: stable below 0.
    time_constant : float
        Iterations in which the slowest mode falls to 1/e.
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
        """The same as a LaTeX tabular."""
        return latex_table(list(_TITLES.values()), self._cells())

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """All numbers with all their digits in a CSV file, one row a design.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(f.name for f in fields(Row))
        writer.writerows(astuple(row) for row in self.rows)
        return write_file(path, lines.getvalue().encode())

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
        return [[_blank(getattr(row, name)) for name in shown] for row in self.rows]


_TITLES = {  # in text and Markdown, and in LaTeX
    "design": "design", "step size": r"$\eta$", "1 - radius": r"$1 - \rho$", "abscissa": r"$\sigma$",
    "time constant": r"$\tau$", "learning": r"$\tau_{\mathrm{learn}}$", "consensus": r"$\tau_{\mathrm{agree}}$",
    "moving": r"$\tau_{10\,\%}$", "max step size": r"$\eta_{\max}$", "end": "end", "final loss": r"$L_\infty$",
    "global loss": r"$\bar L_\infty$",
    "consensus error": r"$\Vert\vartheta_\infty - \bar\vartheta_\infty\Vert$",
}  # fmt: skip


def _system(design: Any) -> Any:
    """A LinearSystem, or that of a Study."""
    system = getattr(design, "system", design)
    if not hasattr(system, "compact"):
        refuse("designs", "a LinearSystem or a Study", type(design).__name__, "e.g. study.using(algorithm='atc')")
    return system


def _labels(systems: Sequence[Any]) -> list[str]:
    """Names of rules, told apart by step sizes and, where these are the same, by numbers."""
    names = [system.rule.name for system in systems]
    steps = [f", η = {system.step_size:g}" for system in systems]
    for more in (steps, [f" ({i + 1})" for i in range(len(systems))]):
        often = Counter(names)
        names = [name + extra if often[name] > 1 else name for name, extra in zip(names, more, strict=True)]
    return names


def _largest(system: Any) -> float:
    from .stability import stability

    return float(stability(system).max_step_size)


def _row(label: str, system: Any, found: Spectrum, end: Limit, largest: float) -> Row:
    return Row(
        label=label,
        rule=found.rule,
        step_size=found.step_size,
        radius=found.radius,
        margin=found.margin,
        abscissa=found.abscissa,
        time_constant=_constant(found.slowest),
        learning=_constant(found.slowest_of("learning")),
        consensus=_constant(found.slowest_of("consensus")),
        moving=_constant(found.slowest_moving()),
        max_step_size=largest,
        end=end.kind,
        final_loss=math.nan if end.loss is None else float(np.mean(end.loss)),
        global_loss=math.nan if end.global_loss is None else float(np.mean(end.global_loss)),
        consensus_error=end.consensus_error,
    )


def _constant(mode: Mode | None) -> float:
    return math.nan if mode is None else mode.time_constant


def _blank(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
