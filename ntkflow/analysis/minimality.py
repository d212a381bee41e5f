r"""How many of a system's states its residuals can move and its outputs can see.

The minimal order is the number of states of the smallest linear system with the same outputs for all residuals, inputs
[B, X]: B the residuals' way into every update, X their way into the start (trackers start at a gradient), and the
first update where agents start apart.  For a symmetric W it comes from the distinct eigenvalues λ alone: with
r_λ = rank (J (E_λ ⊗ I) Jᵀ c) it is Σ r_λ for DGD, Σ_{λ ≠ 0} r_λ for ATC, and so on for every rule whose curvature
neither opens nor closes a direction (T5).  No controllability matrix is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tables import latex_table, latex_text, markdown_table, text_table
from ._arguments import system_of
from ._driven import Driven
from ._kernel import null_dimension
from ._reduction import Reduction

if TYPE_CHECKING:
    from ..study import Study
    from ..systems import LinearSystem

__all__ = ["EigenvalueShare", "MinimalityReport", "minimality"]

GAP = 1e3  # singular values that are no farther apart than this leave a rank to the tolerance


@dataclass(frozen=True)
class EigenvalueShare:
    """What one distinct eigenvalue of W has of the order.

    Attributes
    ----------
    value : float
        λ.
    multiplicity : int
        m_λ; there are s m_λ P states.
    rank : int
        r_λ = dim range (E_λ ⊗ I) Jᵀ.
    order : int or None
        Its share of the minimal order; None where modes of W share an eigenvalue of the rule, and no one has it alone.
    """

    value: float
    multiplicity: int
    rank: int
    order: int | None


@dataclass(frozen=True, eq=False)
class MinimalityReport:
    """Orders of one system; see `minimality`.

    Attributes
    ----------
    rule : str
    step_size : float
    order : int
        All states, s Q P, before compression; s Q rank for a model made from a kernel.
    minimal_order : int
    controllable_dimension, observable_dimension : int
        What inputs reach; all states without those that outputs never see.
    null_dimension : int
        dim ker A, for all but finitely many multiples of Ψ.
    by_eigenvalue : tuple of EigenvalueShare
        In ascending order; empty where W is not symmetric.
    tolerance : float
        Singular values below it count as zero, relative to the largest of the stacked weighted Jacobian.
    gap : float
        The smallest singular value that counted over the largest that did not, over all rank decisions; inf where
        nothing was left out. Near 1 there is no gap, and the order is a statement about the tolerance.
    driven_order : int
        What of the minimal order the first update and all after it move. Less for trackers: their residuals enter by
        the start, and what a start puts on a mode at 1 stays there. The states of `to_control(minimal=True)`.
    unobservable : str
        What it is that no output sees, in words.
    """

    rule: str
    step_size: float
    order: int
    minimal_order: int
    controllable_dimension: int
    observable_dimension: int
    null_dimension: int
    by_eigenvalue: tuple[EigenvalueShare, ...]
    tolerance: float
    gap: float
    driven_order: int
    unobservable: str

    @property
    def is_minimal(self) -> bool:
        """Whether every state is reached and seen."""
        return self.minimal_order == self.order

    @property
    def title(self) -> str:
        """The answer in one line."""
        kind = "minimal" if self.is_minimal else "not minimal"
        return f"{self.rule}, step size {self.step_size:.4g}: {kind}, order {self.minimal_order} of {self.order}"

    def text(self) -> str:
        """On one screen."""
        return "\n\n".join([self.title, *(text_table(*table) for table in self._tables), "\n".join(self._sentences)])

    def markdown(self) -> str:
        """As Markdown."""
        tables = [markdown_table(*table) for table in self._tables]
        return "\n\n".join([f"**{self.title}**", *tables, "\n".join(f"- {line}" for line in self._sentences)])

    def latex(self) -> str:
        """As LaTeX: tables and a list, no package needed."""
        tables = [latex_table(*table) for table in self._tables]
        items = [rf"\item {latex_text(line)}".replace("⊗", r"$\otimes$") for line in self._sentences]
        notes = "\n".join([r"\begin{itemize}", *items, r"\end{itemize}"])
        return "\n\n".join([rf"\textbf{{{latex_text(self.title)}}}", *tables, notes])

    def __str__(self) -> str:
        return self.text()

    @property
    def _tables(self) -> list[tuple[list[str], list[list[Any]]]]:
        rows: list[list[Any]] = [
            ["all states", self.order],
            ["reached by residuals", self.controllable_dimension],
            ["seen by outputs", self.observable_dimension],
            ["both: minimal order", self.minimal_order],
            ["kernel of A", self.null_dimension],
        ]
        shares = [[share.value, share.multiplicity, share.rank, share.order] for share in self.by_eigenvalue]
        header = ["eigenvalue of W", "multiplicity", "rank", "share of the order"]
        return [(["dimension of", ""], rows), *([(header, shares)] if shares else [])]

    @property
    def _sentences(self) -> list[str]:
        decided = f"Singular values below {self.tolerance:.2g} of the largest count as zero"
        if self.gap < GAP:
            verdict = (
                f"there is no gap there (a factor of {self.gap:.3g}), so the orders are statements about this tolerance"
            )
        else:
            verdict = "nothing was left out" if np.isinf(self.gap) else f"the gap there is a factor of {self.gap:.2g}"
        return [self.unobservable, *self._resting, f"{decided}; {verdict}."]

    @property
    def _resting(self) -> list[str]:
        """What the start moves and no update does."""
        resting = self.minimal_order - self.driven_order
        if not resting:
            return []
        moved = f"Training moves {self.driven_order} of the {self.minimal_order} states of the minimal order"
        return [f"{moved}: residuals enter the other {resting} by the start, and there they stay."]


def minimality(system: LinearSystem | Study) -> MinimalityReport:
    r"""The minimal order of a system, and which states make the difference.

    Parameters
    ----------
    system : LinearSystem or Study
        Of any rule, on any W.

    Returns
    -------
    MinimalityReport

    Notes
    -----
    Computed on the compressed model, in NumPy, on the host, whatever the system's library and device. Eigenvalues of W
    within 10 Q·eps·‖W‖ of each other are one, and one that is as near to a whole number is that number. Ranks are
    numerical: a real network's Jacobian has no gap in its singular values, and ``gap`` says so.

    Cost: a singular value decomposition an eigenvalue of W for rules of one block.  Rules of several blocks take one
    of size s·d for the kernel, and a staircase of that size where curvature stands in the middle of a word (trackers,
    NIDS, look-ahead momentum) or modes of W share an eigenvalue of the rule (momentum).

    References: theory T3, T5; Kalman's decomposition, e.g. Dooren, IEEE Trans. Autom. Control 26 (1981) 111.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> from ntkflow.analysis.minimality import minimality
    >>> J = np.random.default_rng(0).normal(size=(6, 2, 5))
    >>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((6, 2)))
    >>> W = nf.weights.metropolis_hastings(nf.graphs.star(6))
    >>> report = minimality(nf.LinearSystem("atc", W, lin, step_size=0.1))
    >>> report.order, report.minimal_order, [(s.multiplicity, s.rank, s.order) for s in report.by_eigenvalue]
    (30, 15, [(1, 5, 0), (4, 10, 10), (1, 5, 5)])
    """
    reduced = system_of(system).reduced
    minimal = reduced.minimal
    return MinimalityReport(
        rule=reduced.rule.name,
        step_size=reduced.step_size,
        order=reduced.order,
        minimal_order=minimal.order,
        controllable_dimension=minimal.controllable_dimension,
        observable_dimension=minimal.observable_dimension,
        null_dimension=null_dimension(reduced),
        by_eigenvalue=_shares(reduced),
        tolerance=reduced.tolerance,
        gap=minimal.gap,
        driven_order=Driven(reduced).order,
        unobservable=_unobservable(reduced),
    )


def _shares(reduced: Reduction) -> tuple[EigenvalueShare, ...]:
    """Basis vectors of the minimal part are counted where they live."""
    place, modes = np.tile(reduced.mode_of_column, reduced.n_blocks), range(len(reduced.modes))
    lives = np.array([np.any(reduced.minimal.basis[place == i] != 0, axis=0) for i in modes])
    alone = lives.sum(axis=0) == 1 if reduced.modes else np.zeros(0)
    return tuple(
        EigenvalueShare(mode.value, mode.multiplicity, mode.rank, int(here.sum()) if np.all(alone[here]) else None)
        for mode, here in zip(reduced.modes, lives, strict=True)
    )


def _kept(multiplicity: int) -> str:
    """What W leaves as it is."""
    if multiplicity == 1:
        return "1 ⊗ v, a change v common to all agents"
    return f"sums of u ⊗ v with Wu = u, of which there are {multiplicity} independent ones,"


def _unobservable(reduced: Reduction) -> str:
    hidden = reduced.order - reduced.minimal.observable_dimension
    if not hidden:
        return "Every state is seen by some output."
    parts = [f"{hidden} of {reduced.order} dimensions are seen by no output"]
    common = sum(m.multiplicity * reduced.n_parameters - m.rank for m in reduced.modes if m.value == 1.0)
    others = sum(m.multiplicity * reduced.n_parameters - m.rank for m in reduced.modes if m.value != 1.0)
    each = " in every block" if reduced.n_blocks > 1 else ""
    if common:
        kept = sum(m.multiplicity for m in reduced.modes if m.value == 1.0)
        parts.append(f"{common}{each} are {_kept(kept)} with no effect on any agent's outputs")
    if others:
        parts.append(f"{others}{each} are differences between agents that mix without ever having an effect on outputs")
    rest = hidden - reduced.n_blocks * (common + others)
    if rest and reduced.modes:
        parts.append(f"{rest} are values of further blocks that never come back to the parameters")
    return "; ".join(parts) + "."
