r"""What the words of a rule say about its map M: symmetric, or a product of which one order is symmetric.

Read off the derived polynomial, never off the algorithm's name.  The result is a *factor* G of the
symmetric matrix that governs the dynamics, because long times and limits need I − M through its
factors, not through its rounded entries:

* reversed words equal, M = p(W) − Σ c Wᵏ H Wᵏ:  I − M = GᵀG;
* a left or right Wᵃ stripped leaves S = I − α H:  M = X Y with Y X symmetric (AB and BA share their
  spectrum, T6) and I − Y X = GᵀG, so f(X Y) = f(0) I + X d(Y X) Y, d(z) = (f(z) − f(0))/z.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import array_api_extra as xpx

from ._array import Array, eps, eye, namespace, zeros

Words = dict[tuple[str, ...], float]
PSD_SLACK = 50.0  # eigenvalues above -slack * Q * eps count as zero


@dataclass(frozen=True, eq=False)
class Parts:
    """What the factors are made of: W, the weighted Jacobians √c_q J_q (Q, n, p), what they left out."""

    W: Array
    J: Array
    top: float  # max_q λ_max(c_q J_qᵀJ_q)
    left_out: float

    @cached_property
    def roots(self) -> Array:
        """R_q with R_qᵀR_q = c_q J_qᵀJ_q, (Q, min(n, p), p)."""
        return self.J if self.J.shape[1] <= self.J.shape[2] else namespace(self.J).linalg.qr(self.J)[1]

    def mixed(self, matrix: Array) -> Array:
        """Matrix ⊗ I_p."""
        xp = namespace(matrix)
        return xpx.kron(matrix, eye(self.J.shape[2], matrix), xp=xp)

    def diagonal(self, blocks: Array) -> Array:
        """The block-diagonal matrix of (Q, r, p)."""
        xp = namespace(blocks)
        Q, r, p = blocks.shape
        identity = eye(Q, blocks)
        return xp.reshape(identity[:, None, :, None] * blocks[:, :, None, :], (Q * r, Q * p))

    def shrunk(self, alpha: float, power: float) -> Array:
        """(I − αΨ)^power as one block-diagonal matrix; I − αΨ ⪰ 0 unless power is 1."""
        xp = namespace(self.J)
        values, U = xp.linalg.eigh(xp.matrix_transpose(self.roots) @ self.roots)
        values = 1.0 - alpha * values
        if power != 1:
            values = xp.where(values > 0, values, xp.zeros_like(values)) ** power
        return self.diagonal((U * values[:, None, :]) @ xp.matrix_transpose(U))


class Factored(Protocol):
    """M = X Y with I − Y X = GᵀG; X = Y = None says that M itself is symmetric."""

    @property
    def G(self) -> Array:
        """The factor, (rows, Q p)."""

    @property
    def X(self) -> Array | None:
        """(Q p, Q p)."""

    @property
    def Y(self) -> Array | None:
        """(Q p, Q p)."""

    @property
    def averaging(self) -> bool:
        """Whether ‖W‖₂ ≤ 1."""

    @property
    def contracting(self) -> bool:
        """Whether ‖M‖₂ ≤ 1 before compression: whether no difference between trajectories ever grows."""

    @property
    def contracting_flow(self) -> bool:
        """Whether ‖e^{tA}‖₂ ≤ 1 for all t, before compression."""


def factored(words: Words, parts: Parts) -> Factored | None:
    """The factorisation of M = Σ coefficient·word, or None when the words have no such structure."""
    if not _is_symmetric(parts.W):
        return None
    found: _Symmetric | _Product | None = None
    if words == {word[::-1]: c for word, c in words.items()}:
        if all("H" not in word or (word.count("H") == 1 and c <= 0) for word, c in words.items()):
            found = _Symmetric(parts, words)
    else:
        for left in (True, False):
            power, core = _strip(words, left)
            if power and set(core) <= {(), ("H",)} and core.get(()) == 1.0 and core.get(("H",), 0.0) <= 0.0:
                found = _Product(parts, power, -core.get(("H",), 0.0), left)
                break
    return found if found is not None and found.exists else None


@dataclass(frozen=True, eq=False)
class _Structure:
    """What both structures share."""

    parts: Parts

    @cached_property
    def averaging(self) -> bool:
        """Whether ‖W‖₂ ≤ 1, which negative weights can break."""
        W = self.parts.W
        largest = float(namespace(W).max(namespace(W).abs(namespace(W).linalg.eigvalsh(W))))
        return largest <= 1.0 + PSD_SLACK * W.shape[0] * eps(W)


@dataclass(frozen=True, eq=False)
class _Symmetric(_Structure):
    """M = p(W) − Σ c Wᵏ H Wᵏ."""

    words: Words

    X = Y = None
    contracting_flow = True  # A = −GᵀG

    @cached_property
    def polynomial(self) -> Array:
        """p(W)."""
        W = self.parts.W
        return sum((c * _power(W, len(word)) for word, c in self.words.items() if "H" not in word), 0.0 * W)

    @cached_property
    def kept(self) -> Array | None:
        """(I − p(W))^½."""
        return _root_of_complement(self.polynomial)

    @property
    def exists(self) -> bool:
        """Whether I − p(W) ⪰ 0."""
        return self.kept is not None

    @cached_property
    def G(self) -> Array:
        """The factor."""
        parts, R = self.parts, self.parts.diagonal(self.parts.roots)
        rows = [
            (-c) ** 0.5 * R @ parts.mixed(_power(parts.W, len(word) // 2))
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


@dataclass(frozen=True, eq=False)
class _Product(_Structure):
    """M = V S (left) or S V with V = Wᵃ, S = I − αΨ: through S^½ where S ⪰ 0, else through V^½ where V ⪰ 0."""

    power: int
    alpha: float
    left: bool

    @cached_property
    def V(self) -> Array:
        """Wᵃ."""
        return _power(self.parts.W, self.power)

    @cached_property
    def kept(self) -> Array | None:
        """(I − V)^½."""
        return _root_of_complement(self.V)

    @property
    def gentle(self) -> bool:
        """Whether S ⪰ 0."""
        return self.alpha * self.parts.top <= 1.0

    @cached_property
    def half(self) -> Array | None:
        """S^½, or V^½ (None where there is none)."""
        if self.gentle:
            return self.parts.shrunk(self.alpha, 0.5)
        root = _root(self.V)
        return None if root is None else self.parts.mixed(root)

    @property
    def exists(self) -> bool:
        """Whether one of the two routes is open."""
        return self.kept is not None and (self.gentle or _root(self.V) is not None)

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
        kept, R = self.parts.mixed(self.kept), self.alpha**0.5 * self.parts.diagonal(self.parts.roots)
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


def _strip(words: Words, left: bool) -> tuple[int, Words]:
    """The common power of W at one end, and what remains."""
    power = min(_leading(word if left else word[::-1]) for word in words)
    return power, {(word[power:] if left else word[: len(word) - power]): c for word, c in words.items()}


def _leading(word: tuple[str, ...]) -> int:
    return next((i for i, letter in enumerate(word) if letter != "W"), len(word))


def _is_symmetric(W: Array) -> bool:
    xp = namespace(W)
    return float(xp.max(xp.abs(W - W.T))) <= 10 * eps(W)


def _power(W: Array, k: int) -> Array:
    result = eye(W.shape[0], W)
    for _ in range(k):
        result = result @ W
    return result


def _root(V: Array) -> Array | None:
    """V^½ for a positive semi-definite V, else None."""
    xp = namespace(V)
    values, U = xp.linalg.eigh((V + V.T) / 2)
    if float(values[0]) < -PSD_SLACK * V.shape[0] * eps(V):
        return None
    values = xp.where(values > 0, values, xp.zeros_like(values)) ** 0.5
    return (U * values[None, :]) @ U.T


def _root_of_complement(V: Array) -> Array | None:
    """N with NᵀN = I − V and N 1 = 0 *exactly* where V 1 = 1; None unless I − V ⪰ 0.

    The consensus direction must not be left to rounding: its decay is the slowest that there is.
    """
    xp = namespace(V)
    Q = V.shape[0]
    identity = eye(Q, V)
    ones = xp.full((Q, 1), Q**-0.5, dtype=V.dtype, device=V.device)
    keeps_consensus = float(xp.max(xp.abs(V @ ones - ones))) <= 10 * Q * eps(V)
    if keeps_consensus and Q == 1:
        return zeros((1, 1), V)
    frame = xp.linalg.qr(ones, mode="complete")[0][:, 1:] if keeps_consensus else identity
    values, U = xp.linalg.eigh(frame.T @ (identity - (V + V.T) / 2) @ frame)
    if float(values[0]) < -PSD_SLACK * Q * eps(V):
        return None
    floor = PSD_SLACK * Q * eps(V)
    values = xp.where(values > floor, values, xp.zeros_like(values)) ** 0.5
    return values[:, None] * (U.T @ frame.T)
