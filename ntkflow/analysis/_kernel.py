"""The kernel of A = M − I, by the same rank decisions as the learning part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import NDArray

from .._array import svd
from ._left_over import MixingMode
from ._staircase import Matrix, largest
from ._words import image

if TYPE_CHECKING:
    from ._reduction import Reduction

SMALL = 1e-12  # singular values of a matrix of norm 1 that count as zero
CLEAR = 1e3  # how far singular values stand above the tolerance, where it does not matter


def null_dimension(reduced: Reduction) -> int:
    """dim ker (M − I), with curvatures of the same row spaces but none that are nearly zero (T3)."""
    scale = reduced.kalman.block_scale
    learning = _nullity(_evenly_curved(reduced), scale)
    return learning + sum(mode.copies * _fixed(mode, scale) for mode in reduced.mixing_part)


def joint_rank(reduced: Reduction) -> tuple[int, bool]:
    """The rank of the stacked weighted Jacobian (T3), and whether singular values leave no doubt of it."""
    even, sizes = _even(reduced)
    if reduced.symmetric:
        here = reduced.eigenvalues == 1.0
        common, sizes = even[:, here], sizes[here]
    else:
        Q, d = len(reduced.mixing), even.shape[1]
        common = even.reshape(len(even), Q, d // Q).sum(axis=1)
    clear = bool(sizes.min(initial=np.inf) > CLEAR * reduced.threshold and reduced.gap > CLEAR)
    return int(np.count_nonzero(np.linalg.svd(common, compute_uv=False) > SMALL**0.5)) if common.size else 0, clear


def _fixed(mode: MixingMode, scale: Matrix) -> int:
    if mode.exact is None:
        return _nullity(mode.matrix, scale)
    return len((mode.exact - sympy.eye(*mode.exact.shape)).nullspace())


def _evenly_curved(reduced: Reduction) -> Matrix:
    """M on the learning part with Ψ in coordinates in which what counts as curved is so by 0.3 to 0.7 of 1/η.

    Coordinates that W leaves alone: T3 holds in them as it stands, and curvatures near the tolerance, whose squares
    rounding would hide, are as good as all others.
    """
    Q, n, _ = reduced.jacobian.shape
    unlike = np.tile(0.5 + 0.2 * np.cos(1.0 + np.arange(n)), Q)  # no two outputs alike, but agents as they are
    G = unlike[:, None] ** 0.5 * _even(reduced)[0]
    letters = {**reduced.letters, "H": lambda x: G.T @ (G @ x) / reduced.step_size}
    identity = np.eye(reduced.dimension)
    return np.block([[image(entry, letters, identity) for entry in row] for row in reduced.words()])


def _even(reduced: Reduction) -> tuple[Matrix, Matrix]:
    """√c J T, (Q n, d), with every direction divided by the singular value that it is kept by, and those."""
    if reduced.symmetric:
        sizes = np.linalg.norm(reduced.rows_learning, axis=0)
        return np.asarray(reduced.jacobian_learning / sizes), sizes
    Q, n, p = reduced.jacobian.shape
    _, s, Vt = svd(reduced.rows_learning.reshape(-1, Q, p).sum(axis=1))  # every row is in one agent's columns
    s = s[s > reduced.threshold]
    agents = np.zeros((Q, n, Q, p))
    agents[range(Q), :, range(Q), : len(s)] = reduced.jacobian @ (Vt[: len(s)].T / s)
    return agents.reshape(Q * n, Q * p), s


def _nullity(M: NDArray[Any], scale: Matrix) -> int:
    """dim ker (M − I), blocks scaled."""
    D = np.repeat(scale, M.shape[0] // len(scale))
    A = (M - np.eye(M.shape[0])) * D[None, :] / D[:, None]
    return int(np.count_nonzero(np.linalg.svd(A, compute_uv=False) <= SMALL * max(1.0, largest(A)))) if A.size else 0
