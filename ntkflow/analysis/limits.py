r"""Where training ends: at an interpolant or a minimiser that the agents share, or beside it by a bias (T13).

The *common loss* of a parameter vector is F(v) = Σ_q π_q c_q ‖e_q + J_q (v − θ_q(0))‖² / 2, with π the weights on which
the agents agree (all 1 where the columns of W sum to 1). Among its minimisers v* is the one nearest to the mean of the
starts, and g*_q the agents' own gradients there. Where all g*_q vanish the agents share a minimiser, and every rule
that moves by gradients alone ends there; where they do not, DGD and its like end beside it by a bias of order η.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._array import to_numpy
from .._tables import latex_table, markdown_table, text_table
from ..errors import NoLimitError
from ._arguments import system_of
from ._common import Common
from ._rest import bias_order

if TYPE_CHECKING:
    from ..study import Study
    from ..systems import LinearSystem

Matrix = npt.NDArray[np.float64]


def limit(system: LinearSystem | Study, flow: bool = False) -> Limit:
    r"""Where the iteration (or the flow) of a system ends, and whether that is where the common loss is least.

    Parameters
    ----------
    system : LinearSystem or Study
        Of any rule.
    flow : bool
        The flow in place of the iteration.

    Returns
    -------
    Limit

    Notes
    -----
    Whether a minimiser is shared is decided by one least-squares problem, of Qn rows; whether the rule has a bias by
    running it, in exact arithmetic, on two agents of one parameter. So the verdict does not compare small floats of
    trajectories; but a real network has no sharp rank, and "shared" means up to `Limit.tolerance`. The limit itself
    is the trajectory at infinity, at its cost. Computed on the compressed model; what is
    found is given in NumPy, on the host, whatever the system's library and device.

    References
    ----------
    Theory T13.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> rng = np.random.default_rng(0)
    >>> lin = nf.LinearizedModel.from_jacobian(rng.normal(size=(4, 3, 5)), rng.normal(size=(4, 3)))
    >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    >>> for rule in ("dgd", "extra"):
    ...     found = limit(nf.LinearSystem(rule, W, lin, 0.1))
    ...     print(found.kind, found.order, round(found.consensus_error, 3))
    biased 1.0 0.189
    minimiser inf 0.0
    """
    system = system_of(system)
    common = Common(system)
    order = math.nan if common.apart else bias_order(system.rule, system.numbers, 0.0 if common.averages else None)
    try:
        end = system.flow(math.inf) if flow else system.iterate(math.inf)
    except NoLimitError as why:
        return Limit(system.rule.name, flow, common, order, None, None, None, math.nan, str(why))
    place, loss, everywhere = (to_numpy(a) for a in (end.states[0, 0, ...], end.loss[0, :], end.global_loss[0, :]))
    apart = float(end.consensus_error[0])
    return Limit(system.rule.name, flow, common, order, place + common.start, loss, everywhere, apart, "")


UNDECIDED = "told from rounding"  # in the reason


@dataclass(frozen=True, eq=False)
class Limit:
    r"""Where training ends; made by `limit`.

    Attributes
    ----------
    rule : str
    flow : bool
    common : Common
        The common loss, its minimiser v* and the own gradients g* there.
    order : float
        The power of η with which the rule's bias vanishes, on data that share no minimiser: 1 for DGD, ATC, CTA and
        momentum; inf for EXTRA, gradient tracking and their like, which have none; nan where that is not defined.
    place : (Q, p) or None
        The limit in compressed coordinates.
    loss, global_loss : (Q,) or None
        There: ‖r_q‖² / (2 D_q), and the same of agent q's model over the data of all agents.
    consensus_error : float
        (Σ_q ‖θ_q − θ̄‖²)^½ there.
    reason : str
        Why there is no limit, where there is none.
    """

    rule: str
    flow: bool
    common: Common = field(repr=False)
    order: float
    place: Matrix | None = field(repr=False)
    loss: Matrix | None
    global_loss: Matrix | None
    consensus_error: float
    reason: str

    @property
    def exists(self) -> bool:
        """Whether the trajectory converges."""
        return self.place is not None

    @property
    def shared(self) -> str:
        """What the agents share, whatever the rule, ``"interpolant"``, ``"minimiser"`` or ``"nothing"``."""
        if self.common.interpolates:
            return "interpolant"
        return "minimiser" if self.common.shares_minimiser else "nothing"

    @cached_property
    def kind(self) -> str:
        """Where it ends.

        ``"interpolant"``: the residual of every agent with a gradient (c_q > 0) vanishes. ``"minimiser"``: all agents
        at the minimiser v* of the common loss. ``"biased"``: beside it. ``"apart"``: agents that never hear of each
        other end in places of their own. ``"none"``: there is no limit. ``"undecided"``: none that can be told from
        rounding, as on a real network with modes slower than that.
        """
        if not self.exists:
            return "undecided" if UNDECIDED in self.reason else "none"
        if self.common.apart:
            return "apart"
        if self.order > 0 and self.shared != "nothing":
            return self.shared
        return "minimiser" if self.order == math.inf else "biased"

    @property
    def bias(self) -> float:
        """‖ϑ_∞ − 1 ⊗ v*‖, in the parameters."""
        return math.nan if self.place is None else float(np.linalg.norm(self.place - self.common.minimiser))

    @property
    def common_loss(self) -> Matrix:
        """(Q,), every agent's loss at v*, the best that they can reach together."""
        return self.common.loss(self.common.minimiser)

    @property
    def tolerance(self) -> float:
        """What rounding and compression may leave of a vanishing (weighted) residual."""
        return self.common.noise

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.kind == "biased":
            power = {1.0: "O(η)", 0.0: "fixed"}.get(self.order, f"O(η^{self.order:g})")
            return f"beside the common minimiser, by {'an' if power[0] == 'O' else 'a'} {power} bias of {self.bias:.3g}"
        return {
            "none": f"nowhere: {self.reason}",
            "undecided": f"nobody knows where: {self.reason}",
            "apart": "in several places, as some agents never hear of each other",
            "interpolant": f"at an interpolating solution that all agents share: {self._vanishing}",
            "minimiser": "at the minimiser of the common loss, all agents together",
        }[self.kind]

    def text(self) -> str:
        """The verdict and a table of the agents' losses."""
        return f"{self._title} ends {self.sentence}.\n{text_table(*self._table('agent'))}"

    def markdown(self) -> str:
        """The same in Markdown."""
        return f"{self._title} ends {self.sentence}.\n\n{markdown_table(*self._table('agent'))}"

    def latex(self) -> str:
        """The agents' losses as a LaTeX tabular."""
        return latex_table(*self._table("$q$"))

    def __str__(self) -> str:
        return self.text()

    @property
    def _vanishing(self) -> str:
        if np.all(self.common.scale > 0):
            return "every loss vanishes"
        return "every loss vanishes but those of agents without a gradient (c_q = 0)"

    @property
    def _title(self) -> str:
        return f"The {'flow' if self.flow else 'iteration'} of {self.rule}"

    def _table(self, agent: str) -> tuple[list[str], list[list[Any]]]:
        least = self.common_loss
        unknown: list[Any] = [None] * len(least)
        ends = (unknown, unknown) if self.loss is None or self.global_loss is None else (self.loss, self.global_loss)
        columns = (ends[0], least, ends[1])
        rows = [[q + 1, *row] for q, row in enumerate(zip(*columns, strict=True))]
        return [agent, "loss in the end", "at the common minimiser", "over all data in the end"], rows
