"""Modes of W alone, where no data are: counted by structure, their multiple roots found in exact factors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sympy

from ._eigenmodes import Eigenmodes, Numbers
from ._reduction import Reduction
from ._symbols import kappa, lam, z
from .modal import modal

if TYPE_CHECKING:
    from ..systems import LinearSystem

SAME = 1e-10  # as the eigenvalue 1 of W counts what is no farther from it, where W is not symmetric


class Mixing:
    """What a rule makes of a mode of W alone, where no data are: the roots of det(z I − M(λ, 0)) and their order.

    A multiple root is found once, in a factor of the polynomial, and not as several that rounding has split.
    """

    def __init__(self, system: LinearSystem) -> None:
        symbolic = modal(system.rule, **system.parameters)
        numbers = {symbol: sympy.Rational(str(value)) for symbol, value in system.numbers.items()}
        self.consensus = _factors(symbolic.consensus_polynomial, numbers)
        self.disagreement = _factors(symbolic.characteristic_polynomial, numbers)

    def rates(self, eigenvalue: complex, consensus: bool) -> list[tuple[complex, int]]:
        """z − 1 of every root, and its order."""
        found: list[tuple[complex, int]] = []
        for factor, order in self.consensus if consensus else self.disagreement:
            coefficients = [complex(c.subs(lam, eigenvalue)) for c in factor.all_coeffs()]
            found += [(complex(root), order) for root in np.roots(coefficients)]
        return found


def _factors(polynomial: sympy.Expr, numbers: Mapping[sympy.Symbol, sympy.Expr]) -> list[tuple[sympy.Poly, int]]:
    """Over the rationals and in powers of z − 1, so that slow modes keep their digits."""
    shifted = sympy.expand(polynomial.subs(kappa, 0).subs(numbers).subs(z, z + 1))
    return [(sympy.Poly(factor, z), order) for factor, order in sympy.factor_list(shifted)[1] if factor.has(z)]


def _is_consensus(value: complex, average: float, reduced: Reduction) -> bool:
    both = reduced.rule.uses_graph and reduced.rule.averages
    return bool(average) if both else abs(value - 1) <= (0.0 if reduced.symmetric else SAME)


def mixing_modes(mixing: Mixing, reduced: Reduction) -> Iterator[tuple[Eigenmodes, npt.NDArray[np.int64]]]:
    """For every eigenvalue of W that the learning part does not use up, the roots of its polynomial, and how many."""
    for value, copies, consensus, agents, agreement in _left_over(reduced):
        found = mixing.rates(value, consensus)
        rates = np.array([rate for rate, _ in found], complex)
        none, shares = np.zeros(len(found)), np.tile(agents, (len(found), 1))
        modes = Eigenmodes(rates, shares, none + agreement, none, none == 0)
        yield modes, np.array([copies * order for _, order in found], int)


def _left_over(reduced: Reduction) -> Iterator[tuple[complex, int, bool, Numbers, float]]:
    """Eigenvalue, copies, whether it is the consensus, and how its eigenvectors are spread over the agents."""
    W, P = reduced.mixing, reduced.n_parameters
    values, U = np.linalg.eigh(W) if reduced.symmetric else np.linalg.eig(W)
    modes: list[tuple[complex, int, int, float]] = [
        (mode.value, mode.multiplicity, mode.multiplicity * P - mode.rank, mode.average) for mode in reduced.modes
    ]
    if not reduced.symmetric:
        modes = [(complex(value), 1, P - reduced.jacobian.shape[2], 0.0) for value in values]
    for value, multiplicity, copies, average in modes:
        if copies:
            space = U[:, np.argsort(abs(values - value), kind="stable")[:multiplicity]]
            yield value, copies, _is_consensus(value, average, reduced), *_spread(space)


def _spread(space: Any) -> tuple[Numbers, float]:
    """The mean shares of the agents over orthonormal columns (Q, m), and the mean share of what is common."""
    Q, m = space.shape
    return np.sum(abs(space) ** 2, axis=1) / m, float(np.sum(abs(space.sum(axis=0)) ** 2) / (Q * m))
