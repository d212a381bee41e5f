"""Linearised models from Jacobians that are never in memory as a whole: blocks of columns, or products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from .._array import Array
from ..errors import ShapeError, require, require_array, require_count, require_number, require_shape
from ._blocks import Blocks
from ._given import one_namespace, true_sizes
from ._products import Products
from ._rows import Rows
from ._sketch import sketched_factor
from ._whole import DEFAULT_TOL, FromArrays


class FromStreams(FromArrays):
    """`from_blocks` and `from_products`."""

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
        deviation is V x = Jᵀ (C x), by a second pass when it is asked for; V is never held.

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
        residual_wide = xp.astype(residual, K.dtype)
        exact, factor = cls._of_kernel(K, residual_wide, n_outputs, n_samples, tol=tol, **wide)
        rows = Rows(found, factor.C)
        return replace(exact._as(residual.dtype), n_parameters=found.total, liftable=True, rows=rows)

    @classmethod
    def from_products(
        cls,
        jvp: Callable[[Array], Array],
        vjp: Callable[[Array], Array],
        residual: Array,
        n_outputs: int = 1,
        n_samples: Any = None,
        outputs: Array | None = None,
        test_jvp: Callable[[Array], Array] | None = None,
        test_outputs: Array | None = None,
        tol: float = DEFAULT_TOL,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Self:
        r"""Linearise from products with the Jacobian, which need not fit into memory nor even be written down.

        K u = J (Jᵀ u) one vector at a time.  Up to 256 rows K is formed and factorised as in `from_kernel`; beyond,
        random directions Ω are drawn until K Ω holds all of J that ``tol`` asks for: V = Jᵀ Ω (Ωᵀ K Ω)^{-½}.  Either
        way a deviation V x is one further product with Jᵀ, asked for when it is wanted; V is never held.

        Parameters
        ----------
        jvp : callable
            v (P,) to J v (Q, n): how the outputs of all agents' data change along v.
        vjp : callable
            u (Q, n) to Jᵀ u (P,), summed over all agents and rows.  With f: θ (P,) to the outputs (Q, n), in PyTorch
            (in JAX jax.jvp and jax.vjp, their results through numpy.asarray)::

                back = torch.func.vjp(f, theta)[1]
                jvp, vjp = lambda v: torch.func.jvp(f, (theta,), (v,))[1], lambda u: back(u)[0]

        residual, n_outputs, n_samples, outputs
            As in `from_jacobian`.  The products take and return arrays of the residual's library and dtype.
        test_jvp, test_outputs : callable, and (m,) or (Q, m), optional
            v (P,) to (m,) at further inputs, and the outputs there.
        tol : float
            Relative to the largest singular value of J.
        progress : callable, optional
            Called after every product with K as ``progress(products done, their number or None)``: the number is
            not known beforehand where directions are drawn.

        Raises
        ------
        ShapeError, InputError
            Also when jvp is not linear, when vjp is not its transpose (both are tried on random vectors first), and
            for products that are not finite or of another shape, dtype or library.

        Notes
        -----
        Agents start together.  A kernel holds squares: singular values of J below (Qn·eps)^½ of the largest are
        rounding (3e-3 of it for 64 rows in float32: take float64 products where you can), and so are those whose
        squares are below what K lacks in symmetry.  ``left_out`` bounds ‖J − J V Vᵀ‖₂ up to rounding.  Beyond 256
        rows it rests on Gaussian vectors and holds with probability 1 − 1e-10 (arXiv 0909.4061, Lemma 4.1).
        Cost: a product with K per row up to 256; beyond, about twice as many as there are singular values above
        ``tol`` where they decay fast, and at most Q n, which J without decay pays.  Besides, 2 of vjp and 2 of jvp to
        try them; with test points 1 of vjp and test_jvp to try it and 1 of each per coordinate; 1 of vjp per lifted x.
        Peak memory: two vectors of P beside what the products take, and about six matrices (Q n, Q n).
        References: theory T12; Nyström: arXiv 1706.05736.

        Examples
        --------
        The first layer A (10, 50) of f = x A a, its Jacobian never written down:

        >>> import numpy as np
        >>> from ntkflow import LinearizedModel
        >>> x = np.random.default_rng(0).normal(size=(4, 3, 10))
        >>> a = np.random.default_rng(1).normal(size=50)
        >>> jvp = lambda v: x @ v.reshape(10, 50) @ a
        >>> vjp = lambda u: np.outer(np.einsum("qni,qn->i", x, u), a).ravel()
        >>> lin = LinearizedModel.from_products(jvp, vjp, np.ones((4, 3)))
        >>> lin.jacobian.shape, lin.n_parameters, lin.lift(lin.start).shape
        ((4, 3, 10), 500, (4, 500))
        """
        residual = require_array("residual", residual, 2, "pass the residuals as (Q, n)")
        given = {"residual": residual, "outputs": outputs, "test_outputs": test_outputs}
        xp = one_namespace(**given)
        mask, tol = _asked(residual, n_outputs, n_samples, outputs, tol)
        products = Products.of(jvp, vjp, residual, mask)
        products.seen(test_jvp, test_outputs, products.real[:, None])  # refused before anything long begins
        found = sketched_factor(products, tol, progress)
        rows = Rows(products, found.C)
        seen = products.seen(test_jvp, test_outputs, rows.C)
        wide = {name: None if array is None else xp.astype(array, xp.float64) for name, array in given.items()}
        exact = cls._of_factor(
            found.F, found.left_out, n_outputs=n_outputs, n_samples=n_samples, test_jacobian=seen, **wide
        )
        return replace(exact._as(residual.dtype), n_parameters=products.total, liftable=True, rows=rows)


def _asked(residual: Array, n_outputs: Any, n_samples: Any, outputs: Any, tol: Any) -> tuple[Array, float]:
    """The rows that are no padding, and the tolerance; refused before anything long begins."""
    Q, n = residual.shape
    require(Q >= 1 and n >= 1, "residual", "at least one agent and row", f"shape {(Q, n)}", error=ShapeError)
    _, mask = true_sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), residual)
    if outputs is not None:
        require_shape("outputs", outputs, (Q, n))
    return mask, require_number("tol", tol, 0.0, 1.0)
