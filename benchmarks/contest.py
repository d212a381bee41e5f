"""One contestant in a process of its own: seconds, and how far the memory rises above what it found."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import platform
import resource
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ntkflow as nf

RESULTS = Path(__file__).parent / "results"
LONG = 30.0  # seconds, beside which watching takes nothing
MACHINE = {"python": platform.python_version(), "numpy": np.__version__, "ntkflow": nf.__version__,
           "machine": platform.machine(), "cores": multiprocessing.cpu_count()}  # fmt: skip


def provenance() -> dict[str, Any]:
    """Machine, versions, threads, load, and the commit that was measured."""
    versions = {}
    for name in ("scipy", "control", "torch", "networkx"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    cpu = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {**MACHINE, **versions, "processor": cpu[0] if cpu else platform.processor(), "commit": _commit(),
            "threads": os.environ.get("OMP_NUM_THREADS", "all"), "load": round(os.getloadavg()[0], 1)}  # fmt: skip


def described(found: dict[str, Any]) -> str:
    """The same in a sentence; a load of some cores at the start means that others were measured as well."""
    kept = [f"{name} {found[name]}" for name in ("python", "numpy", "scipy", "control", "torch")]
    machine = f"{found['processor']} ({found['machine']}, {found['cores']} cores, OMP_NUM_THREADS={found['threads']}, "
    machine += f"load {found['load']} at the start)"
    return f"ntkflow {found['ntkflow']} at commit {found['commit']}, {', '.join(kept)}; {machine}."


def _commit() -> str:
    """Its first digits; "+" where the package or a benchmark differs from it."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=RESULTS.parents[1], capture_output=True, text=True, check=False)

    try:
        head, changed = git("rev-parse", "--short=12", "HEAD"), git("status", "-s", "ntkflow", "benchmarks/*.py")
    except OSError:
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout else "") if head.returncode == 0 else "unknown"


def _lines(path: str) -> list[str]:
    place = Path(path)
    return place.read_text(encoding="utf-8").splitlines() if place.exists() else []


def resident() -> float:
    """The resident size of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def watched(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """The answer, the seconds, and how far the resident size (sampled every millisecond) rose above where it was."""
    before, seen, done = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            seen.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    answer = run()
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    return answer, seconds, max(0.0, max(seen) - before)


def best(run: Callable[[], Any], within: float = 3.0, most: int = 15) -> tuple[Any, float, float]:
    """The answer, the least seconds of as many runs as fit into some seconds, and the memory of another (`watched`).

    Watching takes its share of the time, so that a run is timed by itself unless it takes minutes.
    """
    answer, first, peak = watched(run)
    seconds = [first] if first > LONG else []
    while not seconds or (sum(seconds) < within and len(seconds) < most):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return answer, min(seconds), peak


def alone(run: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, arguments)
