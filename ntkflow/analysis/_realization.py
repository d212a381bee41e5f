"""A minimal realisation of a system, in coordinates of its reachable and observable part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._staircase import Matrix

if TYPE_CHECKING:
    from ._reduction import Reduction


@dataclass(frozen=True, eq=False)
class Realization:
    """A minimal realisation of the iteration: z⁺ = M z + B e₀, z(0) = X0 e₀, outputs f₀ + C z.

    With the system's own residuals, and agents that start apart included, it is z⁺ = M z + drive from z = 0.
    The same subspaces serve the flow, with A = M − I.

    Attributes
    ----------
    M : (order, order)
    B : (order, Q n)
        What residuals add to every update.
    C : (Q n, order)
    X0 : (order, Q n)
        What residuals put into the start; zero but for trackers.
    drive : (order,)
        The first update of this very system.
    basis, dual : (s d, order), (order, s d)
        States of the learning part are ``basis @ z``; dual @ basis = I.
    order : int
    controllable_dimension, observable_dimension : int
        Of the whole system; agents that start apart reach directions that no output sees.
    gap : float
        The smallest singular value that was kept over the largest that was not, in all rank decisions.
    """

    M: Matrix
    B: Matrix
    C: Matrix
    X0: Matrix
    drive: Matrix
    basis: Matrix
    dual: Matrix
    controllable_dimension: int
    observable_dimension: int
    gap: float

    @property
    def order(self) -> int:
        """The number of states."""
        return int(self.basis.shape[1])

    def restrict(self, M: Matrix) -> Matrix:
        """A map on R^s as it acts on the minimal part."""
        return self.dual @ M @ self.basis


def realize(reduced: Reduction) -> Realization:
    """Kalman's decomposition of a reduction."""
    kalman = reduced.kalman
    minimal, scale = kalman.minimal, kalman.scale[:, None]
    reach = reduced.with_starts.kalman.reachable
    basis, dual = scale * minimal.basis, (minimal.basis / scale).T
    return Realization(
        M=dual @ reduced.map() @ basis,
        B=dual @ reduced.residual_input(),
        C=reduced.outputs @ basis,
        X0=dual @ reduced.start_input(),
        drive=dual @ reduced.drive(),
        basis=basis,
        dual=dual,
        controllable_dimension=reach.dimension,
        observable_dimension=kalman.observable.dimension,
        gap=min(reduced.gap, minimal.gap, reach.gap, kalman.observable.gap),
    )
