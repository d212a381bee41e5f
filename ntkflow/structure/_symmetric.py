"""M = p(W) − Σ c Wᵏ H Wᵏ, whose I − M is GᵀG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .._array import Array, namespace
from ._parts import Structure, Words, power_of, root_of_complement


@dataclass(frozen=True, eq=False)
class Symmetric(Structure):
    """M = p(W) − Σ c Wᵏ H Wᵏ."""

    words: Words

    X = Y = None
    contracting_flow = True  # A = −GᵀG

    @cached_property
    def polynomial(self) -> Array:
        """p(W)."""
        W = self.parts.W
        return sum((c * power_of(W, len(word)) for word, c in self.words.items() if "H" not in word), 0.0 * W)

    @cached_property
    def kept(self) -> Array | None:
        """(I − p(W))^½."""
        return root_of_complement(self.polynomial)

    @property
    def exists(self) -> bool:
        """Whether I − p(W) ⪰ 0."""
        return self.kept is not None

    @cached_property
    def G(self) -> Array:
        """The factor."""
        parts, R = self.parts, self.parts.R
        rows = [
            (-c) ** 0.5 * R @ parts.mixed(power_of(parts.W, len(word) // 2))
            for word, c in self.words.items()
            if "H" in word
        ]
        return namespace(R).concat([parts.mixed(self.kept), *rows], axis=0)

    @cached_property
    def contracting(self) -> bool:
        """λ_max(GᵀG) ≤ 2; the sum of the parts' largest eigenvalues says so at once, or else the whole does."""
        xp, parts = namespace(self.parts.W), self.parts
        strength = -sum(c for word, c in self.words.items() if "H" in word)
        spread = strength * parts.left_out * (2 * parts.top**0.5 + parts.left_out)
        spectrum = xp.linalg.eigvalsh(self.polynomial)
        if self.averaging and strength * parts.top + spread <= 1.0 + float(spectrum[0]):
            return True
        return float(xp.linalg.eigvalsh(self.G.T @ self.G)[-1]) + spread <= 2.0

    def source(self, start: Array, epsilon: Array) -> Array:
        """h with w = Gᵀh:  w = −NᵀN θ₀ − Σ c Wᵏ Rᵀ (R (Wᵏ − I) θ₀ + ε)."""
        parts, R = self.parts, self.parts.R
        pieces = [parts.mixed(self.kept) @ start]
        for word, c in self.words.items():
            if "H" in word:
                moved = parts.mixed(power_of(parts.W, len(word) // 2)) @ start - start
                pieces.append((-c) ** 0.5 * (R @ moved + epsilon))
        return -namespace(start).concat(pieces)
