"""One way to apply the filter g_t(A) w a file; `auto` picks the cheapest that accepts.

An engine has ``name``, ``accepts(operator, times)``, ``cost(operator, times)`` in rough seconds,
``prepare(operator, times)`` for what can be shared between questions, and ``apply(times, w)``.
"""

from __future__ import annotations

from typing import Any

from .._array import Array
from ..errors import InputError, require_choice
from ..operator import StateOperator
from ._question import Times, UnconvergedError
from .dense import Dense
from .krylov import Krylov
from .spectral import Spectral
from .stepping import Stepping

ENGINES: dict[str, Any] = {engine.name: engine for engine in (Spectral, Krylov, Stepping, Dense)}

__all__ = ["ENGINES", "Times", "solve"]


def solve(operator: StateOperator, w: Array, times: Times, method: str = "auto") -> tuple[Array, Array, str]:
    """g_t(A) w (T, blocks, Q, p), an estimate of its rounding (T,), and the engine that found it.

    ``"auto"`` asks the engines that accept the question, the cheapest first.
    """
    require_choice("method", method, ["auto", *ENGINES])
    engines = list(ENGINES.values()) if method == "auto" else [ENGINES[method]]
    accepted = [engine for engine in engines if engine.accepts(operator, times)]
    failed = "no engine accepts them"
    for engine in sorted(accepted, key=lambda engine: engine.cost(operator, times)):
        try:
            return *engine.prepare(operator, times).apply(times, w), engine.name
        except UnconvergedError as reason:
            failed = str(reason)
    raise InputError(f"method: expected an engine for this rule and these times, found {method!r} ({failed}); "
                     'use method="auto"')  # fmt: skip
