"""The whole matrix, with what training does not move and no output sees."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ._certificates import Judgement, Matrix, excess
from ._driven import Driven
from ._form import ProductForm
from ._hypotheses import rests
from ._kernel import null_dimension
from ._marginal import MarginalMode, marginal_modes, structural

if TYPE_CHECKING:
    from .._audit import MixingAudit

EDGE = 1e-9  # an excess that is no larger is not told from 0 by eigenvalues alone


def whole(driven: Driven, judged: Judgement, audit: MixingAudit, *, flow: bool) -> tuple[float, bool | None]:
    """The largest excess of the whole matrix, and whether that is all inside: Hurwitz or Schur, None if undecided.

    Eigenvalues that are marginal by structure, or by a rank, are so exactly.
    """
    reduced, marginal = driven.reduction, marginal_modes(driven.reduction)
    beside = [_mixing(driven, marginal, flow), _largest(np.array([mode.value for mode in marginal]), flow)]
    learning = _hidden(driven, flow)
    told = abs(learning) > EDGE
    if not told and max(beside) < 0:
        resting = null_dimension(reduced) > 0
        proved = flow and rests(reduced, audit)
        learning = max(learning, 0.0) if resting else min(learning, 0.0) if proved else learning
        told = resting or proved
        beside += [0.0] if resting else []
    raw = max(judged.excess, learning, *beside)
    if judged.verdict == "unstable" or max(beside) >= 0 or (told and learning > 0):
        return raw, False
    return raw, True if judged.verdict == "stable" and told else None


def _hidden(driven: Driven, flow: bool) -> float:
    """Of the learning part, but for what is driven and seen (where a form says what that is) or conserved."""
    reduced = driven.reduction
    still, states = structural(reduced), reduced.n_blocks * reduced.dimension
    if driven.form is not None:  # all that it leaves out is the kernel of ATC's W: z = 0
        return -1.0 if isinstance(driven.form, ProductForm) and driven.order < states else -math.inf
    if states <= driven.order + still:
        return -math.inf
    values = driven.learning_eigenvalues
    return _largest(values[np.argsort(np.abs(values - 1.0))][still:], flow)


def _mixing(driven: Driven, marginal: tuple[MarginalMode, ...], flow: bool) -> float:
    """Of the mixing part, but for what is marginal."""
    found = [-math.inf]
    for part in driven.reduction.mixing_part:
        values = np.linalg.eigvals(part.matrix)
        near = [np.abs(values - mode.value) < 1e-6 for mode in marginal]
        found.append(_largest(values[~np.any(near, axis=0)] if near else values, flow))
    return max(found)


def _largest(values: Matrix, flow: bool) -> float:
    return float(excess(values - flow, flow=flow).max(initial=-math.inf))
