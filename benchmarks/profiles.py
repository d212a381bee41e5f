"""Profiles of the calls that `peers` times, beside the floor of a first prediction."""

from __future__ import annotations

from typing import Any

from designs import ASKED
from fig2 import study
from hotpath import floor, quickest, shares
from ours import first, further
from rivals import Question

import ntkflow as nf


def measured(asked: Question) -> dict[str, Any]:
    """Shares of first prediction and further design, flow and iteration alike, and the floor."""
    model = nf.LinearizedModel.from_jacobian(asked.J, asked.residual)
    design = study()
    _ = design.linearized.compact
    calls = {
        "first prediction": lambda: first(asked, flow=True),
        "further design": lambda: further(model, asked, flow=True),
        "one of a thousand": lambda: design.using(step_size=1e-5, algorithm="atc").predict(times=ASKED).loss,
    }
    for call in calls.values():
        call()
    return {"floor": floor(asked.J), "calls": {
        name: {"ms": 1e3 * quickest(call), "shares": shares(call)[:7]} for name, call in calls.items()
    }}  # fmt: skip


def lines(row: dict[str, Any]) -> list[str]:
    """Shares and floors."""
    found, calls = row["floor"], row["calls"]
    out = [
        "## Where the time goes", "",
        f"The floor of a first prediction: J once ({found['J_MiB']:.1f} MiB at {found['copy_GB_per_s']:.1f} GB/s of "
        f"copying) is {found['read_ms']:.1f} ms; the {found['kernel_GFlop']:.2f} GFlop of K = J Jᵀ at the "
        f"{found['product_GFlop_per_s']:.0f} GFlop/s of a matrix product are {found['kernel_ms']:.0f} ms, and "
        f"{found['kernel_measured_ms']:.0f} ms as BLAS does it, one triangle only.", "",
    ]  # fmt: skip
    for name, call in calls.items():
        out += [f"**{name}**, {call['ms']:.2f} ms", "", "| module | share | most of it in |", "|---|---:|---|"]
        for module, share, functions in call["shares"]:
            parts = [
                f"`{function.strip('<>')}` {part:.0%}" for function, part in list(functions.items())[:3] if part > 0.005
            ]
            out.append(f"| `{module}` | {share:.0%} | {', '.join(parts)} |")
        out.append("")
    return [*out, "Shares by cProfile, NumPy and LAPACK counted with the function that called them.", ""]
