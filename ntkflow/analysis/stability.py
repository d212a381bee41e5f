r"""Is it stable, how far from not being so, and how large may the step size be: for the flow and the iteration.

Verdicts are about the part of the system that training moves and the outputs see; what is left out (pure mixing, sums
that are conserved) is named beside it, and the raw abscissa and radius are those of the whole matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._audit import Property
from .._tables import cell, latex_table, latex_text, markdown_table, text_table
from ..errors import require_number
from ._certificates import Judgement, Matrix, excess
from ._driven import Driven
from ._hypotheses import conclusions, hypotheses
from ._largest_step import LargestStep, best_step, largest_step
from ._marginal import MarginalMode, marginal_modes, structural
from ._theorems import by_theorem
from ._usual_step import usual_step

if TYPE_CHECKING:
    from .._audit import MixingAudit
    from ..systems import LinearSystem

__all__ = ["MarginalMode", "StabilityReport", "Verdict", "stability", "stability_region"]


@dataclass(frozen=True)
class Verdict:
    """What is known of the flow, or of the iteration.

    Attributes
    ----------
    verdict : str
        "stable" or "unstable" where that is proved, "undecided" where rounding cannot tell.
    margin : float
        The distance of the driven and seen eigenvalues from the boundary: −max Re, or 1 − max |z|; negative outside.
        inf where nothing is driven.
    certificate : str
        The theorem, or the enclosure with its numbers.
    bibo : bool or None
        Whether bounded inputs give bounded outputs; None where undecided.
    whole : bool or None
        Whether the whole matrix is Hurwitz (flow) or Schur (iteration), mixing included; None where undecided.
    """

    verdict: str
    margin: float
    certificate: str
    bibo: bool | None
    whole: bool | None


@dataclass(frozen=True, eq=False)
class StabilityReport:
    r"""The answer of `stability`; print it to read it.

    Attributes
    ----------
    title : str
        The rule, its step size and parameters.
    flow, iteration : Verdict
    spectral_abscissa, spectral_radius : float
        Of A and of M = I + A on the part that training moves and the outputs see; −inf and 0 where there is none.
    raw_spectral_abscissa, raw_spectral_radius : float
        Of the whole matrices.
    marginal_modes : tuple of MarginalMode
        Eigenvalues of M on the unit circle that are there whatever the data, with multiplicity and Jordan index.
    max_step_size : float
        Up to which η the iteration is stable, all else fixed; inf where nothing is driven, 0.0 where no step is stable.
    step_size_bracket : (float, float) or None
        Two step sizes that enclose it, where it was searched for.
    step_size_reason : str
        Where it comes from.
    classical_step_size : float or None
        The bound that needs λ_min(W) and λ_max(Ψ) only: sufficient for one-block rules, exact where all agents share
        their curvature. None where there is none in closed form.
    max_step_size_flow, flow_reason : float, str
        The same for the flow.
    best_step_size, best_spectral_radius : float or None
        The step size with the smallest spectral radius, and that radius.
    best_reason : str
        Why there is none.
    hypotheses : tuple of Property
        Of Proposition 1 (arXiv 2409.15267), each with ``name``, ``holds``, ``value``, ``explanation``.
    conclusions : tuple of str
        What follows from them.
    """

    title: str
    flow: Verdict
    iteration: Verdict
    spectral_abscissa: float
    spectral_radius: float
    raw_spectral_abscissa: float
    raw_spectral_radius: float
    marginal_modes: tuple[MarginalMode, ...]
    max_step_size: float
    step_size_bracket: tuple[float, float] | None
    step_size_reason: str
    classical_step_size: float | None
    max_step_size_flow: float
    flow_reason: str
    best_step_size: float | None
    best_spectral_radius: float | None
    best_reason: str
    hypotheses: tuple[Property, ...]
    conclusions: tuple[str, ...]

    def text(self) -> str:
        """On one screen."""
        tables = [text_table(*table) for table in self._tables()]
        return "\n\n".join([self.title, *tables, "\n".join(self._sentences())])

    def markdown(self) -> str:
        """As Markdown."""
        tables = [markdown_table(*table) for table in self._tables()]
        return "\n\n".join([f"**{self.title}**", *tables, *(f"- {line}" for line in self._sentences())])

    def latex(self) -> str:
        """As LaTeX: tables and a list, no package needed."""
        tables = [latex_table(*table) for table in self._tables()]
        items = [rf"\item {_typeset(line)}" for line in self._sentences()]
        notes = "\n".join([r"\begin{itemize}", *items, r"\end{itemize}"])
        return "\n\n\\medskip\n".join([rf"\textbf{{{latex_text(self.title)}}}", *tables, notes])

    def __str__(self) -> str:
        return self.text()

    def _tables(self) -> list[tuple[Sequence[Any], Sequence[Sequence[Any]]]]:
        marginal = [(_complex(m.value), m.multiplicity, m.jordan_index, m.where) for m in self.marginal_modes]
        tables: list[tuple[Sequence[Any], Sequence[Sequence[Any]]]] = [(("", "flow", "iteration"), self._verdicts())]
        if marginal:
            tables.append((("marginal z", "states", "Jordan index", "where"), marginal))
        held = [(p.name, p.holds, p.value, p.explanation) for p in self.hypotheses]
        return [*tables, (("hypothesis", "holds", "measured", "what"), held)]

    def _verdicts(self) -> list[tuple[str, Any, Any]]:
        flow, iteration = self.flow, self.iteration
        return [
            ("verdict", flow.verdict, iteration.verdict),
            ("margin", cell(flow.margin), cell(iteration.margin)),
            ("abscissa, radius", cell(self.spectral_abscissa), cell(self.spectral_radius)),
            ("of the whole matrix", cell(self.raw_spectral_abscissa), cell(self.raw_spectral_radius)),
            ("Hurwitz, Schur as a whole", cell(flow.whole), cell(iteration.whole)),
            ("bounded outputs", cell(flow.bibo), cell(iteration.bibo)),
            ("largest step size", cell(self.max_step_size_flow), cell(self.max_step_size)),
            ("classical step size", "–", cell(self.classical_step_size)),
            ("best step size, its radius", "–", self._best()),
        ]

    def _best(self) -> str:
        return "–" if self.best_step_size is None else f"{cell(self.best_step_size)}, {cell(self.best_spectral_radius)}"

    def _sentences(self) -> list[str]:
        lines = [
            f"Flow: {self.flow.certificate}.",
            f"Iteration: {self.iteration.certificate}.",
            f"Largest step size: {self.step_size_reason}.",
            f"Of the flow: {self.flow_reason}.",
        ]
        if self.step_size_bracket is not None:
            low, high = self.step_size_bracket
            lines.append(f"The crossing lies between {low:.10g} and {high:.10g}.")
        if self.best_reason:
            lines.append(f"No best step size: {self.best_reason}.")
        return [*lines, *self.conclusions]


def stability(system: LinearSystem) -> StabilityReport:
    r"""Verdicts for the flow and the iteration of a system, with margin, certificate and largest step size.

    Parameters
    ----------
    system : LinearSystem
        With any W: where it is not symmetric, not connected or has negative weights, the report says which theorems no
        longer hold and computes what can be.

    Returns
    -------
    StabilityReport

    Notes
    -----
    A verdict is "stable" when every driven and seen eigenvalue z of M is proved to have |z| < 1 (iteration) or
    Re z < 1 (flow); by a theorem (T3, T4, T7, T8) where one applies, else by Weyl's bound, Gershgorin's discs or a
    Lyapunov matrix. The numbers are NumPy's, in double precision, on the compressed model; what compression left out
    is part of every enclosure. Largest step sizes are exact for DGD and, where T8 says so, for ATC and CTA; else they
    are the first crossing of a scan, which may miss a short excursion.

    Cost: for one-block rules with a symmetric W some symmetric eigenproblems of size Σ r_λ; else an eigenproblem for
    every step size of the scan.

    References
    ----------
    arXiv 2409.15267, Proposition 1; theory T3 to T8.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
    >>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 3)))
    >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    >>> report = stability(nf.LinearSystem("dgd", W, lin, step_size=0.05))
    >>> report.flow.verdict, report.iteration.verdict, round(report.max_step_size, 4)
    ('stable', 'stable', 0.169)
    """
    reduced = system.reduced
    driven = Driven(reduced)
    audit = system.audit
    steps = {flow: largest_step(driven, flow=flow) for flow in (True, False)}
    best = best_step(driven, steps[False])
    judged = {flow: _judged(driven, audit, steps[flow], flow=flow) for flow in (True, False)}
    raw = {flow: _raw(driven, judged[flow], flow=flow) for flow in (True, False)}
    held = hypotheses(reduced, audit)
    flow, iteration = steps[True], steps[False]
    return StabilityReport(
        title=_title(system),
        flow=_verdict(judged[True], raw[True]),
        iteration=_verdict(judged[False], raw[False]),
        spectral_abscissa=judged[True].excess,
        spectral_radius=max(0.0, 1.0 + judged[False].excess),
        raw_spectral_abscissa=raw[True],
        raw_spectral_radius=1.0 + raw[False],
        marginal_modes=marginal_modes(reduced),
        max_step_size=iteration.value,
        step_size_bracket=iteration.bracket,
        step_size_reason=iteration.reason,
        classical_step_size=usual_step(driven),
        max_step_size_flow=flow.value,
        flow_reason=flow.reason,
        best_step_size=best.step_size,
        best_spectral_radius=best.radius,
        best_reason=best.reason,
        hypotheses=held,
        conclusions=conclusions(reduced, held, audit),
    )


def stability_region(system: LinearSystem, step_sizes: Sequence[float], momenta: Sequence[float]) -> Matrix:
    r"""The spectral radius of the iteration over a grid of step sizes and momenta.

    Parameters
    ----------
    system : LinearSystem
        Of a rule with a momentum; its own step size and momentum play no part.
    step_sizes, momenta : sequences of float
        η > 0 and μ.

    Returns
    -------
    (len(step_sizes), len(momenta)) numpy array
        On the driven and seen part; the region is where it is below 1.

    Raises
    ------
    InputError
        A rule without momentum, or numbers that are not finite.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
    >>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 3)))
    >>> system = nf.LinearSystem("cdmsgd", np.full((4, 4), 0.25), lin, step_size=0.1)
    >>> (stability_region(system, [0.01, 1.0], [0.0, 0.5, 0.9]) < 1).tolist()
    [[True, True, True], [False, False, False]]
    """
    etas = [require_number("step_sizes", x, 0.0, open_low=True) for x in step_sizes]
    mus = [require_number("momenta", x) for x in momenta]
    driven = Driven(system.reduced)
    rows = [[driven.excess(x, flow=False, momentum=m) for m in mus] for x in etas]
    return np.maximum(0.0, 1.0 + np.array(rows, dtype=np.float64).reshape(len(etas), len(mus)))


def _title(system: LinearSystem) -> str:
    numbers = ", ".join(f"{symbol} = {value:g}" for symbol, value in system.numbers.items())
    return f"{system.rule.name}: {numbers}"


def _judged(driven: Driven, audit: MixingAudit, largest: LargestStep, *, flow: bool) -> Judgement:
    """By a theorem where one applies, with the excess that was computed; else by an enclosure."""
    proved = by_theorem(driven, audit, largest, flow=flow)
    if proved is None:
        return driven.judge(flow=flow)
    found = driven.accurate(flow=flow)
    inside = proved.verdict == "stable"
    return replace(proved, excess=min(found, 0.0) if inside else max(found, 0.0))


def _verdict(judged: Judgement, raw: float) -> Verdict:
    bibo = {"stable": True, "unstable": False}.get(judged.verdict)
    whole = bibo if raw <= judged.excess else raw < 0
    return Verdict(judged.verdict, -judged.excess, judged.certificate, bibo, whole)


def _raw(driven: Driven, judged: Judgement, *, flow: bool) -> float:
    """The largest excess of the whole matrix; eigenvalues that are marginal by structure are so exactly."""
    reduced = driven.reduction
    found = [judged.excess]
    still = structural(reduced)
    if driven.form is None and reduced.n_blocks * reduced.dimension > driven.order + still:
        values = np.linalg.eigvals(reduced.map())
        found.append(_largest(values[np.argsort(np.abs(values - 1.0))][still:], flow))
    marginal = marginal_modes(reduced)
    for part in reduced.mixing_part:
        values = np.linalg.eigvals(part.matrix)
        near = [np.abs(values - mode.value) < 1e-6 for mode in marginal]
        found.append(_largest(values[~np.any(near, axis=0)] if near else values, flow))
    found.append(_largest(np.array([mode.value for mode in marginal]), flow))
    return max(found)


def _largest(values: Matrix, flow: bool) -> float:
    return float(excess(values - flow, flow=flow).max(initial=-math.inf))


def _typeset(line: str) -> str:
    """A sentence in LaTeX, its formulas' letters included."""
    words = latex_text(line)
    for letter, command in _LETTERS.items():
        words = words.replace(letter, f"${command}$")
    return words


_LETTERS = {
    r"$\lambda$\_max": r"\lambda_{\max}",
    r"$\lambda$\_min": r"\lambda_{\min}",
    "𝓦": r"\mathcal{W}",
    "⁻¹": "^{-1}",
    "ᵀ": r"^\top",
    "⪰": r"\succeq",
}


def _complex(value: complex) -> str:
    return cell(value.real if abs(value.imag) < 1e-12 else value)
