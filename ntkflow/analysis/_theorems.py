"""Verdicts that a theorem gives, with the numbers that its premises rest on; None where no theorem applies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._certificates import EPS, Judgement
from ._driven import Driven
from ._form import ProductForm, SymmetricForm
from ._hypotheses import is_dgd
from ._largest_step import LargestStep

if TYPE_CHECKING:
    from .._audit import MixingAudit


def by_theorem(driven: Driven, audit: MixingAudit, largest: LargestStep, *, flow: bool) -> Judgement | None:
    """The verdict of a theorem at the system's own step size, and what it says of the largest excess."""
    if not driven.order:
        return None
    if driven.form is None:
        return _directed(driven, audit) if flow else None
    return _flow(driven, audit) if flow else _iteration(driven, largest)


def _flow(driven: Driven, audit: MixingAudit) -> Judgement | None:
    form, v = driven.form, driven.learning.values
    if form is None or form.mixed(v).max() > 1.0:
        return None
    if isinstance(form, SymmetricForm):
        return _stable("T3, T4: A = −GᵀG is negative definite on what is driven, whatever the step size")
    if not form.single or abs(form.mixed(v)).max() > 1.0 or not (audit.holds("connected") and audit.holds("lambda_2")):
        return None
    low, nu = float(form.mixed(v).min()), _nu(driven, form)
    if low >= 0:
        return _stable(f"T4, T7: {form.letter} ⪰ 0, so the flow is stable whatever the step size")
    if nu < (1.0 + 1.0 / abs(low)) * (1.0 - _slack(driven)):
        text = f"T7: η λ_max(Ψ) = {nu:.6g} is below 1 + 1/|λ_min| = {1.0 + 1.0 / abs(low):.6g}"
        return _stable(text)
    return None


def _iteration(driven: Driven, largest: LargestStep) -> Judgement | None:
    form, step_size = driven.form, driven.reduction.step_size
    if form is None or abs(form.mixed(driven.learning.values)).max() > 1.0:
        return None
    slack = _slack(driven)
    if isinstance(form, SymmetricForm):
        if largest.value > 0:
            return _against(driven, largest, "T8 (a)")
        return Judgement("unstable", math.nan, 0.0, math.inf, largest.reason) if largest.exact else None
    if not form.single:
        return None
    nu = _nu(driven, form)
    if nu < 2.0 * (1.0 - slack):
        return _stable(f"T8 (d): η λ_max(Ψ) = {nu:.6g} is below 2")
    if form.mixed(driven.learning.values).min() >= 0:
        return _against(driven, largest, "T8 (e)")
    if step_size < largest.certified * (1.0 - slack):
        return _stable(f"T8 (f): η = {step_size:.6g} is below {largest.certified:.6g}")
    return None


def _against(driven: Driven, largest: LargestStep, name: str) -> Judgement | None:
    """Below or above a step size that is exactly the largest; None where rounding does not tell."""
    share, slack = driven.reduction.step_size / largest.value, _slack(driven)
    near = abs(share - 1.0) < 1e-3
    how = f"1 {'+' if share > 1 else '−'} {abs(share - 1.0):.2g}" if near else f"{share:.6g}"
    text = f"{name}: η is {how} of the{' exact' if largest.exact else ''} largest step size"
    if share < 1.0 - slack:
        return _stable(text)
    above = largest.exact and share > 1.0 + slack
    return Judgement("unstable", math.nan, 0.0, math.inf, text) if above else None


def _directed(driven: Driven, audit: MixingAudit) -> Judgement | None:
    """T3 in its directed case: DGD with a non-negative, strongly connected W."""
    if is_dgd(driven.reduction) and audit.holds("non_negative") and audit.holds("connected"):
        return _stable("T3: W is non-negative and strongly connected, stable whatever the step size")
    return None


def _stable(text: str) -> Judgement:
    """Proved to be inside; how far is for the eigenvalues to say."""
    return Judgement("stable", math.nan, -math.inf, 0.0, text)


def _nu(driven: Driven, form: ProductForm) -> float:
    return driven.reduction.step_size * form.gamma / driven.unit


def _slack(driven: Driven) -> float:
    """The relative error of a step size computed from W and J: rounding, by the condition of 𝓦 + I, and compression."""
    lowest = 1.0 + float(driven.learning.values.min(initial=0.0))
    condition = 1.0 + (1.0 / lowest if lowest > 0 else 0.0)
    return 8.0 * len(driven.learning.values) * EPS * condition + driven.blur
