r"""Eigenvalues of Metropolis weights in closed form: cycle, star, complete graph, path, hypercube and torus.

On these graphs the mixing matrix is W = I − L/(1 + d_max) with L the graph's Laplacian, every edge having an end of
largest degree, so that the known spectra of L carry over.

>>> spectrum_of("cycle", 4)
{1: 1, 1/3: 2, -1/3: 1}
>>> TOPOLOGIES["path"].smallest
1/3 - 2*cos(pi/Q)/3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy
from sympy import Max, Mod, Rational, binomial, cos, pi

from .._array import to_numpy
from ..errors import MixingError, refuse, require, require_choice, require_count
from ..weights import metropolis_hastings, require_mixing

__all__ = ["FAMILIES", "TOPOLOGIES", "Family", "Topology", "spectrum_of"]

Q, d, a, b = sympy.symbols("Q d a b", integer=True, positive=True)
Pairs = Iterator[tuple[sympy.Expr, Any]]
DIGITS = 30  # to which eigenvalues must agree to count as one
NUMERICAL = 1e-12  # to which computed ones do, and within which they are taken for a fraction
DENOMINATOR = 1000


@dataclass(frozen=True)
class Topology:
    """A graph's mixing matrix by its eigenvalues.

    Attributes
    ----------
    sides : tuple of Symbol
        What its size is given by, as in `ntkflow.graphs`: Q agents, dimension d, or sides a and b.
    minimum : int
        The smallest side for which the formulas hold.
    smallest, second : sympy expression
        λ_min, and the largest eigenvalue below 1, in the sides.
    low, high : sympy number
        What λ_min lies between.
    """

    sides: tuple[sympy.Symbol, ...]
    minimum: int
    smallest: sympy.Expr
    second: sympy.Expr
    low: sympy.Expr
    high: sympy.Expr
    _pairs: Callable[..., Pairs]

    def spectrum(self, *sides: int) -> dict[sympy.Expr, int]:
        """Every eigenvalue with its multiplicity, the largest first; the sides are known to be valid."""
        found: dict[sympy.Expr, list[Any]] = {}
        for value, multiplicity in self._pairs(*map(sympy.Integer, sides)):
            entry = found.setdefault(sympy.N(value, DIGITS).round(DIGITS - 5), [value, 0])
            entry[1] += int(multiplicity)
        return {value: count for _, (value, count) in sorted(found.items(), reverse=True) if count}


@dataclass(frozen=True)
class Family:
    """Graphs of one topology that share a closed form of λ_min, which then lies between ``low`` and ``high``."""

    title: str
    smallest: sympy.Expr
    low: sympy.Expr
    high: sympy.Expr


def spectrum_of(topology: str, *sides: int) -> dict[sympy.Expr, int]:
    r"""Every eigenvalue of the Metropolis weights with its multiplicity, exactly, the largest first.

    ==========  ==========================================
    cycle       (1 + 2 cos(2πk/Q))/3
    path        (1 + 2 cos(πk/Q))/3, k < Q
    star        1, 1 − 1/Q (Q − 2 times), 0
    complete    1, 0 (Q − 1 times)
    hypercube   1 − 2k/(d + 1), as often as d choose k
    torus       (1 + 2 cos(2πi/a) + 2 cos(2πj/b))/5
    ==========  ==========================================

    Parameters
    ----------
    topology : str
        One of the names above.
    sides : int
        As for the graph in `ntkflow.graphs`: the number of agents Q, the dimension d, or the sides a and b.

    Returns
    -------
    dict
        {eigenvalue: multiplicity}; those that agree to 25 digits count as one.

    Raises
    ------
    InputError
        An unknown name, or sides too small for the formula (3; for hypercubes 1, complete graphs 2).

    Examples
    --------
    >>> spectrum_of("star", 6)
    {1: 1, 5/6: 4, 0: 1}
    """
    return named(topology, sides).spectrum(*sides)


def named(topology: str, sides: tuple[Any, ...]) -> Topology:
    """The topology of that name, once its sides have been checked."""
    found = TOPOLOGIES[require_choice("topology", topology, TOPOLOGIES)]
    if len(sides) != len(found.sides):
        names = " and ".join(map(str, found.sides))
        refuse(f"the sides of the {topology}", names, sides or "none", f"as in ntkflow.graphs.{topology}")
    for name, side in zip(found.sides, sides, strict=True):
        require_count(f"{name} of the {topology}", side, found.minimum)
    return found


def eigenvalues_of(mixing: Any) -> list[sympy.Expr]:
    """The distinct eigenvalues of a symmetric W, or of a graph's Metropolis weights, computed; the largest, 1, first.

    Those within 1e-12 of a fraction with a denominator up to 1000 are that fraction, and 0 is 0.
    """
    W = to_numpy(_matrix_of(mixing))
    symmetric = bool(np.allclose(W, W.T, rtol=0.0, atol=NUMERICAL))
    require(symmetric, "W", "a symmetric mixing matrix", "another one", "average it with its transpose", MixingError)
    values = np.linalg.eigvalsh(W)[::-1]
    inside = bool(values[0] < 1 + NUMERICAL and values[-1] > -1 - NUMERICAL)
    require(inside, "W", "eigenvalues in [-1, 1]", f"{values[-1]:.3g} to {values[0]:.3g}", error=MixingError)
    simple = len(values) < 2 or bool(values[1] < 1 - NUMERICAL)
    require(simple, "W", "one component", "the eigenvalue 1 twice", "connect the graph", MixingError)
    return list(dict.fromkeys(map(_fraction, values.tolist())))


def _matrix_of(mixing: Any) -> Any:
    if hasattr(mixing, "nodes"):
        return metropolis_hastings(mixing)
    if not hasattr(mixing, "shape"):
        asked = "a topology's name, a (Q, Q) mixing matrix or a networkx graph"
        refuse("topology", asked, type(mixing).__name__, "such as 'cycle', or nf.graphs.cycle(8)")
    return require_mixing(mixing)


def _fraction(value: float) -> sympy.Rational:
    near = Fraction(value).limit_denominator(DENOMINATOR)
    chosen = near if abs(near - Fraction(value)) < NUMERICAL else Fraction(round(value, DIGITS // 2 - 3))
    return Rational(chosen.numerator, chosen.denominator)


def _least_cosine(sides: sympy.Symbol) -> sympy.Expr:
    """−min cos(2πk/Q) over k: one for an even Q, else cos(π/Q)."""
    return cos(pi * Mod(sides, 2) / sides)


def _cycle(n: sympy.Expr) -> Pairs:
    yield from (((1 + 2 * cos(2 * pi * k / n)) / 3, 1) for k in range(n))


def _path(n: sympy.Expr) -> Pairs:
    yield from (((1 + 2 * cos(pi * k / n)) / 3, 1) for k in range(n))


def _star(n: sympy.Expr) -> Pairs:
    yield from ((sympy.S.One, 1), (1 - 1 / n, n - 2), (sympy.S.Zero, 1))


def _complete(n: sympy.Expr) -> Pairs:
    yield from ((sympy.S.One, 1), (sympy.S.Zero, n - 1))


def _hypercube(n: sympy.Expr) -> Pairs:
    yield from ((1 - 2 * k / (n + 1), binomial(n, k)) for k in range(n + 1))


def _torus(n: sympy.Expr, m: sympy.Expr) -> Pairs:
    for i, j in product(range(n), range(m)):
        yield (1 + 2 * cos(2 * pi * i / n) + 2 * cos(2 * pi * j / m)) / 5, 1


ONE, ZERO, THIRD, FIFTH = sympy.S.One, sympy.S.Zero, Rational(1, 3), Rational(1, 5)
TOPOLOGIES = {
    "cycle": Topology((Q,), 3, (1 - 2 * _least_cosine(Q)) / 3, (1 + 2 * cos(2 * pi / Q)) / 3, -THIRD, ZERO, _cycle),
    "star": Topology((Q,), 3, ZERO, 1 - 1 / Q, ZERO, ZERO, _star),
    "complete": Topology((Q,), 2, ZERO, ZERO, ZERO, ZERO, _complete),
    "path": Topology((Q,), 3, (1 - 2 * cos(pi / Q)) / 3, (1 + 2 * cos(pi / Q)) / 3, -THIRD, ZERO, _path),
    "hypercube": Topology((d,), 1, (1 - d) / (1 + d), (d - 1) / (d + 1), -ONE, ZERO, _hypercube),
    "torus": Topology(
        (a, b), 3, (1 - 2 * _least_cosine(a) - 2 * _least_cosine(b)) / 5, (3 + 2 * cos(2 * pi / Max(a, b))) / 5,
        -3 * FIFTH, -FIFTH, _torus,
    ),
}  # fmt: skip


def _of_parity(topology: str, remainder: int) -> Family:
    """Even or odd sides: an even side has the cosine −1 among its own, so that λ_min is the topology's lowest."""
    graph = TOPOLOGIES[topology]
    smallest = graph.smallest.subs({Mod(side, 2): remainder for side in graph.sides})
    title, high = ("odd", graph.high) if remainder else ("even", graph.low)
    return Family(f"{topology}, {title}", smallest, graph.low, high)


def _all_of(topology: str) -> Family:
    graph = TOPOLOGIES[topology]
    return Family(topology, graph.smallest, graph.low, graph.high)


FAMILIES = (
    _of_parity("cycle", 0), _of_parity("cycle", 1), *map(_all_of, ("star", "complete", "path", "hypercube")),
    _of_parity("torus", 0), _of_parity("torus", 1),
)  # fmt: skip
