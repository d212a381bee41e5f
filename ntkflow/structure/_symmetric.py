"""M = p(W) − Σ c Wᵏ H Wᵏ, whose I − M is GᵀG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .._array import Array, cholesky, eye, namespace, reshaped
from ._form import Curvature, Form
from ._parts import Structure, Words, power_of, root_of_complement


@dataclass(frozen=True, eq=False)
class Symmetric(Structure):
    """M = p(W) − Σ c Wᵏ H Wᵏ."""

    words: Words

    X = Y = None
    symmetric = measurable = True
    contracting_flow = True  # A = −GᵀG

    @cached_property
    def polynomial(self) -> Array:
        """p(W)."""
        W = self.parts.W
        return sum((c * power_of(W, len(word)) for word, c in self.words.items() if "H" not in word), 0.0 * W)

    @cached_property
    def spectrum(self) -> list[float]:
        """The eigenvalues of p(W)."""
        powers = {len(word): c for word, c in self.words.items() if "H" not in word}
        return [sum(c * value**k for k, c in powers.items()) for value in self.parts.spectrum]

    @cached_property
    def apart(self) -> Array:
        """p(W) − I."""
        return self.polynomial - eye(self.parts.W.shape[0], self.parts.W)

    def form(self, curved: Curvature) -> Form:
        """A x = (p(W) − I) x − Σ c Wᵏ Ψ Wᵏ x."""
        W, (Q, _, p), apart = self.parts.W, self.parts.jacobian.shape, self.apart
        terms = [(curved(c), power_of(W, k) if k else None) for c, k in self.learning]

        def moved(x: Array) -> Array:
            x = reshaped(x, (Q, p))
            total = apart @ x
            for bent, power in terms:
                image = bent((x if power is None else power @ x)[..., None])[..., 0]
                total -= image if power is None else power @ image
            return reshaped(total, (-1,))

        return Form(moved)

    @cached_property
    def learning(self) -> list[tuple[float, int]]:
        """c and k of every −c Wᵏ H Wᵏ."""
        return [(-c, len(word) // 2) for word, c in self.words.items() if "H" in word]

    @cached_property
    def kept(self) -> Array:
        """(I − p(W))^½."""
        return root_of_complement(self.polynomial)

    @property
    def exists(self) -> bool:
        """Whether I − p(W) ⪰ 0."""
        return max(self.spectrum) <= 1.0 + self.floor

    @cached_property
    def G(self) -> Array:
        """The factor."""
        parts, R = self.parts, self.parts.R
        rows = [c**0.5 * R @ parts.mixed(power_of(parts.W, k)) for c, k in self.learning]
        return namespace(R).concat([parts.mixed(self.kept), *rows], axis=0)

    @cached_property
    def contracting(self) -> bool:
        """λ_max(GᵀG) ≤ 2; the sum of the parts' largest eigenvalues says so at once, or else the residuals' space."""
        parts = self.parts
        strength = sum(c for c, _ in self.learning)
        spread = strength * parts.left_out * (2 * parts.top**0.5 + parts.left_out)
        if self.averaging and strength * parts.top + spread <= 1.0 + min(self.spectrum):
            return True
        return self._contracting_by_rows(spread)

    def _contracting_by_rows(self, spread: float) -> bool:
        """GᵀG ≺ 2 − spread in the space of the residuals, which is no larger than that of the states (T8).

        With F = [√c Wᵏ Rᵀ, ...] that is F Fᵀ ≺ N = (1 − spread) I + p(W), or Fᵀ N⁻¹ F ≺ I where N ≻ 0.
        """
        xp, parts = namespace(self.parts.W), self.parts
        identity, (Q, r, p) = eye(parts.W.shape[0], parts.W), parts.roots.shape
        if 1.0 - spread + min(self.spectrum) <= self.floor:
            return False
        inverse = xp.linalg.inv((1.0 - spread) * identity + self.polynomial)
        rows = xp.reshape(parts.roots, (Q * r, p))
        kernel = xp.reshape(rows @ rows.T, (Q, r, Q, r))
        sides = [c**0.5 * power_of(parts.W, k) for c, k in self.learning]
        blocks = [[kernel * (left @ inverse @ right)[:, None, :, None] for right in sides] for left in sides]
        flat = [xp.concat([xp.reshape(block, (Q * r, Q * r)) for block in row], axis=1) for row in blocks]
        whole = xp.concat(flat, axis=0)
        return cholesky(eye(whole.shape[0], whole) - whole) is not None

    def source(self, start: Array, residual: Array) -> Array:
        """h with w = Gᵀh:  w = −NᵀN θ₀ − Σ c Wᵏ Rᵀ (R (Wᵏ − I) θ₀ + ε)."""
        parts, R, epsilon = self.parts, self.parts.R, self.parts.reduced_residual(residual)
        pieces = [parts.mixed(self.kept) @ start]
        for c, k in self.learning:
            moved = parts.mixed(power_of(parts.W, k)) @ start - start
            pieces.append(c**0.5 * (R @ moved + epsilon))
        return -namespace(start).concat(pieces)
