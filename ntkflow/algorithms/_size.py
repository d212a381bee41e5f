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
WORK = 12_000  # monomials met in one rule: milliseconds of SymPy as a rule, a second and a half at the very worst


@dataclass(frozen=True)
class Size:
    """The monomials of an expression, and how many digits the largest number in it has."""

    monomials: frozenset[Monomial] = frozenset({((), ())})
    digits: float = 0.0

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
        """Letters in the longest monomial."""
        return max(len(word) + len(scalars) for word, scalars in self.monomials)


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
        return Size(a.monomials | b.monomials, max(a.digits, b.digits) + math.log10(2))

    def product(self, a: Size, b: Size) -> Size | None:
        """The size of a product, or of a quotient: a denominator is multiplied out as well."""
        self.left -= len(a.monomials) * len(b.monomials)
        if self.left < 0 or a.degree + b.degree > DEGREE or a.digits + b.digits > DIGITS:
            return None
        pairs = ((left, right) for left in a.monomials for right in b.monomials)
        products = frozenset((v + w, tuple(sorted(s + t))) for (v, s), (w, t) in pairs)
        return Size(products, a.digits + b.digits)

    def power(self, a: Size, exponent: int) -> Size | None:
        """The size of a power."""
        result: Size | None = ONE
        for _ in range(exponent):
            result = self.product(result, a) if result else None
        return result
