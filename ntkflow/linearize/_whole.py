"""Linearised models from arrays that are there as a whole: Jacobians, or their kernel."""

from __future__ import annotations

from typing import Any, Self

from .._array import Array, eps, namespace, norm, zeros
from ..errors import ShapeError, require, require_array, require_count, require_number, require_shape
from ._coordinates import Coordinates
from ._given import one_namespace, test_points, true_sizes
from ._kernel import Factor, kernel_factor

DEFAULT_TOL = 1e-10


class FromArrays(Coordinates):
    """`from_jacobian` and `from_kernel`."""

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
    ) -> Self:
        r"""Linearise from given Jacobians.

        Parameters
        ----------
        J : (Q, n, P) real floating array of any array-API library
            Jacobians, rows sample-major, output fastest.  Without padding they are kept and not copied: do not
            write to them afterwards.
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
        >>> from ntkflow import LinearizedModel
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
        top = max(float(xp.max(J)), -float(xp.min(J)))
        squares = top * top * Q * n * P < float(xp.finfo(J.dtype).max)
        require(squares, "J", "entries whose squares can be summed", f"{top:.3g}", "scale parameters or outputs")
        sizes, mask = true_sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), J)
        residual = require_shape("residual", residual, (Q, n))
        if outputs is not None:
            outputs = require_shape("outputs", outputs, (Q, n))
        test_jacobian, test_outputs = test_points(xp, test_jacobian, test_outputs, Q, P)
        return cls(
            jacobian=J if bool(xp.all(mask == 1)) else J * mask[:, :, None],
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
    ) -> Self:
        r"""Linearise from the neural tangent kernel alone, K = J_s J_sᵀ = F Fᵀ.

        The rows of F serve as compressed Jacobians, so P never appears and may be infinite: Cholesky's factor where
        the rows of J are safely independent, else U S of K = U S² Uᵀ.
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
        >>> from ntkflow import LinearizedModel
        >>> J = np.random.default_rng(0).normal(size=(6, 2))
        >>> LinearizedModel.from_kernel(J @ J.T, np.ones((2, 3))).jacobian.shape
        (2, 3, 2)
        """
        return cls._of_kernel(K, residual, n_outputs, n_samples, outputs, test_kernel, test_outputs, tol)[0]

    @classmethod
    def _of_kernel(
        cls,
        K: Array,
        residual: Array,
        n_outputs: int,
        n_samples: Any,
        outputs: Array | None,
        test_kernel: Array | None,
        test_outputs: Array | None,
        tol: float,
    ) -> tuple[Self, Factor]:
        """The model of a kernel, and the kernel's factor."""
        residual = require_array("residual", residual, 2, "pass the residuals as (Q, n)")
        xp = one_namespace(K=K, residual=residual, outputs=outputs, test_kernel=test_kernel, test_outputs=test_outputs)
        Q, n = residual.shape
        require(Q >= 1 and n >= 1, "residual", "at least one agent and row", f"shape {(Q, n)}", error=ShapeError)
        K = require_shape("K", K, (Q * n, Q * n), "agents one after the other, rows as in the residual")
        apart = norm(K - K.T)
        require(apart <= 100 * eps(K) * norm(K), "K", "a symmetric matrix", f"|K - K.T| = {apart:.3g}")
        _, mask = true_sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), K)
        flat = xp.reshape(mask, (Q * n,))
        if not bool(xp.all(flat == 1)):
            K = K * flat[:, None] * flat[None, :]
        found = kernel_factor(xp, K, require_number("tol", tol, 0.0, 1.0), noise=apart)
        test_jacobian = None
        if test_kernel is not None:
            test_kernel = require_array("test_kernel", test_kernel, 2)
            test_kernel = require_shape("test_kernel", test_kernel, (test_kernel.shape[0], Q * n))
            test_jacobian = (test_kernel * flat[None, :]) @ found.C()
        seen = {"test_jacobian": test_jacobian, "test_outputs": test_outputs}
        return cls._of_factor(found.F, found.left_out, residual, n_outputs, n_samples, outputs, **seen), found

    @classmethod
    def _of_factor(
        cls,
        F: Array,
        left_out: float,
        residual: Array,
        n_outputs: int,
        n_samples: Any,
        outputs: Array | None,
        test_jacobian: Array | None,
        test_outputs: Array | None,
    ) -> Self:
        """From J V = F (Q n, r), all that is known of V being that its columns are orthonormal."""
        (Q, n), rank, xp = residual.shape, F.shape[1], namespace(F)
        sizes, mask = true_sizes(n_samples, Q, n, n_outputs, F)
        test_jacobian, test_outputs = test_points(xp, test_jacobian, test_outputs, Q, rank)
        J = xp.reshape(F, (Q, n, rank))
        return cls(
            jacobian=J if bool(xp.all(mask == 1)) else J * mask[:, :, None],
            residual=residual * mask,
            n_outputs=n_outputs,
            n_samples=sizes,
            outputs=None if outputs is None else require_shape("outputs", outputs, (Q, n)),
            start=zeros((Q, rank), F),
            basis=None,
            left_out=left_out,
            n_parameters=rank,
            liftable=False,
            absolute=False,
            compressed=True,
            test_jacobian=test_jacobian,
            test_outputs=test_outputs,
        )
