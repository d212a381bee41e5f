"""Words in W and H as maps, and what they say of reachability and observability before any data are seen.

M = F + (words in H); F needs no data.  With M = F + B K (state feedback) the reachable subspace of (M, B) is that of
(F, B), and with M = F + G C (output injection) the unobservable one of (M, C) is that of (F, C).  Beyond that, where
every word in H begins inside of the reachable subspace of (F, B) this one contains that of (M, B), and equals it
whatever Ψ is, up to finitely many multiples of Ψ: as Ψ → 0 the two are one, and a rank that is a polynomial in the
multiple falls at its zeros only.  The same backwards for what outputs see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

from ..algorithms import Rule
from ..algorithms._program import in_finite_numbers

Word = tuple[str, ...]
Words = dict[Word, float]  # {("W", "H"): 2.0} is 2 W H
Grid = list[list[Words]]  # a row and a column a block
Numbers = Mapping[sympy.Symbol, float]
Letters = Mapping[str, Callable[[Any], Any]]


def numeric(
    rule: Rule, source: sympy.Symbol, numbers: Mapping[sympy.Symbol, float], start: bool = False
) -> list[Words]:
    """What every block takes from ``source`` (a block, theta0 or g0) in an update, or in the start."""
    forms = rule.start_words if start else rule.words
    return [rule.spelled(forms[b].get(source, {}), lambda c: in_finite_numbers(c, numbers)) for b in rule.blocks]


def grid(rule: Rule, numbers: Numbers) -> Grid:
    """M as words, [row][column]."""
    columns = [numeric(rule, source, numbers) for source in rule.blocks]
    return [[column[i] for column in columns] for i in range(len(columns))]


def without_curvature(words: Grid) -> Grid:
    """F."""
    return [[{word: c for word, c in entry.items() if "H" not in word} for entry in row] for row in words]


def image(words: Words, letters: Letters, x: Any) -> Any:
    """The operator that the words spell, on the columns of x."""
    total = 0.0 * x
    for word, coefficient in words.items():
        y = x
        for letter in reversed(word):
            y = letters[letter](y)
        total = total + coefficient * y
    return total


def number(words: Words, letters: Mapping[str, float]) -> float:
    """The same with a number for every letter."""
    return sum(c * math.prod(letters[letter] for letter in word) for word, c in words.items())


def magnitude(words: Words, sizes: Mapping[str, float]) -> float:
    """A bound on the operator that the words spell, from bounds on its letters."""
    return number({word: abs(c) for word, c in words.items()}, sizes)


def beginnings(words: Sequence[Sequence[Words]]) -> list[list[Words]]:
    """What stands before the first H, a list over the rows for every column and what follows: where curvature enters.

    >>> beginnings([[{("W",): 1.0, ("W", "H"): -0.1}], [{("H",): 2.0}]])
    [[{('W',): -0.1}, {(): 2.0}]]
    """
    found: dict[tuple[int, Word], list[Words]] = {}
    for i, row in enumerate(words):
        for j, entry in enumerate(row):
            for word, c in entry.items():
                if "H" in word:
                    at = word.index("H")
                    column = found.setdefault((j, word[at + 1 :]), [{} for _ in words])
                    column[i][word[:at]] = column[i].get(word[:at], 0.0) + c
    return list(found.values())


def transposed(words: Grid) -> Grid:
    """Mᵀ as words, in Wᵀ."""
    return [[{word[::-1]: c for word, c in row[j].items()} for row in words] for j in range(len(words))]


def is_feedback(words: Grid, inputs: list[Words]) -> bool:
    """Whether M = F + B K: every word in H starts like the residuals' own way into the update."""
    if all("H" not in word for row in words for entry in row for word in entry):
        return True
    if not any(inputs) or any("H" in word for entry in inputs for word in entry):
        return False
    i, prefix = max(((i, w) for i, entry in enumerate(inputs) for w in entry), key=lambda at: abs(inputs[at[0]][at[1]]))
    head = (*prefix, "H")
    for j in range(len(words)):
        tails = {w[len(head) :]: c / inputs[i][prefix] for w, c in words[i][j].items() if w[: len(head)] == head}
        for row, entry in zip(words, inputs, strict=True):
            spelled = {(*u, "H", *v): b * c for u, b in entry.items() for v, c in tails.items()}
            if not _same(spelled, {w: c for w, c in row[j].items() if "H" in w}):
                return False
    return True


def is_injection(words: Grid) -> bool:
    """Whether M = F + G C: the curvature is only ever applied to the parameters themselves."""
    return all(
        "H" not in word or (j == 0 and word[-1] == "H")
        for row in words for j, entry in enumerate(row) for word in entry
    )  # fmt: skip


def left_factor(words: Grid) -> float | None:
    """α where a one-block M is (I + α H) F, else None; then J M = (I + α J Jᵀc) J F (T5, the case of CTA)."""
    if len(words) > 1:
        return None
    plain = {w: c for w, c in words[0][0].items() if "H" not in w}
    curved = {w: c for w, c in words[0][0].items() if "H" in w}
    if not plain:
        return None
    word = max(plain, key=lambda w: abs(plain[w]))
    alpha = curved.get(("H", *word), 0.0) / plain[word]
    return alpha if _same({("H", *w): alpha * c for w, c in plain.items()}, curved) else None


def _same(a: Words, b: Words) -> bool:
    scale = max((abs(c) for c in (*a.values(), *b.values())), default=0.0)
    return all(abs(a.get(w, 0.0) - b.get(w, 0.0)) <= 1e-12 * scale for w in {*a, *b})
