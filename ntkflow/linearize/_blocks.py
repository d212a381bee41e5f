"""Jacobians in blocks of columns: read one after the other, summed to a kernel, applied by a further pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .._array import (
    Array,
    all_finite,
    eps,
    is_real_floating,
    namespace,
    namespace_or_none,
    norm,
    overflow_allowed,
    zeros,
)
from ..errors import ShapeError, refuse, require, require_count, require_device

BUDGET = 2**28  # bytes of a block whose width is ours to choose
PIECE = 4096  # columns of one product: sums stay short, and float32 is widened a piece at a time
SAME = 2e-11  # two passes that differ by no more, relatively, brought the same numbers


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks (Q, n, width) of consecutive columns of J, made afresh for every pass; ``total`` is P where known."""

    make: Callable[[], Iterable[Array]]
    residual: Array
    total: int | None

    @classmethod
    def of(cls, given: Any, residual: Array, width: int | None) -> Blocks:
        """What a user passes as blocks: a function, or an array that is sliced lazily."""
        (Q, n), expected = residual.shape, "a function that returns fresh blocks, or an array (Q, n, P)"
        if hasattr(given, "shape"):
            shape = tuple(given.shape)
            fits = len(shape) == 3 and shape[:2] == (Q, n) and shape[2] >= 1
            require(fits, "blocks", f"shape ({Q}, {n}, P)", f"shape {shape}", error=ShapeError)
            bytes_ = Q * n * getattr(getattr(given, "dtype", None), "itemsize", 8)
            step = max(1, BUDGET // bytes_) if width is None else require_count("block_width", width)
            return cls(lambda: (given[:, :, a:b] for a, b in _edges(shape[2], step)), residual, shape[2])
        if not callable(given):
            once = "a generator can be read only once; " if isinstance(given, Iterator) else ""
            refuse("blocks", expected, type(given).__name__, f"{once}pass the function that makes them")
        require(width is None, "block_width", "None beside a function", width, "let the function choose")
        return cls(given, residual, None)

    def matrices(self) -> Iterator[Array]:
        """Every block as (Q n, width), its kind checked; dropped here before the next is asked for."""
        made, rows = self.make(), math.prod(self.residual.shape)
        if not isinstance(made, Iterable):
            refuse("blocks", "a function that returns an iterator over arrays", type(made).__name__, "use yield")
        for block in made:
            self._checked(block)
            block = namespace(block).reshape(block, (rows, block.shape[2]))
            yield block
            del block

    def _checked(self, block: Any) -> None:
        (Q, n), library = self.residual.shape, namespace_or_none(block, self.residual)
        if library is None:
            kinds = f"{type(block).__module__.split('.')[0]} {type(block).__name__}"
            refuse("blocks", "arrays of the residual's library", kinds, "convert every block to it")
        require_device("blocks", {"a block": block, "the residual": self.residual})
        shape = tuple(block.shape)
        fits = len(shape) == 3 and shape[:2] == (Q, n) and shape[2] >= 1
        require(fits, "blocks", f"every block of shape ({Q}, {n}, width)", f"shape {shape}", error=ShapeError)
        real, dtype = is_real_floating(block), f"dtype {block.dtype}"
        require(real, "blocks", "real floating numbers", dtype, "convert with astype(float)")

    def summed(self, progress: Callable[[int, int | None], None] | None) -> tuple[Array, Found]:
        """K = Σ_b J_b J_bᵀ in double precision, by one pass."""
        xp, rows = namespace(self.residual), math.prod(self.residual.shape)
        kernel = xp.astype(zeros((rows, rows), self.residual), xp.float64)
        done, coarsest = 0, 0.0
        for matrix in self.matrices():
            with overflow_allowed():
                kernel = _added(kernel, matrix)
            usable = all_finite(xp.linalg.diagonal(kernel))  # sums of squares: nothing cancels there
            place = f"NaN, infinity or an overflow in columns {done} to {done + matrix.shape[1] - 1}"
            require(usable, "blocks", "finite numbers whose squares can be summed", place, "look at their producer")
            done, coarsest = done + matrix.shape[1], max(coarsest, eps(matrix))
            del matrix
            if progress is not None:
                progress(done, self.total)
        require(done > 0, "blocks", "at least one block", "none", "return a fresh iterator at every call")
        return kernel, Found(self, done, coarsest, float(xp.sum(xp.linalg.diagonal(kernel))))


@dataclass(frozen=True, eq=False)
class Found:
    """What one pass found beside the kernel: P, the coarsest eps among the blocks, and ‖J‖_F²."""

    blocks: Blocks
    total: int
    coarsest: float
    squares: float

    def pulled(self, weights: Array, dtype: Any) -> Iterator[Array]:
        """Jᵀ w for the rows w of ``weights`` (k, Q n), by a further pass that must bring what the first one brought."""
        xp, done, squares = namespace(weights), 0, 0.0
        for matrix in self.blocks.matrices():
            done += matrix.shape[1]
            self._same(done <= self.total, f"{done} or more")
            squares += sum(norm(piece) ** 2 for piece in _pieces(matrix, weights))
            wide = [matrix] if matrix.dtype == weights.dtype else _pieces(matrix, weights)
            parts = [xp.astype(weights @ piece, dtype, copy=False) for piece in wide]
            yield xp.concat(parts, axis=1) if len(parts) > 1 else parts[0]
            del matrix, wide, parts
        self._same(done == self.total, str(done))
        gap = abs(squares - self.squares)
        self._same(gap <= max(SAME, 100 * self.coarsest) * self.squares, f"other numbers in {done}")

    def _same(self, holds: bool, found: str) -> None:
        remedy = "a function of blocks must return the same at every call (seed its generator inside)"
        require(holds, "blocks", f"the {self.total} columns of the first pass", found, remedy)


def _added(kernel: Array, matrix: Array) -> Array:
    for piece in _pieces(matrix, kernel):
        kernel += piece @ piece.T
    return kernel


def _pieces(matrix: Array, other: Array) -> Iterator[Array]:
    """Its columns, a few at a time, in the dtype of ``other``."""
    xp = namespace(matrix)
    return (xp.astype(matrix[:, a:b], other.dtype, copy=False) for a, b in _edges(matrix.shape[1], PIECE))


def _edges(total: int, step: int) -> Iterator[tuple[int, int]]:
    return ((a, min(a + step, total)) for a in range(0, total, step))
