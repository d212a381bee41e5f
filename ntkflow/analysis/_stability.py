"""Stability of all modes at once, of the iteration or of the flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import sympy
from sympy.polys.polyerrors import BasePolynomialError

from ..errors import require
from ._answers import Bound, Conditions, Implicit
from ._bounds import StepSizes
from ._conditions import hurwitz, jury
from ._signs import UndecidedError
from ._symbols import lam_min, z
from .topologies import TOPOLOGIES, eigenvalues_of, named

# Inequalities are written out for polynomials up to this order in z and total degree; beyond, they are pages long
# and their factors could take minutes.
ORDER, DEGREE = 4, 24
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Stability:
    """The characteristic polynomials on the disagreements and on the consensus, structural roots divided out.

    ``mixes`` says whether the rule has a graph, and so a λ.
    """

    disagreement: sympy.Poly
    consensus: sympy.Poly
    flow: bool
    mixes: bool

    @cached_property
    def conditions(self) -> Conditions | Implicit:
        """The inequalities."""
        pair = self.disagreement, self.consensus
        if (order := max(p.degree() for p in pair)) > ORDER:
            return Implicit(None, f"the modes have order {order}, more than {ORDER}")
        if (degree := max(_total_degree(p) for p in pair)) > DEGREE:
            return Implicit(None, f"the modes' polynomial has degree {degree}, more than {DEGREE}")
        return Conditions(self._inequalities(self.disagreement), self._inequalities(self.consensus))

    @cached_property
    def max_step_size(self) -> sympy.Expr | Implicit:
        """The first η at which the mode (λ, κ) fails, or any mode of a rule without a graph."""
        return self._answer(lambda step_sizes: step_sizes.limit(self.mixes))

    def bound_between(self, smallest: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> Bound | Implicit:
        """On graphs whose λ_min is ``smallest``, somewhere in [low, high]."""
        return self._answer(lambda step_sizes: step_sizes.bound_between(smallest, low, high))

    def bound(self, topology: Any, sides: tuple[int, ...]) -> Bound | Implicit:
        """On any graph, on a topology, on one graph, or with one mixing matrix."""
        if topology is None:
            require(not sides, "sides", "none without a topology", sides)
            return self.bound_between(lam_min, -sympy.S.One, sympy.S.One)
        if not isinstance(topology, str):
            return self._bound_with(topology, sides)
        if topology in TOPOLOGIES and not sides:
            graph = TOPOLOGIES[topology]
            return self.bound_between(graph.smallest, graph.low, graph.high)
        spectrum = named(topology, sides).spectrum(*sides)
        return self._answer(lambda step_sizes: step_sizes.bound_on(list(spectrum)))

    def _bound_with(self, mixing: Any, sides: tuple[int, ...]) -> Bound | Implicit:
        spectrum = eigenvalues_of(mixing)
        require(not sides, "sides", "none with a matrix or a graph", sides)
        return self._answer(lambda step_sizes: step_sizes.bound_on(spectrum).in_decimals())

    @cached_property
    def _step_sizes(self) -> StepSizes:
        if isinstance(self.conditions, Implicit):
            raise UndecidedError(self.conditions.reason)
        return StepSizes(self.conditions)

    def _inequalities(self, polynomial: sympy.Poly) -> tuple[sympy.Expr, ...]:
        return hurwitz(polynomial.compose(sympy.Poly(1 + z, z))) if self.flow else jury(polynomial)

    def _answer(self, question: Callable[[StepSizes], Answer]) -> Answer | Implicit:
        try:
            return question(self._step_sizes)
        except (UndecidedError, BasePolynomialError, NotImplementedError) as why:
            conditions = self.conditions
            return conditions if isinstance(conditions, Implicit) else Implicit(conditions, str(why))


def _total_degree(polynomial: sympy.Poly) -> int:
    """In z and everything else; what is not polynomial in a parameter is refused when it is to be solved."""
    expr, letters = polynomial.as_expr(), sorted(polynomial.free_symbols | {z}, key=str)
    return int(sympy.Poly(expr, *letters).total_degree()) if expr.is_polynomial(*letters) else 0
