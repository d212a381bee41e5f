"""A network near its start: residual and Jacobian of every agent, compressed to what they span."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .._array import Array, eps, namespace, norm, svd, zeros
from .._rowspace import row_space
from ..errors import (
    ShapeError,
    require,
    require_array,
    require_count,
    require_number,
    require_shape,
)
from ._blocks import Blocks, Rows
from ._coordinates import Coordinates
from ._given import one_namespace, test_points, true_sizes
from ._kernel import kernel_factor

DEFAULT_TOL = 1e-10


@dataclass(frozen=True, eq=False)
class LinearizedModel(Coordinates):
    r"""Every agent's network linearised where it starts: f_q(θ) ≈ f_q(θ_q(0)) + J_q (θ − θ_q(0)).

    Made by `from_jacobian`, `from_blocks`, `from_kernel` or `compress`; all give the same type, and
    nothing after it asks which one it was.  All arrays are of one library, on one device.

    Attributes
    ----------
    jacobian : (Q, n, p)
        n = D M rows, sample-major with the output index fastest (arXiv 2409.15267, eq. 9); rows of
        padding are zero.  p is P, or the rank after compression.
    residual : (Q, n)
        f_q(θ_q(0)) − y_q.
    n_outputs : int
        M.
    n_samples : (Q,)
        True sizes D_q, as real numbers.
    outputs : (Q, n) or None
        f_q(θ_q(0)).
    start : (Q, p)
        Where the agents start, relative to a common origin.
    basis : (P, p) or None
        Orthonormal columns V with θ − θ(0) = V x; None before compression, for kernels and for blocks.
    rows : Rows or None
        For blocks, V as Jᵀ (U S⁻¹), which a further pass over them applies.
    left_out : float
        A bound on the 2-norm of the part of the stacked Jacobian that compression left out (T12).
    n_parameters : int
        P, or the rank when only a kernel is known.
    liftable : bool
        False for a kernel: its coordinates have no parameters behind them.
    absolute : bool
        Whether a start was given (else all agents start at an unknown common point).
    test_jacobian : (Q, m, p) or None
        The same at points where predictions are wanted.
    test_outputs : (Q, m) or None
        Outputs at those points.
    """

    @classmethod
    def from_jacobian(
        cls,
        J: Array,
        residual: Array,
        n_outputs: int = 1,
        n_samples: Any = None,
        outputs: Array | None = None,
        start: Array | None = None,
        test_jacobian: Array | None = None,
        test_outputs: Array | None = None,
    ) -> LinearizedModel:
        r"""Linearise from given Jacobians.

        Parameters
        ----------
        J : (Q, n, P) real floating array of any array-API library
            Jacobians, rows sample-major, output fastest.
        residual : (Q, n)
            f_q(θ_q(0)) − y_q.
        n_outputs : int
            M; n must be a multiple of it.
        n_samples : (Q,) whole numbers, optional
            True sizes D_q when agents hold different amounts; rows from D_q M on are padding and are
            set to zero.  Default: n / M for everybody.
        outputs : (Q, n), optional
            f_q(θ_q(0)), needed for ``Trajectory.outputs``.
        start : (Q, P), optional
            Where the agents start, relative to any common origin (absolute for rules that decay weights).
        test_jacobian, test_outputs : (m, P) or (Q, m, P), and (m,) or (Q, m), optional
            Jacobian and outputs at further inputs.

        Raises
        ------
        ShapeError, InputError
            Wrong shapes, NaN or infinity, complex or integer arrays.

        Examples
        --------
        >>> import numpy as np
        >>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
        >>> LinearizedModel.from_jacobian(J, np.ones((4, 3))).compress().jacobian.shape
        (4, 3, 10)
        """
        J = require_array("J", J, 3, "pass the Jacobians of all agents as (Q, n, P)")
        xp = one_namespace(J=J, residual=residual, outputs=outputs, start=start,
                            test_jacobian=test_jacobian, test_outputs=test_outputs)  # fmt: skip
        Q, n, P = J.shape
        require(
            Q >= 1 and n >= 1 and P >= 1,
            "J",
            "at least one agent, row and parameter",
            f"shape {J.shape}",
            error=ShapeError,
        )
        top = float(xp.max(xp.abs(J)))
        squares = top * top * Q * n * P < float(xp.finfo(J.dtype).max)
        require(squares, "J", "entries whose squares can be summed", f"{top:.3g}", "scale parameters or outputs")
        sizes, mask = true_sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), J)
        residual = require_shape("residual", residual, (Q, n))
        if outputs is not None:
            outputs = require_shape("outputs", outputs, (Q, n))
        test_jacobian, test_outputs = test_points(xp, test_jacobian, test_outputs, Q, P)
        return cls(
            jacobian=J * mask[:, :, None],
            residual=residual * mask,
            n_outputs=n_outputs,
            n_samples=sizes,
            outputs=outputs,
            start=xp.zeros_like(J[:, 0, :]) if start is None else require_shape("start", start, (Q, P)),
            basis=None,
            left_out=0.0,
            n_parameters=P,
            liftable=True,
            absolute=start is not None,
            compressed=False,
            test_jacobian=test_jacobian,
            test_outputs=test_outputs,
        )

    @classmethod
    def from_kernel(
        cls,
        K: Array,
        residual: Array,
        n_outputs: int = 1,
        n_samples: Any = None,
        outputs: Array | None = None,
        test_kernel: Array | None = None,
        test_outputs: Array | None = None,
        tol: float = DEFAULT_TOL,
    ) -> LinearizedModel:
        r"""Linearise from the neural tangent kernel alone, K = J_s J_sᵀ = U S² Uᵀ.

        The rows of U S serve as compressed Jacobians, so P never appears and may be infinite.
        Agents start together.  Deviations come in rank coordinates; `lift` is refused.

        Parameters
        ----------
        K : (Q n, Q n)
            Symmetric, positive semi-definite, agents one after the other.
        residual, n_outputs, n_samples, outputs
            As in `from_jacobian`.
        test_kernel, test_outputs : (m, Q n), (m,) or (Q, m), optional
            Kernel between further inputs and the training inputs, and the outputs there.
        tol : float
            Relative to the largest singular value of J.

        Raises
        ------
        ShapeError, InputError
            Also when K is not symmetric or has an eigenvalue below −10 Qn·eps·λ_max.

        Notes
        -----
        A kernel holds squares: singular values below (Qn·eps)^½ of the largest are rounding.

        Examples
        --------
        >>> import numpy as np
        >>> J = np.random.default_rng(0).normal(size=(6, 2))
        >>> LinearizedModel.from_kernel(J @ J.T, np.ones((2, 3))).jacobian.shape
        (2, 3, 2)
        """
        residual = require_array("residual", residual, 2, "pass the residuals as (Q, n)")
        xp = one_namespace(K=K, residual=residual, outputs=outputs, test_kernel=test_kernel, test_outputs=test_outputs)
        Q, n = residual.shape
        require(Q >= 1 and n >= 1, "residual", "at least one agent and row", f"shape {(Q, n)}", error=ShapeError)
        K = require_shape("K", K, (Q * n, Q * n), "agents one after the other, rows as in the residual")
        require(norm(K - K.T) <= 100 * eps(K) * norm(K), "K", "a symmetric matrix", f"|K - K.T| = {norm(K - K.T):.3g}")
        sizes, mask = true_sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), K)
        flat = xp.reshape(mask, (Q * n,))
        U, s, left_out = kernel_factor(xp, K * flat[:, None] * flat[None, :], require_number("tol", tol, 0.0, 1.0))
        rank = s.shape[0]
        test_jacobian = None
        if test_kernel is not None:
            test_kernel = require_array("test_kernel", test_kernel, 2)
            test_kernel = require_shape("test_kernel", test_kernel, (test_kernel.shape[0], Q * n))
            test_jacobian = ((test_kernel * flat[None, :]) @ U) / xp.where(s > 0, s, xp.ones_like(s))[None, :]
        test_jacobian, test_outputs = test_points(xp, test_jacobian, test_outputs, Q, rank)
        return cls(
            jacobian=xp.reshape(U * s[None, :], (Q, n, rank)) * mask[:, :, None],
            residual=residual * mask,
            n_outputs=n_outputs,
            n_samples=sizes,
            outputs=None if outputs is None else require_shape("outputs", outputs, (Q, n)),
            start=zeros((Q, rank), K),
            basis=None,
            left_out=left_out,
            n_parameters=rank,
            liftable=False,
            absolute=False,
            compressed=True,
            test_jacobian=test_jacobian,
            test_outputs=test_outputs,
        )

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
    ) -> LinearizedModel:
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
        require(Q >= 1 and n >= 1, "residual", "at least one agent and row", f"shape {(Q, n)}", error=ShapeError)
        true_sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), residual)  # refused before a long pass
        tol = require_number("tol", tol, 0.0, 1.0)
        if outputs is not None:
            require_shape("outputs", outputs, (Q, n))
        K, found = Blocks.of(blocks, residual, block_width).summed(progress)
        wide = {name: None if array is None else xp.astype(array, K.dtype) for name, array in given.items()}
        tol = max(tol, min(1.0, Q * n * found.coarsest))
        exact = cls.from_kernel(K, xp.astype(residual, K.dtype), n_outputs, n_samples, tol=tol, **wide)
        rows = Rows(found, exact.jacobian, None)
        return replace(exact._as(residual.dtype), n_parameters=found.total, liftable=True, rows=rows)

    def compress(self, tol: float = DEFAULT_TOL) -> LinearizedModel:
        r"""The same model in an orthonormal basis V of the joint row space, p = rank (T12).

        ``tol`` is relative to the largest singular value of the stacked Jacobian and clamped to the
        dtype.  Agents that start apart add at most Q columns, on which the Jacobian is no larger than what
        is left out.  Cost: one SVD, or a sketch of about 4 r Q n P operations.
        """
        require_number("tol", tol, 0.0, 1.0)
        xp = namespace(self.jacobian)
        Q, n, p = self.jacobian.shape
        V, left_out = row_space(xp.reshape(self.jacobian, (Q * n, p)), tol)
        V = _with_starts(V, self.start)
        basis = V if self.basis is None else self.basis @ V
        return replace(
            self,
            jacobian=self.jacobian @ V,
            start=self.start @ V,
            basis=None if self.rows is not None else basis,
            rows=None if self.rows is None else self.rows.within(V),
            left_out=left_out + self.left_out,
            compressed=True,
            test_jacobian=None if self.test_jacobian is None else self.test_jacobian @ V,
        )

    @cached_property
    def gram(self) -> Array:
        """J_qᵀJ_q, (Q, p, p): the curvature of every agent, without its factor."""
        return namespace(self.jacobian).matrix_transpose(self.jacobian) @ self.jacobian

    @cached_property
    def sharpness(self) -> Array:
        """λ_max(J_qᵀJ_q), (Q,)."""
        J, xp = self.jacobian, namespace(self.jacobian)
        values = xp.linalg.eigvalsh(self.gram if J.shape[2] <= J.shape[1] else J @ xp.matrix_transpose(J))
        return xp.clip(values[:, -1], min=0.0)

    @cached_property
    def compact(self) -> LinearizedModel:
        """The compressed model, computed once and shared by every system built on this one."""
        return self if self.compressed else self.compress()

    def _as(self, dtype: Any) -> LinearizedModel:
        """The same in another dtype, whose rounding counts as left out."""
        xp = namespace(self.jacobian)
        if self.jacobian.dtype == dtype:
            return self
        names = ("jacobian", "residual", "n_samples", "outputs", "start", "test_jacobian", "test_outputs")
        arrays = {name: getattr(self, name) for name in names}
        cast = {name: xp.astype(array, dtype) for name, array in arrays.items() if array is not None}
        return replace(self, **cast, left_out=self.left_out + eps(cast["jacobian"]) * norm(self.jacobian))


def _with_starts(V: Array, start: Array) -> Array:
    """V extended by an orthonormal basis of what the starts need beyond it."""
    xp = namespace(V)
    offsets = start
    for _ in range(2):  # twice is enough (Kahan, Parlett): the second pass removes what rounding left
        offsets = offsets - (offsets @ V) @ V.T
    scale = norm(start)
    if norm(offsets) <= 1e3 * eps(V) * scale:
        return V
    _, s, Rt = svd(offsets)
    rank = int(xp.count_nonzero(s > 1e3 * eps(V) * scale))
    return xp.concat([V, Rt[:rank, :].T], axis=1)
