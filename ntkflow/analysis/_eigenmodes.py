"""Eigenvalues and eigenvectors of the learning part, through its symmetric factor where the rule has one.

Rates z − 1 are kept in place of eigenvalues z: of a mode that decays slowly only they have all their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._array import svd, to_numpy
from ._driven import Driven
from ._marginal import structural

if TYPE_CHECKING:
    from ..operator import StateOperator
    from ..systems import LinearSystem
    from ._reduction import Reduction

Numbers = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
STILL = 1e3  # what is below this many eps of the largest singular value counts as zero


@dataclass(frozen=True, eq=False)
class Eigenmodes:
    """N modes, each of unit length.

    Attributes
    ----------
    rates : (N,)
        Eigenvalues of A = M − I.
    agents : (N, Q)
        The share of every agent in the mode's parameters.
    agreement : (N,)
        The share of what all agents do alike.
    movement : (N,)
        How far the mode moves the outputs from the start to the end, over the size of the residual at the start.
    hidden : (N,) of bool
        Whether training does not move it, or no output sees it.
    resolution : float
        Rates of less are rounding.
    """

    rates: Complex
    agents: Numbers
    agreement: Numbers
    movement: Numbers
    hidden: npt.NDArray[np.bool_]
    resolution: float = 0.0


def learning_modes(system: LinearSystem, reduced: Reduction) -> Eigenmodes:
    """The modes of M on the learning part, in no particular order."""
    operator = system.compact
    driven = Driven(reduced)
    factored = reduced.symmetric and operator.plain and operator.factors is not None
    found = _through_factors(operator, reduced) if factored else _general(driven)
    agents, agreement = _shares(reduced, found.vectors)
    outputs = np.linalg.norm(reduced.readout_learning @ found.vectors[: reduced.dimension], axis=0)
    size = float(np.linalg.norm(reduced.residual)) or 1.0
    hidden = _hidden(found.rates, driven) if factored else np.arange(len(found.rates)) >= driven.order
    movement = np.where(hidden, 0.0, outputs * abs(found.ends) / size)
    return Eigenmodes(found.rates, agents, agreement, movement, hidden, found.resolution)


def growth(rates: Complex) -> Numbers:
    """log|z| from z − 1: |z|² − 1 = 2 Re(z − 1) + |z − 1|²."""
    with np.errstate(divide="ignore"):
        return np.asarray(0.5 * np.log1p(np.maximum(2 * rates.real + abs(rates) ** 2, -1.0)))


@dataclass(frozen=True, eq=False)
class _Found:
    """Rates, eigenvectors (s d, N), what each is taken times in the limit, and rounding in the rates."""

    rates: Complex
    vectors: Complex | Numbers
    ends: Complex | Numbers
    resolution: float


def _hidden(rates: Complex, driven: Driven) -> npt.NDArray[np.bool_]:
    """Which of these eigenvalues are left over when each of those on the driven and seen part has taken its nearest."""
    from scipy.optimize import linear_sum_assignment

    left = np.ones(len(rates), bool)
    if driven.order == len(rates):
        return ~left
    M = driven.map()
    nearest = abs(np.linalg.eigvals(M - np.eye(len(M)))[:, None] - rates[None, :])
    left[linear_sum_assignment(nearest)[1]] = False
    return left


def _through_factors(operator: StateOperator, reduced: Reduction) -> _Found:
    """M = X Y with I − Y X = GᵀG, all three restricted to R, which W and Ψ leave invariant: rates −σ²."""
    T, factors = reduced.basis, operator.factors
    if factors is None:
        raise TypeError("the rule has no factor")
    U, s, Vt = svd(to_numpy(factors.G) @ T)
    pushed = np.zeros(T.shape[1])
    pushed[: len(s)] = to_numpy(operator.source) @ U  # w is Gᵀ of the source: σ times this
    s, Vt = _completed(s, Vt)
    ends = np.divide(pushed, s, out=np.zeros_like(s), where=s > 0)
    if factors.X is None or factors.Y is None:
        return _Found(-(s**2).astype(complex), Vt.T, ends, 0.0)
    vectors, still = _product_vectors(T.T @ (to_numpy(factors.X) @ T), T.T @ (to_numpy(factors.Y) @ T), Vt.T)
    lengths = np.linalg.norm(vectors, axis=0)
    z = 1.0 - s**2
    ends = np.divide(ends * lengths, z, out=np.zeros_like(s), where=~still & (z != 0))
    return _Found(-(s**2).astype(complex), vectors / lengths, ends, 0.0)


def _completed(s: Numbers, Vt: Numbers) -> tuple[Numbers, Numbers]:
    """A factor with fewer rows than columns leaves out modes that rest: σ = 0."""
    missing = Vt.shape[1] - len(s)
    if not missing:
        return s, Vt
    rest = np.linalg.svd(Vt, full_matrices=True)[2][len(s) :]
    return np.concatenate([s, np.zeros(missing)]), np.vstack([Vt, rest])


def _product_vectors(X: Numbers, Y: Numbers, V: Numbers) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Eigenvectors of X Y from those of Y X: X v, or where X v = 0 (the eigenvalue 0) what Y takes to v or v to 0."""
    vectors = X @ V
    still = np.linalg.norm(vectors, axis=0) <= STILL * np.finfo(float).eps * np.linalg.norm(X, 2)
    if still.any():
        v = V[:, still]
        killed = np.linalg.norm(Y @ v, axis=0) <= STILL * np.finfo(float).eps * np.linalg.norm(Y, 2)
        vectors[:, still] = np.where(killed, v, np.linalg.lstsq(Y, v, rcond=None)[0])
    return vectors, still


def _general(driven: Driven) -> _Found:
    """Any rule: the modes of the driven and seen part by themselves, then what is left over of the learning part.

    Together they would disturb each other: a slow mode beside a conserved one is as good as a Jordan block.
    """
    reduced, part, M = driven.reduction, driven.reduction.minimal, driven.map()
    frame = np.eye(part.order) if driven._frame is None else driven._frame
    rates, inner = np.linalg.eig(M - np.eye(len(M)))
    shares = np.linalg.lstsq(inner, (frame.T @ part.drive).astype(complex), rcond=None)[0]
    resolution = STILL * float(np.finfo(float).eps) * (float(np.linalg.norm(M, 2)) if len(M) else 0.0)
    ends = np.divide(-shares, rates, out=np.zeros_like(shares), where=abs(rates) > resolution)
    whole = reduced.map()
    others, vectors = np.linalg.eig(whole - np.eye(len(whole)))
    left = np.flatnonzero(_hidden(others, driven))
    conserved = left[np.argsort(abs(others[left]), kind="stable")[: structural(reduced)]]
    others[conserved] = 0.0  # whatever the data
    return _Found(
        np.concatenate([rates, others[left]]).astype(complex),
        np.hstack([part.basis @ (frame @ inner), vectors[:, left]]),
        np.concatenate([ends, np.zeros(len(left))]),
        resolution,
    )


def _shares(reduced: Reduction, vectors: Complex | Numbers) -> tuple[Numbers, Numbers]:
    """How the parameters of every mode are spread over the agents, and how much of them is common to all.

    A mode of the auxiliary blocks alone is judged by these.
    """
    T, Q = reduced.basis, len(reduced.mixing)
    blocks = vectors.reshape(reduced.n_blocks, T.shape[1], vectors.shape[1])
    size = np.linalg.norm(blocks, axis=1)
    chosen = np.where(size[0] > 1e-8 * np.linalg.norm(size, axis=0), 0, np.argmax(size, axis=0))
    places = (T @ blocks[chosen, :, np.arange(blocks.shape[2])].T).reshape(Q, T.shape[0] // Q, blocks.shape[2])
    energy = np.sum(abs(places) ** 2, axis=1)
    whole = energy.sum(axis=0)
    common = np.sum(abs(places.sum(axis=0)) ** 2, axis=0) / Q
    return (energy / whole).T, np.clip(common / whole, 0.0, 1.0)
