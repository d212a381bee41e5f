"""The step size that people take when they know λ_min(W) and λ_max(Ψ) and nothing else."""

from __future__ import annotations

import math
from functools import lru_cache

import sympy

from ..algorithms import Rule
from ._answers import Bound, Implicit
from ._driven import Driven
from ._form import ProductForm, SymmetricForm
from ._symbols import kappa_max, lam_min
from .modal import modal


def usual_step(driven: Driven) -> float | None:
    """(1 + λ_min)/λ_max(Ψ) for DGD, 2/λ_max(Ψ) for ATC and CTA; for the others what T9 says for equal agents.

    The first two are sufficient (T8). The bound for equal agents is none for agents that differ: it says what their
    differences cost or gain. None without a closed form, or when W is not symmetric.
    """
    if not driven.reduction.modes:
        return None
    if not math.isfinite(driven.unit):
        return math.inf
    form, values = driven.form, [mode.value for mode in driven.reduction.modes]
    if isinstance(form, SymmetricForm) and set(form.curvature) == {0}:
        lowest = min(sum(c * x**k for k, c in form.mixing.items()) for x in values)
        return max(0.0, 1.0 + lowest) * driven.unit / form.curvature[0]
    if isinstance(form, ProductForm) and form.single:
        return 2.0 * driven.unit / form.gamma
    return _for_equal_agents(driven, min(values))


def _for_equal_agents(driven: Driven, lowest: float) -> float | None:
    bound = _bound(driven.reduction.rule, tuple(driven.reduction.parameters.items()))
    if not isinstance(bound, Bound):
        return None
    numbers = {s: v for s, v in driven.reduction.numbers.items() if s in bound.value.free_symbols}
    value = sympy.N(bound.value.subs({**numbers, lam_min: lowest, kappa_max: 1.0 / driven.unit}))
    return max(0.0, float(value)) if value.is_number and value.is_real else None


@lru_cache(maxsize=128)
def _bound(rule: Rule, parameters: tuple[tuple[str, float], ...]) -> Bound | Implicit:
    """In symbols, once for all systems of a rule: networks and graphs come in afterwards."""
    return modal(rule, **dict(parameters)).step_size_bound()
