"""What PyTorch can compute on, tried out."""

from __future__ import annotations

from typing import Any

from .._array import Array
from .._devices import MISSING, SIZE, Device, one_line, placed, several, tried


def devices() -> tuple[Device, ...]:
    """The CPU and every GPU that torch finds; one that is not usable and says why, where there is none."""
    try:
        import torch
    except ModuleNotFoundError as problem:
        reason = MISSING.format("torch") if problem.name == "torch" else one_line(problem)
        return (Device("PyTorch", "CPU and GPU", False, reason),)
    except Exception as problem:  # a broken installation, in its own words
        return (Device("PyTorch", "CPU and GPU", False, one_line(problem)),)
    facts = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    says = f"torch {torch.__version__}, {several(facts['threads'], 'thread')}"
    return (_tried(torch, "CPU", says, facts, "cpu"), *_gpus(torch))


def _gpus(torch: Any) -> tuple[Device, ...]:
    try:
        torch.cuda.init()  # says what is missing, where is_available() only says no
        found = [_gpu(torch, i) for i in range(torch.cuda.device_count())]
    except Exception as problem:
        found, reason = [], one_line(problem)
    else:
        reason = "torch finds no GPU"
    if torch.backends.mps.is_available():
        found.append(_tried(torch, "Apple GPU", f"torch {torch.__version__}", {}, "mps"))
    return tuple(found) or (Device("PyTorch", "GPU", False, reason),)


def _gpu(torch: Any, index: int) -> Device:
    found = torch.cuda.get_device_properties(index)
    facts = {
        "name": found.name, "index": index, "memory_GiB": round(found.total_memory / 2**30, 1),
        "compute_capability": f"{found.major}.{found.minor}", "runtime": torch.version.cuda or torch.version.hip,
        "torch": torch.__version__,
    }  # fmt: skip
    says = (
        f"{facts['memory_GiB']} GiB, compute capability {facts['compute_capability']}, runtime {facts['runtime']}, "
        f"torch {facts['torch']}"
    )
    return _tried(torch, f"{index}: {found.name}", says, facts, f"cuda:{index}")


def _tried(torch: Any, name: str, says: str, facts: dict[str, Any], place: str) -> Device:
    def ones() -> Array:
        return torch.ones((SIZE, SIZE), dtype=torch.float64, device=place)

    return tried("PyTorch", name, says, facts, ones)


def place() -> tuple[Any, Any]:
    """PyTorch as a namespace of the standard, and its first GPU."""
    import torch

    return placed(torch.zeros(1, device="cuda:0"))
