r"""What the words of a rule say about its map M: symmetric, or a product of which one order is symmetric.

Read off the derived polynomial, never off the algorithm's name.  The result is a *factor* G of the
symmetric matrix that governs the dynamics, because long times and limits need I − M through its
factors, not through its rounded entries:

* reversed words equal, M = p(W) − Σ c Wᵏ H Wᵏ:  I − M = GᵀG;
* a left or right Wᵃ stripped leaves S = I − α H, or a polynomial in H (local steps):  M = X Y with Y X
  symmetric (AB and BA share their spectrum, T6) and I − Y X = GᵀG, so f(X Y) = f(0) I + X d(Y X) Y,
  d(z) = (f(z) − f(0))/z.
"""

from __future__ import annotations

from typing import Protocol

from .._array import Array, eps, namespace
from ._form import DEFINITE, Curvature, Form
from ._parts import Parts, Words
from ._product import Product
from ._repeated import repeated
from ._symmetric import Symmetric

__all__ = ["DEFINITE", "Factored", "Form", "Parts", "Words", "factored"]


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
    def symmetric(self) -> bool:
        """Whether M itself is, without a look at X."""

    @property
    def measurable(self) -> bool:
        """Whether what measures lengths in `form` feels all of them."""

    def form(self, curved: Curvature) -> Form:
        """M without matrices, from Ψ."""

    @property
    def averaging(self) -> bool:
        """Whether ‖W‖₂ ≤ 1."""

    @property
    def contracting(self) -> bool:
        """Whether ‖M‖₂ ≤ 1 before compression: whether no difference between trajectories ever grows."""

    @property
    def contracting_flow(self) -> bool:
        """Whether ‖e^{tA}‖₂ ≤ 1 for all t, before compression."""

    def source(self, start: Array, residual: Array) -> Array:
        """h with Y w = Gᵀh for the rule's first update w, from θ₀ (Q p,) and weighted residuals √c_q e_q (Q, n).

        Through h the drive of a slow mode is small to full relative accuracy; read off w it would be rounding.
        """


def factored(words: Words, parts: Parts) -> Factored | None:
    """The factorisation of M = Σ coefficient·word, or None when the words have no such structure."""
    if not _is_symmetric(parts.W) or not set().union(*words) <= {"W", "H"}:
        return None
    found: Symmetric | Product | None = None
    learning = {word: c for word, c in words.items() if "H" in word}
    if all(word == word[::-1] for word in learning):
        if all(word.count("H") == 1 and c <= 0 for word, c in learning.items()):
            found = Symmetric(parts, words)
    else:
        for left in (True, False):
            power, core = _strip(words, left)
            if power and all(set(word) <= {"H"} for word in core) and core.get(()) == 1.0:
                found = _product(parts, power, core, left)
                break
    return found if found is not None and found.exists else None


def _product(parts: Parts, power: int, core: Words, left: bool) -> Product | None:
    """Wᵃ beside 1 + Σ c_j Ψʲ."""
    q = [-core.get(("H",) * j, 0.0) for j in range(1, max(map(len, core)) + 1)]
    if len(q) > 1:
        steps = repeated(parts, q)
        return None if steps is None else Product(steps, power, 1.0, left)
    return Product(parts, power, q[0], left) if q[0] >= 0.0 else None


def _strip(words: Words, left: bool) -> tuple[int, Words]:
    """The common power of W at one end, and what remains."""
    power = min(_leading(word if left else word[::-1]) for word in words)
    return power, {(word[power:] if left else word[: len(word) - power]): c for word, c in words.items()}


def _leading(word: tuple[str, ...]) -> int:
    return next((i for i, letter in enumerate(word) if letter != "W"), len(word))


def _is_symmetric(W: Array) -> bool:
    xp = namespace(W)
    return float(xp.max(xp.abs(W - W.T))) <= 10 * eps(W)
