"""One way to apply the filter g_t(A) w a file; `auto` picks the cheapest that accepts.

An engine has ``name``, ``accepts(operator, times)``, ``cost(operator, times)`` in rough seconds,
``prepare(operator, times)`` for what can be shared between questions, and ``apply(times, drive)``.
"""

from __future__ import annotations

from typing import Any

from .._array import Array, eps, norm
from ..errors import InputError, require_choice
from ..operator import StateOperator
from ._balanced import Balanced
from ._question import Drive, Times, UnconvergedError
from .dense import Dense
from .krylov import Krylov
from .spectral import Spectral
from .stepping import Stepping

ENGINES: dict[str, Any] = {engine.name: engine for engine in (Spectral, Krylov, Stepping, Dense)}

SEVERAL = 16.0  # several blocks: A is far from normal, and one block integrates what another rounds

__all__ = ["ENGINES", "Times", "solve"]


def solve(operator: StateOperator, w: Array, times: Times, method: str = "auto") -> tuple[Array, Array, str]:
    """g_t(A) w (T, blocks, Q, p), an estimate of its rounding (T,), and the engine that found it.

    ``"auto"`` asks the engines that accept the question, the cheapest first.
    """
    require_choice("method", method, ["auto", *ENGINES])
    engines = list(ENGINES.values()) if method == "auto" else [ENGINES[method]]
    balanced = Balanced.of(operator, w)
    scaled = w / balanced.units
    drive = Drive(scaled, 8.0 * eps(w) * (norm(scaled) + norm(balanced.start)))
    accepted = [engine for engine in engines if engine.accepts(balanced, times)]
    failed = "no engine accepts them"
    for engine in sorted(accepted, key=lambda engine: engine.cost(balanced, times)):
        try:
            states, rounding = engine.prepare(balanced, times).apply(times, drive)
            return states * balanced.units, (1.0 if operator.shape[0] == 1 else SEVERAL) * rounding, engine.name
        except UnconvergedError as reason:
            failed = str(reason)
    raise InputError(f"method: expected an engine for this rule and these times, found {method!r} ({failed}); "
                     'use method="auto"')  # fmt: skip
