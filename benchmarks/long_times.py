"""Long times: every rule of the catalogue against arithmetic of 400 bits, beside SciPy's dense exponential.

    python benchmarks/long_times.py          # about two minutes

The error is that of the deviation relative to its size, in the 2-norm over all agents, the worst over three graphs
(one of them with a singular W), agents that start together and apart, and two seeds (four on the smallest graph). The
stacked J has singular values from 1 to 1e-7 for the rules solved through a factor of I − M, to 1e-3 for the others
(modes of 1e-8 of A), and fewer than there are parameters. "Bound" is the reported error bound over the true error:
the least and the median over all of it. SciPy's `expm` takes the flow's augmented matrix [[A, w], [0, 0]] in doubles.
"A rounded" is what the entries of A, once rounded to doubles, cost at 1e8 in arithmetic that is exact otherwise.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.linalg
from contest import MACHINE, RESULTS

# the oracle lives with the tests, which hold it against mpmath and against the agents' own loops
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import oracles
from far import GENERAL, SYMMETRIC, TIMES, Far

SIZES = {"pair": 4, "path": 2, "complete": 2}  # how many seeds
HEAD = ("rule", "mode", "1e2", "1e4", "1e8", "∞", "bound, least", "median", "A rounded", "SciPy 1e2", "1e4", "1e8")


def scipy_error(case: Far, truth: np.ndarray) -> list[float]:
    """The relative error of the dense exponential of the augmented matrix, in doubles, at the finite times."""
    A, w = case.long.A.astype(float), case.long.drive.astype(float)
    found = []
    for t, row in zip(TIMES[:-1], truth[:, : len(w)], strict=False):
        G = np.block([[A, w[:, None]], [np.zeros((1, len(w) + 1))]])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # overflow is what is to be seen
            state = scipy.linalg.expm(t * G)[: len(row), -1]
        error, size = oracles.long_gap(state, row) if np.all(np.isfinite(state)) else (math.inf, 1.0)
        found.append(error / size)
    return found


def rounded_error(case: Far, truth: np.ndarray, flow: bool) -> float:
    """The relative error of the deviation at 1e8 where nothing but the entries of A is rounded."""
    blurred = replace(case.long, A=oracles.exact_numbers(case.long.A.astype(float)))
    found = oracles.long_states(blurred, TIMES[2:3], flow=flow)[0] - truth[2]
    size = case.problem.J.shape[0] * case.problem.J.shape[2]
    error, total = (float(np.linalg.norm(part[:size].astype(float))) for part in (found, truth[2]))
    return error / total


def row(rule: str, flow: bool) -> tuple[str, list[float]]:
    """A line of the table, and every bound over its error."""
    errors, ratios, peers, blurs = [], [], [], []
    for graph, seeds in SIZES.items():
        for seed, apart in itertools.product(range(seeds), (False, True)):
            case = Far(rule, graph, apart, seed)
            truth = case.truth(flow)
            rows, _ = case.measured(flow)
            errors.append([error / size for error, size, _ in rows])
            ratios += [bound / error for error, _, bound in rows if error]
            blurs.append(rounded_error(case, truth, flow))
            if flow:
                peers.append(scipy_error(case, truth))
    worst = [f"{e:.0e}" for e in np.max(errors, axis=0)]
    peer = [f"{e:.0e}" for e in np.max(peers, axis=0)] if flow else ["–"] * 3
    mode = "flow" if flow else "iteration"
    cells = [rule, mode, *worst, f"{min(ratios):.0f}", f"{np.median(ratios):.0f}", f"{max(blurs):.0e}",
             *peer]  # fmt: skip
    return "| " + " | ".join(cells) + " |", ratios


def main() -> None:
    """Print and write the table."""
    begin = time.perf_counter()
    lines = ["# Long times", "", (__doc__ or "").split("\n\n")[2].strip().replace("\n", " "), ""]
    lines += ["| " + " | ".join(HEAD) + " |", "|---|---" + "|---:" * (len(HEAD) - 2) + "|"]
    covered: list[float] = []
    for rule, flow in itertools.product((*SYMMETRIC, *GENERAL), (True, False)):
        line, ratios = row(rule, flow)
        lines.append(line)
        covered += ratios
        print(line, flush=True)
    held = np.mean(np.asarray(covered) >= 1)
    lines += ["", f"{len(covered)} bounds, {100 * held:.4g} % of them at least the error.", ""]
    lines += [", ".join(f"{key} {value}" for key, value in MACHINE.items()) + "."]
    (RESULTS / "long_times.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines[-4:]), f"{time.perf_counter() - begin:.0f} s", sep="\n")


if __name__ == "__main__":
    main()
