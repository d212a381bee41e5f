"""A million and a hundred million states: predicting beside one pass of forming the kernel.

    python benchmarks/scale.py           # about two minutes, 1 GB

A hundred agents on a cycle share a network of one wide ReLU layer: the Jacobian in its output weights is a block of
random features, made by a matrix product when the block is asked for.  Beside each other, each in a fresh process:

production    the blocks alone
reference     the blocks, and K = Σ J_b J_bᵀ: what nobody can do without
prediction    `LinearizedModel.from_blocks`, the system, 101 times up to k = 200, all agents' losses
lift          the second pass: every agent's deviation at k = 200, block by block

Seconds are the best of several runs; memory is how far the resident size (sampled every millisecond) rises in
another one above what imports take.  The targets: memory below 1.5 times the larger of kernel and block, prediction
below 3 times the reference.  The losses are held against the recursion written out in the space of the samples.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from contest import MACHINE, RESULTS, alone, best, watched

import ntkflow as nf

INPUTS, STEP, TIMES = 10, 0.1, range(0, 201, 2)


@dataclass(frozen=True)
class Case:
    """Sizes, the width of a block, and how often to run."""

    agents: int
    samples: int
    parameters: int
    width: int
    repeats: int

    @property
    def rows(self) -> int:
        """Q D."""
        return self.agents * self.samples

    def block(self, number: int) -> np.ndarray:
        """Columns ``number``·width and following of the Jacobians, (Q, D, width)."""
        inputs = np.random.default_rng(0).standard_normal((self.rows, INPUTS))
        weights = np.random.default_rng((1, number)).standard_normal((INPUTS, self.width), dtype=np.float32)
        hidden = inputs @ (weights * (2.0 / INPUTS / self.parameters) ** 0.5)
        return np.maximum(hidden, 0.0, out=hidden).reshape(self.agents, self.samples, self.width)

    def blocks(self) -> Iterator[np.ndarray]:
        """All of them."""
        return (self.block(number) for number in range(self.parameters // self.width))

    @property
    def residual(self) -> np.ndarray:
        """e₀."""
        return np.random.default_rng(2).standard_normal((self.agents, self.samples))

    @property
    def mixing(self) -> np.ndarray:
        """Metropolis weights of the cycle."""
        return nf.weights.metropolis_hastings(nf.graphs.cycle(self.agents))


CASES = {"a million": Case(100, 10, 10**4, 10**4, 5), "a hundred million": Case(100, 4, 10**6, 62_500, 3)}
SMALL = Case(4, 3, 40, 20, 1)  # imports and first calls, before anything is measured


def production(case: Case) -> float:
    """Every block is made and dropped."""
    return sum(float(block[0, 0, 0]) for block in case.blocks())


def reference(case: Case) -> np.ndarray:
    """One pass of forming the kernel."""
    kernel = np.zeros((case.rows, case.rows))
    for block in case.blocks():
        flat = block.reshape(case.rows, -1)
        kernel += flat @ flat.T
        del block, flat
    return kernel


def prediction(case: Case) -> tuple[Any, dict[str, float]]:
    """Trajectory with its losses, and the seconds of its parts."""
    begin = time.perf_counter()
    model = nf.LinearizedModel.from_blocks(case.blocks, case.residual)
    streamed = time.perf_counter()
    system = nf.LinearSystem("dgd", case.mixing, model, STEP, "sum")
    trajectory = system.iterate(TIMES)
    _ = trajectory.loss
    return trajectory, {"streaming": streamed - begin, "trajectory": time.perf_counter() - streamed}


def by_hand(case: Case) -> np.ndarray:
    """The same losses from θ_q − θ(0) = Jᵀ c_q: c⁺ = W c − η r_q on agent q's own samples, r_q = e_q + K_q c_q."""
    Q, D, W = case.agents, case.samples, case.mixing
    K, own = reference(case).reshape(Q, D, case.rows), np.arange(case.rows).reshape(Q, D)
    c, losses = np.zeros((Q, case.rows)), []
    for k in range(max(TIMES) + 1):
        r = case.residual + (K @ c[:, :, None])[:, :, 0]
        if k in TIMES:
            losses.append((r**2).sum(1) / (2 * D))
        c = W @ c
        c[np.arange(Q)[:, None], own] -= STEP * r
    return np.stack(losses)


def norm(array: np.ndarray) -> float:
    """The Frobenius norm, of any shape."""
    return float(np.linalg.norm(array.ravel()))


RUNS = {"production": production, "reference": reference, "prediction": prediction}


def contest(name: str, case: Case) -> dict[str, Any]:
    """The least seconds of some runs, and the memory of another."""
    RUNS[name](SMALL)
    _, seconds, peak = best(lambda: RUNS[name](case), math.inf, case.repeats)
    return {"seconds": seconds, "peak_MiB": peak}


def looked_at(case: Case) -> dict[str, Any]:
    """The parts of a prediction, its errors, and the second pass."""
    prediction(SMALL)
    trajectory, parts = prediction(case)
    model, expected, moved = trajectory.landscape, by_hand(case), trajectory.states[-1, 0]
    squares, seconds, peak = watched(lambda: sum(norm(part) ** 2 for part in model.lift_blocks(moved)))
    return parts | {
        "method": trajectory.method, "bound_kind": trajectory.bound_kind, "rank": model.jacobian.shape[2],
        "left_out": model.left_out, "loss_gap": float((abs(trajectory.loss - expected) / expected).max()),
        "relative_bound": float(trajectory.error_bound[-1]) / squares**0.5,
        "lift_gap": abs(squares**0.5 / norm(moved) - 1.0), "lift_seconds": seconds, "lift_MiB": peak,
        "loss": [float(trajectory.loss[0].mean()), float(trajectory.loss[-1].mean())],
    }  # fmt: skip


def record(case: Case) -> dict[str, Any]:
    """Everything about one case."""
    kernel, block = 8 * case.rows**2 / 2**20, 8 * case.rows * case.width / 2**20
    rows = {name: alone(contest, name, case) for name in RUNS}
    times, memory = rows["prediction"]["seconds"] / rows["reference"]["seconds"], rows["prediction"]["peak_MiB"]
    return {"case": asdict(case), "kernel_MiB": kernel, "block_MiB": block, "times_reference": times,
            "times_larger": memory / max(kernel, block), **rows, "details": alone(looked_at, case)}  # fmt: skip


def table(records: dict[str, dict[str, Any]]) -> list[str]:
    """One column a case."""

    def row(label: str, value: Any) -> str:
        return f"| {label} | {' | '.join(value(r) for r in records.values())} |"

    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return [
        "# Scale", "",
        f"DGD on a cycle, 101 times up to k = 200, all agents' losses; by `OMP_NUM_THREADS={threads} "
        "python benchmarks/scale.py`.", "",
        f"| | {' | '.join(records)} |", "|---|" + "---:|" * len(records),
        row("agents, samples, parameters", lambda r: "{agents}, {samples}, {parameters:,}".format(**r["case"])),
        row("kernel, MiB", lambda r: f"{r['kernel_MiB']:.1f}"),
        row("one block, MiB", lambda r: f"{r['block_MiB']:.1f}"),
        row("production alone, s", lambda r: f"{r['production']['seconds']:.2f}"),
        row("reference: one pass of forming the kernel, s", lambda r: f"{r['reference']['seconds']:.2f}"),
        row("prediction, s", lambda r: f"{r['prediction']['seconds']:.2f}"),
        row("… of it in the pass and its factor", lambda r: f"{r['details']['streaming']:.2f}"),
        row("… of it in system, trajectory and losses", lambda r: f"{r['details']['trajectory']:.2f}"),
        row("**prediction / reference (at most 3)**", lambda r: f"**{r['times_reference']:.2f}**"),
        row("peak of the reference, MiB", lambda r: f"{r['reference']['peak_MiB']:.0f}"),
        row("peak of the prediction, MiB", lambda r: f"{r['prediction']['peak_MiB']:.0f}"),
        row("**peak / larger of kernel and block (at most 1.5)**", lambda r: f"**{r['times_larger']:.2f}**"),
        row("engine", lambda r: r["details"]["method"]),
        row("rank", lambda r: f"{r['details']['rank']}"),
        row("mean loss at 0 and 200", lambda r: "{:.3f}, {:.3f}".format(*r["details"]["loss"])),
        row("largest relative gap of a loss", lambda r: f"{r['details']['loss_gap']:.1e}"),
        row("error bound at 200 / deviation",
            lambda r: f"{r['details']['relative_bound']:.1e} ({r['details']['bound_kind']})"),
        row("lift of all agents at 200, s", lambda r: f"{r['details']['lift_seconds']:.2f}"),
        row("peak of the lift, MiB", lambda r: f"{r['details']['lift_MiB']:.0f}"),
        "",
    ]  # fmt: skip


def main() -> None:
    """Run, print the table, write it to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    records = {name: record(case) for name, case in CASES.items()}
    text = "\n".join(table(records))
    print(text)
    (RESULTS / "scale.md").write_text(text, encoding="utf-8")
    found = {"machine": MACHINE, "threads": os.environ.get("OMP_NUM_THREADS"), "cases": records}
    (RESULTS / "scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
