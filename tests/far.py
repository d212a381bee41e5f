"""Small systems at long times, and how far a prediction is from long arithmetic; test_long_times.py and a benchmark.

The weights are dyadic, so that W has exact rows in doubles and its eigenvalue 1 is exactly 1 in long arithmetic too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import oracles
import recursions
from libraries import through
from market import CATALOGUE, graded, mixing_of

import ntkflow as nf

TIMES = [1e2, 1e4, 1e8, np.inf]
GRAPHS = {  # the matrix, rows an agent, parameters: more parameters than rows of all agents, so a singular A
    "pair": (np.full((2, 2), 0.5), 2, 5),  # W has the eigenvalue 0
    "path": (nf.weights.laplacian(nf.graphs.path(3), 1 / 4), 1, 4),
    "complete": (nf.weights.laplacian(nf.graphs.complete(3), 1 / 4), 1, 4),
}
SYMMETRIC = (
    "gd",
    "dgd",
    "cdsgd",
    "atc",
    "cta",
    "icdsgd",
    "fedavg",
)  # through a factor
GENERAL = tuple(name for name in CATALOGUE if name not in SYMMETRIC)
PARAMETERS = {
    **{name: {"momentum": 0.9} for name in ("cdmsgd", "cdmsgd_nesterov", "cdmsgd_published")},
    "fedavg": {"local_steps": 3},
    "icdsgd": {"consensus_steps": 2},
}


@dataclass(frozen=True)
class Far:
    """A rule on a graph, singular values of the stacked J from 1 to 1e-7, or 1e-3 for rules solved through A itself."""

    rule: str
    graph: str
    apart: bool
    seed: int
    xp: object = np

    @cached_property
    def problem(self):
        W, rows, parameters = GRAPHS[self.graph]
        return graded(len(W), rows, parameters, self.smallest, apart=self.apart, seed=self.seed)

    @property
    def smallest(self):
        """The smallest singular value of the stacked J."""
        return 1e-7 if self.rule in SYMMETRIC else 1e-3

    @property
    def slowest(self):
        """The rate of the slowest mode to first order: the agents' mean of η |J_q v|^2, v the singular vector."""
        return self.design[1] * self.smallest**2 / len(self.problem.J)

    @cached_property
    def design(self):
        """W where the rule takes one, the step size, the parameters."""
        top = max(np.linalg.norm(J, 2) ** 2 for J in self.problem.J)
        reach = 0.5 if self.rule in SYMMETRIC else 0.1  # η times the largest curvature
        return mixing_of(self.rule, GRAPHS[self.graph][0]), reach / top, PARAMETERS.get(self.rule, {})

    @cached_property
    def system(self):
        (W, step_size, parameters), lib = self.design, through(self.xp)
        model = lib.LinearizedModel.from_jacobian(self.problem.J, self.problem.residual, start=self.problem.start)
        return lib.LinearSystem(self.rule, W, model, step_size, "sum", **parameters)

    @cached_property
    def long(self):
        """The same by hand, in long numbers."""
        (W, step_size, parameters), given = self.design, self.problem
        return long_system(self.rule, W, given, step_size, **parameters)

    def truth(self, flow, times=TIMES):
        """The states at every time in long numbers, the deviation first; found once."""
        if (flow, *times) not in self._known:
            self._known[flow, *times] = oracles.long_states(self.long, times, flow=flow)
        return self._known[flow, *times]

    @cached_property
    def _known(self):
        return {}

    def measured(self, flow, times=TIMES):
        """|error|, |truth| and the bound on the deviation at every time, and the bound's kind."""
        answer = (self.system.flow if flow else self.system.iterate)(times)
        found = [np.ravel(deviation) for deviation in answer.deviation]
        truth = self.truth(flow, times)[:, : found[0].size]
        gaps = [oracles.long_gap(x, row) for x, row in zip(found, truth, strict=True)]
        return [(*gap, float(bound)) for gap, bound in zip(gaps, answer.error_bound, strict=True)], answer.bound_kind


def long_system(rule, W, given, step_size, **parameters):
    """A problem of the market, every agent's factor 1, as `recursions.long_system` takes it."""
    Q, _, P = given.J.shape
    start = np.zeros((Q, P)) if given.start is None else given.start
    return recursions.long_system(rule, W, given.J, given.residual, [1.0] * Q, start, step_size, **parameters)
