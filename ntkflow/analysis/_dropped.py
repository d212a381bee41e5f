"""Directions that compression left out: too faint for any enclosure, but not for a mode that stands on the edge."""

from __future__ import annotations

import numpy as np

from ._certificates import excess
from ._driven import Driven
from ._form import SymmetricForm

AT_REST = 1e-6  # |z − 1| of modes that curvature, however faint, can only slow down
FACTOR = 10.0  # per block: how far a perturbation of Ψ moves a mode of M, in units of η


def unsettled(driven: Driven, *, flow: bool) -> str:
    """Why a direction without a kept Jacobian might be unstable although data act on it; empty where it cannot be.

    Such a direction is moved by at most η·left_out², which is nothing unless its mixing mode is that near to the edge.
    """
    reduced = driven.reduction
    reach = FACTOR * reduced.n_blocks * reduced.step_size * reduced.left_out**2
    rounding = FACTOR * max(reduced.jacobian.shape) * reduced.precision * reduced.size
    if reduced.left_out <= rounding or _edge(driven, flow=flow) > reach:
        return ""
    return f"what compression left out, {reduced.left_out:.1e} of J, may act on a mixing mode at or beyond the edge"


def _edge(driven: Driven, *, flow: bool) -> float:
    """How far inside the mixing modes are that a faint curvature could push out; negative where one is outside."""
    form, reduced = driven.form, driven.reduction
    if form is not None:
        v = form.mixed(np.array([mode.value for mode in reduced.modes]))
        if isinstance(form, SymmetricForm):
            return -1.0 if v.max() > 1.0 else np.inf if flow else 1.0 + float(v.min())
        return -1.0 if np.abs(v).max() > 1.0 else np.inf  # a product contracts, faint or not (T7, T8 d)
    values = np.concatenate([np.linalg.eigvals(part.matrix) for part in reduced.mixing_part] or [np.zeros(0)])
    moving = values[np.abs(values - 1.0) > AT_REST]
    return float(-excess(moving - flow, flow=flow).max(initial=-np.inf))
