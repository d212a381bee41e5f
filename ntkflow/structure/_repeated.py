"""Several local steps as one of size 1: S = p(Ψ) with p(x) = 1 − x q(x) is I − R̃ᵀR̃, R̃ = q(R Rᵀ)^½ R."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from .._array import namespace
from ._parts import Parts

CANCELLING = 1e3  # terms so many times larger than p lose three digits


def repeated(parts: Parts, q: Sequence[float]) -> Parts | None:
    """The parts with R̃ and ε̃ = q(R Rᵀ)^½ ε for R and ε, where ``q`` has the coefficients q₀, q₁, …

    None where q is negative at some eigenvalue of Ψ, so that S exceeds 1, or where its terms cancel.
    """
    if sum(abs(c) * parts.top ** (j + 1) for j, c in enumerate(q)) > CANCELLING:
        return None
    frame, R = parts.reduced
    xp = namespace(R)
    values, U = xp.linalg.eigh(R @ xp.matrix_transpose(R))
    values = xp.clip(values, min=0.0)
    quotients = xp.zeros_like(values)
    for c in reversed(q):
        quotients = quotients * values + c
    if bool(xp.any(quotients < 0.0)):
        return None
    weighted = U * (quotients**0.5)[:, None, :]  # the modes as they come: rows may be in any orthonormal frame
    return replace(
        parts,
        top=float(xp.max(values * quotients)),
        left_out=math.inf,
        given=(weighted if frame is None else frame @ weighted, xp.matrix_transpose(weighted) @ R),
    )
