r"""Closed form on a Krylov space: any rule, matrix-free, short and middling horizons.

Arnoldi's relation A V = V H + h v eᵀ turns the iterates x_k = g_k(A) w into V y_k, y_{k+1} = y_k + H y_k + ‖w‖ e₁,
which are those of a small matrix.  What remains, d_k = h (eᵀ y_k) v, is the defect in the equation they obey, and
the error is at most h Σ_{i<k} |eᵀ y_i| where ‖M‖ ≤ 1.  The flow is the Poisson average of the iterates and its
error the average of theirs (T15), or those of M_θ = I + θA at times t/θ where the iteration itself grows.
The space grows until the defects are negligible.  Classical Gram–Schmidt, twice where it leaves little, keeps V
orthonormal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._array import Array, eps, eye, like, namespace, norm, to_numpy, zeros
from .._path import Path
from ..operator import CACHED
from ._arnoldi import LARGEST, Space
from ._balanced import Balanced
from ._poisson import reach, weights
from ._question import BENIGN, FIRST_CHECK, SEVERAL, Drive, Times, UnconvergedError, next_check, rounding

FAR = 1e4  # iterations; beyond it the defects are no longer negligible in this many vectors
LONGEST = 5e4  # iterations of M_θ
DAMPED = 2e-2  # the least θ
HELD = 2**22  # weights at a time


@dataclass(frozen=True, eq=False)
class Krylov:
    """Matrix-free; one space for all times."""

    operator: Balanced

    name = "krylov"
    needs = f"times up to {FAR:,.0f}"

    @staticmethod
    def accepts(operator: Balanced, times: Times) -> bool:
        """Any rule up to a middling horizon."""
        return times.horizon <= FAR

    @staticmethod
    def cost(operator: Balanced, times: Times) -> float:
        """Rough seconds, with as many vectors as a spectrum in [−2, 0] takes, or around the unit circle."""
        last = min(times.horizon, FAR)
        steps = _checked_to(last) if times.flow else last
        vectors = FIRST_CHECK + (4.0 if operator.shape[0] == 1 else 9.0) * math.sqrt(steps)
        m = min(vectors, 1.0 + steps, LARGEST, operator.size)
        small = 2e-10 * m * m * steps + (1.5e-5 if times.flow else 1e-6) * times.count
        projection = m * operator.size * (2.5e-10 if m * operator.size < CACHED else 1.6e-9)
        return 6e-4 + m * (2.5e-5 + operator.cost + projection) + small

    @classmethod
    def prepare(cls, operator: Balanced, times: Times) -> Krylov:
        """The space depends on the drive: nothing to prepare."""
        return cls(operator)

    def apply(self, times: Times, drive: Drive) -> tuple[Path, Array]:
        """g_t(A) w at all times, (T, blocks, Q, p), and a bound on the defects with an estimate of rounding, (T,)."""
        w, size, xp = drive.w, drive.size, namespace(drive.w)
        if size == 0.0:
            return Path(zeros((times.count, *w.shape), w)), zeros((times.count,), w)
        space = Space(self.operator, xp.reshape(w, (-1,)) / size)
        y, defects = _answers(space, size, times)
        path = Path(xp.reshape(space.V[: space.m, :], (space.m, *w.shape)), y)
        sizes, life = to_numpy(xp.linalg.vector_norm(y, axis=1)), np.asarray(times.values)
        error = rounding(times, sizes, life, norm(space.H) / space.m**0.5, drive, 2.0 * eps(w))
        return path, (1.0 if w.shape[0] == 1 else SEVERAL) * (like(error, w) + defects)


def _answers(space: Space, size: float, times: Times) -> tuple[Array, Array]:
    """g_t(H) ‖w‖ e₁ (T, m) and what the defects add up to (T,), on a space large enough for them."""
    if not times.flow:
        last = int(times.horizon)
        if not _grow(space, size, last, 1.0):
            raise UnconvergedError("the trajectory overflows")
        xp, (y, defects) = namespace(space.H), _summed(space, size, last, 1.0)
        chosen = xp.asarray([int(t) for t in times.values], device=y.device)
        return xp.take(y, chosen, axis=0), xp.take(defects, chosen, axis=0)
    theta = 1.0
    while theta > DAMPED and times.horizon / theta <= LONGEST:
        found = _averaged(space, size, times, theta)
        if found is not None:
            return found
        theta /= 2.0
    raise UnconvergedError("the terms of the Poisson average cancel")


def _averaged(space: Space, size: float, times: Times, theta: float) -> tuple[Array, Array] | None:
    """The same for the flow, through M_θ; None where its iterates cancel in their average, or outgrow its weights."""
    last = reach(times.horizon / theta)
    if not _grow(space, size, _checked_to(times.horizon / theta), theta):
        return None
    xp, (y, defects) = namespace(space.H), _summed(space, size, last, theta)
    norms, found, step = xp.linalg.vector_norm(y, axis=1), [], max(1, HELD // (last + 1))
    for some in (times.values[i : i + step] for i in range(0, times.count, step)):
        poisson = [weights(t / theta) for t in some]
        P = like(np.stack([p.among(0, last + 1) for p in poisson]), y)
        ends = [float(p.values[-1]) * float(norms[p.last]) for p in poisson]
        average = P @ y
        smallest = xp.linalg.vector_norm(average, axis=1) + float(xp.finfo(y.dtype).smallest_normal)
        if bool(xp.any((P @ norms > BENIGN * smallest) | (like(ends, y) > eps(y) * smallest))):
            return None
        found.append((average, P @ defects))
    averages, sums = zip(*found, strict=True)
    return xp.concat(averages, axis=0), xp.concat(sums)


def _checked_to(mean: float) -> int:
    """Iterates beyond this one have less than 1e-7 of the weight: what they lack need not be negligible."""
    return int(mean + 5.0 * mean**0.5 + 10.0)


def _grow(space: Space, size: float, last: int, theta: float) -> bool:
    """Grow the space until the defects up to ``last`` are negligible; False where the iterates of M_θ overflow."""
    seen: list[tuple[int, float]] = []
    check = max(1, min(FIRST_CHECK, last), space.m)  # as many vectors as iterates say all
    while True:
        while not space.complete and space.m < check:
            space.extend()
        defect = _seen(space, size, last, theta)
        if not math.isfinite(defect):
            return False
        if defect <= 10 * eps(space.V):
            return True
        if space.complete:
            raise UnconvergedError(f"{space.m} Krylov vectors leave a relative defect of {defect:.1g}")
        seen.append((space.m, defect))
        check = next_check(seen, 10 * eps(space.V))


def _seen(space: Space, size: float, last: int, theta: float) -> float:
    """What the defects add up to beside the largest y so far, at most, from y₁, y₂, y₄, …; inf where they overflow."""
    D, total, k, worst = theta * space.H, 0.0, 1, 0.0
    y = theta * size * eye(space.m, D)[:, 0]
    largest = norm(y)
    while k < last:
        before, y, D = float(y[-1]), 2.0 * y + D @ y, D @ D + 2.0 * D
        total, k, largest = total + k * max(abs(before), abs(float(y[-1]))), 2 * k, max(largest, norm(y))
        worst = max(worst, total / largest)
        if not math.isfinite(largest):
            return math.inf
    return theta * space.remainder * worst


def _summed(space: Space, size: float, last: int, theta: float) -> tuple[Array, Array]:
    """y₀ … y_last of M_θ (last + 1, m), by doubling, and the sums of the defects' sizes before each (last + 1,)."""
    D, xp = theta * space.H, namespace(space.H)
    end = theta * size * eye(space.m, D)[:, 0]
    y = zeros((1, space.m), D)
    while y.shape[0] <= last:
        held = y[: min(y.shape[0], last + 1 - y.shape[0]), :]
        y = xp.concat([y, end + held + held @ D.T], axis=0)
        end, D = 2.0 * end + D @ end, D @ D + 2.0 * D
    sizes = theta * space.defect * xp.abs(y[:, -1])
    return y, xp.cumulative_sum(sizes) - sizes
