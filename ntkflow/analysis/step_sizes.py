r"""The largest stable step size of every algorithm on every topology, in closed form: a table.

>>> print(table(["dgd", "atc"], ["cycle, even", "star"]).markdown())
| algorithm | any graph | cycle, even | star |
| --- | --- | --- | --- |
| $\lambda_{\min}$ | $\lambda_{\min}$ | $- \frac{1}{3}$ | $0$ |
| dgd | $\lambda_{\min} + 1$ | $\frac{2}{3}$ | $1$ |
| atc | $2$ | $2$ | $2$ |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sympy

from ..algorithms import Rule, names
from ..errors import require_choice
from ._answers import SUFFICIENT, Bound, Implicit, cases, formula
from ._symbols import kappa_max, lam_min
from .modal import modal
from .topologies import FAMILIES, Family

__all__ = ["StepSizeTable", "table"]

ANY = Family("any graph", lam_min, -sympy.S.One, sympy.S.One)


@dataclass(frozen=True)
class StepSizeTable:
    """Bounds, a row an algorithm and a column a family of graphs with Metropolis weights.

    Attributes
    ----------
    columns : tuple of Family
        Any symmetric W with the smallest eigenvalue λ_min > −1 comes first.
    rows : dict
        {algorithm: its bounds, one a column}.
    """

    columns: tuple[Family, ...]
    rows: dict[str, tuple[Bound | Implicit, ...]]

    def markdown(self) -> str:
        """The table of η κ_max in Markdown, formulas between dollars."""
        head, *body = self._lines()
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body))

    def latex(self) -> str:
        """The same as a LaTeX tabular."""
        head, smallest, *body = [" & ".join(line).replace("_", r"\_") + r" \\" for line in self._lines()]
        return "\n".join([rf"\begin{{tabular}}{{{'l' * (len(self.columns) + 1)}}}", head, smallest, r"\hline", *body,
                          r"\end{tabular}"])  # fmt: skip

    def _lines(self) -> list[list[str]]:
        head = ["algorithm", *(family.title for family in self.columns)]
        smallest = [_dollars(family.smallest) for family in (ANY, *self.columns)]
        return [head, smallest, *([name, *map(_cell, bounds)] for name, bounds in self.rows.items())]


def table(
    algorithms: Iterable[str | Rule] | None = None, families: Iterable[str] | None = None, *, flow: bool = False
) -> StepSizeTable:
    """The largest stable step sizes in closed form.

    Parameters
    ----------
    algorithms : list, optional
        Names or rules; left out, the whole catalogue, with the default counts.
    families : list of str, optional
        Titles of `FAMILIES`; left out, all.
    flow : bool
        Of the flow instead of the iteration.

    Returns
    -------
    StepSizeTable

    Notes
    -----
    Some three seconds for the catalogue.
    """
    known = {family.title: family for family in FAMILIES}
    chosen = known if families is None else [require_choice("families", title, known) for title in families]
    columns = (ANY, *(known[title] for title in chosen))
    modes = [modal(algorithm) for algorithm in (names() if algorithms is None else algorithms)]
    return StepSizeTable(columns, {_title(m.rule): tuple(m.bound_for(f, flow=flow) for f in columns) for m in modes})


def _title(rule: Rule) -> str:
    counts = ", ".join(f"{name} = {value}" for name, value in rule.counts.items())
    return f"{rule.name} ({counts})" if counts else rule.name


def _cell(bound: Bound | Implicit) -> str:
    if isinstance(bound, Implicit):
        return "left implicit"
    parts = [
        ("none" if value == 0 else _dollars(value)) + ("" if where == sympy.true else f" if {_dollars(where)}")
        for value, where in cases(bound.value * kappa_max)
    ]
    return ", else ".join(parts) + ("" if bound.exact else SUFFICIENT)


def _dollars(expr: Any) -> str:
    return f"${formula(expr)}$"
