r"""The largest stable step size: in closed form where T3, T7 and T8 have one, else the first crossing of a scan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ._certificates import Matrix
from ._driven import Driven
from ._form import ProductForm, SymmetricForm

FAINT = 1e-10  # an excess below this, in units of the map's size, is not told from rounding by a scan
DOUBTFUL = 1e-5  # one below this is proved first: the eigenvalues of a near-defective map are off by roots of eps
DOWN = 6  # powers of ten below the first step size of a scan
WORK = 4e9  # d³ that all eigenproblems of a scan may come to, about
FIRST, LAST = 1e-6, 1e4  # where a scan begins and ends, in units of 1/λ_max(Ψ)
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
Excess = Callable[[float], float]


@dataclass(frozen=True)
class LargestStep:
    """The largest η, two step sizes that enclose it (None where it is no crossing that was searched for), and why.

    ``certified`` is the step size up to which a theorem proves stability, 0 if none does; where ``exact`` is False,
    what lies beyond ``value`` need not be unstable.
    """

    value: float
    bracket: tuple[float, float] | None
    reason: str
    certified: float
    exact: bool = True


@dataclass(frozen=True)
class BestStep:
    """The step size with the smallest spectral radius, and that radius; None and a reason where there is none."""

    step_size: float | None
    radius: float | None
    reason: str


def largest_step(driven: Driven, *, flow: bool) -> LargestStep:
    """Up to which step size, all else fixed, the driven and seen part is stable."""
    driven = driven.anywhere
    if not math.isfinite(driven.unit) or not driven.order:
        return LargestStep(math.inf, None, "nothing is driven and seen (J = 0 where W lets it act)", math.inf)
    if isinstance(driven.form, SymmetricForm):
        return _symmetric_flow(driven, driven.form) if flow else _symmetric_iteration(driven, driven.form)
    if isinstance(driven.form, ProductForm) and driven.form.single:
        return _product_flow(driven, driven.form) if flow else _product_iteration(driven, driven.form)
    return first_crossing(driven, 0.0, flow=flow, reason="")


def best_step(driven: Driven, largest: LargestStep) -> BestStep:
    """The step size below the largest one with the smallest spectral radius: a scan, then golden sections."""
    driven = driven.anywhere
    if largest.value == 0:
        return BestStep(None, None, "no step size is stable")
    if not math.isfinite(largest.value):
        return BestStep(None, None, "no step size is too large")

    def rate(step_size: float) -> float:
        return driven.excess(step_size, flow=False)

    if rate(largest.value / 2) > -1e-12 * driven.order:
        return BestStep(None, None, "a mode is too slow for any step size to make a difference beyond rounding")
    points = max(5, min(24, int(WORK / 8 / driven.order**3)))
    grid = largest.value * np.concatenate([[0.0], np.geomspace(0.01, 1.0, points)])
    lowest = 1 + int(np.argmin([rate(x) for x in grid[1:]]))
    low, high = grid[lowest - 1], grid[min(lowest + 1, len(grid) - 1)]
    step_size = _golden(rate, low, high, 20 if driven.order > 300 else 40)
    return BestStep(step_size, 1.0 + rate(step_size), "")


def crossing_of_minus_one(driven: Driven, form: ProductForm) -> float:
    """η_ℝ of T8 (e): where an eigenvalue of V(I − ηγΨ) first is −1; inf if never, 0 if V has the eigenvalue −1."""
    v, J = form.mixed(driven.learning.values), driven.learning.J
    if v.min() <= -1.0:
        return 0.0
    top = _top((J * (v / (1.0 + v))) @ J.T)
    return 1.0 / (form.gamma * top) if top > 0 else math.inf


def _symmetric_iteration(driven: Driven, form: SymmetricForm) -> LargestStep:
    v, rows = form.mixed(driven.learning.values), driven.learning.bent(form)
    if v.max() > 1.0:
        return first_crossing(driven, 0.0, flow=False, reason=f"{form.letter} has an eigenvalue above 1; ")
    stuck = v <= -1.0
    if np.any(rows[:, stuck]):
        lowest = f"{v[stuck & rows.any(axis=0)].min():.6g}".replace("-", "−")
        reason = f"{form.letter} has the eigenvalue {lowest} where data act, so no step size is stable (T8 c)"
        return LargestStep(0.0, None, reason, 0.0)
    rows, v = rows[:, ~stuck], v[~stuck]
    exact, faint = 1.0 / _top(rows / np.sqrt(1.0 + v), squared=True), _faint_limit(driven, form)
    if faint < exact:
        return LargestStep(faint, None, "beyond it, what compression left out may be unstable (T8 b)", faint, False)
    return LargestStep(exact, None, f"exact: {form.bound} (T8 a)", exact)


def _faint_limit(driven: Driven, form: SymmetricForm) -> float:
    """Up to which step size directions that compression left out are stable, their Jacobians as large as can be."""
    lowest = form.mixed(np.array([mode.value for mode in driven.reduction.modes])).min()
    curvature = sum(form.curvature.values()) * driven.reduction.left_out**2
    return float(max(0.0, 1.0 + lowest) / curvature) if curvature else math.inf


def _symmetric_flow(driven: Driven, form: SymmetricForm) -> LargestStep:
    if form.mixed(driven.learning.values).max() <= 1.0:
        return LargestStep(math.inf, None, "the flow is stable for every step size (T3, T4)", math.inf)
    return first_crossing(driven, 0.0, flow=True, reason=f"{form.letter} has an eigenvalue above 1; ")


def _product_iteration(driven: Driven, form: ProductForm) -> LargestStep:
    v, unit = form.mixed(driven.learning.values), driven.unit / form.gamma
    if np.abs(v).max() > 1.0:
        return first_crossing(driven, 0.0, flow=False, reason=f"‖{form.letter}‖ > 1; ")
    real, low = crossing_of_minus_one(driven, form), float(v.min())
    if low >= 0:
        return LargestStep(real, None, f"exact for {form.letter} ⪰ 0: {form.bound} (T8 e)", real)
    pairs = (1.0 + 1.0 / abs(low)) * unit
    if 0 < real <= pairs:
        reason = f"exact: an eigenvalue is −1 before a complex pair can leave, {form.bound} (T8 f)"
        return LargestStep(real, None, reason, real)
    certified = max(2.0 * unit, min(real, pairs))
    return first_crossing(driven, certified, flow=False, reason="stable up to the bracket's beginning by T8 (d, f); ")


def _product_flow(driven: Driven, form: ProductForm) -> LargestStep:
    v = form.mixed(driven.learning.values)
    if np.abs(v).max() > 1.0:
        return first_crossing(driven, 0.0, flow=True, reason=f"‖{form.letter}‖ > 1; ")
    if v.min() >= 0:
        return LargestStep(
            math.inf, None, f"the flow is stable for every step size, as {form.letter} ⪰ 0 (T7 a)", math.inf
        )
    certified = (1.0 + 1.0 / abs(float(v.min()))) * driven.unit / form.gamma
    return first_crossing(driven, certified, flow=True, reason="")


@dataclass
class Scan:
    """What is outside, and by how much an excess must stand above rounding to be believed."""

    driven: Driven
    flow: bool
    faint: float = FAINT

    def outside(self, step_size: float, faint: float | None = None) -> float:
        """The excess at a step size, less what is not told from rounding."""
        faint = self.faint if faint is None else faint
        return self.driven.excess(step_size, flow=self.flow) - faint * self.unit(step_size)

    def unit(self, step_size: float) -> float:
        """The size of the map, about."""
        return max(1.0, step_size / self.driven.unit)

    def believed(self, step_size: float) -> bool:
        """Whether the map is outside; a doubtful excess must be proved, or raises what counts as faint."""
        above = self.outside(step_size)
        if above <= 0 or above > DOUBTFUL * self.unit(step_size) or self.driven.similar(step_size) is not None:
            return above > 0
        if self.driven.judge(flow=self.flow, step_size=step_size).verdict == "unstable":
            return True
        self.faint += 2.0 * above / self.unit(step_size)
        return False


def first_crossing(driven: Driven, certified: float, *, flow: bool, reason: str) -> LargestStep:
    """The first η above ``certified`` at which the driven part is unstable, by a scan and root finding between."""
    scan, low = Scan(driven, flow), certified
    for high in _grid(driven, certified):
        if scan.believed(high):
            break
        low = high
    else:
        text = f"{reason}no crossing up to {LAST:g}/λ_max(Ψ), beyond which nothing was tried"
        return LargestStep(math.inf, None, text, certified)
    if low == 0:
        low, high = _further_down(scan, high)
    if certified == 0 and (low == 0 or _from_the_start(scan, low, high)):
        return LargestStep(0.0, None, f"{reason}unstable for the smallest step sizes already", 0.0)
    low, high = _narrowed(scan.outside, low, high, 1e-11 if driven.order <= 300 else 1e-4)
    return LargestStep(low, (low, high), f"{reason}the first crossing of a scan, bisected", certified)


def _further_down(scan: Scan, high: float) -> tuple[float, float]:
    """Two neighbours below ``high``, inside and outside; 0 for the first where nothing is inside."""
    for low in high * 0.1 ** np.arange(1, DOWN + 1):
        if not scan.believed(low):
            return float(low), high
        high = float(low)
    return 0.0, high


def _from_the_start(scan: Scan, low: float, high: float) -> bool:
    """Whether the excess grows like a power of η out of rounding, so that ``high`` is only where it was seen."""
    before, further = (scan.driven.excess(x, flow=scan.flow) for x in (low, 2.0 * high))
    return before > -scan.faint * scan.unit(low) and 0 < further < 300.0 * scan.faint * scan.unit(high)


def _grid(driven: Driven, certified: float) -> Iterator[float]:
    """Step sizes to try above ``certified``, upwards: fine where crossings are, coarse far away from there."""
    ratio = min(1.0 + 0.03 * max(1.0, 200.0 * driven.order**3 / WORK) ** 0.5, 1.5)
    x = max(FIRST, certified / driven.unit * (1.0 + 1e-6))
    while x < LAST:
        yield x * driven.unit
        x *= ratio if 0.03 <= x <= 30.0 else 2.0
    yield LAST * driven.unit


def _narrowed(outside: Callable[..., float], low: float, high: float, width: float) -> tuple[float, float]:
    """A bracket of the crossing, of this relative width or as narrow as it can be told, both ends tried."""
    from scipy.optimize import bisect, brentq

    if outside(low) >= 0:  # the end of a certified range, to rounding
        return low, low * (1.0 + 1e-9)
    steep = outside(low, 0.0) < -100.0 * FAINT  # then the sign is known down to rounding, else it is flat below
    threshold, search = (0.0, brentq) if steep else (None, bisect)
    root = float(search(outside, low, high, args=(threshold,), xtol=0.1 * width * high, rtol=max(0.1 * width, 1e-14)))
    while outside(root * (1.0 - width), threshold) > 0 or outside(root * (1.0 + width), threshold) <= 0:
        width *= 4.0
    return max(low, root * (1.0 - width)), min(high, root * (1.0 + width))


def _golden(function: Excess, low: float, high: float, steps: int) -> float:
    """The minimum of a function with one valley, by golden sections."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = function(a), function(b)
    for _ in range(steps):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = function(b)
    return float(a if at_a <= at_b else b)


def _top(A: Matrix, *, squared: bool = False) -> float:
    """The largest eigenvalue of a symmetric A, or with ``squared`` of AAᵀ."""
    if squared:
        A = A @ A.T if len(A) <= A.shape[1] else A.T @ A
    return float(np.linalg.eigvalsh(A)[-1])
