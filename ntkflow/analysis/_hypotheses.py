"""Proposition 1 of arXiv 2409.15267, hypothesis by hypothesis, and what follows from it and from T3, T4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._audit import MixingAudit, Property
from ._form import SymmetricForm, form_of
from ._kernel import joint_rank

if TYPE_CHECKING:
    from ._reduction import Reduction


def hypotheses(reduction: Reduction, audit: MixingAudit) -> tuple[Property, ...]:
    """Doubly stochastic, symmetric, connected, minimal: whether each holds, and the number that was measured."""
    stochastic = [audit[name].value or 0.0 for name in ("row_stochastic", "column_stochastic")]
    off = max(*stochastic, -(audit["non_negative"].value or 0.0))
    order, minimal = reduction.order, reduction.minimal.order
    return (
        Property("doubly stochastic", audit.doubly_stochastic, off, "largest |sum - 1|, or -weight"),
        Property("symmetric", audit.holds("symmetric"), audit["symmetric"].value, audit["symmetric"].explanation),
        Property("connected", audit.holds("connected"), audit["connected"].value, "strongly connected parts"),
        Property("minimal", minimal == order, float(minimal), f"minimal order, of {order} states"),
    )


def conclusions(reduction: Reduction, held: tuple[Property, ...], audit: MixingAudit) -> tuple[str, ...]:
    """What follows from them, in words."""
    return (_proposition(reduction, held), *_of_dgd(reduction, audit), *_without(reduction, audit))


def _proposition(reduction: Reduction, held: tuple[Property, ...]) -> str:
    failing = [p.name for p in held if not p.holds]
    if not is_dgd(reduction):
        return f"Proposition 1 is about DGD and says nothing of {reduction.rule.name}."
    if failing:
        return f"Proposition 1 does not apply: the system is not {', not '.join(failing)}."
    return "All hypotheses of Proposition 1 hold: the flow of DGD is stable."


def _of_dgd(reduction: Reduction, audit: MixingAudit) -> list[str]:
    if not rests(reduction, audit):
        return []
    (rank, clear), P = joint_rank(reduction), reduction.n_parameters
    sure = "A is Hurwitz" if rank == P else f"A has the eigenvalue 0, {P - rank} times, without Jordan blocks"
    counted = f", numerically: singular values below {reduction.tolerance:.2g} of the largest count as zero"
    found = f"it is {rank} of {P}{'' if clear else counted}, so {sure}"
    return [
        f"T3: A is Hurwitz if and only if the joint Jacobian has the rank P; {found}.",
        "T4: bounded inputs give bounded outputs all the same, minimal or not: what is driven decays.",
    ]


def rests(reduction: Reduction, audit: MixingAudit) -> bool:
    """Whether T3 says that A has no eigenvalue but 0 outside of the open left half-plane."""
    return is_dgd(reduction) and bool(audit.holds("non_negative") and audit.holds("connected"))


def _without(reduction: Reduction, audit: MixingAudit) -> list[str]:
    lacking = []
    if not audit.holds("symmetric"):
        lacking.append("W is not symmetric: T6 to T8 do not hold, and T3, T4 in their directed form only")
    if not audit.holds("column_stochastic"):
        lacking.append("columns do not sum to 1: the agents' weighted mean is kept, not their mean")
    if not audit.holds("non_negative"):
        lacking.append("some weights are negative: nothing bounds W by 1 but its eigenvalues")
    if not audit.holds("connected"):
        lacking.append("the graph is not connected: agents agree within its parts only")
    return [f"{text[0].upper()}{text[1:]}." for text in lacking]


def is_dgd(reduction: Reduction) -> bool:
    """Whether the rule's map is W − ηΨ."""
    form = form_of(reduction.rule, reduction.numbers)
    return isinstance(form, SymmetricForm) and form.mixing == {1: 1.0} and form.curvature == {0: 1.0}
