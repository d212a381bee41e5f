r"""Modes that neither decay nor grow, counted from structure: from exact s × s matrices, never from small floats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sympy

from ..notation import eta
from ._symbols import kappa, z
from .modal import modal

if TYPE_CHECKING:
    from ._left_over import MixingMode
    from ._reduction import Reduction

ON_THE_CIRCLE = 1e-12  # how near to it an eigenvalue of an s × s matrix in floating point counts as on it


@dataclass(frozen=True)
class MarginalMode:
    """Eigenvalues of the map M on the unit circle.

    Attributes
    ----------
    value : complex
        z; of the flow it is z − 1, which is marginal for z = 1 only.
    multiplicity : int
        How many states, over all agents and parameters.
    jordan_index : int
        The size of the largest Jordan block: 1 stays, 2 drifts at a constant rate.
    where : str
        "mixing" with the eigenvalue of W it belongs to, or "learning".
    exact : bool
        Whether z, multiplicity and index come from exact arithmetic.
    """

    value: complex
    multiplicity: int
    jordan_index: int
    where: str
    exact: bool


def marginal_modes(reduction: Reduction) -> tuple[MarginalMode, ...]:
    """All of them: of the mixing that learns nothing, and the structural ones of the learning part."""
    mixing = [mode for part in reduction.mixing_part for mode in _of_mixing(part)]
    return (*mixing, *_of_learning(reduction))


def structural(reduction: Reduction) -> int:
    """How many eigenvalues of the learning part are 1 for every step size and all data: one for each conserved sum."""
    return sum(mode.multiplicity for mode in _of_learning(reduction))


def _of_mixing(part: MixingMode) -> list[MarginalMode]:
    where = f"mixing, λ = {np.round(part.value, 6):g}" if np.isreal(part.value) else f"mixing, λ = {part.value:.6g}"
    if part.exact is None:
        return _in_floats(part, where)
    found, rest = [], sympy.Poly(part.exact.charpoly(z).as_expr(), z)
    for value in (sympy.S.One, -sympy.S.One):
        count, factor = 0, sympy.Poly(z - value, z)
        while rest.degree() and rest(value) == 0:
            count, rest = count + 1, rest.exquo(factor)
        if count:
            found.append(MarginalMode(complex(value), count * part.copies, _index(part.exact, value), where, True))
    roots = np.roots([float(c) for c in rest.all_coeffs()])
    return found + [MarginalMode(complex(w), part.copies, 1, where, False) for w in roots if _on_circle(w)]


def _in_floats(part: MixingMode, where: str) -> list[MarginalMode]:
    values = np.linalg.eigvals(part.matrix)
    return [MarginalMode(complex(w), part.copies, 1, where, False) for w in values if _on_circle(w)]


def _on_circle(value: complex) -> bool:
    return abs(abs(value) - 1.0) <= ON_THE_CIRCLE


def _of_learning(reduction: Reduction) -> list[MarginalMode]:
    """Roots at 1 of the consensus polynomial whatever the curvature: sums over the agents that the rule conserves."""
    sums, symbolic = _sums(reduction), modal(reduction.rule, **reduction.parameters)
    count = symbolic.structural_roots["lambda = 1"]
    if not count or not sums:
        return []
    generic = {eta: sympy.Rational(1, 7), kappa: sympy.Rational(3, 5)}
    parameters = {s: sympy.Rational(5, 11) for s in symbolic.consensus_matrix.free_symbols - set(generic)}
    index = _index(symbolic.consensus_matrix.subs({**generic, **parameters}), sympy.S.One)
    return [MarginalMode(1.0 + 0.0j, count * sums, index, "learning", True)]


def _sums(reduction: Reduction) -> int:
    """How many weighted sums of the agents' states W keeps: left eigenvectors u of its eigenvalue 1, times directions.

    What a rule conserves with W symmetric it conserves with any W: (u ⊗ v) 𝓦 = u ⊗ v is all that is asked.
    """
    if reduction.symmetric:
        return sum(mode.rank for mode in reduction.modes if mode.value == 1.0)
    W, p = reduction.mixing, reduction.jacobian.shape[2]
    if reduction.rule.uses_graph and reduction.rule.averages:  # then 1 is the only u that the average keeps too
        return int(p) * bool(np.abs(W.sum(axis=0) - 1.0).max() <= reduction.together)
    return int(p) * int(np.count_nonzero(np.linalg.svd(W - np.eye(len(W)), compute_uv=False) <= reduction.together))


def _index(matrix: sympy.Matrix, value: sympy.Expr) -> int:
    """The size of the largest Jordan block of an eigenvalue: the power at which the rank of M − z I settles."""
    shifted = matrix - value * sympy.eye(matrix.rows)
    ranks = [(shifted**k).rank() for k in range(1, matrix.rows + 2)]
    return next(k for k in range(1, matrix.rows + 1) if ranks[k - 1] == ranks[k])
