"""Graphs from a draw, repeated until connected."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphError, refuse, require, require_count, require_number
from ._regular import joined

if TYPE_CHECKING:
    import networkx as nx

_DRAWS = 100


def erdos_renyi(n_agents: int, probability: float, seed: int = 0) -> nx.Graph:
    """Each of the Q (Q - 1) / 2 possible edges present with the same probability, independently.

    Parameters
    ----------
    n_agents : int
        Number of agents Q >= 1.
    probability : float
        Of one edge, in [0, 1].
    seed : int
        Whole number >= 0; the same seed gives the same graph.

    Returns
    -------
    networkx.Graph
        Connected, with the nodes 0 ... Q-1.

    Raises
    ------
    InputError
        When an argument is out of range.
    GraphError
        When 100 draws gave no connected graph.

    Notes
    -----
    Drawn until connected, so the law is that of the random graph given that it is connected. Large graphs are
    connected with high probability when ``probability`` exceeds log(Q)/Q.

    References
    ----------
    Gilbert: Random graphs, doi:10.1214/aoms/1177706098.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> graphs.erdos_renyi(6, probability=1.0).number_of_edges()
    15
    """
    import networkx as nx

    size = require_count("n_agents", n_agents)
    chance = require_number("probability", probability, 0.0, 1.0)
    remedy = f"raise probability (above log(Q)/Q = {math.log(size) / size:.2g}) or try another seed"
    return _draw("erdos_renyi", lambda state: nx.gnp_random_graph(size, chance, seed=state), seed, remedy)


def random_regular(n_agents: int, degree: int, seed: int = 0) -> nx.Graph:
    """A random graph in which every agent has the same number of neighbours.

    Parameters
    ----------
    n_agents, seed : int
        As in :func:`erdos_renyi`.
    degree : int
        Number of neighbours, below Q; ``n_agents * degree`` must be even.

    Returns
    -------
    networkx.Graph
        As in :func:`erdos_renyi`, and so are the errors.

    References
    ----------
    Steger, Wormald: Generating random regular graphs quickly, doi:10.1017/S0963548399003867.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> {degree for _, degree in graphs.random_regular(8, degree=3).degree}
    {3}
    """
    import networkx as nx

    size, d = require_count("n_agents", n_agents), require_count("degree", degree, minimum=0)
    require(d < size, "degree", f"a degree below n_agents = {size}", d, "lower degree or add agents", GraphError)
    even, pair = (size * d) % 2 == 0, f"{size} * {d}"
    require(even, "degree", "an even n_agents * degree", pair, "change either by 1", GraphError)
    remedy = "raise degree (3 or more is connected with high probability) or try another seed"
    return _draw("random_regular", lambda state: nx.random_regular_graph(d, size, seed=state), seed, remedy)


def random_geometric(n_agents: int, radius: float | None = None, seed: int = 0) -> nx.Graph:
    """Agents dropped uniformly on the unit square, joined when they are at most ``radius`` apart.

    Parameters
    ----------
    n_agents, seed : int
        As in :func:`erdos_renyi`.
    radius : float, optional
        Length > 0 (the square's side is 1); left out, (2 log(Q)/Q)^½, above the threshold of connectivity.

    Returns
    -------
    networkx.Graph
        As in :func:`erdos_renyi`, and so are the errors; the node attribute ``pos`` is the agent's place, for drawing.

    References
    ----------
    Gupta, Kumar: Critical power for asymptotic connectivity in wireless networks, doi:10.1007/978-1-4612-1784-8_33.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> graphs.random_geometric(5, radius=1.5).number_of_edges()
    10
    """
    import networkx as nx

    size = require_count("n_agents", n_agents)
    usual = math.sqrt(2 * math.log(max(size, 2)) / size)
    length = usual if radius is None else require_number("radius", radius, 0.0, open_low=True)
    remedy = f"raise radius (the default is {usual:.2g}) or try another seed"
    return _draw("random_geometric", lambda state: nx.random_geometric_graph(size, length, seed=state), seed, remedy)


def small_world(n_agents: int, neighbours: int = 4, rewiring: float = 0.1, seed: int = 0) -> nx.Graph:
    """A ring on which each agent knows its nearest neighbours, some edges then rewired at random.

    Parameters
    ----------
    n_agents, seed : int
        As in :func:`erdos_renyi`.
    neighbours : int
        Even number >= 2, half of them on each side; the complete graph when there are not so many.
    rewiring : float
        Probability in [0, 1] that the far end of an edge moves to a random agent.

    Returns
    -------
    networkx.Graph
        As in :func:`erdos_renyi`, and so are the errors.

    References
    ----------
    Watts, Strogatz: Collective dynamics of "small-world" networks, doi:10.1038/30918.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.small_world(8, rewiring=0.0).neighbors(0))
    [1, 2, 6, 7]
    """
    import networkx as nx

    size, near = require_count("n_agents", n_agents), require_count("neighbours", neighbours, minimum=2)
    require(near % 2 == 0, "neighbours", "an even number, half on each side", near, f"use {near - 1} or {near + 1}")
    chance = require_number("rewiring", rewiring, 0.0, 1.0)
    k = min(near, size)
    remedy = "raise neighbours, lower rewiring or try another seed"
    return _draw("small_world", lambda state: nx.watts_strogatz_graph(size, k, chance, seed=state), seed, remedy)


def _draw(name: str, draw: Callable[[int], nx.Graph], seed: int, remedy: str) -> nx.Graph:
    """The first connected graph among 100 draws whose seeds follow from ``seed``."""
    import networkx as nx

    root = np.random.SeedSequence(require_count("seed", seed, minimum=0))
    for state in root.generate_state(_DRAWS).tolist():
        graph = draw(state)
        if nx.is_connected(graph):
            return ordered(graph)
    return refuse(name, "a connected graph", f"none in {_DRAWS} draws", remedy, GraphError)


def ordered(graph: nx.Graph) -> nx.Graph:
    # networkx lists the nodes of some random graphs in the order of their edges
    result = joined(0, ())
    result.add_nodes_from((node, graph.nodes[node]) for node in sorted(graph))
    result.add_edges_from(graph.edges)
    return result
