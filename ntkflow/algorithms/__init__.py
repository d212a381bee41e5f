"""The catalogue: one update rule a file; the folder is the list.

>>> from ntkflow import algorithms
>>> algorithms.get("ATC").name
'atc'
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from ..errors import UnknownNameError, nearest, plain_name, refuse
from ._claims import Claim
from ._rule import Rule, counted

__all__ = ["Claim", "Rule", "counted", "get", "names"]


@cache
def names() -> tuple[str, ...]:
    """The catalogue's names, in alphabetical order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def get(rule: str | Rule) -> Rule:
    """The rule of that name (any case, hyphens, synonyms), or the rule itself."""
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str):
        refuse("algorithm", "a name or a Rule", type(rule).__name__, "see ntkflow.algorithms.names()")
    plain = plain_name(rule, "- ", "_")
    if plain not in _by_name():
        refuse("algorithm", "a known name", repr(rule), nearest(plain, _by_name()), UnknownNameError)
    return _by_name()[plain]


@cache
def _by_name() -> dict[str, Rule]:
    rules: dict[str, Any] = {n: importlib.import_module(f"{__name__}.{n}").RULE for n in names()}
    return rules | {synonym: rule for rule in rules.values() for synonym in rule.synonyms}
