r"""The part of a system that training moves and the outputs see, at any step size.

States move by s_k − s₀ = Σ Mʲ w, so what matters is reachable from the first update w alone. For a rule without
auxiliary starts that is the reachable part of (M, B). A tracker's gradients enter by the start instead, s₀ = X e,
and w = (B + (M − I) X) e: what the start puts on a mode that never moves (z = 1) is no part of the motion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ._certificates import Judgement, Matrix, excess, judge, norm_bound, rounding
from ._form import ProductForm, SymmetricForm, degree_of, form_of
from ._staircase import Subspace, largest, norm, reachable

if TYPE_CHECKING:
    from ._reduction import Reduction

GENERIC = 0.37  # a step size in units of 1/λ_max(Ψ), and a momentum, at which no rank falls by accident
CLEAR, FAINT = 1e3, 1e-12  # the gap of singular values at which a rank decision is believed, and what is rounding
JORDAN = 1e-6  # how far outside a mode that is marginal by structure may seem to be: as one of a Jordan block does


@dataclass(frozen=True, eq=False)
class Driven:
    """The map on the driven and seen part; with ``everything`` the form speaks of all of R, which contains it."""

    reduction: Reduction
    everything: bool = False

    def map(self, step_size: float | None = None, **numbers: float) -> Matrix:
        """The iteration's map there, (order, order)."""
        if step_size is None and not numbers:
            return self._framed(self.reduction.minimal.M)
        if numbers or step_size is None or not self._powers:
            return self._framed(self.reduction.minimal_map(step_size, **numbers))
        M = np.zeros_like(self._powers[0])
        for coefficient in reversed(self._powers):
            M = coefficient + step_size / self.unit * M
        return M

    @property
    def order(self) -> int:
        """How many states it has."""
        return self.reduction.minimal.order if self._frame is None else self._frame.shape[1]

    @cached_property
    def form(self) -> SymmetricForm | ProductForm | None:
        """What the rule's words say, where W is symmetric and everything in R but the kernel of ATC's W is driven.

        For i-CDSGD it need not be: Wᵗ may have fewer distinct eigenvalues than W.
        """
        found = form_of(self.reduction.rule, self.reduction.numbers) if self.reduction.symmetric else None
        if found is None or not np.all(self.reduction.scale > 0):
            return None
        moved = found.mixed(self.reduction.eigenvalues) != 0
        movable = int(moved.sum()) if isinstance(found, ProductForm) and found.left else self.reduction.dimension
        return found if self.everything or self.reduction.minimal.order == movable else None

    @cached_property
    def anywhere(self) -> Driven:
        """What a scan over step sizes runs on: at the system's own step size a rank may fall by accident.

        The same system at a generic step size; itself where the form speaks for all step sizes at once.
        """
        return self if self.form is not None or not math.isfinite(self.unit) else self.at({})

    def at(self, parameters: Mapping[str, float]) -> Driven:
        """The system with these parameters and a generic step size."""
        reduced = self.reduction
        numbers = reduced.at(GENERIC * self.unit, **parameters)
        return Driven(replace(reduced, numbers=numbers, parameters={**reduced.parameters, **parameters}))

    @property
    def blur(self) -> float:
        """The relative error of Ψ that compression and rank decisions may have left."""
        return 2.0 * self.reduction.tolerance

    @cached_property
    def unit(self) -> float:
        """1 / λ_max(Ψ), the step size that stands for one; 0 for J = 0 has no meaning and is inf."""
        top = np.linalg.norm(self.reduction.jacobian, 2, axis=(1, 2)).max(initial=0.0) ** 2
        return 1.0 / float(top) if top > 0 else np.inf

    @cached_property
    def learning(self) -> Learning:
        """W and J in the eigenvectors of W on the learning part of a one-block rule with a form."""
        J = self.reduction.jacobian_learning
        square = np.asarray(np.linalg.qr(J, mode="r")) if len(J) > J.shape[1] else J  # the same Gram matrix
        return Learning(self.reduction.eigenvalues, square)

    def similar(self, step_size: float) -> Matrix | None:
        """A symmetric matrix with the eigenvalues of the map, where the form has one."""
        if isinstance(self.form, SymmetricForm):
            return self.learning.symmetric(self.form, step_size)
        if isinstance(self.form, ProductForm):
            return self.learning.halved(self.form, step_size)
        return None

    def excess(self, step_size: float, *, flow: bool, **numbers: float) -> float:
        """The largest |z| − 1 of the map, or for the flow the largest Re z − 1; −inf where nothing is driven."""
        if not self.order:
            return -np.inf
        symmetric = None if numbers else self.similar(step_size)
        values = (
            np.linalg.eigvals(self.map(step_size, **numbers)) if symmetric is None else np.linalg.eigvalsh(symmetric)
        )
        return float(excess(values - flow, flow=flow).max())

    def accurate(self, *, flow: bool) -> float:
        """The largest excess at the system's own step size, modes far slower than rounding included where there is G.

        1 − λ_max of a symmetric I − GᵀG is the square of the smallest singular value of G, to high relative accuracy.
        """
        symmetric, found = self.similar(self.reduction.step_size), self.excess(self.reduction.step_size, flow=flow)
        G = (
            None
            if symmetric is None or self.form is None
            else self.learning.factor(self.form, self.reduction.step_size)
        )
        if G is None or symmetric is None:
            return found
        slowest = -(float(np.linalg.svd(G, compute_uv=False)[-1]) ** 2)
        return slowest if flow else max(slowest, -1.0 - float(np.linalg.eigvalsh(symmetric)[0]))

    def judge(self, *, flow: bool, step_size: float | None = None) -> Judgement:
        """The verdict at a step size, the system's own if none is given, from enclosed eigenvalues."""
        symmetric = self.similar(self.reduction.step_size if step_size is None else step_size)
        M = self.map(step_size) if symmetric is None else symmetric
        size = norm_bound(M) + 1.0
        uncertainty = 2.0 * rounding(len(M), size) + self.blur * size
        found = judge(M - np.eye(len(M)) if flow else M, uncertainty, flow=flow, symmetric=symmetric is not None)
        doubt = self._doubt(flow) if found.verdict == "stable" and step_size is None else ""
        return replace(found, verdict="undecided", certificate=doubt) if doubt else found

    def _doubt(self, flow: bool) -> str:
        """Why modes that rank decisions left out might be driven, and are unstable; empty where they are not."""
        left = self.order < self.reduction.n_blocks * self.reduction.dimension
        if self.form is not None or not left or not self._faint:
            return ""
        outside = float(excess(self.learning_eigenvalues - flow, flow=flow).max())
        found = f"rank decisions without a clear gap leave out a mode that is unstable by {outside:.2g}"
        return found if outside > JORDAN else ""

    @property
    def _faint(self) -> bool:
        """Whether what was left out as not reached or not seen is more than rounding."""
        kalman = self.reduction.kalman
        found = [space for space in (kalman.minimal, kalman.observable, self._reached) if space is not None]
        return any(space.gap < CLEAR or space.dropped > FAINT for space in found)

    @cached_property
    def learning_eigenvalues(self) -> Matrix:
        """Those of the map on all of the learning part, driven or not."""
        return np.asarray(np.linalg.eigvals(self.reduction.map()))

    @cached_property
    def _powers(self) -> tuple[Matrix, ...]:
        """M as a polynomial in η / unit, from its values at 0, 1, 2, …; empty where it is none."""
        degree = degree_of(self.reduction.rule)
        if degree is None or not math.isfinite(self.unit):
            return ()
        nodes = np.arange(degree + 1.0)
        values = np.stack([self._framed(self.reduction.minimal_map(x * self.unit)) for x in nodes])
        inverse = np.linalg.inv(np.vander(nodes, increasing=True))
        return tuple(np.tensordot(inverse, values, axes=1))

    def _framed(self, M: Matrix) -> Matrix:
        return M if self._frame is None else self._frame.T @ M @ self._frame

    @cached_property
    def _frame(self) -> Matrix | None:
        """An orthonormal basis of what the first update reaches of the minimal part; None for everything."""
        found = self._reached
        return None if found is None or found.dimension == self.reduction.minimal.order else found.basis

    @cached_property
    def _reached(self) -> Subspace | None:
        """The same with its rank decisions; None where the start takes nothing from residuals."""
        part = self.reduction.minimal
        if not part.order or not part.X0.any():
            return None
        fed, moved = norm(part.B) + norm(part.X0), part.B + part.M @ part.X0 - part.X0
        columns = [moved / fed]  # by what it is a difference of, whose rounding it has
        if self.reduction.apart:
            columns.append(part.drive[:, None] / (norm(part.drive[:, None]) or 1.0))
        return reachable(part.M / (largest(part.M) or 1.0), np.hstack(columns), self.reduction.tolerance)


@dataclass(frozen=True, eq=False)
class Learning:
    """The learning part of a one-block rule in eigenvectors of W: eigenvalues (d,) and the weighted J there (m, d)."""

    values: Matrix
    J: Matrix

    @cached_property
    def top(self) -> float:
        """λ_max(Ψ)."""
        return float(np.linalg.norm(self.J, 2)) ** 2 if self.J.size else 0.0

    @cached_property
    def gram(self) -> Matrix:
        """Ψ."""
        return self.J.T @ self.J

    def symmetric(self, form: SymmetricForm, step_size: float) -> Matrix:
        """V − η Σ γ WᵏΨWᵏ."""
        curved = self.bent(form)
        return np.diag(form.mixed(self.values)) - step_size * (curved.T @ curved)

    def bent(self, form: SymmetricForm) -> Matrix:
        """The rows √γ J Wᵏ, whose Gram matrix is Σ γ WᵏΨWᵏ."""
        return np.vstack([g**0.5 * self.J * self.values**k for k, g in form.curvature.items()])

    def halved(self, form: ProductForm, step_size: float) -> Matrix | None:
        """V^½ f(Ψ) V^½ where V ⪰ 0, else f(Ψ)^½ V f(Ψ)^½ where f(Ψ) ⪰ 0 (T6)."""
        v, kept = self.kept(form, step_size)
        if v.min(initial=0.0) >= 0:
            return v[:, None] ** 0.5 * kept * v**0.5
        if form.kept(np.array([self.top]), step_size)[0] < 0:
            return None
        s, U = np.linalg.eigh(kept)
        if s.min() < 0:
            return None
        half = (U * s**0.5) @ U.T
        return half @ (v[:, None] * half)

    def factor(self, form: SymmetricForm | ProductForm, step_size: float) -> Matrix | None:
        """G with I − GᵀG the symmetric matrix of `symmetric` or `halved`; None where one of its parts has no root."""
        if isinstance(form, SymmetricForm):
            v = form.mixed(self.values)
            rows = [np.diag(np.sqrt(1.0 - v)), step_size**0.5 * self.bent(form)] if v.max(initial=0.0) <= 1 else []
        else:
            rows = self._product_rows(form, step_size) if form.single else []
        return np.vstack(rows) if rows else None

    def _product_rows(self, form: ProductForm, step_size: float) -> list[Matrix]:
        v, kept = self.kept(form, step_size)
        live, alpha = form.mixed(self.values) != 0 if form.left else slice(None), step_size * form.gamma
        if v.max(initial=0.0) > 1:
            return []
        if v.min(initial=0.0) >= 0:
            return [np.diag(np.sqrt(1.0 - v)), alpha**0.5 * self.J[:, live] * v**0.5]
        s, U = np.linalg.eigh(kept)
        return [alpha**0.5 * self.J[:, live], np.sqrt(1.0 - v)[:, None] * ((U * np.sqrt(np.maximum(s, 0.0))) @ U.T)]

    def kept(self, form: ProductForm, step_size: float) -> tuple[Matrix, Matrix]:
        """The eigenvalues of V and the matrix f(Ψ), on the range of V where it comes last (there ATC's motion is)."""
        v = form.mixed(self.values)
        if form.single:
            f = np.eye(len(v)) - step_size * form.gamma * self.gram
        else:
            s, U = np.linalg.eigh(self.gram)
            f = (U * form.kept(s, step_size)) @ U.T
        live = v != 0 if form.left else np.ones(len(v), dtype=bool)
        return v[live], f[np.ix_(live, live)]
