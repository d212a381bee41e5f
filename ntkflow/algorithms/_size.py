"""How large an expression grows when it is multiplied out, counted before SymPy has to do it.

A size is the set of monomials that can occur; a product is counted word by word, cancellation aside.  Lets pass on the
size of what they stand for, so a chain of lets that doubles at every step is seen for what it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

Monomial = tuple[tuple[str, ...], tuple[str, ...]]  # a word, its state last, and the scalars of its coefficient

DEGREE = 200  # letters in a monomial
DIGITS = 300  # of a number that products and powers make; a float holds no larger one
CHOICE = 4  # of them that a choice of terms in a power costs
WORK = 12_000  # monomials met in one rule: milliseconds of SymPy as a rule, two seconds and a half at the very worst


@dataclass(frozen=True)
class Size:
    """The monomials of an expression, how many digits the largest number in it has, and what stands below it.

    A sum that divides is a letter of its own, 1/(1 + mu), as no two of them cancel; ``below`` has the monomials that
    such denominators have when they are multiplied out, as SymPy does for every term.
    """

    monomials: frozenset[Monomial] = frozenset({((), ())})
    digits: float = 0.0
    below: frozenset[Monomial] = frozenset({((), ())})

    @classmethod
    def of_word(cls, *letters: str) -> Size:
        """One word of operators and a state."""
        return cls(frozenset({(letters, ())}))

    @classmethod
    def of_scalar(cls, name: str) -> Size:
        """One scalar symbol."""
        return cls(frozenset({((), (name,))}))

    @classmethod
    def of_number(cls, number: Fraction) -> Size:
        """One number, of as many digits as numerator and denominator have together."""
        return cls(digits=math.log10(max(abs(number.numerator), 1)) + math.log10(number.denominator))

    @property
    def degree(self) -> int:
        """Letters in the longest monomial, and in the longest below it."""
        return sum(max(len(word) + len(scalars) for word, scalars in part) for part in (self.monomials, self.below))


ONE = Size()


@dataclass
class Budget:
    """What one rule may still cost; every count is None where it would be too large."""

    left: int = WORK

    def sum(self, a: Size, b: Size) -> Size | None:
        """The size of a sum."""
        self.left -= len(a.monomials) + len(b.monomials)
        if self.left < 0:
            return None
        return Size(a.monomials | b.monomials, max(a.digits, b.digits) + math.log10(2), a.below | b.below)

    def product(self, a: Size, b: Size) -> Size | None:
        """The size of a product."""
        terms, below = len(a.monomials) * len(b.monomials), len(a.below) * len(b.below)
        self.left -= terms + below
        if self.left < 0 or a.degree + b.degree > DEGREE or a.digits + b.digits > DIGITS:
            return None
        denominators = _products(a.below, b.below)
        self.left -= terms * (len(denominators) - 1)
        return Size(_products(a.monomials, b.monomials), a.digits + b.digits, denominators) if self.left >= 0 else None

    def quotient(self, a: Size, b: Size, name: str) -> Size | None:
        """The size of a quotient by what is called ``name``."""
        self.left -= len(b.monomials) * len(b.below)
        if self.left < 0:
            return None
        ((_, letters), *more) = b.monomials
        inverse, below = [f"1/{letter}" for letter in letters], b.below
        if more:
            inverse, below = [f"1/({name})"], _products(b.monomials, b.below)
        return self.product(a, Size(frozenset({((), tuple(inverse))}), b.digits, below))

    def power(self, a: Size, exponent: int) -> Size | None:
        """The size of a power; of scalars SymPy writes out every choice of terms, and collects them only then."""
        if not any(word for word, _ in a.monomials):
            self.left -= CHOICE * math.comb(len(a.monomials) + exponent - 1, exponent)
        result: Size | None = ONE
        for _ in range(exponent):
            result = self.product(result, a) if result else None
        return result


def _products(a: frozenset[Monomial], b: frozenset[Monomial]) -> frozenset[Monomial]:
    return frozenset((v + w, tuple(sorted(s + t))) for v, s in a for w, t in b)
