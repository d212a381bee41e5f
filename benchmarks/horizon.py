"""A million steps of the paper's network, with the printed error bound, beside loops that are extrapolated."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from contest import alone, best
from exact import corrected
from fig2 import numpy_training, study
from hotpath import quickest
from ours import first, further, question, warm
from rivals import Question, gap, loop

import ntkflow as nf

FAR, TRAINED = 10**6, 2_000
Row = dict[str, Any]


def whole_geometric(horizon: int, count: int) -> np.ndarray:
    """``count`` different whole numbers from 1 to the horizon, geometric but for the first few."""
    sizes = (np.unique(np.geomspace(1, horizon, size).round()) for size in itertools.count(count))
    return next(times for times in sizes if times.size == count)


def far(kind: str, asked: Question, expected: np.ndarray) -> Row:
    """First prediction or further design: seconds, the error bound, the error at every tenth time."""
    warm(asked)
    model = nf.LinearizedModel.from_jacobian(asked.J, asked.residual)
    if kind == "further design":
        _ = model.compact
        found, seconds, peak = best(lambda: further(model, asked, flow=False))
    else:
        found, seconds, peak = best(lambda: first(asked, flow=False))
    sizes = np.linalg.norm(found.deviation.reshape(len(found.times), -1), axis=1)
    return {"kind": kind, "seconds": seconds, "peak_MiB": peak, "error": gap(found.loss[::10], expected),
            "engine": found.method, "bound": float(found.error_bound[-1]), "bound_kind": found.bound_kind,
            "relative_bound": float((found.error_bound / sizes).max()),
            "moved": [float(found.loss[0].mean()), float(found.loss[-1].mean())]}  # fmt: skip


def walked(small: Question) -> Row:
    """Seconds a step of training, and of the linear loop on compressed Jacobians, over some thousand steps."""
    design, near = study(), replace(small, times=np.asarray([0.0, TRAINED]))
    return {"training": quickest(lambda: numpy_training(design, TRAINED), 1) / TRAINED,
            "loop": quickest(lambda: loop(near), 3) / TRAINED}  # fmt: skip


def measured(design: nf.Study) -> Row:
    """Prediction beside extrapolated loops."""
    asked = question(design, whole_geometric(FAR, 101))
    expected, correction = corrected(replace(asked, times=asked.times[::10]), flow=False)
    rows = [alone(far, kind, asked, expected) for kind in ("first prediction", "further design")]
    step = alone(walked, replace(asked, J=design.linearized.compact.jacobian))
    return {"rows": rows, "correction": correction, "step": step}


def lines(found: Row) -> list[str]:
    """Its section of the page."""
    training, stepping = (found["step"][name] * FAR for name in ("training", "loop"))
    row = found["rows"][0]
    return [
        "## A million steps", "",
        f"The same network at 101 times from 1 to {FAR:,}, the iteration; engine {row['engine']}.", "",
        "| | seconds | NumPy training takes … times as long | goal | largest error of a loss | MiB |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {r['kind']} | {r['seconds']:.3f} | {training / r['seconds']:,.3g} | ≥ 10,000 | {r['error']:.1e} "
          f"| {r['peak_MiB']:.0f} |" for r in found["rows"]),
        f"| NumPy training, extrapolated | {training:,.0f} | 1 | | | |",
        f"| NumPy loop, linear and compressed, extrapolated | {stepping:,.0f} | {training / stepping:.3g} | | | |", "",
        f"Printed bound on the deviation at the end: {row['bound']:.1e}, at worst {row['relative_bound']:.1e} of the "
        f"deviation ({row['bound_kind']}). The mean loss moves from {row['moved'][0]:.4g} to {row['moved'][1]:.4g}. "
        "Held against eigenvectors corrected in long double at every tenth time (`exact.corrected`): the correction "
        f"changed a loss by {found['correction']:.1e} at most, and its own error is the square of that, beside the "
        f"rounding of the final sums (10⁻¹⁵). Loops are extrapolated from {TRAINED:,} steps.", "",
    ]  # fmt: skip
