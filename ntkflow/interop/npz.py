r"""Linearised networks from NumPy's ``.npz`` files: Jacobians or a kernel, residuals, and what belongs to them.

>>> import tempfile, pathlib, numpy as np
>>> path = pathlib.Path(tempfile.mkdtemp()) / "run.npz"
>>> np.savez(path, jacobian=np.ones((4, 3, 10)), residual=np.ones((4, 3)), mixing=np.full((4, 4), 0.25))
>>> stored = load_npz(path)
>>> stored.model.jacobian.shape, stored.mixing.shape
((4, 3, 10), (4, 4))
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import (
    InputError,
    ShapeError,
    nearest,
    refuse,
    require,
    require_array,
    require_count,
    require_memory,
    require_path,
    require_shape,
)
from ..linearize import LinearizedModel

__all__ = ["Stored", "load_npz"]

FLOATS = ("jacobian", "kernel", "residual", "outputs", "start", "mixing")
KEYS = {"J": "jacobian", "K": "kernel", "W": "mixing"}  # argument: key
KINDS = {"U": "text", "S": "text", "T": "text", "M": "dates", "m": "times", "V": "records", "b": "truth values"}
COUNTS = ("n_outputs", "n_samples")


@dataclass(frozen=True, eq=False)
class Stored:
    """What a file holds.

    Attributes
    ----------
    model : LinearizedModel
        Jacobians or kernel, with the residuals.
    mixing : (Q, Q) array or None
        The mixing matrix, when the file has one.
    """

    model: LinearizedModel
    mixing: np.ndarray | None


def load_npz(path: str | os.PathLike[str]) -> Stored:
    """A linearised network, and its mixing matrix if there is one, from a ``.npz`` file.

    - ``jacobian`` (Q, n, P), or ``kernel`` (Q n, Q n)
    - ``residual`` (Q, n): outputs minus targets at the start
    - ``n_outputs`` (): M; left out: 1
    - ``n_samples`` (Q,): true sizes, where agents hold different amounts
    - ``outputs`` (Q, n): outputs at the start
    - ``start`` (Q, P): where agents start, with Jacobians only
    - ``mixing`` (Q, Q): W

    Parameters
    ----------
    path : str or path
        A file that ``numpy.savez`` or ``numpy.savez_compressed`` wrote.

    Returns
    -------
    Stored

    Raises
    ------
    InputError, ShapeError
        A file that is missing, cut short or no ``.npz``; unknown, missing or contradicting keys; arrays that are not
        float32 or float64, not finite, of the wrong shape or too large; what `LinearizedModel` refuses.

    Notes
    -----
    Nothing in the file is executed: pickled objects are refused.  W is not audited here.
    """
    place = require_path("npz", path)
    require(place.is_file(), "npz", "a file", f"{place}, which is {'a folder' if place.is_dir() else 'not there'}")
    with _by_keys(place):
        arrays = _read(place)
        source = _source(arrays)
        residual, sizes, outputs = arrays["residual"], arrays.get("n_samples"), arrays.get("outputs")
        M = require_count("n_outputs", _whole(arrays.get("n_outputs", np.asarray(1))))
        if source == "kernel":
            model = LinearizedModel.from_kernel(arrays["kernel"], residual, M, sizes, outputs)
        else:
            model = LinearizedModel.from_jacobian(arrays["jacobian"], residual, M, sizes, outputs, arrays.get("start"))
        mixing, Q = arrays.get("mixing"), model.n_agents
        if mixing is not None:
            require_shape("mixing", mixing, (Q, Q), "a row and a column an agent")
    return Stored(model, mixing)


@contextmanager
def _by_keys(place: Path) -> Iterator[None]:
    """Errors with the file's name and the key that they are about, in place of an argument's name."""
    try:
        yield
    except InputError as why:
        name, colon, rest = str(why).partition(": ")
        key = KEYS.get(name, name)
        raise type(why)(f"{place.name}: {key}{colon}{rest}" if key != "npz" else str(why)) from None


def _source(arrays: dict[str, np.ndarray]) -> str:
    """Which of jacobian and kernel is there; the residual has to be there as well."""
    found = [name for name in ("jacobian", "kernel") if name in arrays]
    require(len(found) == 1, "npz", "either jacobian or kernel", " and ".join(found) or "neither")
    require("residual" in arrays, "npz", "a residual, outputs minus targets", ", ".join(arrays))
    pointless = "start" in arrays and found == ["kernel"]
    require(not pointless, "start", "none beside a kernel", "one", "a kernel has no parameters; give the Jacobians")
    return found[0]


def _read(place: Path) -> dict[str, np.ndarray]:
    with place.open("rb") as file:
        single = file.read(6) == b"\x93NUMPY"
    require(not single, "npz", "a file that numpy.savez wrote", f"{place}, a single array of numpy.save",
            "use np.savez(path, jacobian=..., residual=...)")  # fmt: skip
    with _as_input_errors(place), zipfile.ZipFile(place) as archive:
        require_memory("npz", sum(entry.file_size for entry in archive.infolist()) / 8, "store fewer rows")
        names = [entry.removesuffix(".npy") for entry in archive.namelist()]
        for name in names:
            require(name in FLOATS + COUNTS, "npz", "known keys", repr(name), nearest(name, FLOATS + COUNTS))
    with _as_input_errors(place), np.load(place, allow_pickle=False) as file:
        return {name: _checked(name, _array(name, file)) for name in names}


def _array(name: str, file: Any) -> Any:
    try:
        return file[name]
    except ValueError as why:
        if "allow_pickle" not in str(why):
            raise
    return refuse(name, "an array of numbers", "Python objects", "rows of one length make one; objects are never read")


@contextmanager
def _as_input_errors(place: Path) -> Iterator[None]:
    """What NumPy and zipfile say of a damaged file, as one line."""
    try:
        yield
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, RuntimeError, MemoryError) as why:
        refuse("npz", "a file that numpy.savez wrote", f"{place} ({why})", "no objects, no passwords, nothing cut off")


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    """Whole numbers as they are; else float32 or float64 in this machine's byte order, finite."""
    require(isinstance(array, np.ndarray), name, "an array of NumPy", "something else")
    if name in COUNTS:
        require(array.dtype.kind in "iu", name, "whole numbers", f"dtype {array.dtype}")
        return array
    kind = array.dtype.kind
    known, found = kind == "f" and array.dtype.itemsize in (4, 8), KINDS.get(kind, f"dtype {array.dtype}")
    real = "take the real part yourself if that is meant"
    require(known, name, "float64 or float32", found, real if kind == "c" else "convert with astype(float)")
    return np.asarray(require_array(name, array.astype(array.dtype.newbyteorder("="), copy=False)))


def _whole(count: np.ndarray) -> Any:
    require(count.size == 1, "n_outputs", "one whole number", f"shape {count.shape}", error=ShapeError)
    return int(count.reshape(()))
