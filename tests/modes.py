"""Modes of a rule by running it: an oracle that shares no algebra with the symbolic analysis."""

import numpy as np
from scipy.optimize import brentq

from ntkflow.notation import eta

GRID = np.arange(0.01, 13.0, 0.02)  # of m = eta * kappa


def matrices(rule, eigenvalue, m, numbers=(), consensus=False):
    """M(λ, κ) at η = 1, κ = m for every m, (len(m), s, s): a column is the update of one block at one.

    Two agents hold (1, −1), the disagreement of which the average is zero, or (1, 1).
    """
    m = np.atleast_1d(np.asarray(m, dtype=float))
    program = rule.bind({eta: 1.0, **dict(numbers)})
    shape = np.array([1.0, 1.0 if consensus else -1.0])[:, None] * np.ones_like(m)
    columns = []
    for block in range(len(rule.blocks)):
        state = tuple(shape if i == block else 0.0 * shape for i in range(len(rule.blocks)))
        columns.append([row[0] for row in program.update(state, lambda x: eigenvalue * x, lambda x: m * x)])
    return np.moveaxis(np.array(columns), (0, 1, 2), (2, 1, 0))


def margin(rule, eigenvalues, m, numbers=(), flow=False):
    """How far the worst mode is beyond the boundary of stability, structural roots at one left out."""
    worst = np.full(np.shape(np.atleast_1d(m)), -np.inf)
    for eigenvalue in eigenvalues:
        consensus = eigenvalue > 1 - 1e-9
        roots = np.linalg.eigvals(matrices(rule, eigenvalue, m, numbers, consensus))
        generic = np.linalg.eigvals(matrices(rule, eigenvalue, [np.pi / 8], numbers, consensus))
        kept = roots.shape[1] - int((abs(generic - 1) < 1e-9).sum()) if consensus else roots.shape[1]
        farthest = np.take_along_axis(roots, np.argsort(-abs(roots - 1), axis=1), axis=1)[:, :kept]
        if kept:
            worst = np.maximum(worst, (farthest.real - 1 if flow else abs(farthest) - 1).max(axis=1))
    return worst


def first_failure(rule, eigenvalues, numbers=(), flow=False):
    """The first m at which some mode leaves: 0 if one is out at once, inf if none leaves on the grid.

    What happens below the grid's first point and within its steps is not seen.
    """
    scan = margin(rule, eigenvalues, GRID, numbers, flow)
    out = np.flatnonzero(scan > 0)
    if not out.size:
        return np.inf
    if out[0] == 0:
        return 0.0
    low, high = GRID[out[0] - 1], GRID[out[0]]
    return brentq(lambda m: margin(rule, eigenvalues, m, numbers, flow)[0], low, high, xtol=1e-14, rtol=1e-14)
