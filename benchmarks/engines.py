"""Is `auto` right?  Every engine that takes a question beside the one that is chosen, over a grid of questions.

    python benchmarks/engines.py            # about three minutes

Sizes from 20 to 1,920 states, one and two blocks, horizons from 10 to infinity, one time and a hundred, flow and
iteration.  Seconds are the best of a few runs, from a system whose compression is there; an engine whose own estimate
is far above the quickest time is left out.  The last column of the summary should stay below 2.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from contest import MACHINE, RESULTS

import ntkflow as nf
from ntkflow.errors import InputError, NoLimitError

SIZES = ((4, 3, 5), (8, 5, 20), (8, 10, 40), (16, 8, 60))  # agents, samples, parameters
RULES = ("dgd", "atc", "extra", "diging")
HORIZONS = (10.0, 200.0, 3e3, 1e5, math.inf)
COUNTS = (1, 100)
HOPELESS, ENOUGH, PATIENCE = 20.0, 0.1, 2.0  # times the quickest; seconds for one engine; seconds of the cheapest


@dataclass(frozen=True)
class Question:
    """A system and when."""

    rule: str
    size: tuple[int, int, int]
    horizon: float
    count: int
    flow: bool

    def system(self) -> nf.LinearSystem:
        """Jacobians of decaying singular values, as networks have them; half of the largest step size of DGD."""
        Q, n, p = self.size
        rng = np.random.default_rng(0)
        J = rng.standard_normal((Q, n, p)) @ (np.linalg.qr(rng.standard_normal((p, p)))[0] * np.geomspace(1, 1e-3, p))
        W = nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
        lin = nf.LinearizedModel.from_jacobian(J, rng.standard_normal((Q, n)))
        return nf.LinearSystem(self.rule, W, lin, 0.2 / float(lin.compact.sharpness.max()), "sum")

    @property
    def times(self) -> list[float]:
        """Whole ones, up to the horizon."""
        if self.count == 1 or math.isinf(self.horizon):
            return [self.horizon]
        return sorted({float(round(t)) for t in np.linspace(0, self.horizon, self.count)})


def questions() -> Iterator[Question]:
    """The grid; infinity is one time."""
    for question in itertools.starmap(Question, itertools.product(RULES, SIZES, HORIZONS, COUNTS, (False, True))):
        if question.count == 1 or math.isfinite(question.horizon):
            yield question


def seconds(question: Question, method: str) -> float | None:
    """The best of several runs; None where the engine does not take the question, or does not converge."""
    best, spent = math.inf, 0.0
    while spent < ENOUGH and best > 0:
        system = question.system()
        begin = time.perf_counter()
        try:
            (system.flow if question.flow else system.iterate)(question.times, method)
        except InputError:
            return None
        best, spent = min(best, time.perf_counter() - begin), spent + max(time.perf_counter() - begin, 0.02)
    return best


def measured(question: Question) -> dict[str, Any] | None:
    """Seconds of every engine that is worth asking, and of auto; None where there is no limit, or no quick engine."""
    system = question.system()
    choices = system.explain(question.times, flow=question.flow).choices
    if choices[0].seconds > PATIENCE:
        return None
    try:
        chosen = (system.flow if question.flow else system.iterate)(question.times).method
    except NoLimitError:
        return None
    auto = seconds(question, "auto")
    found = {c.engine: seconds(question, c.engine) for c in choices if c.accepted and c.seconds < HOPELESS * auto}
    taken = {name: s for name, s in found.items() if s is not None}
    estimates = {c.engine: c.seconds for c in choices if c.accepted}
    return {"question": asdict(question), "chosen": chosen, "auto": auto, "engines": taken, "estimates": estimates,
            "ratio": auto / min(taken.values())}  # fmt: skip


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """A summary by horizon, and the worst questions."""
    ratios = np.array([row["ratio"] for row in rows])
    worst = sorted(rows, key=lambda row: -row["ratio"])[:12]
    head = ["| rule | agents, samples, parameters | horizon | times | mode | chosen | s | quickest | s | ratio |",
            "|---|---|---:|---:|---|---|---:|---|---:|---:|"]  # fmt: skip
    body = []
    for row in worst:
        q, best = row["question"], min(row["engines"], key=row["engines"].get)
        body.append(f"| {q['rule']} | {', '.join(map(str, q['size']))} | {q['horizon']:g} | {q['count']} "
                    f"| {'flow' if q['flow'] else 'iteration'} | {row['chosen']} | {row['auto']:.4f} | {best} "
                    f"| {row['engines'][best]:.4f} | {row['ratio']:.2f} |")  # fmt: skip
    return [
        "# Is auto right?", "",
        f"{len(rows)} questions, by `python benchmarks/engines.py`: the chosen engine takes {np.median(ratios):.2f} "
        f"times as long as the quickest one in the median, {np.quantile(ratios, 0.95):.2f} in 95 of 100, "
        f"{ratios.max():.2f} at worst; {int((ratios > 2).sum())} are above 2. The dozen farthest off:", "",
        *head, *body, "",
    ]  # fmt: skip


def main() -> None:
    """Run, print the table, write it to benchmarks/results."""
    rows = [row for question in questions() if (row := measured(question)) is not None]
    text = "\n".join(lines(rows))
    print(text)
    (RESULTS / "engines.md").write_text(text, encoding="utf-8")
    (RESULTS / "engines.json").write_text(json.dumps({"machine": MACHINE, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
