"""Small stays quick: a whole trajectory of 160 states beside one matrix exponential."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from exact import exact
from ours import further
from rivals import Question, gap

import ntkflow as nf


def measured(repeats: int = 101) -> dict[str, Any]:
    """160 states, 100 times: medians, taking turns with one expm of A times the spacing."""
    from scipy.linalg import expm

    rng, times = np.random.default_rng(0), np.linspace(0.0, 200.0, 100)
    J, residual = rng.standard_normal((8, 20, 20)) / 20**0.5, rng.standard_normal((8, 20))
    W, step = nf.weights.metropolis_hastings(nf.graphs.cycle(8)), 0.01
    model = nf.LinearizedModel.from_jacobian(J, residual)
    old = nf.LinearSystem("dgd", W, model, step, "sum")
    A = old.dense()[0] * times[1]
    runs: dict[str, Callable[[nf.LinearSystem], Any]] = {
        "one expm": lambda _: expm(A),
        "system.flow(times).loss, asked for the first time": lambda system: system.flow(times).loss,
        "system.flow(times).loss, asked again": lambda _: old.flow(times).loss,
        "LinearSystem and flow": lambda _: nf.LinearSystem("dgd", W, model, step, "sum").flow(times).loss,
        "from Jacobians": lambda _: further(nf.LinearizedModel.from_jacobian(J, residual),
                                            Question(J, residual, W, step, times), flow=True),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _, (name, run) in itertools.product(range(repeats), runs.items()):
        system = nf.LinearSystem("dgd", W, model, step, "sum")
        begin = time.perf_counter()
        run(system)
        seconds[name].append(time.perf_counter() - begin)
    error = gap(old.flow(times).loss, exact(Question(J, residual, W, step, times), flow=True))
    medians = {name: 1e3 * float(np.median(some)) for name, some in seconds.items()}
    return {"states": A.shape[0], "milliseconds": medians, "engine": old.flow(times).method, "error": error}


def lines(row: dict[str, Any]) -> list[str]:
    """Its section of the page."""
    one = row["milliseconds"]["one expm"]
    return [
        "## Small stays quick", "",
        f"8 agents of 20 parameters, {row['states']} states, the flow at 100 times; medians, taking turns in one "
        f"process. Engine {row['engine']}, error {row['error']:.1e}.", "",
        "| | milliseconds | one expm takes … times as long | goal |", "|---|---:|---:|---:|",
        *(f"| {name} | {ms:.3f} | {one / ms:.2f} | {'≥ 1' if 'first time' in name else ''} |"
          for name, ms in row["milliseconds"].items()), "",
    ]  # fmt: skip
