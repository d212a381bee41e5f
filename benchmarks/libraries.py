"""Array libraries as the benchmarks need them: arrays on a device, waiting for it, and its memory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from contest import watched

from ntkflow import doctor


@dataclass(frozen=True)
class Library:
    """NumPy on the CPU; the others say how they wait and what memory they took."""

    name: str
    xp: Any
    device: Any

    def up(self, values: Any, dtype: str) -> Any:
        """An array on the device."""
        return self.xp.asarray(np.asarray(values, dtype=dtype), device=self.device)

    def wait(self) -> None:
        """Until the device has done what it was asked."""

    def watched(self, run: Callable[[], Any]) -> tuple[Any, float, float]:
        """The answer, the seconds, and the memory above what was taken before, in MiB."""
        return watched(run)

    def timed(self, run: Callable[[], Any], within: float = 3.0, most: int = 7) -> tuple[Any, float, float]:
        """The answer, the least seconds of a few runs, and the memory of the first, which compiles what needs it."""
        answer, first, peak = self.watched(run)
        seconds, spent = [], first
        while not seconds or (spent < within and len(seconds) < most):
            self.wait()
            begin = time.perf_counter()
            again = run()
            self.wait()
            seconds.append(time.perf_counter() - begin)
            spent += seconds[-1]
            del again
        return answer, min(seconds), peak


class Gpu(Library):
    """What CuPy and PyTorch share; ``before`` empties their caches, ``peak`` is in bytes."""

    def watched(self, run: Callable[[], Any]) -> tuple[Any, float, float]:
        """Memory as the library's own pool counts it."""
        self.wait()
        before = self.before()
        begin = time.perf_counter()
        answer = run()
        self.wait()
        seconds = time.perf_counter() - begin
        return answer, seconds, max(0.0, self.peak() - before) / 2**20

    def before(self) -> float:
        """Bytes in use, caches emptied."""
        raise NotImplementedError

    def peak(self) -> float:
        """The most bytes since."""
        raise NotImplementedError


class Cupy(Gpu):
    """Its pool never shrinks by itself: what it holds after a run is the most that the run took."""

    def wait(self) -> None:
        """For all streams of the device."""
        self.device.synchronize()

    def before(self) -> float:
        """Bytes in use, caches emptied."""
        pool = self.xp.get_default_memory_pool()
        pool.free_all_blocks()
        return float(pool.used_bytes())

    def peak(self) -> float:
        """What the pool holds."""
        return float(self.xp.get_default_memory_pool().total_bytes())


class Torch(Gpu):
    """It counts its peak itself."""

    def wait(self) -> None:
        """For all streams of the device."""
        self.xp.cuda.synchronize(self.device)

    def before(self) -> float:
        """Bytes in use, caches emptied."""
        self.xp.cuda.empty_cache()
        self.xp.cuda.reset_peak_memory_stats(self.device)
        return float(self.xp.cuda.memory_allocated(self.device))

    def peak(self) -> float:
        """The most that was allocated."""
        return float(self.xp.cuda.max_memory_allocated(self.device))


KINDS = {"numpy": Library, "cupy": Cupy, "torch": Torch}


def library(name: str) -> Library:
    """By its name; refused in one line where it has no usable device."""
    return KINDS[name](name, *doctor.place(name))


def described(name: str) -> dict[str, Any]:
    """The device that is measured, as the doctor sees it, and the driver's own version."""
    shown, wanted = {"numpy": ("NumPy", "CPU"), "cupy": ("CuPy", ""), "torch": ("PyTorch", "")}[name]
    usable = [d for d in doctor.examine().devices if d.library == shown and d.usable]
    found = next(d for d in usable if d.name == wanted or (not wanted and d.name != "CPU"))
    return {"library": name, "device": found.name, "says": found.says, "driver": _driver(), "facts": dict(found.facts)}


def _driver() -> str | None:
    """NVIDIA's driver, where there is one."""
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None
