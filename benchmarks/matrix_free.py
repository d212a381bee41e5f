"""Five million parameters without a Jacobian: a prediction to 10,000 iterations beside PyTorch's own training.

    python benchmarks/matrix_free.py           # about five minutes, 4 GB for the check alone

Four agents with 16 digits each share a fully connected PyTorch network of 5.1 million parameters, in double precision.
In fresh processes, one after the other:

prediction    `Study.predict` at 11 times up to k = 10,000 through products with the Jacobian, all agents' losses
training      PyTorch: one network and optimiser an agent, a pass over its 16 samples (one epoch), then mixing
check         the same prediction from the 64 rows of J, by plain autograd, all in memory

Memory is how far the resident size rises above what the network and the data take.  A further design, from the
products made already, and the error of the prediction beside 20 real epochs stand beside it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import torch
from contest import RESULTS, alone, described, provenance, watched
from torch import nn

import ntkflow as nf
from ntkflow.interop.torch import TorchModel

AGENTS, SAMPLES, STEP = 4, 16, 0.01
TIMES = [0, 1, 10, 20, 100, 200, 500, 1000, 2000, 5000, 10_000]
EPOCHS = 20
WIDTHS = {"full": (64, 2048, 2432, 1), "small": (64, 32, 24, 1)}


def network(size: str) -> nn.Module:
    """Two hidden layers with GELU."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    N, a, b, M = WIDTHS[size]
    return nn.Sequential(nn.Linear(N, a), nn.GELU(), nn.Linear(a, b), nn.GELU(), nn.Linear(b, M)).double()


class Counted(TorchModel):
    """Counts the products with its Jacobian."""

    asked: ClassVar[Counter[str]] = Counter()

    def products(self, theta: Any, x: Any) -> Any:
        """As they are, and counted."""
        jvp, vjp = super().products(theta, x)
        return self._counted("jvp", jvp), self._counted("vjp", vjp)

    def _counted(self, name: str, product: Any) -> Any:
        def counting(vector: Any) -> Any:
            self.asked[name] += 1
            return product(vector)

        return counting


def study(size: str) -> nf.Study:
    """DGD on a cycle, the gradient that of `nn.MSELoss`."""
    data = nf.datasets.digits(n_agents=AGENTS, n_samples=SAMPLES)
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(AGENTS))
    model = Counted(network(size), (64,), matrix_free=True)
    return nf.Study(W, model, None, data, "dgd", step_size=STEP, normalization="torch_mse")


def prediction(size: str) -> dict[str, Any]:
    """Seconds, memory, products, losses; and of a further design."""
    design = study(size)
    losses, seconds, peak = watched(lambda: design.predict(times=TIMES).loss)
    asked = dict(design.model.asked)
    _, again, _ = watched(lambda: design.using(algorithm="atc").predict(times=TIMES).loss)
    return {**asked, "seconds": seconds, "further": again, "MiB": peak, "P": design.model.n_parameters,
            "losses": losses.tolist()}  # fmt: skip


def training(size: str) -> dict[str, Any]:
    """Seconds of an epoch and the losses after some."""
    design = study(size)
    x, y = torch.from_numpy(design.data.x), torch.from_numpy(design.data.y)
    nets = [network(size) for _ in range(AGENTS)]
    optimisers = [torch.optim.SGD(net.parameters(), lr=STEP) for net in nets]
    W = torch.from_numpy(design.mixing)

    def epoch() -> None:
        stacks = [torch.stack([p.detach() for p in same]) for same in zip(*(n.parameters() for n in nets), strict=True)]
        for q, (net, optimiser) in enumerate(zip(nets, optimisers, strict=True)):
            optimiser.zero_grad()
            nn.functional.mse_loss(net(x[q]), y[q]).backward()
            optimiser.step()  # θ − η g, to which what mixing changes is added
        with torch.no_grad():
            for stack, same in zip(stacks, zip(*(n.parameters() for n in nets), strict=True), strict=True):
                moved = torch.tensordot(W, stack, dims=1) - stack
                for p, move in zip(same, moved, strict=True):
                    p.add_(move)

    epoch()
    _, seconds, peak = watched(lambda: [epoch() for _ in range(EPOCHS - 1)])
    with torch.no_grad():
        losses = [float(((net(x[q]) - y[q]) ** 2).sum() / (2 * SAMPLES)) for q, net in enumerate(nets)]
    return {"seconds": seconds / (EPOCHS - 1), "MiB": peak, "losses": losses}


def check(size: str) -> list[list[float]]:
    """The losses from J in memory, one backward pass of plain autograd a row."""
    design, net = study(size), network(size)
    x = torch.from_numpy(design.data.x).reshape(AGENTS * SAMPLES, -1)
    J = np.stack([_row(net, x[i : i + 1]) for i in range(x.shape[0])])
    K, theirs = J @ J.T, design.network
    lin = nf.LinearizedModel.from_kernel(K, theirs.residual)
    system = nf.LinearSystem("dgd", design.W, lin, step_size=STEP, normalization="torch_mse")
    return system.iterate(TIMES).loss.tolist()


def _row(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    net.zero_grad()
    net(x).sum().backward()
    return torch.cat([p.grad.reshape(-1) for p in net.parameters()]).numpy()


def table(found: dict[str, Any]) -> str:
    """Markdown."""
    p, t = found["prediction"], found["training"]
    vector = 8 * p["P"] / 2**20
    timed = [
        ("prediction to k = 10,000, Jacobian never formed", p["seconds"], round(p["MiB"])),
        ("further design from the same products", p["further"], ""),
        ("one epoch of PyTorch training", t["seconds"], round(t["MiB"])),
    ]
    lines = [f"| {name} | {s:.3g} | {s / t['seconds']:.3g} | {m} |" for name, s, m in timed]
    return "\n".join([
        "# Without a Jacobian", "",
        f"By `python benchmarks/matrix_free.py`. {described(found['provenance'])}", "",
        f"{AGENTS} agents, {SAMPLES} samples each, {p['P']:,} parameters, double precision; J would be "
        f"{64 * vector:.0f} MiB, one vector of parameters is {vector:.0f} MiB.", "",
        "| | seconds | in epochs | MiB |", "|---|---:|---:|---:|", *lines, "",
        f"Products with the Jacobian: {p['jvp']} J v and {p['vjp']} Jᵀ u. Training to k = 10,000 would take "
        f"{1e4 * t['seconds']:,.0f} s, {1e4 * t['seconds'] / p['seconds']:,.0f} times as long.", "",
        f"Losses against those from J in memory: {found['against J']:.1e} of the largest loss at worst, at all times. "
        f"Against {EPOCHS} real epochs: {found['against training']:.1e} of what the loss changes, which is what "
        "linearisation leaves out.", "",
    ])  # fmt: skip


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a network of 3,000 parameters; writes nothing")
    size = "small" if parser.parse_args().small else "full"
    found: dict[str, Any] = {"provenance": provenance()}
    for part in (prediction, training, check):
        found[part.__name__] = alone(part, size)
    losses, exact = np.array(found["prediction"]["losses"]), np.array(found["check"])
    found["against J"] = float(abs(losses - exact).max() / exact.max())
    real = np.array(found["training"]["losses"])
    found["against training"] = float(abs(losses[TIMES.index(EPOCHS)] - real).max() / abs(losses[0] - real).max())
    print(table(found))
    if size == "full":
        (RESULTS / "matrix_free.md").write_text(table(found), encoding="utf-8")
        (RESULTS / "matrix_free.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
