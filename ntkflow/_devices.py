"""What there is to compute on, tried out: the CPU through NumPy, GPUs through CuPy.

Nothing that computes asks this: arrays bring their library and device along. It is for those who look before they move
their arrays, `ntkflow.doctor` and the benchmarks, and CuPy is imported only when asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._array import Array, device, namespace, svd

SIZE = 64  # of the matrix that is tried: large enough for the blocked routines
ROUNDING = 1e-12
LONGEST = 200  # characters of a reason
MISSING = "not installed: pip install 'ntkflow[{}]'"


@dataclass(frozen=True)
class Device:
    """A device as one library sees it: ``says`` what it is, or in one line why it is not usable."""

    library: str
    name: str
    usable: bool
    says: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def tried(library: str, name: str, says: str, facts: Mapping[str, Any], ones: Callable[[], Array]) -> Device:
    """The device, after products, decompositions and exponentials of ``ones()``, a square matrix that lies on it."""
    try:
        wrong = [what for what, error in _errors(ones()).items() if not error <= ROUNDING]
    except Exception as problem:  # drivers raise what they like
        return Device(library, name, False, one_line(problem), facts)
    return Device(library, name, not wrong, f"computes {' and '.join(wrong)} wrongly" if wrong else says, facts)


def _errors(A: Array) -> dict[str, float]:
    """How far what is computed from A = 11ᵀ is from what is known: A² = nA, σ₁ = λ_n = n, (A + nI)⁻¹A = A/2n."""
    xp, n = namespace(A), A.shape[0]
    shifted = A + n * xp.eye(n, dtype=A.dtype, device=device(A))
    return {
        "products": float(xp.max(xp.abs(A @ A - n * A))) / n,
        "singular values": abs(float(svd(A)[1][0]) / n - 1.0),
        "eigenvalues": abs(float(xp.linalg.eigvalsh(A)[-1]) / n - 1.0),
        "solutions": float(xp.max(xp.abs(xp.linalg.solve(shifted, A) - A / (2 * n)))),
        "exponentials": abs(float(xp.max(xp.exp(A))) - math.e),
    }


def one_line(problem: BaseException) -> str:
    """What the error says that started it all, in one line."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    words = " ".join(str(problem).split()) or type(problem).__name__
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def cpu() -> Device:
    """The CPU as NumPy uses it."""
    blas, threads = _blas()
    facts = {"blas": blas, "threads": threads, "cores": _cores()}
    says = f"{blas}, {several(threads, 'thread')} on {several(facts['cores'], 'core')}"
    return tried("NumPy", "CPU", says, facts, lambda: np.ones((SIZE, SIZE)))


def several(count: Any, what: str) -> str:
    """``"1 thread"``, ``"2 threads"``."""
    return f"{'an unknown number of' if count is None else count} {what}{'' if count == 1 else 's'}"


def cpu_place() -> tuple[Any, Any]:
    """NumPy as a namespace of the standard, and its device."""
    return placed(np.zeros(1))


def placed(array: Array) -> tuple[Any, Any]:
    """Namespace and device of an array."""
    return namespace(array), device(array)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _blas() -> tuple[str, int | None]:
    """NumPy's BLAS and its threads; where threadpoolctl cannot tell, the one it was built with."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        pools = []
    else:
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    if pools:
        return f"{pools[0]['internal_api']} {pools[0]['version'] or ''}".strip(), int(pools[0]["num_threads"])
    built: Any = np.show_config(mode="dicts")
    blas = built["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}", None


def gpus() -> tuple[Device, ...]:
    """Every GPU that CuPy finds; one that is not usable and says why, where it finds none."""
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except ModuleNotFoundError as problem:
        reason = MISSING.format("cuda12") if problem.name == "cupy" else one_line(problem)
        return (_no_gpu(reason),)
    except Exception as problem:  # a broken installation, no driver, no GPU: in their own words
        return (_no_gpu(one_line(problem)),)
    return tuple(_gpu(cupy, i) for i in range(count)) or (_no_gpu("CuPy finds no GPU"),)


def _no_gpu(reason: str) -> Device:
    return Device("CuPy", "GPU", False, reason)


def _gpu(cupy: Any, index: int) -> Device:
    try:
        facts = _facts(cupy, index)
        says = (
            f"{facts['memory_GiB']} GiB, compute capability {facts['compute_capability']}, "
            f"driver for CUDA {facts['driver']}, runtime {facts['runtime']}, CuPy {facts['cupy']}"
        )
        with cupy.cuda.Device(index):  # CuPy computes where it stands
            return tried("CuPy", f"{index}: {facts['name']}", says, facts, lambda: cupy.ones((SIZE, SIZE)))
    except Exception as problem:
        return _no_gpu(one_line(problem))


def _facts(cupy: Any, index: int) -> dict[str, Any]:
    runtime = cupy.cuda.runtime
    found = runtime.getDeviceProperties(index)
    return {
        "name": found["name"].decode(), "index": index, "memory_GiB": round(found["totalGlobalMem"] / 2**30, 1),
        "compute_capability": f"{found['major']}.{found['minor']}", "driver": _dotted(runtime.driverGetVersion()),
        "runtime": _dotted(runtime.runtimeGetVersion()), "cupy": cupy.__version__,
    }  # fmt: skip


def _dotted(version: int) -> str:
    """CUDA's 12040 as 12.4."""
    return f"{version // 1000}.{version % 1000 // 10}"


def gpu_place() -> tuple[Any, Any]:
    """CuPy as a namespace of the standard, and its first GPU."""
    import cupy

    return placed(cupy.zeros(1))
