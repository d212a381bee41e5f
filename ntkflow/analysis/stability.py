r"""Is it stable, how far from not being so, and how large may the step size be: for the flow and the iteration.

Verdicts are about the part of the system that training moves and the outputs see; what is left out (pure mixing, sums
that are conserved) is named beside it, and the raw abscissa and radius are those of the whole matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._audit import Property
from .._tables import latex_table, latex_text, markdown_table, text_table
from ._arguments import numbers_of, system_of
from ._certificates import Judgement, Matrix
from ._driven import GENERIC, Driven
from ._dropped import unsettled
from ._headline import crossing, headline, latex_title
from ._hypotheses import conclusions, hypotheses
from ._largest_step import LargestStep, best_step, largest_step
from ._marginal import MarginalMode, marginal_modes
from ._theorems import by_theorem
from ._usual_step import usual_step
from ._whole import whole

if TYPE_CHECKING:
    from .._audit import MixingAudit
    from ..study import Study
    from ..systems import LinearSystem

ASIDE = "Proposition 1 is about DGD"

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
    step_size : float
        η.
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
        What follows from them; what does not bear on this rule is here but not printed.
    """

    title: str
    step_size: float
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

    @property
    def headline(self) -> str:
        """The answer in a sentence or two."""
        return headline(self)

    def text(self) -> str:
        """On one screen."""
        tables = [text_table(*table) for table in self._tables()]
        return "\n\n".join([f"{self.title}\n{self.headline}", *tables, "\n".join(self._sentences())])

    def markdown(self) -> str:
        """As Markdown."""
        tables = [markdown_table(*table) for table in self._tables()]
        notes = "\n".join(f"- {line}" for line in self._sentences())
        return "\n\n".join([f"**{self.title}**", self.headline, *tables, notes])

    def latex(self) -> str:
        """As LaTeX: tables and a list, no package needed."""
        tables = [latex_table(*table) for table in self._tables()]
        items = [rf"\item {latex_text(line)}" for line in self._sentences()]
        notes = "\n".join([r"\begin{itemize}", *items, r"\end{itemize}"])
        heading = [rf"\textbf{{{latex_title(self.title)}}}", latex_text(self.headline)]
        return "\n\n\\medskip\n".join(["\n\n".join(heading), *tables, notes])

    def __str__(self) -> str:
        return self.text()

    def _tables(self) -> list[tuple[Sequence[Any], Sequence[Sequence[Any]]]]:
        marginal = [(_number(m.value), m.multiplicity, m.jordan_index, m.where) for m in self.marginal_modes]
        tables: list[tuple[Sequence[Any], Sequence[Sequence[Any]]]] = [(("", "flow", "iteration"), self._verdicts())]
        if marginal:
            tables.append((("marginal z", "states", "Jordan index", "where"), marginal))
        held = [(p.name, p.holds, p.value, p.explanation) for p in self.hypotheses]
        return [*tables, (("hypothesis", "holds", "measured", "what"), held)]

    def _verdicts(self) -> list[tuple[str, Any, Any]]:
        flow, iteration = self.flow, self.iteration
        return [
            ("verdict", flow.verdict, iteration.verdict),
            ("margin", flow.margin, iteration.margin),
            ("abscissa, radius", self.spectral_abscissa, self.spectral_radius),
            ("of the whole matrix", self.raw_spectral_abscissa, self.raw_spectral_radius),
            ("Hurwitz, Schur as a whole", flow.whole, iteration.whole),
            ("bounded outputs", flow.bibo, iteration.bibo),
            ("largest step size", self.max_step_size_flow, self.max_step_size),
            ("classical step size", None, self.classical_step_size),
            ("best step size", None, self.best_step_size),
            ("its radius", None, self.best_spectral_radius),
        ]

    def _sentences(self) -> list[str]:
        lines = [
            f"Flow: {self.flow.certificate}.",
            f"Iteration: {self.iteration.certificate}.",
            f"Largest step size: {self.step_size_reason}.",
            f"Of the flow: {self.flow_reason}.",
        ]
        if self.step_size_bracket is not None and (where := crossing(self.step_size_bracket)):
            lines.append(where)
        if self.best_reason:
            lines.append(f"No best step size: {self.best_reason}.")
        return [*lines, *(line for line in self.conclusions if not line.startswith(ASIDE))]


def stability(system: LinearSystem | Study) -> StabilityReport:
    r"""Verdicts for the flow and the iteration of a system, with margin, certificate and largest step size.

    Parameters
    ----------
    system : LinearSystem or Study
        With any W: where it is not symmetric, not connected or has negative weights, the report says which theorems no
        longer hold and computes what can be.

    Returns
    -------
    StabilityReport

    Notes
    -----
    A verdict is "stable" when every driven and seen eigenvalue z of M is proved to have |z| < 1 (iteration) or Re z < 1
    (flow); by a theorem (T3, T4, T7, T8) where one applies, else by Weyl's bound, Gershgorin's discs or a Lyapunov
    matrix. The numbers are NumPy's, on the host (whatever the system's library and device), in double precision, on the
    compressed model, and enclosures allow for what it moves in them; where a mixing mode is so near to the edge that
    directions too faint to be in it could be unstable, the verdict is "undecided". Largest step sizes are exact for DGD
    and, where T8 says so, for ATC and CTA; else they are the first crossing of a scan, which may miss a short
    excursion.

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
    system = system_of(system)
    reduced = system.reduced
    driven = Driven(reduced)
    audit = system.audit
    steps = {flow: largest_step(driven, flow=flow) for flow in (True, False)}
    best = best_step(driven, steps[False])
    judged = {flow: _judged(driven, audit, steps[flow], flow=flow) for flow in (True, False)}
    raw = {flow: whole(driven, judged[flow], audit, flow=flow) for flow in (True, False)}
    held = hypotheses(reduced, audit)
    flow, iteration = steps[True], steps[False]
    return StabilityReport(
        title=_title(system),
        step_size=float(system.step_size),
        flow=_verdict(judged[True], raw[True][1]),
        iteration=_verdict(judged[False], raw[False][1]),
        spectral_abscissa=judged[True].excess,
        spectral_radius=max(0.0, 1.0 + judged[False].excess),
        raw_spectral_abscissa=raw[True][0],
        raw_spectral_radius=1.0 + raw[False][0],
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


def stability_region(system: LinearSystem | Study, step_sizes: Sequence[float], momenta: Sequence[float]) -> Matrix:
    r"""The spectral radius of the iteration over a grid of step sizes and momenta.

    Parameters
    ----------
    system : LinearSystem or Study
        Of a rule with a momentum; its own step size and momentum play no part.
    step_sizes, momenta : sequences of float
        η > 0 and μ.

    Returns
    -------
    (len(step_sizes), len(momenta)) numpy array
        On the host, whatever the system's library; on the driven and seen part; the region is where it is below 1.

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
    system = system_of(system)
    etas, mus = numbers_of("step_sizes", step_sizes, 0.0, open_low=True), numbers_of("momenta", momenta)
    driven = Driven(system.reduced).at({"momentum": GENERIC})
    rows = [[driven.excess(x, flow=False, momentum=m) for m in mus] for x in etas]
    return np.maximum(0.0, 1.0 + np.array(rows, dtype=np.float64).reshape(len(etas), len(mus)))


def _title(system: LinearSystem) -> str:
    numbers = ", ".join(f"{symbol} = {value:g}" for symbol, value in system.numbers.items())
    return f"{system.rule.name}: {numbers}"


def _judged(driven: Driven, audit: MixingAudit, largest: LargestStep, *, flow: bool) -> Judgement:
    """By a theorem where one applies, with the excess that was computed; else by an enclosure."""
    proved = by_theorem(driven, audit, largest, flow=flow) or _of_everything(driven, audit, flow=flow)
    if proved is None:
        judged = driven.judge(flow=flow)
    else:
        found = driven.accurate(flow=flow)
        inside = proved.verdict == "stable"
        judged = replace(proved, excess=min(found, 0.0) if inside else max(found, 0.0))
    doubt = unsettled(driven, flow=flow) if judged.verdict == "stable" else ""
    return replace(judged, verdict="undecided", certificate=doubt) if doubt else judged


def _of_everything(driven: Driven, audit: MixingAudit, *, flow: bool) -> Judgement | None:
    """The verdict on all of R where that is "stable": then so is what is driven of it."""
    whole = Driven(driven.reduction, everything=True)
    if driven.form is not None or whole.form is None:
        return None
    proved = by_theorem(whole, audit, largest_step(whole, flow=flow), flow=flow)
    return proved if proved is not None and proved.verdict == "stable" else None


def _verdict(judged: Judgement, inside: bool | None) -> Verdict:
    bibo = {"stable": True, "unstable": False}.get(judged.verdict)
    return Verdict(judged.verdict, 0.0 - judged.excess, judged.certificate, bibo, inside)


def _number(value: complex) -> complex | float:
    return value.real if abs(value.imag) < 1e-12 else value
