"""One way to apply the filter g_t(A) w a file; `auto` picks the cheapest that accepts.

An engine has ``name``, ``needs`` in words, ``accepts(operator, times)``, ``cost(operator, times)`` in rough seconds,
``prepare(operator, times)`` for what can be shared between questions, and ``apply(times, drive)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import Array, eps, norm
from .._path import Path
from .._tables import text_table
from ..errors import InputError, require_choice
from ..operator import StateOperator
from ._balanced import Balanced
from ._question import Drive, Times, UnconvergedError
from .dense import Dense
from .krylov import Krylov
from .lanczos import Lanczos
from .spectral import Spectral
from .stepping import Stepping

ENGINES: dict[str, Any] = {engine.name: engine for engine in (Spectral, Lanczos, Krylov, Stepping, Dense)}

__all__ = ["ENGINES", "Choice", "Explanation", "Times", "choices", "solve"]


@dataclass(frozen=True)
class Choice:
    """One engine for one question.

    Attributes
    ----------
    engine : str
    accepted : bool
        Whether it takes the question.
    seconds : float
        What it would cost, roughly.
    needs : str
        What it takes questions about.
    """

    engine: str
    accepted: bool
    seconds: float
    needs: str


@dataclass(frozen=True)
class Explanation:
    """Which engine ``"auto"`` asks first, and why; print it to read it.

    Attributes
    ----------
    choices : tuple of Choice
        Those that take the question by their cost, then the others.
    """

    choices: tuple[Choice, ...]

    @property
    def chosen(self) -> str:
        """The engine that is asked first; the next one is where it does not converge."""
        return self.choices[0].engine

    def __str__(self) -> str:
        rows = [(c.engine, c.accepted, c.seconds if c.accepted else None, c.needs) for c in self.choices]
        return text_table(("engine", "takes it", "about, s", "needs"), rows)


def choices(operator: StateOperator, w: Array, times: Times) -> Explanation:
    """Every engine beside the question g_t(A) w."""
    return _sorted(Balanced.of(operator, w), times)


def _sorted(balanced: Balanced, times: Times) -> Explanation:
    found = (Choice(e.name, e.accepts(balanced, times), e.cost(balanced, times), e.needs) for e in ENGINES.values())
    return Explanation(tuple(sorted(found, key=lambda choice: (not choice.accepted, choice.seconds))))


def solve(operator: StateOperator, w: Array, times: Times, method: str = "auto") -> tuple[Path, Array, str]:
    """g_t(A) w at every time, states (blocks, Q, p), an estimate of its rounding (T,), and the engine that found it.

    ``"auto"`` asks the engines that accept the question, the cheapest first.
    """
    require_choice("method", method, ["auto", *ENGINES])
    balanced = Balanced.of(operator, w)
    scaled = w / balanced.units
    drive = Drive(scaled, 8.0 * eps(w) * (max(norm(scaled), balanced.slope) + norm(balanced.start)))
    asked = [c.engine for c in _sorted(balanced, times).choices if c.accepted and method in ("auto", c.engine)]
    failed = "no engine accepts them"
    for engine in (ENGINES[name] for name in asked):
        try:
            path, rounding = engine.prepare(balanced, times).apply(times, drive)
            path = path if operator.shape[0] == 1 else Path(path.states * balanced.units)
            return path, rounding, engine.name
        except UnconvergedError as reason:
            failed = str(reason)
    raise InputError(f"method: expected an engine for this rule and these times, found {method!r} ({failed}); "
                     'use method="auto"')  # fmt: skip
