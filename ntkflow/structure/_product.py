"""M = Wᵃ S or S Wᵃ, which is X Y with a symmetric Y X."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .._array import Array, eye, namespace, reshaped
from ._form import DEFINITE, Curvature, Form
from ._parts import Structure, power_of, root, root_of_complement


@dataclass(frozen=True, eq=False)
class Product(Structure):
    """M = V S (left) or S V with V = Wᵃ, S = I − αΨ: through S^½ where S ⪰ 0, else through V^½ where V ⪰ 0."""

    power: int
    alpha: float
    left: bool

    symmetric = False

    @property
    def measurable(self) -> bool:
        """Whether S makes no length less than a third of what it was."""
        return self.alpha * self.parts.top <= DEFINITE

    def form(self, curved: Curvature) -> Form:
        """S x = x − αΨ x beside V x."""
        (Q, _, p), mixing = self.parts.jacobian.shape, self.V
        bent = (curved if self.parts.given is None else self.parts.curvature)(self.alpha)

        def S(x: Array) -> Array:
            return x - reshaped(bent(reshaped(x, (Q, p, 1))), (-1,))

        def V(x: Array) -> Array:
            return reshaped(mixing @ reshaped(x, (Q, p)), (-1,))

        return Form((lambda x: V(S(x)) - x) if self.left else (lambda x: S(V(x)) - x), S, V, not self.left)

    @cached_property
    def V(self) -> Array:
        """Wᵃ."""
        return power_of(self.parts.W, self.power)

    @cached_property
    def kept(self) -> Array:
        """(I − V)^½."""
        return root_of_complement(self.V)

    @property
    def gentle(self) -> bool:
        """Whether S ⪰ 0."""
        return self.alpha * self.parts.top <= 1.0

    @cached_property
    def half(self) -> Array:
        """S^½, or V^½."""
        return self.parts.shrunk(self.alpha, 0.5) if self.gentle else self.parts.mixed(root(self.V))

    @property
    def exists(self) -> bool:
        """Whether I − V ⪰ 0, and one of the two routes is open: S ⪰ 0 or V ⪰ 0."""
        values = [value**self.power for value in self.parts.spectrum]
        return max(values) <= 1.0 + self.floor and (self.gentle or min(values) >= -self.floor)

    @cached_property
    def other(self) -> Array:
        """Whichever of V and S is not halved."""
        return self.parts.mixed(self.V) if self.gentle else self.parts.shrunk(self.alpha, 1)

    @cached_property
    def X(self) -> Array:
        """The left factor."""
        return self.other @ self.half if self.gentle == self.left else self.half

    @cached_property
    def Y(self) -> Array:
        """The right factor."""
        return self.half if self.gentle == self.left else self.half @ self.other

    @cached_property
    def G(self) -> Array:
        """The factor of I − S^½ V S^½ = αΨ + S^½ (I − V) S^½, or of I − V^½ S V^½ likewise."""
        kept, R = self.parts.mixed(self.kept), self.alpha**0.5 * self.parts.R
        rows = [kept @ self.half, R] if self.gentle else [kept, R @ self.half]
        return namespace(R).concat(rows, axis=0)

    @cached_property
    def contracting(self) -> bool:
        """‖V‖ ‖S‖ ≤ 1."""
        return self.averaging and self.alpha * (self.parts.top + self.parts.left_out**2) <= 2.0

    @property
    def contracting_flow(self) -> bool:
        """Then ‖e^{t(M − I)}‖ ≤ e^{t(‖M‖ − 1)}."""
        return self.contracting

    def source(self, start: Array, residual: Array) -> Array:
        """h with Y w = Gᵀh, from V = I − NᵀN and S = I − αRᵀR.

        Where S^½ is halved, S^½ Rᵀ = Rᵀ T^½ with T = I − αR Rᵀ; where V^½ is, V^½ Nᵀ = Nᵀ D with D = (I − N Nᵀ)^½.
        """
        xp, parts, a = namespace(start), self.parts, self.alpha
        R, N, epsilon = parts.R, parts.mixed(self.kept), parts.reduced_residual(residual)
        gradient, apart = R.T @ epsilon, N.T @ (N @ start)
        if self.gentle:
            first = -N @ start
            second = -(parts.shrunk(a, 0.5, dual=True) @ epsilon)
            if self.left:
                first = first + a * (N @ gradient)
            else:
                w = -apart + a * (R.T @ (R @ apart)) - a * gradient
                first, second = first - N @ w, second + R @ (self.half @ apart)
            return xp.concat([first, a**0.5 * second])
        kept = self.kept
        D = parts.mixed(root(eye(kept.shape[0], kept) - kept @ kept.T))
        first, second = -D @ (N @ start), R @ apart - epsilon
        if self.left:
            first = first + a * (D @ (N @ gradient))
            second = second + a * (R @ (parts.mixed(self.V) @ gradient))
        return xp.concat([first, a**0.5 * second])
