"""A wide network on a GPU, beside the same machine's CPU and beside what the device could do at best.

    python benchmarks/gpu.py                          # CuPy, minutes
    python benchmarks/gpu.py --library torch          # the same lines on PyTorch's tensors
    python benchmarks/gpu.py --library numpy --small  # tries the script on any machine: seconds, nothing is written

Ceilings first, in the same run: a large matrix product in double and in single precision, a copy on the device. Then
for the paper's network at width 16,384, with 8 and with 64 agents, DGD on a cycle:

Jacobians           `MLP.jacobian` of all agents at their samples
kernel, a product   J Jᵀ of all rows, one matrix product
kernel, a pass      the same as `LinearizedModel.from_blocks` sums it: in double precision, 4,096 columns at a time
compression         `LinearizedModel.compact` from given Jacobians
first prediction    from given Jacobians to all agents' losses, 101 times up to k = 200
further design      the same with the compression there already
training            a few steps of the real networks, per step

Every clock waits for the device on both sides; seconds are the least of a few runs after a first one, which compiles
kernels; memory is that of the first. Errors are in the worst loss, relative. The CPU does the same with NumPy.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import contest
import numpy as np
from libraries import KINDS, Library, described, library

import ntkflow as nf
from ntkflow._array import to_numpy
from ntkflow.linearize._blocks import Blocks

STEP, TIMES, GOAL = 1e-4, range(0, 201, 2), 0.5
DTYPES = ("float64", "float32")
NOTE = (
    "Operations of a kernel are counted as 2N²P. NumPy sees that A Aᵀ is symmetric and does half of them, so that its "
    "share can be above 100 %."
)
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Sizes, and how many steps are trained."""

    agents: int
    samples: int
    width: int
    steps: int

    @property
    def parameters(self) -> int:
        """P, of two inputs, one hidden layer and one output."""
        return 4 * self.width + 1

    @property
    def products(self) -> float:
        """Operations of J Jᵀ."""
        return 2.0 * (self.agents * self.samples) ** 2 * self.parameters


@dataclass(frozen=True)
class Plan:
    """What is measured: cases, and the sizes of the ceilings' matrices and copies."""

    cases: dict[str, Case]
    order: int
    copied: int


FULL = Plan({"8 agents": Case(8, 200, 16384, 10), "64 agents": Case(64, 50, 16384, 5)}, 8192, 2**30)
SMALL = Plan({"8 agents": Case(8, 20, 64, 5), "64 agents": Case(64, 4, 64, 3)}, 512, 2**24)


def ceilings(on: Library, plan: Plan) -> dict[str, float]:
    """Operations a second of a large product in both precisions; bytes a second read and written by a copy."""
    found = {}
    for dtype in DTYPES:
        A = on.up(np.random.default_rng(0).standard_normal((plan.order, plan.order)), dtype)
        found[dtype] = 2.0 * plan.order**3 / on.timed(lambda A=A: A @ A)[1]
    a = on.up(np.ones(plan.copied // 8), "float64")
    return {**found, "copy": 2.0 * plan.copied / on.timed(lambda: on.xp.asarray(a, copy=True))[1]}


def measured(on: Library, case: Case, dtype: str) -> dict[str, Any]:
    """Seconds and memory of every part, and the losses for the errors."""
    table = nf.datasets.half_moons(case.agents, case.samples, noise=0.1, seed=0)
    data = nf.datasets.Dataset(on.up(table.x, dtype), on.up(table.y, dtype), table.n_samples)
    model, W = nf.models.MLP([2, case.width, 1]), nf.weights.metropolis_hastings(nf.graphs.cycle(case.agents))
    study = nf.Study(W, model, model.init(seed=0, other=data.x), data, "dgd", STEP, "sum")
    rows: dict[str, Row] = {}

    def clock(name: str, run: Callable[[], Any]) -> Any:
        answer, seconds, peak = on.timed(run)
        rows[name] = {"seconds": seconds, "peak_MiB": peak}
        return answer

    J = clock("Jacobians", lambda: model.jacobian(study.theta0, data.x))
    residual = study.linearized.residual
    flat = on.xp.reshape(J, (-1, J.shape[2]))
    clock("kernel, a product", lambda: flat @ flat.T)
    clock("kernel, a pass", lambda: Blocks.of(J, residual, None).summed(None)[0])
    given = nf.LinearizedModel.from_jacobian(J, residual)
    clock("compression", lambda: fresh(J, residual).compact)
    first = clock("first prediction", lambda: predicted(fresh(J, residual), W))
    _ = given.compact
    clock("further design", lambda: predicted(given, W))
    trained = clock("training", lambda: study.train(case.steps).loss)
    rows["training"]["seconds"] /= case.steps
    return {"rows": rows, "method": first.method, "rank": int(given.compact.jacobian.shape[2]),
            "loss": to_numpy(first.loss), "trained": to_numpy(trained)}  # fmt: skip


def fresh(J: Any, residual: Any) -> nf.LinearizedModel:
    """A model that has not been compressed."""
    return nf.LinearizedModel.from_jacobian(J, residual)


def predicted(model: nf.LinearizedModel, W: np.ndarray) -> nf.Trajectory:
    """With its losses."""
    found = nf.LinearSystem("dgd", W, model, STEP, "sum").iterate(TIMES)
    _ = found.loss
    return found


def gap(found: np.ndarray, expected: np.ndarray) -> float:
    """In the worst loss, relative to the largest."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def record(libraries: list[Library], case: Case) -> dict[str, Any]:
    """One case on the device and on the CPU, in both precisions, with errors against double precision."""
    found = {on.name: {dtype: measured(on, case, dtype) for dtype in DTYPES} for on in libraries}
    exact = found[libraries[-1].name]["float64"]
    for name, both in found.items():
        for dtype, one in both.items():
            against = found[name]["float64"] if dtype == "float32" else exact
            one["errors"] = {key: gap(one[key], against[key]) for key in ("loss", "trained")}
    for both in found.values():
        for one in both.values():
            del one["loss"], one["trained"]
    return {"case": {**asdict(case), "parameters": case.parameters, "products": case.products}, "found": found}


def section(title: str, one: dict[str, Any], limits: dict[str, dict[str, float]], name: str) -> list[str]:
    """A case as a table: parts down, precisions across, each beside the CPU."""
    case, mine, host = one["case"], one["found"][name], one["found"].get("numpy")
    head = [f"{dtype}{unit}" for dtype in DTYPES for unit in (", s", ": CPU takes … times as long", ", MiB")]
    lines = [f"## {title}", "", "{agents} agents, {samples} samples, {parameters:,} parameters each".format(**case)
             + f"; rank {mine['float64']['rank']}, engine {mine['float64']['method']}.", "",
             f"| | {' | '.join(head)} |", "|---|" + "---:|" * len(head)]  # fmt: skip
    for part in mine["float64"]["rows"]:
        cells = []
        for dtype in DTYPES:
            row = mine[dtype]["rows"][part]
            ratio = f"{host[dtype]['rows'][part]['seconds'] / row['seconds']:.3g}" if name != "numpy" else "–"
            cells += [f"{row['seconds']:.3g}", ratio, f"{row['peak_MiB']:.0f}"]
        lines.append(f"| {part}{', a step' if part == 'training' else ''} | {' | '.join(cells)} |")
    return [*lines, "", *kernels(case, mine, limits[name]), *errors(one["found"], name)]


def kernels(case: dict[str, Any], mine: dict[str, Any], limits: dict[str, float]) -> list[str]:
    """Operations a second of the kernel's formation, and what share of the ceiling that is."""
    lines = []
    for dtype in DTYPES:
        for part, ceiling in (("kernel, a product", dtype), ("kernel, a pass", "float64")):
            rate = case["products"] / mine[dtype]["rows"][part]["seconds"]
            share = rate / limits[ceiling]
            goal = f" (goal {GOAL:.0%}: {'met' if share >= GOAL else 'MISSED'})" if dtype == "float64" else ""
            lines.append(f"- {part}, {dtype}: {rate / 1e12:.3g} TFLOP/s, {share:.0%} of the {ceiling} ceiling{goal}")
    return lines


def errors(found: dict[str, Any], name: str) -> list[str]:
    """Double precision beside the CPU's, single beside double."""
    double, single = (found[name][dtype]["errors"] for dtype in DTYPES)
    pairs = [("float32 against float64", single)] + [("float64 against the CPU's", double)] * (name != "numpy")
    worst = "prediction's loss {loss:.1e}, training's loss {trained:.1e}"
    return [f"- {what}, relative: {worst.format(**gaps)}" for what, gaps in pairs]


def page(found: dict[str, Any], command: str) -> str:
    """All of it."""
    at, limits, name = found["device"], found["ceilings"], found["device"]["library"]
    driver = f", driver {at['driver']}" if at["driver"] else ""
    lines = ["# On a GPU" if name != "numpy" else "# On a CPU, to try the script", "",
             f"By `{command}`. {at['device']} through {name}: {at['says']}{driver}. "
             + contest.described(found["provenance"]), "",
             "| ceiling | float64, TFLOP/s | float32, TFLOP/s | copy, GB/s |", "|---|---:|---:|---:|"]  # fmt: skip
    for which, limit in limits.items():
        rates = [f"{limit[key] / unit:.3g}" for key, unit in (("float64", 1e12), ("float32", 1e12), ("copy", 1e9))]
        lines.append(f"| {which} | {' | '.join(rates)} |")
    for title, one in found["cases"].items():
        lines += ["", *section(title, one, limits, name)]
    return "\n".join([*lines, "", NOTE, ""])


def main() -> None:
    """Run, print the page, write it: to benchmarks/results after a full run on a GPU, else only where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=sorted(KINDS), default="cupy")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--out", type=Path, help="a folder; left out: benchmarks/results, and only for a full GPU run")
    asked = parser.parse_args()
    try:
        libraries = [library(asked.library)]
    except nf.errors.InputError as why:
        parser.exit(2, f"{why}\n")
    plan = SMALL if asked.small else FULL
    if asked.library != "numpy":
        libraries.append(library("numpy"))
    found = {"provenance": contest.provenance(), "device": described(asked.library),
             "ceilings": {on.name: ceilings(on, plan) for on in libraries},
             "cases": {title: record(libraries, case) for title, case in plan.cases.items()}}  # fmt: skip
    text = page(found, f"python benchmarks/gpu.py --library {asked.library}{' --small' * asked.small}")
    print(text)
    folder = asked.out or (contest.RESULTS if asked.library != "numpy" and not asked.small else None)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "gpu.md").write_text(text, encoding="utf-8")
        (folder / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
