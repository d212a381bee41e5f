"""What the learning part leaves over: copies of one small matrix for every eigenvalue of W."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import NDArray

from ._symbols import kappa, lam
from ._words import image, without_curvature
from .modal import modal

if TYPE_CHECKING:
    from ._reduction import Reduction

DENOMINATOR = 1000  # a λ within rounding of a fraction up to here is that fraction


@dataclass(frozen=True, eq=False)
class MixingMode:
    """Copies of one small matrix M(λ, 0): modes that mix, never learn, and have no effect on any output.

    Attributes
    ----------
    value : float or complex
        λ; complex for directed graphs only, and nan where M(W, 0) does not come apart (a directed graph and averages).
    copies : int
        m_λ P − r_λ.
    matrix : (s, s)
        M(λ, 0) in floating point; (s Q, s Q) where it does not come apart.
    exact : sympy.Matrix or None
        The same with rational entries, where λ is a rational number of small denominator.
    """

    value: float | complex
    copies: int
    matrix: NDArray[Any]
    exact: sympy.Matrix | None


def left_over(reduced: Reduction) -> tuple[MixingMode, ...]:
    """All but the learning part: m_λ P − r_λ copies an eigenvalue; for any other W what compression left out."""
    if reduced.symmetric:
        left = [
            (mode.value, mode.average, mode.multiplicity * reduced.n_parameters - mode.rank) for mode in reduced.modes
        ]
        return tuple(_mode(reduced, value, average, copies) for value, average, copies in left if copies)
    copies = reduced.n_parameters - reduced.jacobian.shape[2]
    if not copies:
        return ()
    if reduced.rule.uses_graph and reduced.rule.averages:  # the average need not commute with W
        return (MixingMode(math.nan, copies, _whole(reduced), None),)
    return tuple(_mode(reduced, complex(value), 0.0, copies) for value in np.linalg.eigvals(reduced.mixing))


def _mode(reduced: Reduction, value: float | complex, average: float, copies: int) -> MixingMode:
    return MixingMode(value, copies, reduced.modal_matrix(value, average), _exact(reduced, value, average))


def _whole(reduced: Reduction) -> NDArray[Any]:
    """M(W, 0) for one parameter."""
    Q = reduced.mixing.shape[0]
    average, identity = np.full((Q, Q), 1.0 / Q), np.eye(Q)
    letters = {"W": lambda x: reduced.mixing @ x, "average": lambda x: average @ x}
    return np.block([[image(entry, letters, identity) for entry in row] for row in without_curvature(reduced.words())])


def _exact(reduced: Reduction, value: float | complex, average: float) -> sympy.Matrix | None:
    near = Fraction(value.real).limit_denominator(DENOMINATOR)
    if abs(value - near) > reduced.together:
        return None
    rule, symbolic = reduced.rule, modal(reduced.rule, **reduced.parameters)
    consensus = bool(average) if rule.uses_graph else near == 1
    chosen = symbolic.consensus_matrix if consensus and rule.averages else symbolic.matrix
    exact = {symbol: sympy.Rational(str(x)) for symbol, x in reduced.numbers.items()}
    return chosen.subs({**exact, kappa: 0, lam: sympy.Rational(near.numerator, near.denominator)})
