"""How time and memory grow, with everything that can be large, from given Jacobians to all agents' losses.

    python benchmarks/growth.py           # about a minute, 2 GB

DGD on a cycle, `LinearizedModel.from_jacobian`, the system, 101 times up to k = 200, the losses; five sizes are varied
one at a time.  Every point has a fresh process, forked from one that holds nothing but imports; seconds are the best of
several runs, memory is how far the resident size rises in the first.  Exponents are fitted by least squares to the
logarithms over the upper half of each range.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from contest import RESULTS, best, described, provenance

import ntkflow as nf

READY = multiprocessing.get_context("forkserver")
IMPORTS = ["numpy", "scipy.linalg", "sympy", "networkx", "sklearn.datasets", "ntkflow"]


@dataclass(frozen=True)
class Size:
    """One point: agents, samples of each, parameters of each; how many times, up to which step."""

    agents: int = 8
    samples: int = 200
    parameters: int = 1025
    count: int = 101
    horizon: int = 200
    network: bool = True  # the paper's, whose rank stays near 100, or Gaussian Jacobians of full rank

    @property
    def times(self) -> np.ndarray:
        """From 0 evenly; geometrically where the horizon is far."""
        if self.horizon <= 4096:
            return np.linspace(self.horizon, 0, self.count).round()[::-1]
        return np.geomspace(1, self.horizon, self.count).round()

    def jacobian(self) -> tuple[np.ndarray, np.ndarray]:
        """J (Q, n, P) and residuals (Q, n)."""
        Q, n, P = self.agents, self.samples, self.parameters
        if not self.network:
            rng = np.random.default_rng(0)
            J = rng.standard_normal((Q, n, P))
            J /= P**0.5
            return J, rng.standard_normal((Q, n))
        model, data = nf.models.MLP([2, (P - 1) // 4, 1]), nf.datasets.half_moons(Q, n, noise=0.1, seed=0)
        given = nf.Study(None, model, model.init(seed=0), data, "gd").linearized
        return given.jacobian, given.residual


@dataclass(frozen=True)
class Curve:
    """Sizes along one axis, and the largest exponent that its time is to have."""

    label: str
    axis: str
    sizes: tuple[Size, ...]
    note: str
    goal: float | None = None


def along(axis: str, values: Any, base: Size, *, fixed_rows: int | None = None) -> tuple[Size, ...]:
    """The base with one number varied, and with Q n kept where asked."""
    sizes = [replace(base, **{axis: int(value)}) for value in values]
    return tuple(replace(s, samples=fixed_rows // s.agents) if fixed_rows else s for s in sizes)


WIDE, MANY = Size(samples=20, network=False), Size(parameters=2048, network=False)
CURVES = [
    Curve("parameters of an agent, P", "parameters", along("parameters", 2 ** np.arange(10, 18), WIDE),
          "8 agents, 20 samples, Gaussian", 1.1),
    Curve("agents, Q, at Qn = 256", "agents", along("agents", 2 ** np.arange(2, 9), MANY, fixed_rows=256),
          "2,048 parameters, Gaussian", 1.5),
    Curve("samples of an agent, D", "samples", along("samples", 25 * 2 ** np.arange(7), Size()), "the paper's network"),
    Curve("samples of an agent, D", "samples", along("samples", 2 ** np.arange(2, 8), MANY),
          "8 agents, 2,048 parameters, Gaussian: full rank"),
    Curve("number of times, T", "count", along("count", 2 ** np.arange(0, 13, 2), Size(horizon=4096)),
          "the paper's network, up to k = 4,096"),
    Curve("horizon, iterations", "horizon", along("horizon", 10.0 ** np.arange(1, 9), Size()),
          "the paper's network, 101 times"),
]  # fmt: skip


def predicted(size: Size, J: np.ndarray, residual: np.ndarray) -> nf.Trajectory:
    """From Jacobians to losses."""
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(size.agents))
    step = 1e-4 if size.network else 0.1
    found = nf.LinearSystem("dgd", W, nf.LinearizedModel.from_jacobian(J, residual), step, "sum").iterate(size.times)
    _ = found.loss
    return found


def measured(size: Size) -> dict[str, Any]:
    """One point."""
    small = Size(samples=5, parameters=17, horizon=size.horizon, count=min(size.count, 9))
    predicted(small, *small.jacobian())  # imports and first calls
    J, residual = size.jacobian()
    found, seconds, peak = best(lambda: predicted(size, J, residual), 1.0, 7)
    return {**asdict(size), "seconds": seconds, "peak_MiB": peak, "engine": found.method, "J_MiB": J.nbytes / 2**20,
            "rank": found.states.shape[-1]}  # fmt: skip


def prepared(size: Size) -> dict[str, Any]:
    """The same in a fresh process that has its imports already."""
    with READY.Pool(1) as pool:
        return pool.apply(measured, (size,))


def exponent(curve: Curve, points: list[dict[str, Any]], what: str) -> float:
    """The slope of log(what) over log(size), upper half of the range."""
    half = [point for point in points if point[curve.axis] ** 2 >= points[0][curve.axis] * points[-1][curve.axis]]
    sizes, values = ([max(point[key], 1e-9) for point in half] for key in (curve.axis, what))
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def lines(found: list[tuple[Curve, list[dict[str, Any]]]], made: dict[str, Any]) -> list[str]:
    """A table of exponents, then one of points a curve."""
    out = [
        "# Growth", "", f"By `python benchmarks/growth.py`. {described(made)}", "",
        "![Seconds and peak memory against parameters, agents, samples, times and horizon](growth.png)", "",
        "From given Jacobians to the losses of all agents, DGD on a cycle; 101 times up to k = 200 unless said "
        "otherwise. Exponents by least squares on the logarithms, over the upper half of each range.", "",
        "| against | of | time grows as | goal | memory grows as |", "|---|---|---:|---:|---:|",
    ]  # fmt: skip
    for curve, points in found:
        time, memory = (exponent(curve, points, what) for what in ("seconds", "peak_MiB"))
        goal = f"≤ {curve.goal}" if curve.goal else ""
        out.append(f"| {curve.label} | {curve.note} | {time:.2f} | {goal} | {memory:.2f} |")
    for curve, points in found:
        out += ["", f"**{curve.label}** ({curve.note})", "",
                f"| {curve.axis} | J, MiB | rank | engine | ms | peak, MiB |",
                "|---:|---:|---:|---|---:|---:|"]  # fmt: skip
        out += [f"| {p[curve.axis]:,} | {p['J_MiB']:.1f} | {p['rank']} | {p['engine']} | {1e3 * p['seconds']:.1f} "
                f"| {p['peak_MiB']:.1f} |" for p in points]  # fmt: skip
    return [*out, ""]


def main() -> None:
    """Run, print the page, write it and the picture to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    READY.set_forkserver_preload(IMPORTS)
    made = provenance()
    found = [(curve, [prepared(size) for size in curve.sizes]) for curve in CURVES]
    text = "\n".join(lines(found, made))
    print(text)
    (RESULTS / "growth.md").write_text(text, encoding="utf-8")
    record = {
        "provenance": made,
        "curves": [{"label": c.label, "note": c.note, "axis": c.axis, "goal": c.goal, "points": p} for c, p in found],
    }
    (RESULTS / "growth.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    from growth_figure import draw

    draw(found)


if __name__ == "__main__":
    main()
