"""Closed form through the singular values of a factor: DGD, ATC, CTA and every rule of their shape.

y = σ² for the singular values σ of G, I − Y X = GᵀG (see `ntkflow.structure`).  The factor keeps the
slow modes to full relative accuracy; the eigenvalues of A would lose them, and with them t = ∞.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._array import Array, eps, like, namespace, norm, svd, zeros
from .._path import Path
from ..errors import NoLimitError
from ..structure import Factored
from ._balanced import Balanced
from ._filter import gain, gain_slope, limit
from ._question import Drive, Times

QUICK = 300.0  # iterations up to which all modes take the eigenvalues of GᵀG, whose error grows like eps·t
DIRECT = 60  # states up to which all modes take singular values otherwise
SLOW = 0.1  # of the fastest: what is below it does, in any case


@dataclass(frozen=True, eq=False)
class Spectral:
    """A prepared engine: modes of Y X, and the maps into and out of them."""

    factors: Factored
    y: Array  # (N,) = 1 − eigenvalues of Y X; exactly 0 for modes that never move
    modes: Array  # (N, N), a mode a row
    push: Array | None  # the drive of every mode, where the rule gives it in factored form, σ Uᵀh
    source: float  # ‖h‖
    sharp: bool  # singular values of the factor, or only eigenvalues
    shape: tuple[int, ...]

    name = "spectral"
    needs = "a rule of one block whose map has a symmetric factor, and a symmetric W"

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Whether the rule's words have the structure, its first update fits them, and that is what drives."""
        return operator.own and operator.plain and operator.factors is not None

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds on one core or two."""
        N, factors = operator.size, operator.factors
        share = 1.0 if factors is None or factors.symmetric else 1.5
        return 6e-4 + share * (1.5e-8 * N**2 + 2.2e-10 * N**3) + 4e-10 * N * N * times.count

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Spectral:
        """One decomposition serves every time, flow and iteration."""
        factors = operator.factors
        if factors is None:
            raise TypeError("the rule has no factor; ask accepts first")
        sharp = times.horizon > QUICK
        if sharp or factors.X is not None:
            y, modes, push, noise = (_sharp if sharp else _quick)(factors.G, operator.source)
        else:
            y, modes, push, noise = _modes(-operator.matrix, None)
        xp = namespace(y)
        source = 0.0 if push is None or operator.source is None else norm(operator.source)
        return cls(factors, xp.where(y > noise, y, xp.zeros_like(y)), modes, push, source, sharp, operator.shape)

    def apply(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """g_t(A) w at all times, (T, blocks, Q, p), and an estimate of its rounding, (T,)."""
        w, xp = drive.w, namespace(drive.w)
        flat = xp.reshape(w, (-1,))
        X, Y = self.factors.X, self.factors.Y
        inner = self.modes @ (flat if Y is None else Y @ flat) if self.push is None else self.push
        if self.sharp:  # w lies in the range of A: modes at rest get no drive but rounding, hold them exactly
            inner = inner * xp.astype(self.y > 0, w.dtype)
        gains = self._gains(times, inner)
        gains = xp.where(inner[None, :] == 0, xp.zeros_like(gains), gains)  # no drive, no motion: not 0·∞
        coefficients = gains * inner[None, :]
        states = coefficients @ self.modes
        at_once = 0.0
        if X is not None:
            at_once = like([_gain_at_minus_one(t, times.flow) for t in times.values], w)
            states = states @ X.T + at_once[:, None] * flat[None, :]
        # the entries of W and J are rounded themselves, which slow modes feel like noise in the drive
        loudest = xp.max(xp.where(xp.isfinite(gains), xp.abs(gains), xp.zeros_like(gains)), axis=1)
        rounding = self._rounding(times, coefficients) + drive.noise * (loudest + at_once)
        if self.push is not None:  # and Uᵀh as h is, however little of it is left
            felt = xp.where(xp.isfinite(gains), gains * self.y[None, :] ** 0.5, xp.zeros_like(gains))
            rounding = rounding + 8.0 * eps(w) * self.source * xp.max(xp.abs(felt), axis=1)
        return Path(xp.reshape(states, (times.count, *self.shape))), rounding

    def _gains(self, times: Times, inner: Array) -> Array:
        """The filter of every mode, (T, N)."""
        xp = namespace(inner)
        largest = float(xp.finfo(inner.dtype).max)
        at = like([t if math.isinf(t) else min(t, largest) for t in times.values], inner)
        infinite = xp.isinf(at)
        filter_ = gain if self.factors.Y is None else gain_slope
        gains = filter_(xp.where(infinite, xp.ones_like(at), at), self.y, flow=times.flow)
        if not math.isinf(times.horizon):
            return gains
        return xp.where(infinite[:, None], self._limit(inner, times.flow)[None, :], gains)

    def _limit(self, inner: Array, flow: bool) -> Array:
        """The filter at infinity; modes at −1 have none, and must not be driven."""
        xp, gains = namespace(inner), limit(self.y)
        if flow:
            return gains
        scale = float(xp.max(xp.abs(inner)))
        still = self.y >= 2.0 - 8.0 * self.y.shape[0] * eps(inner) * max(1.0, float(xp.max(self.y)))  # −1, to rounding
        loud = still & (xp.abs(inner) > 1e3 * eps(inner) * scale)
        if bool(xp.any(loud)):
            worst = 1.0 - float(xp.max(xp.where(loud, self.y, xp.zeros_like(self.y))))
            raise NoLimitError(f"the iteration has no limit: its mode with eigenvalue {worst:.6g} does not decay; "
                               "take a smaller step size or finite times")  # fmt: skip
        return xp.where(still, xp.zeros_like(gains), gains)

    def _rounding(self, times: Times, coefficients: Array) -> Array:
        """First-order model: a few eps·σ_max in every σ, through dg/dσ or its drive, and eps in every product."""
        xp = namespace(coefficients)
        y = xp.where(self.y > 0, self.y, xp.ones_like(self.y))
        top = float(xp.max(self.y)) if self.y.shape[0] else 0.0
        if not self.sharp and self.factors.symmetric:  # eigenvalues of M − I, whose entries are rounded as M's are
            top = max(1.0, top)
        relative = (top / y) ** (0.5 if self.sharp else 1.0)
        at = like([min(t, 1e300) for t in times.values], y)
        through = xp.clip(at[:, None] * y, 0.0, 1.0) if self.push is None else 1.0  # the drive σ Uᵀh feels it at once
        weight = 1.0 + 4.0 * through * relative[None, :]
        felt = xp.where(xp.isfinite(coefficients), coefficients, xp.zeros_like(coefficients)) * weight
        return 4.0 * eps(y) * y.shape[0] ** 0.5 * xp.sum(felt * felt, axis=1) ** 0.5


def _gain_at_minus_one(time: float, flow: bool) -> float:
    """g_t at z = −1, where Y X has the eigenvalue 0."""
    if flow:
        return -math.expm1(-time)
    return 0.0 if time == 0 else 1.0


def _sharp(G: Array, h: Array | None) -> tuple[Array, Array, Array | None, float]:
    """y and modes with every slow one to full relative accuracy, and their drive; and what counts as zero.

    Large factors: the eigenvectors of GᵀG span the slow part well enough once they are freed of fast ones (a Newton
    step), and only that part takes singular values.
    """
    if G.shape[1] <= DIRECT:
        return _singular(G, h)
    xp, (y, columns, push, _) = namespace(G), _quick(G, h)
    top = float(y[-1])
    slow = int(xp.count_nonzero(y < SLOW * top))
    if slow == 0:
        return y, columns, push, (8 * eps(y)) ** 2 * top
    if slow > G.shape[1] // 2:
        return _singular(G, h)
    fast = columns[slow:, :]
    Z = columns[:slow, :].T
    Z = xp.linalg.qr(Z - fast.T @ ((fast @ (G.T @ (G @ Z))) / y[slow:, None]))[0]
    slow_y, inside, slow_push, _ = _singular(G @ Z, h)
    if push is not None and slow_push is not None:
        push = xp.concat([slow_push, push[slow:]])
    modes = xp.concat([inside @ Z.T, fast], axis=0)
    return xp.concat([slow_y, y[slow:]]), modes, push, (8 * eps(y)) ** 2 * top


def _singular(G: Array, h: Array | None) -> tuple[Array, Array, Array | None, float]:
    """σ² and modes of G = U σ Vᵀ, and σ Uᵀh, each small one to full relative accuracy; and what counts as zero."""
    xp = namespace(G)
    if G.shape[0] > G.shape[1]:
        frame, G = xp.linalg.qr(G)
        h = None if h is None else frame.T @ h
    elif G.shape[0] < G.shape[1]:  # a null mode must be there to be held at rest
        missing = zeros((G.shape[1] - G.shape[0], G.shape[1]), G)
        G, h = xp.concat([G, missing], axis=0), None if h is None else xp.concat([h, missing[:, 0]])
    U, s, modes = svd(G)
    return s * s, modes, None if h is None else s * (U.T @ h), (8 * eps(s) * float(s[0])) ** 2


def _quick(G: Array, h: Array | None) -> tuple[Array, Array, Array | None, float]:
    """The same through GᵀG, good for short horizons: a y lost in rounding is as good as 0 there, its drive is not."""
    return _modes(G.T @ G, None if h is None else G.T @ h)


def _modes(S: Array, drive: Array | None) -> tuple[Array, Array, Array | None, float]:
    y, columns = namespace(S).linalg.eigh(S)
    return y, columns.T, None if drive is None else columns.T @ drive, 0.0
