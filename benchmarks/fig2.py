"""The paper's network, 8,200 states: predicting 200 steps beside what a user would do instead, in one run.

    python benchmarks/fig2.py            # about half a minute
    python benchmarks/fig2.py --dense    # also python-control and SciPy on the dense system: minutes, 8 GB

Everything is timed from given Jacobians, all agents' losses at k = 0 ... 200, each contestant in a fresh
process of its own.  Times are the best of several runs; the two dense ones run once.  Peak memory is how far
the resident size (sampled every millisecond) rises in the first run above what imports and inputs take.
The losses are held against the spectral engine's: training differs by what the linearisation leaves out, the
others by rounding.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from contest import MACHINE, RESULTS, alone, watched

import ntkflow as nf

STEPS, STEP_SIZE, REPEATS = 200, 1e-4, 7


def study(seed: int = 0) -> nf.Study:
    """The paper's half-moon experiment on the cycle."""
    data = nf.datasets.half_moons(n_agents=8, n_samples=200, noise=0.1, seed=seed)
    model = nf.models.MLP([2, 256, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(8))
    return nf.Study(W, model, model.init(seed=seed), data, "dgd", STEP_SIZE, "sum")


def numpy_training(design: nf.Study, steps: int = STEPS) -> np.ndarray:
    """The training run as a careful NumPy user would write it for this one network; losses (T, Q)."""
    x, y, W = design.data.x, design.data.y, design.W
    theta = np.tile(design.theta0, (8, 1))
    H, gain, std = 256, 1 / 2**0.5, 0.1
    losses = np.empty((steps + 1, 8))
    for k in range(steps + 1):
        w1, b1, w2, b2 = np.split(theta, [2 * H, 3 * H, 4 * H], axis=1)
        w1 = w1.reshape(8, 2, H)
        z = 1 / (1 + np.exp(-(gain * (x @ w1) + std * b1[:, None, :])))
        r = z @ w2[:, :, None] / 16 + std * b2[:, None, :] - y
        losses[k] = (r**2).sum((1, 2)) / 400
        back = (r * w2[:, None, :]) * (z * (1 - z)) / 16
        gradient = [gain * (x.transpose(0, 2, 1) @ back).reshape(8, -1), std * back.sum(1),
                    (z.transpose(0, 2, 1) @ r)[:, :, 0] / 16, std * r.sum(1)]  # fmt: skip
        theta = W @ theta - STEP_SIZE * np.concatenate(gradient, axis=1)
    return losses


def first_prediction(design: nf.Study, method: str = "auto", *, flow: bool = False) -> np.ndarray:
    """Compression included."""
    fresh = nf.LinearizedModel.from_jacobian(design.linearized.jacobian, design.linearized.residual)
    system = nf.LinearSystem("dgd", design.W, fresh, STEP_SIZE, "sum")
    times = range(STEPS + 1)
    return (system.flow(times, method) if flow else system.iterate(times, method)).loss


def further_prediction(design: nf.Study, method: str = "auto", *, flow: bool = False) -> np.ndarray:
    """Another design of the same network: the compression is there already."""
    return design.using(step_size=STEP_SIZE).predict(STEPS, flow=flow, method=method).loss


def losses_of(design: nf.Study, deviation: np.ndarray) -> np.ndarray:
    """(T, Q) from parameter deviations (T, Q, P)."""
    residual = design.linearized.residual_at(deviation)
    return (residual**2).sum(2) / 400


def python_control(design: nf.Study) -> np.ndarray:
    """The flow by control.forced_response on the dense system."""
    import control

    A, _, _, _ = design.system.dense()
    system = control.ss(A, design.system.u.reshape(-1, 1), np.zeros((1, A.shape[0])), 0)
    times = np.arange(STEPS + 1.0)
    states = control.forced_response(system, times, np.ones((1, times.size)), return_states=True).states
    return losses_of(design, states.T.reshape(STEPS + 1, 8, -1))


def scipy_expm(design: nf.Study) -> np.ndarray:
    """The flow by one dense exponential of [[A, u], [0, 0]] for one iteration, then 200 products."""
    from scipy.linalg import expm

    A, _, _, _ = design.system.dense()
    N = A.shape[0]
    generator = np.zeros((N + 1, N + 1))
    generator[:N, :N], generator[:N, N] = A, design.system.u.ravel()
    E, state, states = expm(generator), np.eye(N + 1)[N], []
    for _ in range(STEPS + 1):
        states.append(state[:N])
        state = E @ state
    return losses_of(design, np.stack(states).reshape(STEPS + 1, 8, -1))


QUICK: dict[str, tuple[Callable[..., np.ndarray], bool]] = {
    "NumPy training, written for this network": (numpy_training, False),
    "ntkflow training, any rule and network": (lambda d: d.train(STEPS).loss, False),
    "first prediction, compression included": (first_prediction, False),
    "first prediction, flow": (lambda d: first_prediction(d, flow=True), True),
    "further design": (further_prediction, False),
    "further design, flow": (lambda d: further_prediction(d, flow=True), True),
    "further design, spectral": (lambda d: further_prediction(d, "spectral"), False),
    "further design, stepping": (lambda d: further_prediction(d, "stepping"), False),
}
DENSE: dict[str, tuple[Callable[..., np.ndarray], bool]] = {
    "control.forced_response, dense": (python_control, True),
    "scipy.linalg.expm, dense": (scipy_expm, True),
}


def contest(name: str) -> dict[str, Any]:
    """One contestant: the best of several runs, the memory of the first one."""
    run, flow = (QUICK | DENSE)[name]
    design = study()
    _ = design.linearized.compact if name.startswith("further") else design.linearized
    losses, first, peak = watched(lambda: run(design))
    seconds = [first, *(watched(lambda: run(design))[1] for _ in range(0 if name in DENSE else REPEATS))]
    exact = further_prediction(design, "spectral", flow=flow)
    gap = float(np.abs(losses - exact).max() / np.abs(exact).max())
    return {"contestant": name, "seconds": min(seconds), "gap": gap, "peak_MiB": peak}


def main() -> None:
    """Run, print the table, write it to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dense", action="store_true", help="also the two dense contestants (minutes, 8 GB)")
    contestants = [*QUICK, *(DENSE if parser.parse_args().dense else [])]
    rows = [alone(contest, name) for name in contestants]
    training = rows[0]["seconds"]
    lines = [
        "| contestant | seconds | NumPy training takes … times as long | largest gap in the loss | peak memory, MiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        ratio, gap = training / row["seconds"], row["gap"]
        lines.append(
            f"| {row['contestant']} | {row['seconds']:.4g} | {ratio:.3g} | {gap:.1e} | {row['peak_MiB']:.0f} |"
        )
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fig2.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (RESULTS / "fig2.json").write_text(
        json.dumps({"machine": MACHINE, "rows": rows}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
