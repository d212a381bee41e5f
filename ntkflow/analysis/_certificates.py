r"""Where the eigenvalues of a matrix lie, proved in floating point: inside a region, outside it, or too close to tell.

The region is the open unit disc (iteration) or the open left half-plane (flow). An eigenvalue's *excess* is |z| − 1 or
Re z: negative inside. Three enclosures, the sharpest first:

* symmetric matrices: Weyl, every eigenvalue is within ‖E‖₂ of a computed one, E all that rounding and truncation did;
* others: Gershgorin's discs of V⁻¹(M + E)V for computed eigenvectors V, the error of V⁻¹ bounded;
* small ones: a Lyapunov matrix P with P − MᵀPM ≻ 0, or −(MᵀP + PM) ≻ 0, proved by its smallest eigenvalue; as many
  eigenvalues of M are outside as P has negative ones (Taussky 1961; Ostrowski and Schneider 1962).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]
EPS = float(np.finfo(np.float64).eps)
ROUNDINGS = 4.0  # rounding errors of a product or an eigenvalue of size d, in units of d·eps·norm
SMALL = 120  # rows up to which a Lyapunov equation is solved
PARTS = (0.4, 0.7)  # not 0.5: modes mirrored at the edge have no Lyapunov matrix


@dataclass(frozen=True)
class Judgement:
    """Whether a spectrum is inside: 'stable', 'unstable' or 'undecided', and why.

    ``excess`` is the largest computed one; the true one is proved to lie between ``low`` and ``high``.
    """

    verdict: str
    excess: float
    low: float
    high: float
    certificate: str


def excess(eigenvalues: Matrix, *, flow: bool) -> Matrix:
    """|z| − 1, or Re z, of every eigenvalue."""
    return eigenvalues.real if flow else np.abs(eigenvalues) - 1.0


def judge(M: Matrix, uncertainty: float, *, flow: bool, symmetric: bool = False) -> Judgement:
    """Judge every matrix within ``uncertainty`` (2-norm) of M (d, d): by Weyl, Gershgorin, or Lyapunov.

    M is the map itself for the iteration, M − I for the flow. Cost: one eigenproblem and two inverses.
    """
    if not M.size:
        return Judgement("stable", -math.inf, -math.inf, -math.inf, "nothing is moved and seen")
    if symmetric:
        return _weyl(M, uncertainty, flow)
    found = _gershgorin(M, uncertainty, flow)
    if found.verdict == "undecided" and len(M) <= SMALL:
        return _lyapunov(M, uncertainty, flow, found)
    return found


def rounding(size: int, norm: float) -> float:
    """What rounding may do to the 2-norm of a computed product of matrices of this size, or to an eigenvalue."""
    return ROUNDINGS * size * EPS * norm


def norm_bound(M: Matrix) -> float:
    """‖M‖₂ ≤ (‖M‖₁ ‖M‖∞)^½, without a singular value decomposition."""
    A = np.abs(M)
    return math.sqrt(float(A.sum(axis=0).max()) * float(A.sum(axis=1).max())) if M.size else 0.0


def _decided(low: float, high: float) -> str:
    return "stable" if high < 0 else "unstable" if low > 0 else "undecided"


def _weyl(M: Matrix, uncertainty: float, flow: bool) -> Judgement:
    values = np.linalg.eigvalsh((M + M.T) / 2)
    radius = uncertainty + rounding(len(M), float(np.abs(values).max()))
    worst = float(excess(values, flow=flow).max())
    text = f"symmetric eigenvalues, each within {radius:.1e} (Weyl)"
    return Judgement(_decided(worst - radius, worst + radius), worst, worst - radius, worst + radius, text)


def _gershgorin(M: Matrix, uncertainty: float, flow: bool) -> Judgement:
    values, V = np.linalg.eig(M)
    centre = excess(values, flow=flow)
    radii = _radii(M, values, V, uncertainty)
    low, high = _reached(values, centre, radii), float((centre + radii).max())
    text = f"Gershgorin discs of the diagonalised map, radii up to {radii.max():.1e}"
    return Judgement(_decided(low, high), float(centre.max()), low, high, text)


def _radii(M: Matrix, values: Matrix, V: Matrix, uncertainty: float) -> Matrix:
    r"""Radii of discs around the computed eigenvalues that hold the spectrum of M + E for every ‖E‖₂ ≤ uncertainty.

    V⁻¹(M + E)V = Λ + V⁻¹(R + EV) with R = MV − VΛ. With Y ≈ V⁻¹ and F = I − YV, V⁻¹ = (I − F)⁻¹Y.
    """
    d = len(M)
    never = np.full(d, math.inf)
    try:
        Y = np.linalg.inv(V)
    except np.linalg.LinAlgError:
        return never
    weight = np.linalg.norm(Y, axis=1)
    frame = norm_bound(V)
    F = np.abs(np.eye(d) - Y @ V).sum(axis=1).max() + rounding(d, math.sqrt(d) * float(weight.max()) * frame)
    if not F < 0.5:
        return never
    R = M @ V - V * values[None, :]
    blur = uncertainty * frame + rounding(d, (norm_bound(M) + float(np.abs(values).max())) * frame)
    rows = np.abs(Y @ R).sum(axis=1) + math.sqrt(d) * weight * blur
    return rows + F / (1.0 - F) * rows.max()


def _reached(values: Matrix, centre: Matrix, radii: Matrix) -> float:
    """The largest excess proved to be reached: every cluster of touching discs holds as many eigenvalues as discs."""
    from scipy.sparse.csgraph import connected_components

    touching = np.abs(values[:, None] - values[None, :]) <= radii[:, None] + radii[None, :]
    count, cluster = connected_components(touching, directed=False)
    least = np.full(count, math.inf)
    np.minimum.at(least, cluster, centre - radii)
    return float(least.max())


def _lyapunov(M: Matrix, uncertainty: float, flow: bool, found: Judgement) -> Judgement:
    """Decide by a Lyapunov matrix where the discs could not; else ``found``, with what it lacks.

    What seems to be outside is also looked for beyond a part of its excess, where marginal modes beside it are inside.
    """
    proved = _by_inertia(M, uncertainty, flow, found)
    for part in PARTS if found.excess > 0 else ():
        if proved is None:
            edge = part * found.excess
            moved = M - edge * np.eye(len(M)) if flow else M / (1.0 + edge)
            beyond = _by_inertia(moved, uncertainty + rounding(len(M), norm_bound(M) + edge), flow, found)
            proved = beyond if beyond is not None and beyond.verdict == "unstable" else None
    gap = f"the largest excess {found.excess:.1e} is not told from 0"
    return proved or Judgement("undecided", found.excess, found.low, found.high, f"{gap}: {found.certificate}")


def _by_inertia(M: Matrix, uncertainty: float, flow: bool, found: Judgement) -> Judgement | None:
    """How many modes are outside, as many as P has negative eigenvalues; None where P proves nothing."""
    P = _solve(M, flow)
    size, drift = (math.inf if P is None else norm_bound(P)), norm_bound(M)
    if P is None or not math.isfinite(size * (1.0 + drift) ** 2):
        return None
    fall = -(M.T @ P + P @ M) if flow else P - M.T @ P @ M
    scale = 2.0 * drift * size if flow else (1.0 + drift**2) * size
    moved = 2.0 * uncertainty * size * (1.0 if flow else drift + uncertainty)
    least, inertia = float(np.linalg.eigvalsh(fall)[0]), np.linalg.eigvalsh(P)
    if not (least > moved + 4.0 * rounding(len(M), scale) and np.abs(inertia).min() > rounding(len(M), size)):
        return None
    outside = int((inertia < 0).sum())
    form = "-(A'P + PA)" if flow else "P - M'PM"
    text = f"a Lyapunov matrix P, smallest eigenvalue of {form} {least:.1e}, {outside} negative ones of P"
    if outside:
        return Judgement("unstable", found.excess, 0.0, found.high, text)
    return Judgement("stable", found.excess, found.low, 0.0, text)


def _solve(M: Matrix, flow: bool) -> Matrix | None:
    """P with P − MᵀPM = I, or −(MᵀP + PM) = I; whether it is one is for the caller to prove."""
    from scipy.linalg import LinAlgError, solve_continuous_lyapunov, solve_discrete_lyapunov

    identity = np.eye(len(M))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an ill-conditioned equation shows in the proof
            P = solve_continuous_lyapunov(M.T, -identity) if flow else solve_discrete_lyapunov(M.T, identity)
    except (LinAlgError, ValueError):
        return None
    P = (P + P.T) / 2
    return P if np.isfinite(P).all() else None
