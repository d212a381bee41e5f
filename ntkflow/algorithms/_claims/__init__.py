"""What is known about a rule, in words and as a test.

"Symmetric W" and "doubly stochastic W" mean a non-negative one on a connected graph as well; a "common" point is one
that all agents share; η λ_max(Ψ) is the step size times the largest curvature of any agent's loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...errors import refuse

if TYPE_CHECKING:
    from ...study import Study
    from ...systems import LinearSystem

__all__ = ["Claim", "Predicate"]

Predicate = Callable[["LinearSystem"], bool | None]


@dataclass(frozen=True, eq=False)
class Claim:
    """A statement about the linear systems of a rule, and the predicate that tests it on any one of them.

    Parameters
    ----------
    statement : str
        In plain text, with its hypotheses.
    predicate : callable
        Whether the conclusion is true of a system, by numbers; None where the machine's numbers cannot tell.  W and
        all states are formed densely.
    source : str
        Paper, or theorem of ``theory/``.
    hypotheses : tuple of callables
        What the statement assumes of a system; without them it is about every one.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> lin = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 3)), np.ones((2, 1)))
    >>> system = nf.LinearSystem("dgd", np.full((2, 2), 0.5), lin, step_size=100.0)
    >>> for claim in nf.algorithms.get("dgd").claims[:2]:
    ...     print(claim.holds(system), claim.statement)
    True Symmetric W: the flow is stable for every step size.
    None Symmetric W: the iteration never spreads when η λ_max(Ψ) ≤ 1 + λ_min(W).
    """

    statement: str
    predicate: Predicate
    source: str
    hypotheses: tuple[Predicate, ...] = ()

    def applies(self, system: LinearSystem | Study) -> bool:
        """Whether a system, or a study's, meets every hypothesis."""
        return all(hypothesis(_system_of(system)) for hypothesis in self.hypotheses)

    def holds(self, system: LinearSystem | Study) -> bool | None:
        """Whether the conclusion is true of a system, or of a study's.

        None where a hypothesis is not met, and where double precision cannot tell: data that see some directions
        millions of times more faintly than others leave ranks and limits open.  A theorem is never False.

        Raises
        ------
        InputError
            For what is neither a `LinearSystem` nor a `Study`; for systems too large to be formed densely.
        """
        try:
            return self.predicate(_system_of(system)) if self.applies(system) else None
        except np.linalg.LinAlgError:  # an iteration of LAPACK that does not converge
            return None


def _system_of(given: LinearSystem | Study) -> LinearSystem:
    found: Any = getattr(given, "system", given)
    if not hasattr(found, "full"):
        refuse("system", "a LinearSystem or a Study", type(given).__name__, "as in claim.holds(study)")
    return cast("LinearSystem", found)
