"""Where the time of a call goes, module by module, and the floor beneath it."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ntkflow as nf

HOME = str(Path(nf.__file__).parent)
Function, Owners = tuple[str, int, str], dict[tuple[str, str], float]
ELSEWHERE = ("elsewhere", "")


def shares(run: Callable[[], Any], repeats: int = 5) -> list[tuple[str, float, dict[str, float]]]:
    """(module, its share of the time, its functions' shares), with what NumPy, LAPACK and others did for them.

    The time of a foreign function goes to those who called it, in proportion, until a function of ntkflow is found.
    cProfile charges some microseconds a call, so that pure Python looks larger than it is.
    """
    run()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(repeats):
        run()
    profile.disable()
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    owners: dict[Function, Owners] = {}
    modules: dict[str, Counter[str]] = {}
    for function, (_, _, own, _, _) in stats.items():
        for (module, name), part in _owners(function, stats, owners).items():
            modules.setdefault(module, Counter())[name] += own * part
    total = sum(spent.total() for spent in modules.values())
    rows = [(module, spent.total() / total, {name: seconds / total for name, seconds in spent.most_common()})
            for module, spent in modules.items()]  # fmt: skip
    return sorted(rows, key=lambda row: -row[1])


def _owners(function: Function, stats: dict[Function, Any], known: dict[Function, Owners]) -> Owners:
    if function[0].startswith(HOME):
        return {(Path(function[0]).relative_to(HOME).with_suffix("").as_posix(), function[2]): 1.0}
    if function not in known:
        known[function] = {ELSEWHERE: 1.0}  # a circle of calls ends here
        callers = {caller: numbers[3] for caller, numbers in stats[function][4].items()}
        total, found = sum(callers.values()), Counter[tuple[str, str]]()
        for caller, seconds in callers.items():
            for place, part in _owners(caller, stats, known).items():
                found[place] += part * seconds / total if total else part / len(callers)
        known[function] = dict(found) or {ELSEWHERE: 1.0}
    return known[function]


def floor(J: np.ndarray) -> dict[str, float]:
    """What no first prediction can do without: J (Q, n, P) read once, and operations for K = J Jᵀ; milliseconds."""
    stacked, square = J.reshape(-1, J.shape[2]), np.random.default_rng(0).standard_normal((1500, 1500))
    other, kernel = square.copy(), np.empty((stacked.shape[0],) * 2)  # a copy: x @ x.T takes half the operations
    target = np.empty_like(J)
    copied = J.nbytes / quickest(lambda: np.copyto(target, J))
    multiplied = 2 * 1500**3 / quickest(lambda: square @ other)
    operations = 2 * stacked.shape[0] ** 2 * stacked.shape[1]
    return {"J_MiB": J.nbytes / 2**20, "copy_GB_per_s": copied / 1e9, "read_ms": 1e3 * J.nbytes / copied,
            "kernel_GFlop": operations / 1e9, "product_GFlop_per_s": multiplied / 1e9,
            "kernel_ms": 1e3 * operations / multiplied,
            "kernel_measured_ms": 1e3 * quickest(lambda: np.matmul(stacked, stacked.T, out=kernel))}  # fmt: skip


def quickest(run: Callable[[], Any], repeats: int = 7) -> float:
    """Seconds of the quickest of several runs."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
