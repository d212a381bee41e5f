"""Columns and block matrices of fractions."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

Exact = Any  # a Fraction, or an object array of them


def column(entries: Iterable[Any]) -> Exact:
    """Numbers as a column (P, 1)."""
    return np.array([[Fraction(entry)] for entry in entries], dtype=object)


def stack(columns: list[Exact]) -> Exact:
    """Columns one below the other."""
    return np.concatenate(columns, axis=0)


def parts(stacked: Exact, count: int) -> list[Exact]:
    """A stack cut into equal columns."""
    return np.split(stacked, count, axis=0)


def diagonal(blocks: list[Exact]) -> Exact:
    """The block-diagonal matrix."""
    height, width = (sum(block.shape[axis] for block in blocks) for axis in (0, 1))
    total, row, col = np.full((height, width), Fraction(0), dtype=object), 0, 0
    for block in blocks:
        total[row : row + block.shape[0], col : col + block.shape[1]] = block
        row, col = row + block.shape[0], col + block.shape[1]
    return total


def identity(size: int) -> Exact:
    """I, of fractions."""
    return np.array([[Fraction(i == k) for k in range(size)] for i in range(size)], dtype=object)
