"""Linearised models from Jacobians that are never in memory as a whole: blocks of columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from .._array import Array
from ..errors import ShapeError, require, require_array, require_count, require_number, require_shape
from ._blocks import Blocks
from ._given import one_namespace, true_sizes
from ._rows import Rows, inverted
from ._whole import DEFAULT_TOL, FromArrays


class FromStreams(FromArrays):
    """`from_blocks`."""

    @classmethod
    def from_blocks(
        cls,
        blocks: Any,
        residual: Array,
        n_outputs: int = 1,
        n_samples: Any = None,
        outputs: Array | None = None,
        test_kernel: Array | None = None,
        test_outputs: Array | None = None,
        tol: float = DEFAULT_TOL,
        block_width: int | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Self:
        r"""Linearise from Jacobians that come in blocks of columns and are never in memory as a whole.

        One pass forms K = Σ_b J_b J_bᵀ, whose factor gives the compressed Jacobians as in `from_kernel`.  A
        deviation is V x = Jᵀ (U S⁻¹ x), by a second pass when it is asked for; V is never held.

        Parameters
        ----------
        blocks : callable or array-like
            A function that returns a fresh iterator over arrays (Q, n, width), consecutive columns of J
            (``yield`` them without keeping them); or an array (Q, n, P) that reads only what is sliced,
            ``J[:, :, a:b]``, such as numpy.memmap or an h5py dataset.
        residual, n_outputs, n_samples, outputs
            As in `from_jacobian`.  The model takes the residual's dtype; the sums are in double precision.
        test_kernel, test_outputs, tol
            As in `from_kernel`.
        block_width : int, optional
            Columns of an array read at a time; by default as many as 256 MiB hold.
        progress : callable, optional
            Called after every block of the first pass as ``progress(parameters done, P or None)``.

        Raises
        ------
        ShapeError, InputError
            Also for a generator in place of a function, no block at all, and a later pass that brings
            anything else than the first.

        Notes
        -----
        Agents start together.  ``left_out`` is the kernel's: singular values below (Qn·eps)^½ of the largest are
        rounding, in float32 blocks those below Qn·eps.  T12 bounds the lifted deviation with it: that is Jᵀ U g for
        the streamed J itself, which misses the exact gradients by (I − U Uᵀ) J at most.
        Cost: (Q n)² P operations a pass.  Peak memory: one block (in float32 also 8,192 columns widened) and about
        six kernels (Q n, Q n) while they are factorised; nothing grows with P.
        References: theory T12.

        Examples
        --------
        >>> import numpy as np
        >>> from ntkflow import LinearizedModel
        >>> def blocks():
        ...     rng = np.random.default_rng(0)
        ...     for _ in range(10):
        ...         yield rng.normal(size=(4, 3, 50))
        >>> lin = LinearizedModel.from_blocks(blocks, np.ones((4, 3)))
        >>> lin.jacobian.shape, lin.n_parameters, lin.lift(lin.start).shape
        ((4, 3, 12), 500, (4, 500))
        >>> [block.shape for block in lin.lift_blocks(lin.start)][:2]
        [(4, 50), (4, 50)]
        """
        residual = require_array("residual", residual, 2, "pass the residuals as (Q, n)")
        given = {"outputs": outputs, "test_kernel": test_kernel, "test_outputs": test_outputs}
        xp = one_namespace(residual=residual, **given)
        Q, n = residual.shape
        _, tol = _asked(residual, n_outputs, n_samples, outputs, tol)
        K, found = Blocks.of(blocks, residual, block_width).summed(progress)
        wide = {name: None if array is None else xp.astype(array, K.dtype) for name, array in given.items()}
        tol = max(tol, min(1.0, Q * n * found.coarsest))
        exact = cls.from_kernel(K, xp.astype(residual, K.dtype), n_outputs, n_samples, tol=tol, **wide)
        rows = Rows(found, inverted(xp.reshape(exact.jacobian, (Q * n, -1))))
        return replace(exact._as(residual.dtype), n_parameters=found.total, liftable=True, rows=rows)


def _asked(residual: Array, n_outputs: Any, n_samples: Any, outputs: Any, tol: Any) -> tuple[Array, float]:
    """The rows that are no padding, and the tolerance; refused before anything long begins."""
    Q, n = residual.shape
    require(Q >= 1 and n >= 1, "residual", "at least one agent and row", f"shape {(Q, n)}", error=ShapeError)
    _, mask = true_sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), residual)
    if outputs is not None:
        require_shape("outputs", outputs, (Q, n))
    return mask, require_number("tol", tol, 0.0, 1.0)
