"""Prediction against real training, the paper's two experiments, over seeds and conventions.

    python benchmarks/accuracy.py                          # half moons and digits: about three minutes
    NTKFLOW_DATA=folder python benchmarks/accuracy.py      # and MNIST from that folder

The error is max |predicted − observed| / max |loss(0) − loss| over all agents and steps; "moved" is how far
the loss moved at all, max |loss(0) − loss| / max loss(0), without which a small error proves nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import ntkflow as nf
from ntkflow.results import Trajectory

GRAPHS = ("cycle", "star", "complete")
AGENTS, STEPS, STEP_SIZE = 8, 200, 1e-4
RESULTS = Path(__file__).parent / "results" / "accuracy.md"


def relative_error(predicted: Trajectory, observed: Trajectory) -> float:
    """Against how far the loss moved."""
    moved = np.abs(observed.loss[0] - observed.loss).max()
    return float(np.abs(predicted.loss - observed.loss).max() / moved)


def moved(observed: Trajectory) -> float:
    """How far the loss moved, relative to where it began."""
    return float(np.abs(observed.loss[0] - observed.loss).max() / observed.loss[0].max())


def percent(value: float) -> str:
    """Two digits."""
    return f"{100 * value:.2g} %"


def half_moons() -> Iterator[str]:
    """Fig. 2: a network of 256 sigmoids on three graphs, seeds 0-9."""
    yield "| half moons, MLP, normalization | graph | median error | worst error | flow, median | moved, median |"
    yield "|---|---|---:|---:|---:|---:|"
    model = nf.models.MLP([2, 256, 1], activation="sigmoid", weight_std=1.0, bias_std=0.1)
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for seed in range(10):
        data = nf.datasets.half_moons(AGENTS, 200, noise=0.1, seed=seed)
        base: nf.Study | None = None
        for graph in GRAPHS:
            W = nf.weights.metropolis_hastings(nf.graphs.named(graph, AGENTS))
            for normalization in ("sum", "per_agent", "global"):
                base = base or nf.Study(W, model, model.init(seed=seed), data, "dgd", STEP_SIZE)
                study = base.using(W=W, normalization=normalization)
                observed = study.train(STEPS)
                errors = (
                    relative_error(study.predict(STEPS), observed),
                    relative_error(study.predict(STEPS, flow=True), observed),
                )
                rows.setdefault((normalization, graph), []).append((*errors, moved(observed)))
    for (normalization, graph), found in sorted(rows.items(), key=lambda item: item[0][0], reverse=True):
        iteration, flow, distance = np.asarray(found).T
        yield (
            f"| {normalization} | {graph} | {percent(np.median(iteration))} | {percent(iteration.max())} "
            f"| {percent(np.median(flow))} | {percent(np.median(distance))} |"
        )
    everything = np.asarray(
        [run[0] for (normalization, _), runs in rows.items() if normalization == "sum" for run in runs]
    )
    yield ""
    yield f"All 30 runs with `sum`: median {percent(np.median(everything))}, worst {percent(everything.max())}."


def affine() -> Iterator[str]:
    """Fig. 1: the affine model, for which the iteration's closed form is exact."""
    yield "| affine, zeros against ones | normalization | D | iteration | flow | moved |"
    yield "|---|---|---:|---:|---:|---:|"
    sets = {"digits": nf.datasets.digits(AGENTS)}
    if os.environ.get("NTKFLOW_DATA"):
        sets["MNIST"] = nf.datasets.mnist(AGENTS, 200)
    W = nf.weights.metropolis_hastings(nf.graphs.complete(AGENTS))
    for name, data in sets.items():
        model = nf.models.Affine(data.x.shape[2])
        for normalization in ("sum", "per_agent"):
            study = nf.Study(W, model, model.init(seed=0), data, "dgd", STEP_SIZE, normalization)
            observed = study.train(STEPS)
            iteration = relative_error(study.predict(STEPS), observed)
            flow = relative_error(study.predict(STEPS, flow=True), observed)
            row = (
                name,
                normalization,
                data.x.shape[1],
                f"{iteration:.1e}",
                f"{flow:.1e}",
                f"{percent(moved(observed))}",
            )
            yield "| " + " | ".join(map(str, row)) + " |"


def main() -> None:
    """Print and write the tables."""
    lines = [*half_moons(), "", *affine()]
    print("\n".join(lines))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
