"""A network near its start: residual and Jacobian of every agent, compressed to what they span."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from .._array import Array, eps, namespace, norm, svd, zeros
from .._rowspace import cost, row_space
from ..errors import require_number
from ._kernel import Factor
from ._rows import Rows, Stack, independent
from ._streamed import FromStreams
from ._whole import DEFAULT_TOL

PIECE = 2**17  # numbers that stay in cache


@dataclass(frozen=True, eq=False)
class LinearizedModel(FromStreams):
    r"""Every agent's network linearised where it starts: f_q(θ) ≈ f_q(θ_q(0)) + J_q (θ − θ_q(0)).

    Made by `from_jacobian`, `from_blocks`, `from_products`, `from_kernel` or `compress`; all give the same
    type, and nothing after it asks which one it was.  All arrays are of one library, on one device.

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
        Orthonormal columns V with θ − θ(0) = V x; None before compression or where it leaves nothing out, for
        kernels, for blocks and for products.
    rows : Rows or None
        For blocks and products, and where V would be as large as J: V as Jᵀ C, applied by a further pass over
        blocks, further products, or J itself.
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

    def compress(self, tol: float = DEFAULT_TOL) -> LinearizedModel:
        r"""The same model in an orthonormal basis V of the joint row space, p = rank (T12).

        ``tol`` is relative to the largest singular value of the stacked Jacobian and clamped to the
        dtype.  Agents that start apart add at most Q columns, on which the Jacobian is no larger than what
        is left out.  Where the rows need all P parameters the coordinates stay as they are.
        Large wide Jacobians with rows far from dependent have V as an operator, Jᵀ C.
        Cost: about 3 r Q n P operations by a sketch, 4 (Q n)² P or a singular value decomposition without one.
        """
        require_number("tol", tol, 0.0, 1.0)
        xp = namespace(self.jacobian)
        Q, n, p = self.jacobian.shape
        stack = xp.reshape(self.jacobian, (Q * n, p))
        alone = self.basis is None and self.rows is None and not bool(xp.any(self.start != 0))
        if alone and (found := independent(stack)) is not None:
            return self._within_rows(stack, found)
        spanned = row_space(stack, tol)
        if spanned is None:
            return replace(self, compressed=True)
        V, JV, left_out = spanned
        if bool(xp.any(self.start != 0)):
            V = _with_starts(V, self.start)
            JV = stack @ V
        basis = V if self.basis is None else self.basis @ V
        return replace(
            self,
            jacobian=xp.reshape(JV, (Q, n, V.shape[1])),
            start=self.start @ V,
            basis=None if self.rows is not None else basis,
            rows=None if self.rows is None else self.rows.within(V),
            left_out=left_out + self.left_out,
            compressed=True,
            test_jacobian=None if self.test_jacobian is None else self.test_jacobian @ V,
        )

    def _within_rows(self, stack: Array, found: Factor) -> LinearizedModel:
        """The same in the basis V = Jᵀ C, which stays as large as J only in the Jacobian itself."""
        xp, (Q, n, _), rank = namespace(stack), self.jacobian.shape, found.F.shape[1]
        test, rows = self.test_jacobian, Rows(Stack(stack), found.C)
        return replace(
            self,
            jacobian=xp.reshape(found.F, (Q, n, rank)),
            start=zeros((Q, rank), stack),
            rows=rows,
            left_out=found.left_out + self.left_out,
            compressed=True,
            test_jacobian=None if test is None else (test @ stack.T) @ rows.C,
        )

    @cached_property
    def gram(self) -> Array:
        """J_qᵀJ_q, (Q, p, p): the curvature of every agent, without its factor."""
        return namespace(self.jacobian).matrix_transpose(self.jacobian) @ self.jacobian

    @cached_property
    def pieces(self) -> list[tuple[int, int, Array]]:
        """J_q of the agents from a to b, without columns that none of them feels: small enough to be read but once."""
        xp, J = namespace(self.jacobian), self.jacobian
        found, step = [], max(1, PIECE // (J.shape[1] * J.shape[2]))
        for a in range(0, J.shape[0], step):
            some = J[a : min(a + step, J.shape[0]), :, :]
            felt = xp.nonzero(xp.any(xp.any(some != 0, axis=0), axis=0))[0]
            width = int(felt[-1]) + 1 if felt.shape[0] else 1
            found.append((a, a + some.shape[0], some[:, :, :width]))
        return found

    @cached_property
    def slope(self) -> Array:
        """J_qᵀ e_q, (Q, p, 1): the gradient of every agent at the start, without its factor."""
        return namespace(self.jacobian).matrix_transpose(self.jacobian) @ self.residual[:, :, None]

    @cached_property
    def sharpness(self) -> Array:
        """λ_max(J_qᵀJ_q), (Q,)."""
        J, xp = self.jacobian, namespace(self.jacobian)
        values = xp.linalg.eigvalsh(self.gram if J.shape[2] <= J.shape[1] else J @ xp.matrix_transpose(J))
        return xp.clip(values[:, -1], min=0.0)

    @property
    def compression_cost(self) -> float:
        """Rough seconds that `compact` will take; 0 where it has been asked for."""
        Q, n, p = self.jacobian.shape
        return 0.0 if self.compressed or "compact" in vars(self) else cost(Q * n, p)

    @cached_property
    def compact(self) -> LinearizedModel:
        """The compressed model, computed once and shared by every system built on this one."""
        return self if self.compressed else self.compress()


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
