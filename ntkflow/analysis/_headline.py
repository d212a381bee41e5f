"""A stability report's first sentences, and its title in LaTeX."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import sympy

from .._tables import latex_text
from ..printing import latex

if TYPE_CHECKING:
    from .stability import StabilityReport

NEAR = 1e-3  # relative distances below this are told as such: "1 times as much" says nothing


def headline(report: StabilityReport) -> str:
    """The verdict on the iteration with its step size and the largest one, and that on the flow."""
    if report.iteration.margin == math.inf:
        return "No data move anything: nothing is reached and seen (is the Jacobian zero?), so nothing can be unstable."
    verdict = report.iteration.verdict
    detail = {"stable": _room, "unstable": _excess, "undecided": _doubt}[verdict](report)
    return f"{verdict.capitalize()} at η = {report.step_size:.6g}{detail}. The flow is {report.flow.verdict}."


def crossing(bracket: tuple[float, float]) -> str:
    """The two step sizes with as many digits as tell them apart; nothing where they are one."""
    low, high = bracket
    if low == high:
        return ""
    digits = next(d for d in range(6, 18) if f"{low:.{d}g}" != f"{high:.{d}g}")
    return f"The crossing lies between {low:.{min(digits + 1, 17)}g} and {high:.{min(digits + 1, 17)}g}."


def latex_title(title: str) -> str:
    r"""``dgd: eta = 0.05`` with its letters and numbers as mathematics.

    >>> latex_title("cdmsgd: eta = 1e-05, mu = 0.9")
    'cdmsgd: $\\eta = 10^{-5}$, $\\mu = 0.9$'
    """
    name, _, numbers = title.rpartition(": ")
    pairs = [_equation(*pair.split(" = ")) for pair in numbers.split(", ")]
    return f"{latex_text(name)}: {', '.join(pairs)}"


def _equation(symbol: str, value: str) -> str:
    shown = latex_text(value).replace("$", "")
    return f"${latex(sympy.Symbol(symbol))} = {shown}$"


def _room(report: StabilityReport) -> str:
    step, largest = report.step_size, report.max_step_size
    if largest == math.inf:
        return "; no step size is too large"
    if largest < step:
        return f"; all smaller step sizes are known to be so up to {largest:.4g} only"
    return f"; up to {_against(largest, step)}"


def _excess(report: StabilityReport) -> str:
    step, largest = report.step_size, report.max_step_size
    if largest == 0:
        return "; the smallest step sizes are so too"
    if largest >= step:
        return f"; stable up to {largest:.4g} as far as a search can tell"
    return f"; stable up to {_against(largest, step)}"


def _doubt(report: StabilityReport) -> str:
    return f": {report.iteration.certificate}"


def _against(largest: float, step: float) -> str:
    ratio = largest / step
    if abs(ratio - 1.0) < NEAR:
        return f"{largest:.8g}, {100 * abs(ratio - 1.0):.2g} % {'more' if ratio > 1 else 'less'}"
    return f"{largest:.4g}, {ratio:.3g} times as much"
