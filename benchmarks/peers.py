"""ntkflow beside what people use instead, on the paper's network, in one run.

    python benchmarks/peers.py            # about two minutes
    python benchmarks/peers.py --dense    # also python-control and SciPy on the dense system: minutes, 8 GB

The paper's half-moon experiment on the cycle (8,200 states), from given Jacobians and residuals to all agents' losses.
Every contestant has a fresh process; seconds are the best of several runs, memory is how far the resident size rises in
the first one above what imports and inputs take.  Errors are relative, in the worst loss, against `exact`: another
compression, another decomposition.  Rivals are in `rivals`; the other
sections of the page are `horizon`, `designs`, `small` and `profiles`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import designs
import horizon
import numpy as np
import profiles
import small
from contest import RESULTS, alone, best, described, provenance
from exact import exact
from fig2 import numpy_training, study
from ours import TIMES, first, further, question, warm
from rivals import (
    REACHED,
    Question,
    dense_exponential,
    exponential_action,
    forced_response,
    gap,
    integrated,
    loop,
    loosest,
    torch_training,
)

import ntkflow as nf

Row = dict[str, Any]


def ours(kind: str, flow: bool, asked: Question, expected: np.ndarray) -> Row:
    """The first prediction or a further design."""
    model = nf.LinearizedModel.from_jacobian(asked.J, asked.residual)
    runs: dict[str, Callable[[], nf.Trajectory]] = {
        "first prediction": lambda: first(asked, flow=flow),
        "further design": lambda: further(model, asked, flow=flow),
    }
    warm(asked)
    if kind == "further design":
        _ = model.compact
    found, seconds, peak = best(runs[kind])
    return {"contestant": f"ntkflow, {kind} ({found.method})", "kind": kind, "flow": flow, "seconds": seconds,
            "error": gap(found.loss, expected), "peak_MiB": peak, "engine": found.method}  # fmt: skip


@dataclass(frozen=True)
class Rival:
    """One of them: what to run, on the flow or the iteration, from raw or from ntkflow's compressed Jacobians."""

    name: str
    run: Callable[[Question], np.ndarray]
    flow: bool = True
    compressed: bool = False
    within: float = 3.0
    goal: float | None = None


RIVALS = [
    Rival("NumPy loop over the linear iteration", loop, flow=False),
    Rival("NumPy loop over the linear iteration", loop, flow=False, compressed=True),
    Rival("scipy.sparse.linalg.expm_multiply", exponential_action, goal=40),
    Rival("scipy.sparse.linalg.expm_multiply", exponential_action, compressed=True),
]
DENSE = [
    Rival("control.forced_response, dense", forced_response, within=0.0, goal=2000),
    Rival("scipy.linalg.expm, dense", dense_exponential, within=0.0, goal=2000),
]
METHODS = {False: ("DOP853", "RK45"), True: ("DOP853", "RK45", "LSODA")}  # raw, compressed; LSODA on raw takes 40 s


def rival(place: int, asked: Question, expected: np.ndarray) -> Row:
    """One of the rivals by number."""
    one = [*RIVALS, *DENSE][place]
    losses, seconds, peak = best(lambda: one.run(asked), one.within)
    return {"contestant": one.name, "flow": one.flow, "compressed": one.compressed, "seconds": seconds,
            "error": gap(losses, expected), "peak_MiB": peak, "goal": one.goal}  # fmt: skip


def solver(compressed: bool, asked: Question, expected: np.ndarray) -> Row:
    """solve_ivp: the quickest method, each at the loosest tolerance with which it reaches the error."""
    tried = []
    for method in METHODS[compressed]:
        tolerance = loosest(asked, method, expected)
        if tolerance is not None:
            run = lambda m=method, tol=tolerance: integrated(asked, m, tol)  # noqa: E731
            losses, seconds, peak = best(run, 2.0)
            tried.append({"method": method, "tolerance": tolerance, "seconds": seconds, "peak_MiB": peak,
                          "error": gap(losses, expected)})  # fmt: skip
    won = min(tried, key=lambda row: row["seconds"])
    name = f"scipy solve_ivp, {won['method']} at {won['tolerance']:.0e}, best of {', '.join(METHODS[compressed])}"
    return {**won, "contestant": name, "flow": True, "compressed": compressed, "tried": tried,
            "goal": None if compressed else 8}  # fmt: skip


def trained(name: str, expected: np.ndarray) -> Row:
    """A training loop; its gap is what linearisation leaves out."""
    design = study()
    runs = {"NumPy training loop": numpy_training, "PyTorch training loop": torch_training}
    losses, seconds, peak = best(lambda: runs[name](design, int(TIMES[-1])), 4.0)
    return {"contestant": name, "flow": False, "training": True, "seconds": seconds, "peak_MiB": peak,
            "error": gap(losses[TIMES.astype(int)], expected)}  # fmt: skip


def paper(design: nf.Study, dense: bool) -> list[Row]:
    """Everybody, ntkflow first."""
    raw = question(design)
    compact = replace(raw, J=design.linearized.compact.jacobian)
    answers = {flow: exact(raw, flow=flow) for flow in (False, True)}
    rows = [alone(ours, kind, flow, raw, answers[flow])
            for kind in ("first prediction", "further design") for flow in (False, True)]  # fmt: skip
    for place, one in enumerate([*RIVALS, *(DENSE if dense else [])]):
        rows.append(alone(rival, place, compact if one.compressed else raw, answers[one.flow]))
    rows += [alone(solver, given, compact if given else raw, answers[True]) for given in (False, True)]
    rows.append(alone(trained, "NumPy training loop", answers[False]))
    if importlib.util.find_spec("torch"):
        rows.append(alone(trained, "PyTorch training loop", answers[False]))
    return rows


def lines(rows: list[Row], dense: bool) -> list[str]:
    """Its section of the page."""
    mine = {(row["kind"], row["flow"]): row["seconds"] for row in rows if "kind" in row}
    lines = [
        "## The paper's network, 200 steps", "",
        "8 agents, 200 half moons each, 1,025 parameters each, DGD on a cycle; losses at k = 0, 2, …, 200. Times as "
        "long as ntkflow's first prediction (compression included) and as a further design (compression there "
        "already), both of the same kind, flow or iteration. Compressed: from the Jacobians that ntkflow has "
        "compressed, given for nothing, so that only the further design compares; to charge for them, add what a first "
        "prediction takes beyond a further design.", "",
        "| contestant | of the | Jacobians | seconds | × first prediction | × further design | goal | error | MiB |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in rows:
        kind, given = "flow" if row["flow"] else "iteration", "compressed" if row.get("compressed") else "raw"
        against = [row["seconds"] / mine[name, row["flow"]] for name in ("first prediction", "further design")]
        shown = ["–" if row.get("compressed") else f"{against[0]:,.3g}", f"{against[1]:,.3g}"]
        goal = f"≥ {row['goal']:,}" if row.get("goal") else ""
        if row.get("training"):
            kind, given = "training", "none"
        lines.append(f"| {row['contestant']} | {kind} | {given} | {row['seconds']:.4f} | {' | '.join(shown)} | {goal} "
                     f"| {row['error']:.1e} | {row['peak_MiB']:.0f} |")  # fmt: skip
    if not importlib.util.find_spec("torch"):
        lines.append("| **PyTorch training loop: torch is not installed** | | | | | | | | |")
    if not dense:
        lines.append("| **dense rivals (goal ≥ 2,000 both): not run, they need `--dense`** | | | | | | | | |")
    return [*lines, "", f"Errors are relative to the worst loss's own value; solvers had to reach {REACHED:.0e}. Those "
            "of training are what linearisation leaves out.", ""]  # fmt: skip


def main() -> None:
    """Run, print the page, write it to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dense", action="store_true", help="also the two dense rivals (minutes, 8 GB)")
    dense, design = parser.parse_args().dense, study()
    found = {"provenance": provenance(), "paper": paper(design, dense), "million": horizon.measured(design),
             "thousand": alone(designs.measured), "small": alone(small.measured),
             "profile": alone(profiles.measured, question(design))}  # fmt: skip
    page = [
        "# Beside its peers", "",
        f"By `python benchmarks/peers.py{' --dense' if dense else ''}`. {described(found['provenance'])}", "",
        *lines(found["paper"], dense), *horizon.lines(found["million"]), *designs.lines(found["thousand"]),
        *small.lines(found["small"]), *profiles.lines(found["profile"]),
    ]  # fmt: skip
    text = "\n".join(page)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "peers.md").write_text(text, encoding="utf-8")
    (RESULTS / "peers.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
