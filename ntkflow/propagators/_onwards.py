"""Answers from Krylov spaces: from one for all times, or from one after the other where it does not reach them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .._array import Array, eps, like, namespace, norm, to_numpy, zeros
from .._path import Path
from ._question import Drive, Numbers, Times, UnconvergedError, rounding

Map = Callable[[Array], Array]
STRETCHES = 1000.0  # the most


class Stretch(Protocol):
    """A space, and how far from the start its answers reach."""

    @property
    def reach(self) -> float:
        """In iterations."""

    @property
    def rate(self) -> float:
        """The size of A on the space."""

    @property
    def directions(self) -> Array:
        """What the states are made of, (m, N)."""

    def at(self, times: list[float]) -> tuple[Any, Any]:
        """Coefficients of the directions at some times up to there (T, m), and a bound on what they lack (T,)."""


Opening = Callable[[Array, float], Stretch]


def answered(
    of: Opening, A: Map, times: Times, drive: Drive, widest: float = 1.0, *, alone: bool = False
) -> tuple[Path, Array]:
    """The states (blocks, Q, p), and what they lack at most with an estimate of rounding, (T,).

    ``of`` gives the stretch for a drive (N,) and what is left of the horizon; no direction is longer than ``widest``;
    ``alone`` wants no second stretch.
    """
    w, xp = drive.w, namespace(drive.w)
    if drive.top == 0.0:
        return Path(zeros((times.count, *w.shape), w)), zeros((times.count,), w)
    if not math.isfinite(drive.top):
        raise UnconvergedError("the drive overflows")
    unit = 2.0 ** math.floor(math.log2(drive.top))  # squares of w/unit neither vanish nor overflow
    flat = xp.reshape(w, (-1,)) / unit
    first = of(flat, times.horizon)
    if first.reach >= times.horizon:
        y, lacking = first.at(list(times.values))
        path = Path(xp.reshape(first.directions, (-1, *w.shape)), unit * like(y, w))
        sizes, lacking = to_numpy(namespace(y).linalg.vector_norm(y, axis=1)), to_numpy(lacking)
    elif alone:
        raise UnconvergedError(f"{first.directions.shape[0]} Krylov vectors reach {first.reach:.3g} iterations")
    else:
        states, lacking = _one_by_one(first, of, A, times, flat)
        path = Path(unit * xp.reshape(states, (-1, *w.shape)))
        sizes = to_numpy(xp.linalg.vector_norm(states, axis=1))
    rate = max(1.0, first.rate)  # A x is rounded as its terms are, W x and x
    error = rounding(times, widest * unit * sizes, np.asarray(times.values), rate, drive, 2.0 * eps(w))
    return path, like(error + unit * lacking, w)


def _one_by_one(stretch: Stretch, of: Opening, A: Map, times: Times, w: Array) -> tuple[Array, Numbers]:
    """States (T, N): each stretch starts where the one before it ends, driven by the speed there.

    That speed, w + A x, is rounded as the larger of its terms are, and stays so for the rest of the time.
    """
    states, lacking = zeros((times.count, w.shape[0]), w), np.zeros(times.count)
    begun, lacked, x, noise = 0.0, 0.0, zeros(w.shape, w), 0.0
    waiting = sorted(range(times.count), key=lambda i: -times.values[i])
    while True:
        end = begun + stretch.reach
        if end < times.horizon and stretch.reach < times.horizon / STRETCHES:
            raise UnconvergedError(f"{stretch.directions.shape[0]} vectors reach {stretch.reach:.3g} iterations")
        here = [waiting.pop() for _ in range(len(waiting)) if times.values[waiting[-1]] <= end]
        since = [times.values[i] - begun for i in here] + [stretch.reach]
        y, more = stretch.at(since)
        moved, more = like(y, w) @ stretch.directions, to_numpy(more) + noise * np.asarray(since)
        for row, i in enumerate(here):
            states[i, :], lacking[i] = x + moved[row, :], lacked + more[row]
        if not waiting:
            return states, lacking
        begun, lacked, x = end, lacked + float(more[-1]), x + moved[-1, :]
        noise += 4.0 * eps(w) * (norm(w) + stretch.rate * norm(x))
        stretch = of(w + A(x), times.horizon - begun)
