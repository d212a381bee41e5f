r"""What the words of a one-block rule say about its map, for every step size at once.

* a *symmetric* map, M = V − η Σ γ Wᵏ H Wᵏ with V a polynomial in W (DGD);
* a *product*, M = V f(H) or f(H) V with V = Wᵃ and f a polynomial with f(0) = 1 (ATC, CTA, federated averaging).

Both need a symmetric W and are the premises of T3, T4 and T6 to T8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy

from ..algorithms import Rule
from ..notation import eta, theta
from ._certificates import Matrix

Word = tuple[str, ...]


@dataclass(frozen=True)
class SymmetricForm:
    """V = Σ c Wᵏ over ``mixing`` = {k: c}; γ over ``curvature`` = {k: γ}, all γ > 0."""

    mixing: dict[int, float]
    curvature: dict[int, float]

    @property
    def letter(self) -> str:
        """What to call V."""
        return "𝓦" if self.mixing == {1: 1.0} else "V"

    @property
    def bound(self) -> str:
        """The exact largest step size of T8 (a) in words."""
        plain = self.curvature == {0: 1.0}
        return f"1/λ_max({'J' if plain else 'K'}({self.letter} + I)⁻¹{'Jᵀ' if plain else 'Kᵀ, K of rows √γ J𝓦ᵏ'})"

    def mixed(self, eigenvalues: Matrix) -> Matrix:
        """The eigenvalues of V from those of W."""
        return sum((c * eigenvalues**k for k, c in self.mixing.items()), np.zeros_like(eigenvalues))


@dataclass(frozen=True)
class ProductForm:
    """V = W^``power`` on the ``left`` or right of f(H) = 1 + Σ_j c_j (−ηH)ʲ, ``steps`` = (c_1, c_2, …)."""

    power: int
    left: bool
    steps: tuple[float, ...]

    @property
    def single(self) -> bool:
        """Whether f(H) = 1 − ηγH."""
        return len(self.steps) == 1

    @property
    def gamma(self) -> float:
        """γ, which is c_1."""
        return self.steps[0]

    @property
    def letter(self) -> str:
        """What to call V."""
        return "𝓦" if self.power == 1 else "V"

    @property
    def bound(self) -> str:
        """The step size of T8 (e) in words."""
        return f"1/λ_max(J{self.letter}({self.letter} + I)⁻¹Jᵀ)"

    def mixed(self, eigenvalues: Matrix) -> Matrix:
        """The eigenvalues of V from those of W."""
        return eigenvalues**self.power

    def kept(self, curvature: Matrix, step_size: float) -> Matrix:
        """f of the eigenvalues of Ψ."""
        powers = enumerate(self.steps, start=1)
        return sum((c * (-step_size * curvature) ** j for j, c in powers), np.ones_like(curvature))


Form = SymmetricForm | ProductForm


def form_of(rule: Rule, numbers: Mapping[sympy.Symbol, float]) -> Form | None:
    """The form of a rule with these parameters; None for several blocks or anything else."""
    if len(rule.blocks) > 1:
        return None
    known = {symbol: number for symbol, number in numbers.items() if symbol != eta}
    read_as = {} if rule.uses_graph else {"average": "W"}
    words = {tuple(read_as.get(a, a) for a in word): c.subs(known) for word, c in rule.words[theta][theta].items()}
    if not set().union(*words) <= {"W", "H"}:
        return None
    return _symmetric(words) or _product(words)


def degree_of(rule: Rule) -> int | None:
    """The degree in η of a rule's map; None where it is no polynomial in η."""
    coefficients = [c for b in rule.blocks for source in rule.blocks for c in rule.words[b].get(source, {}).values()]
    if not all(c.is_polynomial(eta) for c in coefficients):
        return None
    return max((int(sympy.degree(c, eta)) for c in coefficients), default=0)


def _symmetric(words: dict[Word, sympy.Expr]) -> SymmetricForm | None:
    mixing = {len(word): c for word, c in words.items() if "H" not in word}
    curved = {word: -c / eta for word, c in words.items() if "H" in word}
    if not curved or not all(c.is_number for c in (*mixing.values(), *curved.values())):
        return None
    if not all(word.count("H") == 1 and word == word[::-1] and c > 0 for word, c in curved.items()):
        return None
    curvature = {len(word) // 2: float(c) for word, c in curved.items()}
    return SymmetricForm({k: float(c) for k, c in mixing.items()}, curvature)


def _product(words: dict[Word, sympy.Expr]) -> ProductForm | None:
    for left in (True, False):
        power = min(_leading(word if left else word[::-1]) for word in words)
        rest = {word[power:] if left else word[: len(word) - power]: c for word, c in words.items()}
        if power and all(set(word) <= {"H"} for word in rest) and rest.get((), 0) == 1:
            degree = max(map(len, rest))
            steps = [rest.get(("H",) * j, sympy.S.Zero) / (-eta) ** j for j in range(1, degree + 1)]
            if degree and all(c.is_number for c in steps) and steps[0] > 0:
                return ProductForm(power, left, tuple(map(float, steps)))
    return None


def _leading(word: Word) -> int:
    return next((i for i, letter in enumerate(word) if letter != "W"), len(word))
