"""The map of a rule as something symmetric that is applied and never formed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._array import Array

Map = Callable[[Array], Array]
Curvature = Callable[[float], Map]  # α to x ↦ α Ψ x for (Q, p, k)
DEFINITE = 0.9  # the largest αλ for which S = I − αΨ measures lengths: none is less than a third of what it was


@dataclass(frozen=True, eq=False)
class Form:
    """The rule's A on vectors (Q p,), itself symmetric without ``S`` and ``V``.

    With them V S is what is symmetric, in ⟨x, y⟩ = xᵀ S y; M is that, or with ``after`` S V, where
    f(S V) = f(0) + S d(V S) V with d(z) = (f(z) − f(0))/z.
    """

    A: Map
    S: Map | None = None
    V: Map | None = None
    after: bool = False
