"""The largest stable step size of every rule on twelve graphs, beside the classical one.

    python benchmarks/step_sizes.py          # about ten minutes

Data: agents with Gaussian Jacobians (two rows, four parameters each) whose sizes differ like exp(N(0, 0.3)), five
draws; every entry is the median over the draws of largest step / classical step. The classical step is the one that
knows λ_min(W) and λ_max(Ψ) only: (1 + λ_min)/λ_max(Ψ) for DGD, 2/λ_max(Ψ) for ATC and CTA, what T9 says for equal
agents for the rest. Below 1 it is too large for agents that differ. Rules without a graph depend on the number of
agents only.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

import ntkflow as nf
from ntkflow.analysis.stability import stability

DRAWS = 5
RESULTS = Path(__file__).parent / "results" / "step_sizes.md"
GRAPHS = {
    "path 4": nf.graphs.path(4), "path 8": nf.graphs.path(8), "cycle 5": nf.graphs.cycle(5),
    "cycle 8": nf.graphs.cycle(8), "star 5": nf.graphs.star(5), "star 8": nf.graphs.star(8),
    "complete 8": nf.graphs.complete(8), "grid 2×3": nf.graphs.grid(2, 3), "torus 3×3": nf.graphs.torus(3, 3),
    "hypercube 3": nf.graphs.hypercube(3), "bipartite 3,4": nf.graphs.complete_bipartite(3, 4),
    "Erdős–Rényi 8": nf.graphs.erdos_renyi(8, 0.4, seed=1),
}  # fmt: skip


def ratio(rule: str, graph: object, seed: int) -> float:
    """Largest over classical step size; 0 where no step is stable, NaN without a classical one."""
    rng = np.random.default_rng([seed, len(graph)])  # type: ignore[arg-type]
    Q = len(graph)  # type: ignore[arg-type]
    J = rng.standard_normal((Q, 2, 4)) * np.exp(rng.normal(0, 0.3, (Q, 1, 1)))
    lin = nf.LinearizedModel.from_jacobian(J, np.ones((Q, 2)))
    W = nf.weights.metropolis_hastings(graph) if nf.algorithms.get(rule).uses_graph else None
    report = stability(nf.LinearSystem(rule, W, lin, 0.01))
    if report.max_step_size == 0.0:
        return 0.0
    return report.max_step_size / report.classical_step_size if report.classical_step_size else math.nan


def cell(values: list[float]) -> str:
    """The median; "none" where no step size is stable."""
    if max(values) == 0:
        return "none"
    return "–" if math.isnan(values[0]) else f"{np.median(values):.3f}"


def main() -> None:
    """Write the table."""
    lines = ["# Largest over classical step size", "", (__doc__ or "").split("\n\n")[2].strip().replace("\n", " "), ""]
    lines += [f"| rule | {' | '.join(GRAPHS)} |", "|---" + "|---:" * len(GRAPHS) + "|"]
    for rule in nf.algorithms.names():
        row = [cell([ratio(rule, graph, seed) for seed in range(DRAWS)]) for graph in GRAPHS.values()]
        lines.append(f"| {rule} | {' | '.join(row)} |")
        print(lines[-1], flush=True)
    lines += ["", "None: no step size is stable (D² needs λ_min(W) ≥ −1/3). ∞ occurs for J = 0 only."]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
