"""Who talks to whom: connected graphs of agents, from a formula, a draw, a matrix or a file.

Any ``networkx.Graph`` or ``networkx.DiGraph`` will do instead; agent i is the i-th entry of ``list(graph.nodes)``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import GraphError, UnknownNameError, nearest, plain_name, require, require_choice, require_count
from ._check import check
from ._random import erdos_renyi, random_geometric, random_regular, small_world
from ._read import from_adjacency, from_edge_list
from ._regular import complete, complete_bipartite, cycle, grid, hypercube, path, star, static_exponential, torus

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "NAMES", "check", "complete", "complete_bipartite", "cycle", "erdos_renyi", "from_adjacency", "from_edge_list",
    "grid", "hypercube", "named", "path", "random_geometric", "random_regular", "small_world", "star",
    "static_exponential", "torus",
]  # fmt: skip


def named(name: str, n_agents: int, **options: Any) -> nx.Graph:
    """A graph of the catalogue, from the number of agents alone.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`; upper case and underscores are understood.
    n_agents : int
        Number of agents Q.
    **options
        What the graph still leaves open: ``seed`` for the random ones, ``probability`` (default twice the
        threshold log(Q)/Q), ``degree`` (4), ``radius``, ``neighbours``, ``rewiring``.

    Returns
    -------
    networkx.Graph
        Connected. ``grid`` and ``torus`` take the most square factorisation of Q (a prime Q gives a path or a
        cycle), ``complete-bipartite`` two halves; ``hypercube`` needs a power of two.

    Raises
    ------
    UnknownNameError
        When there is no such name or option.
    InputError, GraphError
        As the graph's own function.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> graphs.named("torus", 12).number_of_edges()
    24
    >>> graphs.named("cylce", 12)
    Traceback (most recent call last):
    ntkflow.errors.UnknownNameError: graph: expected a known name, found 'cylce'; did you mean 'cycle'?
    """
    canonical = plain_name(name, "_", "-")
    builder = NAMES[require_choice("graph", canonical, NAMES)]
    known = list(inspect.signature(builder).parameters)[1:]
    for option in options:
        remedy = nearest(option, known) if known else "leave it out"
        require(option in known, f"graph {canonical!r}", "only options it has", repr(option), remedy, UnknownNameError)
    return builder(n_agents, **options)


def _most_square(n_agents: int) -> tuple[int, int]:
    size = require_count("n_agents", n_agents)
    rows = next(r for r in range(math.isqrt(size), 0, -1) if size % r == 0)
    return rows, size // rows


def _named_grid(n_agents: int) -> nx.Graph:
    return grid(*_most_square(n_agents))


def _named_torus(n_agents: int) -> nx.Graph:
    return torus(*_most_square(n_agents))


def _named_hypercube(n_agents: int) -> nx.Graph:
    size = require_count("n_agents", n_agents)
    below = 2 ** (size.bit_length() - 1)
    remedy = f"use {below} or {2 * below}"
    require(size == below, "n_agents", "a power of two for a hypercube", size, remedy, GraphError)
    return hypercube(size.bit_length() - 1)


def _named_bipartite(n_agents: int) -> nx.Graph:
    size = require_count("n_agents", n_agents, minimum=2)
    return complete_bipartite(size // 2, size - size // 2)


def _named_erdos_renyi(n_agents: int, probability: float | None = None, seed: int = 0) -> nx.Graph:
    size = require_count("n_agents", n_agents)
    usual = min(1.0, 2 * math.log(max(size, 2)) / size)
    return erdos_renyi(size, usual if probability is None else probability, seed)


def _named_regular(n_agents: int, degree: int | None = None, seed: int = 0) -> nx.Graph:
    size = require_count("n_agents", n_agents)
    return random_regular(size, min(4, size - 1) if degree is None else degree, seed)


NAMES: Mapping[str, Callable[..., nx.Graph]] = {
    "cycle": cycle,
    "star": star,
    "complete": complete,
    "path": path,
    "grid": _named_grid,
    "torus": _named_torus,
    "hypercube": _named_hypercube,
    "complete-bipartite": _named_bipartite,
    "erdos-renyi": _named_erdos_renyi,
    "random-regular": _named_regular,
    "random-geometric": random_geometric,
    "small-world": small_world,
    "static-exponential": static_exponential,
}
"""The catalogue of the command line: name -> function of the number of agents and options."""
