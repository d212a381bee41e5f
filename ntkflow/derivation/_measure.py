"""What the left side of every equation *is* on small explicit networks: measured, never derived.

The rule is run as its agents run it, with gradients that SymPy takes from the loss.  M, A, B and C are then
responses to unit vectors, b and u what becomes of the origin, and the flow's trajectory Picard's iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import sympy

from ..notation import theta
from ._arrays import Exact, column, diagonal, identity, parts, stack
from ._evaluate import ORDER
from ._networks import AGENTS, PARAMETERS
from ._specimen import STEPS, TIME, Specimen, State


def measure(specimen: Specimen, quantity: str, block: sympy.Symbol | None = None) -> Exact:
    """The value of a left side, by the name that its equation has."""
    if (quantity, block) not in specimen.measured:
        found = getattr(_Measurement(specimen), quantity)
        specimen.measured[quantity, block] = found(block) if block is not None else found()
    return specimen.measured[quantity, block]


@dataclass(frozen=True, eq=False)
class _Measurement:
    """One method a quantity."""

    specimen: Specimen

    def next(self, block: sympy.Symbol) -> Exact:
        """A block after one update."""
        return stack(self.specimen.update(self.specimen.state)[block])

    def let(self, name: sympy.Symbol) -> Exact:
        """A named intermediate."""
        return stack(self.specimen.known[name])

    def flow(self, block: sympy.Symbol) -> Exact:
        """What one update adds."""
        return self.next(block) - stack(self.specimen.state[block])

    def start(self, block: sympy.Symbol) -> Exact:
        """A block's first value."""
        return stack(self.specimen.start[block])

    def loss(self) -> Exact:
        """The sum of the agents' losses."""
        places = self.specimen.state[theta]
        return np.array([[sum(self.specimen.networks.loss(q, places[q]) for q in range(AGENTS))]], dtype=object)

    def gradient(self) -> Exact:
        """Its derivative, every agent's by its own parameters."""
        places = self.specimen.state[theta]
        return stack([self.specimen.networks.gradient(q, places[q]) for q in range(AGENTS)])

    def outputs(self) -> Exact:
        """The networks' outputs at some state."""
        return self._outputs(self.specimen.state[theta])

    def jacobian(self) -> Exact:
        """Their Jacobian there."""
        places = self.specimen.state[theta]
        return diagonal([self.specimen.networks.jacobian(q, places[q]) for q in range(AGENTS)])

    def residual(self) -> Exact:
        """Outputs minus targets at the start."""
        return self._outputs(self.specimen.origin) - self._targets

    def hessian(self) -> Exact:
        """The second derivative of ½‖f − y‖², of the weighted norm where the agents' factors differ."""
        networks, zero, units = self.specimen.networks, column([0] * PARAMETERS), identity(PARAMETERS)
        if self.specimen.normalization is not None:
            networks = replace(networks, weights=(Fraction(1),) * AGENTS)

        def curvature(q: int) -> Exact:
            return np.hstack([networks.gradient(q, unit[:, None]) - networks.gradient(q, zero) for unit in units])

        return diagonal([curvature(q) for q in range(AGENTS)])

    def M(self) -> Exact:
        """The response of the update."""
        return self._response(lambda flat: self._velocity(flat) + flat)

    def b(self) -> Exact:
        """The update of the origin."""
        return self._velocity(self._nowhere)

    def A(self) -> Exact:
        """The response of the velocity."""
        return self._response(self._velocity)

    def u(self) -> Exact:
        """The velocity at the origin."""
        return self._velocity(self._nowhere)

    def u_x(self) -> Exact:
        """The velocity at the start of the parameters, every other block zero."""
        return self._velocity(self._rest)

    def B(self) -> Exact:
        """Its response to every single residual."""
        still = self._driven(column([0] * self.specimen.sides["n"]))
        return np.hstack([self._driven(unit[:, None]) - still for unit in identity(self.specimen.sides["n"])])

    def C(self) -> Exact:
        """The response of the outputs to the state."""
        return self._response(lambda flat: self._outputs(self._blocks(flat)[theta]))

    def iterate(self) -> Exact:
        """Some updates from the start."""
        state = self.specimen.start
        for _ in range(STEPS):
            state = self.specimen.update(state)
        return self._flat(state)

    def trajectory(self) -> Exact:
        """Picard's iteration s ↦ s₀ + ∫ velocity: one more power of time a turn, as the velocity is affine."""
        still = self._velocity(self._nowhere)
        total = power = self._flat(self.specimen.start)
        for n in range(1, ORDER + 1):
            power = (self._velocity(power) - (0 if n == 1 else still)) * TIME / Fraction(n)
            total = total + power
        return total

    @property
    def _targets(self) -> Exact:
        return stack([column(row) for row in self.specimen.networks.targets])

    def _outputs(self, places: list[Exact]) -> Exact:
        return stack([self.specimen.networks.predict(q, places[q]) for q in range(AGENTS)])

    def _driven(self, residuals: Exact) -> Exact:
        """u_x when the residuals at the start are the given ones."""
        targets = self._outputs(self.specimen.origin) - residuals
        return _Measurement(replace(self.specimen, targets=targets)).u_x()

    def _velocity(self, flat: Exact) -> Exact:
        return self._flat(self.specimen.update(self._blocks(flat))) - flat

    def _response(self, map_: Callable[[Exact], Exact]) -> Exact:
        still = map_(self._nowhere)
        return np.hstack([map_(unit[:, None]) - still for unit in identity(len(self._nowhere))])

    @property
    def _nowhere(self) -> Exact:
        return column([0] * (len(self.specimen.rule.blocks) * self.specimen.sides["P"]))

    @property
    def _rest(self) -> Exact:
        return stack([stack(self.specimen.origin), self._nowhere[self.specimen.sides["P"] :]])

    def _flat(self, state: State) -> Exact:
        return stack([stack(state[b]) for b in self.specimen.rule.blocks])

    def _blocks(self, flat: Exact) -> State:
        blocks = self.specimen.rule.blocks
        return {b: parts(part, AGENTS) for b, part in zip(blocks, parts(flat, len(blocks)), strict=True)}
