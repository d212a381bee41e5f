r"""The state space of a linear system, split into what learns and what only mixes.

For a symmetric W with the distinct eigenvalues λ and projections E_λ,

    R = ⊕_λ range (E_λ ⊗ I) Jᵀ

is invariant under 𝓦 = W ⊗ I and Ψ = Jᵀc J, and so is R^⊥, where Ψ = 0 and no output sees anything.  Every rule's M
therefore splits exactly: on R^s it is the same polynomial in W_R = Tᵀ𝓦T and Ψ_R = TᵀΨT, with an orthonormal basis T
of R in which W_R is diagonal; on the rest it is m_λ P − r_λ copies of the s × s matrix M(λ, 0) (theory T5, T9).

For any other W the learning part is all of the compressed space, T = I.

Here a system of any library, on any device, comes to the host: verdicts, orders and spectra are reports about small
matrices, made with what no array library but NumPy has with SciPy (general eigenproblems, staircases, Lyapunov).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import NDArray

from .._array import to_numpy
from ..algorithms import Rule
from ..notation import eta, g0, theta0
from ._left_over import MixingMode, left_over
from ._modes import Eigenspace, Mode, eigenspaces, near_eigenvalues
from ._staircase import Matrix
from ._words import Grid, Words, grid, image, number, numeric, without_curvature

if TYPE_CHECKING:
    from ..systems import LinearSystem
    from ._kalman import Kalman
    from ._realization import Realization

__all__ = ["MixingMode", "Mode", "Reduction", "reduction"]


@dataclass(frozen=True, eq=False)
class Reduction:
    """The learning part R^s and the mixing part of one system, in NumPy.

    Attributes
    ----------
    rule, numbers, parameters
        The rule, its scalars, and those of them that were passed by name.
    mixing : (Q, Q)
        W; 11ᵀ/Q for rules that average without a graph.
    jacobian : (Q, n, p)
        √c_q J_q of the compressed model.
    scale : (Q,)
        c_q.
    readout : (Q, n, p)
        J_q.
    residual, start : (Q, n), (Q, p)
        Of the model.
    n_blocks, n_parameters : int
        s, and the true P (the rank for kernels).
    symmetric : bool
        Whether W is, up to rounding; else T = I and there are no ``modes``.
    modes : tuple of Mode
        In ascending order of λ.
    mode_of_column : (d,)
        The place in ``modes`` of every column of T.
    basis : (Q p, d)
        T, orthonormal.
    mixing_learning : (d, d)
        W_R.
    jacobian_learning : (Q n, d)
        √c J T, so that Ψ_R is its Gram matrix.
    precision : float
        The rounding unit of the arrays given.
    size : float
        ‖√c J_s‖₂, of the stacked weighted Jacobian.
    left_out : float
        A bound on what compression left out of it.
    tolerance : float
        Singular values below it count as zero, relative to ``size``.
    gap : float
        The smallest singular value that was kept over the largest that was not, in the decisions on all r_λ and in the
        compression before them; inf where nothing was left out.
    """

    rule: Rule
    numbers: Mapping[sympy.Symbol, float]
    parameters: Mapping[str, float]
    mixing: Matrix
    jacobian: Matrix
    scale: Matrix
    readout: Matrix
    residual: Matrix
    start: Matrix
    n_parameters: int
    symmetric: bool
    modes: tuple[Mode, ...]
    mode_of_column: NDArray[np.intp]
    basis: Matrix
    precision: float
    size: float
    left_out: float
    tolerance: float
    gap: float

    @property
    def n_blocks(self) -> int:
        """s."""
        return len(self.rule.blocks)

    @property
    def dimension(self) -> int:
        """d = dim R."""
        return int(self.basis.shape[1])

    @property
    def order(self) -> int:
        """s Q P: all states."""
        return self.n_blocks * int(self.mixing.shape[0]) * self.n_parameters

    @property
    def step_size(self) -> float:
        """η."""
        return self.numbers[eta]

    @cached_property
    def eigenvalues(self) -> Matrix:
        """λ of every column of T, (d,); for a symmetric W."""
        return np.array([mode.value for mode in self.modes])[self.mode_of_column]

    @cached_property
    def mixing_learning(self) -> Matrix:
        """W_R."""
        dense = np.diag(self.eigenvalues) if self.symmetric else np.kron(self.mixing, np.eye(self.jacobian.shape[2]))
        return np.asarray(dense)

    @cached_property
    def jacobian_learning(self) -> Matrix:
        """√c J T, (Q n, d)."""
        return self._seen(self.jacobian)

    @cached_property
    def readout_learning(self) -> Matrix:
        """J T, (Q n, d)."""
        return self._seen(self.readout)

    @cached_property
    def letters(self) -> dict[str, Any]:
        """W, H and the average as maps of columns over R."""
        J = self.jacobian_learning
        return {"W": self._mix, "H": lambda x: J.T @ (J @ x), "average": self._average}

    @cached_property
    def letters_transposed(self) -> dict[str, Any]:
        """The same maps transposed."""
        return self.letters if self.symmetric else {**self.letters, "W": lambda x: self.mixing_learning.T @ x}

    def words(self, step_size: float | None = None, **numbers: float) -> Grid:
        """M as words with the numbers put in."""
        return grid(self.rule, self.at(step_size, **numbers))

    def at(self, step_size: float | None = None, **numbers: float) -> Mapping[sympy.Symbol, float]:
        """Every scalar's number at another step size or other parameters (by name)."""
        if step_size is None and not numbers:
            return self.numbers
        return self.rule.numbers(self.step_size if step_size is None else step_size, {**self.parameters, **numbers})

    def spelled(self, words: Grid) -> Matrix:
        """A grid of words as a matrix on R^s, (s d, s d)."""
        identity = np.eye(self.dimension)
        return np.block([[image(entry, self.letters, identity) for entry in row] for row in words])

    def map(self, step_size: float | None = None, **numbers: float) -> Matrix:
        """M on R^s, (s d, s d)."""
        return self.spelled(self.words(step_size, **numbers))

    def residual_input(self, step_size: float | None = None, **numbers: float) -> Matrix:
        """B, (s d, Q n): what the residuals add to every update."""
        return self.driven(numeric(self.rule, g0, self.at(step_size, **numbers)), self._gradients)

    def start_input(self, step_size: float | None = None, **numbers: float) -> Matrix:
        """X, (s d, Q n): what the residuals put into the start (of trackers)."""
        return self.driven(numeric(self.rule, g0, self.at(step_size, **numbers), start=True), self._gradients)

    def drive(self, step_size: float | None = None, **numbers: float) -> Matrix:
        """The first update w = U(s₀) − s₀ of this very system, (s d,)."""
        at = self.at(step_size, **numbers)
        forces = {theta0: self._starts, g0: (self._gradients @ self.residual.reshape(-1))[:, None]}
        start = np.add(*(self.driven(numeric(self.rule, source, at, start=True), x) for source, x in forces.items()))
        sources = {**forces, **dict(zip(self.rule.blocks, np.split(start, self.n_blocks), strict=True))}
        moved = [self.driven(numeric(self.rule, source, at), x) for source, x in sources.items()]
        return np.asarray(np.sum(moved, axis=0) - start)[:, 0]

    def inputs(self, step_size: float | None = None, **numbers: float) -> Matrix:
        """[B, X, w], (s d, k): X for trackers only, w only where agents start apart."""
        parts = [self.residual_input(step_size, **numbers), self.start_input(step_size, **numbers)]
        if self.apart:
            parts.append(self.drive(step_size, **numbers)[:, None])
        return np.hstack([part for part in parts if part.any()] or parts[:1])

    @cached_property
    def outputs(self) -> Matrix:
        """C = [J T, 0, …], (Q n, s d)."""
        C = self.readout_learning
        return np.hstack([C, np.zeros((C.shape[0], (self.n_blocks - 1) * self.dimension))])

    @cached_property
    def rows_learning(self) -> Matrix:
        """What spans the rows of J T, agents weighted by √c_q where they have a gradient."""
        return self._seen(_rows(self))

    @property
    def threshold(self) -> float:
        """Singular values of weighted Jacobians up to it count as zero."""
        return self.tolerance * self.size

    @property
    def together(self) -> float:
        """Eigenvalues of W that are no farther apart are one."""
        return near_eigenvalues(self.mixing, self.precision)

    @property
    def eigenspaces(self) -> list[Eigenspace]:
        """Of a symmetric W, in the order of ``modes``."""
        return eigenspaces(self.mixing, self.together, self.rule.uses_graph and self.rule.averages)

    @property
    def apart(self) -> bool:
        """Whether agents start at different points."""
        return bool(np.any(self.start != self.start[:1]))

    def modal_matrix(self, value: complex, average: float = 0.0) -> NDArray[Any]:
        """M(λ, 0), (s, s)."""
        letters: dict[str, Any] = {"W": value, "average": average}
        return np.array([[number(entry, letters) for entry in row] for row in without_curvature(self.words())])

    @cached_property
    def mixing_part(self) -> tuple[MixingMode, ...]:
        """What R^s leaves over."""
        return left_over(self)

    @cached_property
    def kalman(self) -> Kalman:
        """What is reached and what is seen of R^s."""
        from ._kalman import Kalman

        return Kalman(self)

    @cached_property
    def minimal(self) -> Realization:
        """The reachable and observable part of the iteration map."""
        from ._realization import realize

        return realize(self)

    def minimal_map(self, step_size: float | None = None, **numbers: float) -> Matrix:
        """The map on the minimal subspace at another step size; the subspace is this system's own."""
        return self.minimal.restrict(self.map(step_size, **numbers))

    @cached_property
    def with_starts(self) -> Reduction:
        """The same with what the starts have outside of R added to T: at most one direction a mode, where J is zero."""
        if not (self.symmetric and self.apart):
            return self
        left, size = self.start.reshape(-1, 1), np.linalg.norm(self.start)
        for _ in range(2):
            left = left - self.basis @ (self.basis.T @ left)
        columns, places = [self.basis], [self.mode_of_column]
        for i, space in enumerate(self.eigenspaces):
            part = (space.vectors @ (space.vectors.T @ left.reshape(self.start.shape))).reshape(-1, 1)
            if np.linalg.norm(part) > self.tolerance * size:
                columns.append(part / np.linalg.norm(part))
                places.append(np.array([i]))
        return replace(self, basis=np.hstack(columns), mode_of_column=np.concatenate(places))

    @cached_property
    def _gradients(self) -> Matrix:
        """Tᵀ Jᵀ c, (d, Q n)."""
        return self.jacobian_learning.T * np.repeat(self.scale**0.5, self.jacobian.shape[1])

    @cached_property
    def _starts(self) -> Matrix:
        return self.basis.T @ self.start.reshape(-1, 1)

    def driven(self, words: list[Words], x: Matrix) -> Matrix:
        """What every block takes from the columns of x over R."""
        return np.vstack([image(entry, self.letters, x) for entry in words])

    def _seen(self, J: Matrix) -> Matrix:
        """J T for agents' matrices (Q, n, p)."""
        Q, n, p = J.shape
        return np.asarray(J @ self.basis.reshape(Q, p, self.dimension)).reshape(Q * n, self.dimension)

    def _mix(self, x: Matrix) -> Matrix:
        """W_R x."""
        return self.eigenvalues[:, None] * x if self.symmetric else self.mixing_learning @ x

    def _average(self, x: Matrix) -> Matrix:
        """11ᵀ/Q over R."""
        Q, _, p = self.jacobian.shape
        agents = (self.basis @ x).reshape(Q, p, x.shape[1])
        mean = np.broadcast_to(agents.mean(axis=0), agents.shape).reshape(Q * p, x.shape[1])
        return np.asarray(self.basis.T @ mean)


def reduction(system: LinearSystem) -> Reduction:
    """Split a system into its learning and its mixing part, on the compressed model.

    The compressed model is taken to NumPy here, once (`to_numpy`), whatever its library and device. Cost: one singular
    value decomposition of size Q·min(n, p) × m_λ p for each distinct eigenvalue of a symmetric W. Computed once a
    system: `LinearSystem.reduced`.
    """
    operator = system.compact
    model, W = operator.model, np.asarray(to_numpy(operator.W), float)
    J, c = np.asarray(to_numpy(model.jacobian), float), np.asarray(to_numpy(operator.scale), float)
    precision = float(np.finfo(to_numpy(model.jacobian).dtype).eps)
    weighted, symmetric = J * c[:, None, None] ** 0.5, bool(np.abs(W - W.T).max() <= 10 * precision)
    size = float(np.linalg.norm(weighted.reshape(-1, J.shape[2]), 2)) or 1.0
    left_out = model.left_out * float(c.max()) ** 0.5
    Q, n, p = J.shape
    plain = Reduction(
        rule=system.rule,
        numbers=system.numbers,
        parameters=system.parameters,
        mixing=(W + W.T) / 2 if symmetric else W,
        jacobian=weighted,
        scale=c,
        readout=J,
        residual=np.asarray(to_numpy(model.residual), float),
        start=np.asarray(to_numpy(model.start), float),
        n_parameters=model.n_parameters,
        symmetric=symmetric,
        modes=(),
        mode_of_column=np.zeros(0, dtype=np.intp),
        basis=np.eye(Q * p),
        precision=precision,
        size=size,
        left_out=left_out,
        tolerance=max(10 * max(Q * n, p) * precision, left_out / size),
        gap=math.inf,
    )
    return _split(plain) if symmetric else plain


def _split(plain: Reduction) -> Reduction:
    """The modes of a symmetric W and the basis of R."""
    (Q, _, p), rows = plain.jacobian.shape, _rows(plain)
    modes, columns, kept, dropped = [], [np.zeros((Q * p, 0))], math.inf, plain.left_out
    for space in plain.eigenspaces:
        found = space.seen(rows, plain.threshold)
        modes.append(Mode(space.value, space.vectors.shape[1], found.dimension, space.average))
        columns.append(found.basis)
        kept, dropped = min(kept, found.kept), max(dropped, found.dropped)
    return replace(
        plain,
        modes=tuple(modes),
        basis=np.hstack(columns),
        mode_of_column=np.repeat(np.arange(len(modes)), [m.rank for m in modes]),
        gap=kept / dropped if dropped and kept < math.inf else math.inf,
    )


def _rows(plain: Reduction) -> Matrix:
    """What spans the rows of every √c_q J_q, no taller than wide; an agent without a gradient is still seen."""
    c, (_, n, p) = plain.scale, plain.jacobian.shape
    weight = np.where(c > 0, c, c[c > 0].mean() if np.any(c > 0) else 1.0) ** 0.5
    rows = plain.readout * weight[:, None, None]
    return np.asarray(np.linalg.qr(rows, mode="r")) if n > p else rows
