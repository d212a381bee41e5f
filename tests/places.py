"""Where the tests of `test_gpu` run: on a GPU through CuPy, and on a stand-in that every machine has.

The stand-in is a device of ``array_api_strict``: its arrays refuse to be mixed with others and to become NumPy arrays,
so that whatever these tests ask of CuPy has been asked before any GPU is at hand.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import array_api_strict
import numpy as np
import pytest

from ntkflow import doctor
from ntkflow.errors import InputError

Strict = type(array_api_strict.ones(1))


@dataclass
class Reads:
    """How often the host read something, and how many numbers in all."""

    count: int = 0
    numbers: int = 0


@dataclass(frozen=True)
class Place:
    """A namespace, a device, and how large the networks of the tests may be there."""

    xp: Any
    device: Any
    width: int
    samples: int
    doors: tuple[tuple[Any, str], ...]  # what the host reads by: class or module, and name

    def up(self, array: Any, dtype: str | None = None) -> Any:
        """On the device."""
        values = np.asarray(array) if dtype is None else np.asarray(array, dtype=dtype)
        return self.xp.asarray(values, device=self.device)

    @contextlib.contextmanager
    def guarded(self, most: int) -> Iterator[Reads]:
        """No array of more than ``most`` numbers comes down in here: each read waits for the device, so they count."""
        reads = Reads()

        def watched(real: Any, name: str) -> Any:
            def door(array: Any, *arguments: Any, **options: Any) -> Any:
                size = math.prod(getattr(array, "shape", ()))
                if size > most:
                    pytest.fail(f"{name}: an array of shape {tuple(array.shape)} came down to the host")
                reads.count, reads.numbers = reads.count + 1, reads.numbers + size
                return real(array, *arguments, **options)

            return door

        with pytest.MonkeyPatch.context() as during:
            for owner, name in self.doors:
                during.setattr(owner, name, watched(getattr(owner, name), name))
            yield reads


def stand_in() -> Place:
    """A strict device: its own door is DLPack, since np.asarray is refused anyway."""
    names = ("__dlpack__", "__float__", "__int__", "__bool__", "__index__")
    device = array_api_strict.Device("device1")
    return Place(array_api_strict, device, 12, 8, tuple((Strict, name) for name in names))


def gpu() -> Place:
    """CuPy's first GPU, all whose reads go through ``get``; skips where there is none, in the driver's words."""
    try:
        xp, device = doctor.place("cupy")
    except InputError as why:
        pytest.skip(str(why))
    import cupy

    return Place(xp, device, 256, 200, ((cupy.ndarray, "get"), (cupy, "asnumpy")))


PLACES = [pytest.param(gpu, id="cupy", marks=pytest.mark.gpu), pytest.param(stand_in, id="stand-in")]
