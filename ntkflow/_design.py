"""What is chosen beside the network: a rule with its numbers, a mixing matrix and the gradient's factors, checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ._array import Array, eps, eye, namespace, taken, zeros
from .algorithms import Rule
from .algorithms._program import Program
from .errors import MixingError, refuse, require, require_number
from .normalization import gradient_scale
from .weights import require_mixing

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False)
class Design:
    """A design for agents of certain sizes; made by `of`."""

    rule: Rule
    mixing: Array
    scale: Array  # c_q
    numbers: dict[sympy.Symbol, float]
    step_size: float
    normalization: Any
    parameters: dict[str, float]

    @classmethod
    def of(
        cls,
        rule: Rule,
        W: Array | None,
        n_samples: Array,
        n_outputs: int,
        step_size: float,
        normalization: Any,
        parameters: dict[str, float],
    ) -> Design:
        """Checked, for true sizes ``n_samples`` (Q,) as real numbers; W comes in their library, dtype and device."""
        rule = rule.shaped(parameters)
        numbers = rule.numbers(require_number("step_size", step_size, 0.0, open_low=True), parameters)
        mixing, scale = _mixing(rule, W, n_samples), gradient_scale(normalization, n_samples, n_outputs)
        return cls(rule, mixing, scale, numbers, step_size, normalization, parameters)

    @cached_property
    def program(self) -> Program:
        """The rule, every scalar bound to its number."""
        return self.rule.bind(self.numbers)


def _mixing(rule: Rule, W: Array | None, n_samples: Array) -> Array:
    Q = n_samples.shape[0]
    if not rule.uses_graph:
        require(W is None, "W", f"None, as rule {rule.name!r} has no graph", "a matrix", error=MixingError)
        return zeros((Q, Q), n_samples) + 1.0 / Q if rule.averages else eye(Q, n_samples)
    if W is None:
        refuse("W", f"a ({Q}, {Q}) mixing matrix", None, "e.g. ntkflow.weights.metropolis_hastings(graph)", MixingError)
    require_mixing(W)
    fits = tuple(W.shape) == (Q, Q)
    require(fits, "W", f"shape ({Q}, {Q}), one row an agent", f"shape {tuple(W.shape)}", error=MixingError)
    mixing = taken(W, n_samples)
    if eps(W) > eps(mixing):  # rows that sum to 1 in fewer digits: the diagonal takes up the difference
        mixing = mixing + eye(Q, mixing) * (1.0 - namespace(mixing).sum(mixing, axis=1))[:, None]
    return mixing
