r"""The modes of a rule when all agents share their curvature: small matrices, and what follows from them in symbols.

If every agent has the same Ψ, then W and Ψ are diagonal together and the state splits into one small system for every
pair of eigenvalues, λ of W and κ of the scaled Ψ: in the rule's words W becomes λ, Ψ becomes κ, and ``average`` becomes
1 on the consensus (λ = 1) and 0 on every disagreement.  Everything here is polynomial algebra on that matrix (T9).

>>> print(modal("dgd").max_step_size)
(lambda + 1)/kappa
>>> print(modal("extra").step_size_bound("cycle", 8))
eta <= 1/kappa_max
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from ..algorithms import Rule, get
from ..errors import require_number
from ..printing import text
from ._answers import Bound, Conditions, Implicit, formula, sentence
from ._conditions import without_ones
from ._optimum import Optimum, optimum
from ._signs import UndecidedError
from ._stability import Stability
from ._symbols import kappa, kappa_max, kappa_min, lam, lam_min, z
from .topologies import Family

__all__ = [
    "Bound", "Conditions", "Implicit", "Modal", "kappa", "kappa_max", "kappa_min", "lam", "lam_min", "modal", "z",
]  # fmt: skip


def modal(rule: str | Rule, **parameters: float) -> Modal:
    r"""The modes of a rule, in symbols.

    Parameters
    ----------
    rule : str or Rule
        A name of the catalogue, or a rule of your own.
    **parameters
        Numbers for the rule's parameters and counts, ``momentum=0.9``; a parameter that is left out stays a symbol
        with values in [0, 1), a count takes its default.  A number is taken as it is, beyond [0, 1) too.

    Returns
    -------
    Modal

    Raises
    ------
    InputError
        An unknown rule or parameter, or a value that is not a finite number.

    Notes
    -----
    A fraction of a second for the rules of the catalogue. No call can run for long: only polynomials of low degree are
    solved, and what is beyond them comes back as `Implicit`, with its inequalities and the reason. That is a limit on
    the size of the question rather than on the clock, so the answer does not depend on the machine.

    Examples
    --------
    >>> extra = modal("extra")
    >>> extra.matrix
    Matrix([
    [    -eta*kappa + lambda + 1, -1],
    [-eta*kappa + lambda/2 + 1/2,  0]])
    >>> print(extra.max_step_size, extra.structural_roots["lambda = 1"], sep=",  ")
    (3*lambda + 5)/(4*kappa),  1
    """
    chosen = get(rule).shaped(parameters)
    numbers = _numbers(chosen, parameters)
    disagreement = {"W": lam, "H": kappa, "average": sympy.S.Zero}
    consensus = {"W": sympy.S.One, "H": kappa, "average": sympy.S.One}
    return Modal(chosen, _matrix(chosen, disagreement, numbers), _matrix(chosen, consensus, numbers))


@dataclass(frozen=True, eq=False)
class Modal:
    r"""A rule on the mode (λ, κ).

    Attributes
    ----------
    rule : Rule
    matrix : sympy.Matrix
        M(λ, κ), a row and a column a block, on a disagreement: any mode of W but the consensus.
    consensus_matrix : sympy.Matrix
        The same on the consensus; for rules without ``average`` it is M(1, κ).
    """

    rule: Rule
    matrix: sympy.Matrix
    consensus_matrix: sympy.Matrix

    @property
    def characteristic_polynomial(self) -> sympy.Expr:
        """det(z I − M(λ, κ)), in powers of z."""
        return self._polynomials[0].as_expr()

    @property
    def consensus_polynomial(self) -> sympy.Expr:
        """The same on the consensus, with its structural roots at one."""
        return self._polynomials[1].as_expr()

    @cached_property
    def structural_roots(self) -> dict[str, int]:
        """How many roots are at z = 1 whatever the step size: where λ = 1, where κ = 0, and where both hold.

        They belong to what nothing drives: sums over the agents that the rule conserves, and directions without
        curvature, which would drift only if such a sum were not zero, as it is.  They are divided out before
        stability is judged.
        """
        disagreement, consensus = self._polynomials
        cases = {
            "lambda = 1": consensus,
            "kappa = 0": sympy.Poly(disagreement.as_expr().subs(kappa, 0), z),
            "lambda = 1, kappa = 0": sympy.Poly(consensus.as_expr().subs(kappa, 0), z),
        }
        return {case: without_ones(polynomial)[1] for case, polynomial in cases.items()}

    @property
    def iteration_conditions(self) -> Conditions | Implicit:
        """Jury's conditions: every root but the structural ones has |z| < 1."""
        return self._iteration.conditions

    @property
    def flow_conditions(self) -> Conditions | Implicit:
        """Routh and Hurwitz's conditions for the flow, whose eigenvalues are z − 1: Re z < 1."""
        return self._flow.conditions

    @property
    def max_step_size(self) -> sympy.Expr | Implicit:
        """The first η at which the mode (λ, κ) of the iteration becomes unstable; λ = 1 is the consensus.

        For −1 < λ ≤ 1; without a graph there is no λ, and it is the first η at which any mode does.  0 where it is
        unstable for small η already (it may be stable in a window further up), oo where it never is.
        """
        return self._iteration.max_step_size

    @property
    def max_step_size_flow(self) -> sympy.Expr | Implicit:
        """The same for the flow."""
        return self._flow.max_step_size

    @property
    def best_step_size(self) -> sympy.Expr | Implicit:
        """The η with the smallest largest |z| over the consensus modes with κ_min ≤ κ ≤ κ_max.

        With a momentum that is still a symbol it belongs to the best momentum.  It is the optimum of the consensus
        alone: on a graph it is to be had only up to `step_size_bound` at the same momentum.
        """
        return self._best if isinstance(self._best, Implicit) else self._best.step_size

    @property
    def best_momentum(self) -> sympy.Expr | Implicit | None:
        """The momentum that goes with the best step size; None where it is a number, or there is none."""
        return self._best if isinstance(self._best, Implicit) else self._best.momentum

    @property
    def best_rate(self) -> sympy.Expr | Implicit | None:
        """The largest |z| that is left then; None where it has no short form."""
        return self._best if isinstance(self._best, Implicit) else self._best.rate

    def step_size_bound(self, topology: Any = None, *sides: int, flow: bool = False) -> Bound | Implicit:
        r"""The largest η for which every mode on a graph is stable, structural roots aside.

        Parameters
        ----------
        topology : str, (Q, Q) array or networkx.Graph, optional
            cycle, star, complete, path, hypercube or torus, with Metropolis weights; a symmetric mixing matrix; any
            graph, with Metropolis weights, whose eigenvalues are then computed.  Left out, any symmetric W with
            eigenvalues in [λ_min, 1] and λ_min > −1.
        *sides : int
            As in `spectrum_of`, for a name; left out, the bound is a formula in them.
        flow : bool
            Of the flow instead of the iteration.

        Returns
        -------
        Bound or Implicit

        Raises
        ------
        InputError
            An unknown topology, or sides that it cannot have; a matrix that is not symmetric, or mixes nothing.

        Examples
        --------
        >>> print(modal("dgd").step_size_bound())
        eta <= (lambda_min + 1)/kappa_max
        >>> print(modal("dgd").step_size_bound("path"))
        eta <= 2*(2 - cos(pi/Q))/(3*kappa_max)
        >>> print(modal("dgd").step_size_bound("hypercube", 3))
        eta <= 1/(2*kappa_max)
        >>> from ntkflow import graphs, weights
        >>> print(modal("dgd").step_size_bound(weights.lazy(weights.max_degree(graphs.cycle(6)))))
        eta <= 1/kappa_max
        """
        return (self._flow if flow else self._iteration).bound(topology, sides)

    def bound_for(self, family: Family, *, flow: bool = False) -> Bound | Implicit:
        """The same for a family of graphs that share a formula for λ_min (`ntkflow.analysis.topologies.FAMILIES`)."""
        return (self._flow if flow else self._iteration).bound_between(family.smallest, family.low, family.high)

    def text(self) -> str:
        """All of it in plain text, a line a fact."""
        everywhere = "on a graph" if self.rule.uses_graph else "of all modes"
        roots = ", ".join(f"{count} where {case}" for case, count in self.structural_roots.items() if count)
        facts = {
            "M": text(self.matrix.tolist()),
            "det(z I - M)": text(self.characteristic_polynomial),
            "roots at z = 1": roots or "none",
            "the iteration is stable for": self.iteration_conditions,
            "the flow is stable for": self.flow_conditions,
            "largest step size": _text(self.max_step_size),
            everywhere: self.step_size_bound(),
            "largest step size of the flow": _text(self.max_step_size_flow),
            f"{everywhere}, the flow": self.step_size_bound(flow=True),
        }
        return "\n".join([f"{self.rule.name} on the mode (lambda, kappa)", *(f"  {k}: {v}" for k, v in facts.items())])

    def latex(self) -> str:
        """The matrix, its polynomial and the largest step sizes, as an ``aligned`` block."""
        lines = [
            rf"M(\lambda, \kappa) &= {formula(self.matrix)}",
            rf"\det(z I - M) &= {formula(self.characteristic_polynomial)}",
            rf"\eta_{{\text{{iteration}}}} &= {_latex(self.max_step_size)}",
            rf"\eta_{{\text{{flow}}}} &= {_latex(self.max_step_size_flow)}",
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def __str__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    @cached_property
    def _polynomials(self) -> tuple[sympy.Poly, sympy.Poly]:
        return _characteristic(self.matrix), _characteristic(self.consensus_matrix)

    @cached_property
    def _iteration(self) -> Stability:
        return self._stability(flow=False)

    @cached_property
    def _flow(self) -> Stability:
        return self._stability(flow=True)

    def _stability(self, flow: bool) -> Stability:
        disagreement, consensus = (without_ones(polynomial)[0] for polynomial in self._polynomials)
        return Stability(disagreement, consensus, flow, self.rule.uses_graph)

    @cached_property
    def _best(self) -> Optimum | Implicit:
        try:
            return optimum(without_ones(self._polynomials[1])[0])
        except UndecidedError as why:
            return Implicit(None, str(why))


def _numbers(rule: Rule, given: Mapping[str, Any]) -> dict[sympy.Symbol, sympy.Rational]:
    """The parameters given, as the rational numbers that their decimals are."""
    short = {rule.parameter_names[name]: (name, value) for name, value in given.items()}
    chosen = {s: short[str(s)] for s in rule.parameters if str(s) in short}
    return {s: sympy.Rational(str(require_number(name, value))) for s, (name, value) in chosen.items()}


def _matrix(rule: Rule, letters: Mapping[str, sympy.Expr], numbers: Mapping[Any, Any]) -> sympy.Matrix:
    """The linearised update with a number for every letter of its words."""

    def entry(i: int, j: int) -> sympy.Expr:
        operator = rule.words[rule.blocks[i]].get(rule.blocks[j], {})
        total = sum((c * math.prod(letters[a] for a in word) for word, c in operator.items()), sympy.S.Zero)
        decimals = {number: sympy.Rational(str(number)) for number in total.atoms(sympy.Float)}
        return sympy.expand(total.subs({**numbers, **decimals}))

    return sympy.ImmutableMatrix(len(rule.blocks), len(rule.blocks), entry)


def _characteristic(matrix: sympy.Matrix) -> sympy.Poly:
    return sympy.Poly(matrix.charpoly(z).as_expr(), z)


def _text(answer: sympy.Expr | Implicit) -> str:
    return str(answer) if isinstance(answer, Implicit) else sentence(answer)


def _latex(answer: sympy.Expr | Implicit) -> str:
    return answer.latex() if isinstance(answer, Implicit) else formula(answer)
