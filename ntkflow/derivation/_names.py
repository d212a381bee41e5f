"""Names of a rule that a derivation cannot take: what prints like a letter of its own, or like another of the rule."""

from __future__ import annotations

from collections import Counter

import sympy

from ..algorithms import Rule
from ..errors import RuleError, refuse
from ..notation import theta, theta0
from ..printing import latex, text
from . import letters

OF_OURS = {symbol for symbol in vars(letters).values() if isinstance(symbol, letters.Letter)}
IN_PROSE = {"B", "C", "I", "L", "g", "s", "x", "u_x", "vartheta", "q", "l"}  # what else equations and sentences say


def check_names(rule: Rule) -> None:
    """Refuse a rule whose derivation would have one name for two things.

    Raises
    ------
    RuleError
        With the names, to be changed in the rule.
    """
    ours = {*map(_printed, OF_OURS), *map(text, OF_OURS), *(s.name for s in OF_OURS), *IN_PROSE, _printed(theta0)}
    symbols = [*rule.blocks, *rule.lets, *rule.parameters]
    twice = Counter(map(_printed, symbols))
    taken = [s.name for s in symbols if s != theta and ({_printed(s), s.name} & ours or twice[_printed(s)] > 1)]
    if taken:
        refuse(f"derivation of {rule.name!r}", "names that it has no other use for", ", ".join(taken),
               "rename them in the rule", RuleError)  # fmt: skip


def _printed(symbol: sympy.Symbol) -> str:
    """The LaTeX without what does not show."""
    return latex(symbol).replace("{", "").replace("}", "")
