"""A network near its start: residual and Jacobian of every agent, compressed to what they span."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ._array import Array, eps, like, namespace, namespace_or_none, norm, svd, zeros
from ._rowspace import row_space
from .errors import InputError, ShapeError, refuse, require, require_array, require_count, require_number, require_shape

DEFAULT_TOL = 1e-10


@dataclass(frozen=True, eq=False)
class LinearizedModel:
    r"""Every agent's network linearised where it starts: f_q(θ) ≈ f_q(θ_q(0)) + J_q (θ − θ_q(0)).

    Made by `from_jacobian`, `from_kernel` or `compress`; all three give the same type, and nothing
    after it asks which one it was.  All arrays are of one library, on one device.

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
        Orthonormal columns V with θ − θ(0) = V x; None before compression and for kernels.
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

    jacobian: Array = field(repr=False)
    residual: Array = field(repr=False)
    n_outputs: int
    n_samples: Array
    outputs: Array | None = field(repr=False)
    start: Array = field(repr=False)
    basis: Array | None = field(repr=False)
    left_out: float
    n_parameters: int
    liftable: bool
    absolute: bool
    compressed: bool
    test_jacobian: Array | None = field(default=None, repr=False)
    test_outputs: Array | None = field(default=None, repr=False)

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
        xp = _one_namespace(J=J, residual=residual, outputs=outputs, start=start,
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
        sizes, mask = _sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), J)
        residual = require_shape("residual", residual, (Q, n))
        if outputs is not None:
            outputs = require_shape("outputs", outputs, (Q, n))
        test_jacobian, test_outputs = _test_points(xp, test_jacobian, test_outputs, Q, P)
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
        xp = _one_namespace(K=K, residual=residual, outputs=outputs, test_kernel=test_kernel, test_outputs=test_outputs)
        Q, n = residual.shape
        require(Q >= 1 and n >= 1, "residual", "at least one agent and row", f"shape {(Q, n)}", error=ShapeError)
        K = require_shape("K", K, (Q * n, Q * n), "agents one after the other, rows as in the residual")
        require(norm(K - K.T) <= 100 * eps(K) * norm(K), "K", "a symmetric matrix", f"|K - K.T| = {norm(K - K.T):.3g}")
        sizes, mask = _sizes(n_samples, Q, n, require_count("n_outputs", n_outputs), K)
        flat = xp.reshape(mask, (Q * n,))
        U, s, left_out = _kernel_factor(xp, K * flat[:, None] * flat[None, :], require_number("tol", tol, 0.0, 1.0))
        rank = s.shape[0]
        test_jacobian = None
        if test_kernel is not None:
            test_kernel = require_array("test_kernel", test_kernel, 2)
            test_kernel = require_shape("test_kernel", test_kernel, (test_kernel.shape[0], Q * n))
            test_jacobian = ((test_kernel * flat[None, :]) @ U) / xp.where(s > 0, s, xp.ones_like(s))[None, :]
        test_jacobian, test_outputs = _test_points(xp, test_jacobian, test_outputs, Q, rank)
        return cls(
            jacobian=xp.reshape(U * s[None, :], (Q, n, rank)),
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
        return replace(
            self,
            jacobian=self.jacobian @ V,
            start=self.start @ V,
            basis=V if self.basis is None else self.basis @ V,
            left_out=left_out + self.left_out,
            compressed=True,
            test_jacobian=None if self.test_jacobian is None else self.test_jacobian @ V,
        )

    @cached_property
    def compact(self) -> LinearizedModel:
        """The compressed model, computed once and shared by every system built on this one."""
        return self if self.compressed else self.compress()

    @property
    def n_agents(self) -> int:
        """Q."""
        return self.jacobian.shape[0]

    def lift(self, x: Array) -> Array:
        """Coordinates x (..., p) as parameter deviations V x (..., P).

        Raises
        ------
        InputError
            For a model made from a kernel, which has no parameters.
        """
        if not self.liftable:
            refuse(
                "lift",
                "a model made from Jacobians",
                "one made from a kernel",
                "a kernel has no parameters",
                InputError,
            )
        return x if self.basis is None else x @ self.basis.T

    def residual_at(self, x: Array) -> Array:
        """Residuals (T, Q, n) at deviations x (T, Q, p): r = e₀ + J x."""
        return self.residual[None, :, :] + _per_agent(self.jacobian, x)

    def test_outputs_at(self, x: Array) -> Array:
        """Outputs (T, Q, m) at the test points, for deviations x (T, Q, p)."""
        if self.test_jacobian is None or self.test_outputs is None:
            refuse(
                "test_outputs", "a model with test_jacobian and test_outputs", "neither", "pass them when linearising"
            )
        return self.test_outputs[None, :, :] + _per_agent(self.test_jacobian, x)

    def global_loss_at(self, x: Array) -> Array:
        """(T, Q): the mean over *all* agents' data of the loss of agent q's model.

        The residual of model q on agent r's data is e_r + J_r (θ_q − θ_r(0)), Jacobians being
        constant in the linear regime.
        """
        xp = namespace(self.jacobian)
        T, Q, p = x.shape
        place = xp.reshape(x + self.start[None, :, :], (T * Q, p)).T
        total = zeros((T * Q,), x)
        for J, e, origin in zip(*(_unstack(a) for a in (self.jacobian, self.residual, self.start)), strict=True):
            r = e[:, None] + J @ (place - origin[:, None])
            total = total + xp.sum(r * r, axis=0)
        return xp.reshape(total, (T, Q)) / (2.0 * xp.sum(self.n_samples))


def _per_agent(J: Array, x: Array) -> Array:
    """J_q x_q for every time: (Q, n, p) and (T, Q, p) to (T, Q, n), as one product an agent."""
    xp = namespace(J)
    return xp.permute_dims(J @ xp.permute_dims(x, (1, 2, 0)), (2, 0, 1))


def _unstack(array: Array) -> list[Array]:
    return [array[i, ...] for i in range(array.shape[0])]


def _one_namespace(**arrays: Array | None) -> Any:
    """The common namespace; every array must be real, finite and of the same library and dtype."""
    given = {name: require_array(name, array) for name, array in arrays.items() if array is not None}
    if namespace_or_none(*given.values()) is None:
        kinds = ", ".join(f"{name} {type(array).__module__.split('.')[0]}" for name, array in given.items())
        refuse("arrays", "one array library", kinds, "convert them to one library first")
    dtypes = {str(array.dtype) for array in given.values()}
    require(len(dtypes) == 1, "arrays", "one dtype", ", ".join(sorted(dtypes)), "convert with astype")
    return namespace(*given.values())


def _sizes(n_samples: Any, Q: int, n: int, M: int, other: Array) -> tuple[Array, Array]:
    """True sizes (Q,) as real numbers, and the mask (Q, n) of rows that are no padding."""
    xp = namespace(other)
    require(n % M == 0, "n_outputs", f"a divisor of the {n} rows an agent", M, error=ShapeError)
    sizes = [n // M] * Q if n_samples is None else [int(s) for s in _listed(n_samples)]
    require(len(sizes) == Q, "n_samples", f"{Q} sizes, one an agent", len(sizes), error=ShapeError)
    require(all(1 <= s <= n // M for s in sizes), "n_samples", f"sizes from 1 to {n // M}", sizes, error=ShapeError)
    D = like(sizes, other)
    rows = xp.arange(n, dtype=other.dtype, device=other.device)
    return D, xp.astype(rows[None, :] < M * D[:, None], other.dtype)


def _listed(values: Any) -> list[Any]:
    expected = "a sequence of Q whole numbers, one an agent"
    if isinstance(values, str) or getattr(values, "ndim", 1) != 1:
        refuse("n_samples", expected, " ".join(repr(values).split()), error=ShapeError)
    try:
        listed = [values[i] for i in range(values.shape[0])] if hasattr(values, "shape") else list(values)
        whole = all(float(v) == int(v) for v in listed)
    except (TypeError, ValueError, OverflowError):
        refuse("n_samples", expected, repr(values), error=ShapeError)
    require(whole, "n_samples", expected, str(values), error=ShapeError)
    return listed


def _test_points(xp: Any, J: Array | None, f: Array | None, Q: int, p: int) -> tuple[Array | None, Array | None]:
    """Jacobian and outputs at the test points, one copy an agent."""
    if J is None and f is None:
        return None, None
    if J is None or f is None:
        refuse("test points", "both test_jacobian and test_outputs", "one of them", "pass the other too")
    require(J.ndim in (2, 3), "test_jacobian", f"shape (m, {p}) or ({Q}, m, {p})", f"shape {J.shape}", error=ShapeError)
    require(f.ndim in (1, 2), "test_outputs", f"shape (m,) or ({Q}, m)", f"shape {f.shape}", error=ShapeError)
    J = J if J.ndim == 3 else xp.broadcast_to(J[None, :, :], (Q, *J.shape))
    f = f if f.ndim == 2 else xp.broadcast_to(f[None, :], (Q, *f.shape))
    require_shape("test_jacobian", J, (Q, J.shape[1], p))
    return J, require_shape("test_outputs", f, (Q, J.shape[1]))


def _kernel_factor(xp: Any, K: Array, tol: float) -> tuple[Array, Array, float]:
    """U (N, r), s (r,) with K ≈ U s² Uᵀ, and a bound on the singular values left out."""
    values, U = xp.linalg.eigh((K + K.T) / 2)
    top, rounding = float(xp.max(xp.abs(values))), K.shape[0] * eps(K)
    low = float(xp.min(values))
    require(low >= -10 * rounding * top, "K", "a positive semi-definite kernel", f"the eigenvalue {low:.6g}",
            "check the order of its rows and columns")  # fmt: skip
    floor = max(tol**2, rounding) * top
    rank = max(1, int(xp.count_nonzero(values > floor)))  # K = 0 keeps one idle direction
    squares = xp.where(values > 0, values, xp.zeros_like(values))
    left_out = float(squares[-rank - 1]) if rank < values.shape[0] else 0.0
    return U[:, -rank:], squares[-rank:] ** 0.5, (left_out + rounding * top) ** 0.5


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
