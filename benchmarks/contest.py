"""One contestant in a process of its own: seconds, and how far the memory rises above what it found."""

from __future__ import annotations

import multiprocessing
import platform
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ntkflow as nf

RESULTS = Path(__file__).parent / "results"
MACHINE = {"python": platform.python_version(), "numpy": np.__version__, "ntkflow": nf.__version__,
           "machine": platform.machine(), "cores": multiprocessing.cpu_count()}  # fmt: skip


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


def alone(run: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, arguments)
