"""The steps of a derivation as data: equations, the reason for each, and how each is held against small networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy

from ._evaluate import same
from ._measure import measure
from ._specimen import Specimen


@dataclass(frozen=True, eq=False)
class Equation:
    """left = right; ``quantity`` and ``block`` say what the left side is, for those who measure it.

    ``shape`` has the sides of one block of the right side: P parameters, n residuals or 1, all over the agents.
    """

    quantity: str
    right: Any
    block: sympy.Symbol | None = None
    shape: str = "P1"
    approximate: bool = False

    @property
    def operator(self) -> bool:
        """Whether the right side acts on something, so that a number in it is a multiple of I."""
        return self.shape[1] != "1"


@dataclass(frozen=True, eq=False)
class Step:
    """One step: its equations, a sentence of reason, and the networks on which they must hold."""

    name: str
    title: str
    reason: str
    equations: tuple[Equation, ...]
    evidence: str
    specimen: Specimen
    known: tuple[tuple[sympy.Symbol, Any, str], ...] = ()  # letters of earlier steps, with their shapes

    def check(self) -> bool:
        """Whether every equation holds exactly, its left side measured on small explicit networks."""
        known: dict[Any, Any] = {}
        for letter, meaning, shape in self.known:
            known[letter] = self.specimen.value(meaning, shape, {})
        return all(
            same(measure(self.specimen, e.quantity, e.block), self.specimen.value(e.right, e.shape, known))
            for e in self.equations
        )

    def planted(self, index: int, right: Any) -> Step:
        """The step with another right side in one equation; what tests plant faults with."""
        changed = replace(self.equations[index], right=right)
        return replace(self, equations=(*self.equations[:index], changed, *self.equations[index + 1 :]))
