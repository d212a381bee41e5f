"""The full verify report beside python-control's poles alone, in one run.

    python benchmarks/verify.py          # some minutes, 2 GB

The paper's half-moon experiment at growing widths.  ntkflow is timed from given Jacobians: compression, stability
with its certificates and largest step sizes, minimal order.  python-control is timed from the finished dense A, which
it does not form itself: ``control.ss(...).poles()``, a list of numbers.  Each in a fresh process, once; peak memory
is how far the resident size rises above what imports and inputs take.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from contest import MACHINE, RESULTS, alone, watched

import ntkflow as nf

WIDTHS, PAPER = (12, 25, 50, 100), 256
GRAPHS = {"cycle": nf.graphs.cycle(8), "star": nf.graphs.star(8), "complete": nf.graphs.complete(8)}
ALGORITHMS = ("dgd", "atc", "cta")
STEP_SIZE = 1e-4


def study(algorithm: str, graph: str, width: int) -> nf.Study:
    """Eight agents, 200 half moons each, one hidden layer of sigmoids."""
    data = nf.datasets.half_moons(n_agents=8, n_samples=200, noise=0.1, seed=0)
    model = nf.models.MLP([2, width, 1])
    W = nf.weights.metropolis_hastings(GRAPHS[graph])
    return nf.Study(W, model, model.init(seed=0), data, algorithm, STEP_SIZE, "sum")


def verified(algorithm: str, graph: str, width: int) -> dict[str, Any]:
    """The report of ``ntkflow verify``, from Jacobians."""
    design = study(algorithm, graph, width)
    jacobian, residual = design.linearized.jacobian, design.linearized.residual

    def report() -> tuple[Any, Any]:
        fresh = nf.LinearizedModel.from_jacobian(jacobian, residual)
        system = nf.LinearSystem(algorithm, design.W, fresh, STEP_SIZE, "sum")
        return nf.stability(system), nf.minimality(system)

    (stability, minimality), seconds, peak = watched(report)
    return {"states": 8 * design.theta0.size, "algorithm": algorithm, "graph": graph, "seconds": seconds,
            "peak_MiB": peak, "order": minimality.minimal_order, "iteration": stability.iteration.verdict,
            "flow": stability.flow.verdict, "max_step_size": stability.max_step_size}  # fmt: skip


def million() -> dict[str, Any]:
    """The same report on 1,000,000 states: eight agents, 20 samples, 125,000 parameters, Gaussian Jacobians."""
    rng = np.random.default_rng(0)
    J, residual = rng.normal(size=(8, 20, 125_000)) / 350, rng.normal(size=(8, 20))
    W = nf.weights.metropolis_hastings(GRAPHS["cycle"])

    def report() -> tuple[Any, Any]:
        system = nf.LinearSystem("dgd", W, nf.LinearizedModel.from_jacobian(J, residual), 0.1, "sum")
        return nf.stability(system), nf.minimality(system)

    (stability, minimality), seconds, peak = watched(report)
    return {"states": minimality.order, "seconds": seconds, "peak_MiB": peak, "order": minimality.minimal_order,
            "iteration": stability.iteration.verdict}  # fmt: skip


def poles(width: int) -> dict[str, Any]:
    """python-control's poles of the dense flow of DGD on the cycle."""
    import control

    A, B, _, _ = study("dgd", "cycle", width).system.dense()
    plant = control.ss(A, B[:, :1], np.zeros((1, A.shape[0])), 0)
    found, seconds, peak = watched(plant.poles)
    return {"states": len(found), "seconds": seconds, "peak_MiB": peak}


def lines(
    beside: list[tuple[dict[str, Any], dict[str, Any]]], paper: list[dict[str, Any]], large: dict[str, Any]
) -> list[str]:
    """Both tables, and a large system in a sentence."""
    head = "| states | ntkflow, full report: s | MiB | python-control, poles only: s | MiB | ratio of times |"
    rows = [
        f"| {a['states']:,} | {a['seconds']:.2f} | {a['peak_MiB']:.0f} | {b['seconds']:.2f} | {b['peak_MiB']:.0f} "
        f"| {b['seconds'] / a['seconds']:.2g} |"
        for a, b in beside
    ]
    longest = beside[-1][1]
    columns = ["graph", "algorithm", "s", "MiB", f"poles at {longest['states']:,} states take … times as long",
               "minimal order", "flow, iteration", "largest step size"]  # fmt: skip
    full = [
        f"| {r['graph']} | {r['algorithm']} | {r['seconds']:.2f} | {r['peak_MiB']:.0f} "
        f"| {longest['seconds'] / r['seconds']:.2g} | {r['order']} | {r['flow']}, {r['iteration']} "
        f"| {r['max_step_size']:.4g} |"
        for r in paper
    ]
    return [
        "# Verifying beside python-control", "",
        "DGD on a cycle of eight agents, by `python benchmarks/verify.py`.", "",
        head, "|---:|---:|---:|---:|---:|---:|", *rows, "",
        f"The paper's network, {paper[0]['states']:,} states:", "",
        f"| {' | '.join(columns)} |", "|---|---|---:|---:|---:|---:|---|---:|", *full, "",
        f"{large['states']:,} states (eight agents, 20 samples, Gaussian Jacobians): {large['seconds']:.1f} s, "
        f"{large['peak_MiB']:.0f} MiB, minimal order {large['order']}, {large['iteration']}.", "",
    ]  # fmt: skip


def main() -> None:
    """Run, print the tables, write them to benchmarks/results."""
    beside = [(alone(verified, "dgd", "cycle", width), alone(poles, width)) for width in WIDTHS]
    paper = [alone(verified, algorithm, graph, PAPER) for graph in GRAPHS for algorithm in ALGORITHMS]
    large = alone(million)
    tables = "\n".join(lines(beside, paper, large))
    print(tables)
    (RESULTS / "verify.md").write_text(tables, encoding="utf-8")
    record = json.dumps({"machine": MACHINE, "beside": beside, "paper": paper, "large": large}, indent=1) + "\n"
    (RESULTS / "verify.json").write_text(record, encoding="utf-8")


if __name__ == "__main__":
    main()
