"""Graphs from a formula: rings, lattices, cubes, and what they are put together from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import require_count

if TYPE_CHECKING:
    import networkx as nx


def cycle(n_agents: int) -> nx.Graph:
    """Agents on a ring, i joined with i ± 1 mod Q.

    Parameters
    ----------
    n_agents : int
        Number of agents Q >= 1; one agent stands alone, two share one edge.

    Returns
    -------
    networkx.Graph
        Connected, with the nodes 0 ... Q-1; degree 2 for Q >= 3.

    Raises
    ------
    InputError
        When ``n_agents`` is not a whole number >= 1.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.cycle(4).edges)
    [(0, 1), (0, 3), (1, 2), (2, 3)]
    """
    return _circulant(require_count("n_agents", n_agents), [1])


def star(n_agents: int) -> nx.Graph:
    """Agent 0 in the middle, joined with each of the Q - 1 others.

    Parameters, Returns and Raises as in :func:`cycle`; degree Q - 1 in the middle, 1 elsewhere.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.star(4).edges)
    [(0, 1), (0, 2), (0, 3)]
    """
    import networkx as nx

    return nx.star_graph(require_count("n_agents", n_agents) - 1)


def complete(n_agents: int) -> nx.Graph:
    """Every agent joined with every other one, Q (Q - 1) / 2 edges.

    Parameters, Returns and Raises as in :func:`cycle`; degree Q - 1.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> graphs.complete(5).number_of_edges()
    10
    """
    import networkx as nx

    return nx.complete_graph(require_count("n_agents", n_agents))


def path(n_agents: int) -> nx.Graph:
    """Agents in a line, i joined with i ± 1.

    Parameters, Returns and Raises as in :func:`cycle`; the two ends have degree 1.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.path(3).edges)
    [(0, 1), (1, 2)]
    """
    import networkx as nx

    return nx.path_graph(require_count("n_agents", n_agents))


def grid(rows: int, columns: int) -> nx.Graph:
    """Agents on a rectangular grid, the Cartesian product of two paths.

    Parameters
    ----------
    rows, columns : int
        Both >= 1; Q = rows * columns, and agent ``r * columns + c`` sits in row r, column c.

    Returns
    -------
    networkx.Graph
        As in :func:`cycle`, and so are the errors.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.grid(2, 3).neighbors(1))
    [0, 2, 4]
    """
    return _lattice(rows, columns, periodic=False)


def torus(rows: int, columns: int) -> nx.Graph:
    """Agents on a grid whose opposite sides are joined, the Cartesian product of two cycles.

    Parameters, Returns and Raises as in :func:`grid`; degree 4 when both sides are at least 3.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.torus(3, 3).neighbors(0))
    [1, 2, 3, 6]
    """
    return _lattice(rows, columns, periodic=True)


def hypercube(dimension: int) -> nx.Graph:
    """Agents at the corners of a cube, joined when their binary numbers differ in one digit.

    Parameters
    ----------
    dimension : int
        d >= 0; Q = 2^d agents of degree d, numbered in binary.

    Returns
    -------
    networkx.Graph
        As in :func:`cycle`, and so are the errors.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.hypercube(3).neighbors(0))
    [1, 2, 4]
    """
    size = require_count("dimension", dimension, minimum=0)
    return joined(2**size, ((i, i ^ 2**k) for i in range(2**size) for k in range(size)))


def complete_bipartite(left: int, right: int) -> nx.Graph:
    """Two groups of agents, each agent joined with the whole other group.

    Parameters
    ----------
    left, right : int
        Sizes of the groups, both >= 1; agents 0 ... left-1 are the first group, Q = left + right.

    Returns
    -------
    networkx.Graph
        As in :func:`cycle`, and so are the errors.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.complete_bipartite(2, 3).neighbors(0))
    [2, 3, 4]
    """
    import networkx as nx

    return nx.complete_bipartite_graph(require_count("left", left), require_count("right", right))


def static_exponential(n_agents: int) -> nx.Graph:
    """Agents joined with those 1, 2, 4, 8, ... places away: i with i ± 2^k mod Q, 2^k < Q.

    Parameters, Returns and Raises as in :func:`cycle`; degree about 2 log₂ Q, diameter at most log₂ Q.

    Notes
    -----
    This graph is undirected. The literature's static exponential graph sends from i to i + 2^k only; it is
    another graph, with other weights. For that one, pass your own ``networkx.DiGraph``.

    References
    ----------
    Ying, Yuan, Chen, Hu, Pan, Yin: Exponential graph is provably efficient for decentralized deep training,
    arXiv:2110.13363 (the directed version).

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.static_exponential(8).neighbors(0))
    [1, 2, 4, 6, 7]
    """
    size = require_count("n_agents", n_agents)
    return _circulant(size, [2**k for k in range(size.bit_length())])


def joined(n_agents: int, edges: Iterable[tuple[int, int]]) -> nx.Graph:
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(n_agents))
    graph.add_edges_from(edges)
    return graph


def _circulant(n_agents: int, offsets: list[int]) -> nx.Graph:
    # an offset that is 0 mod Q would join an agent with itself
    return joined(n_agents, ((i, (i + k) % n_agents) for k in offsets if k % n_agents for i in range(n_agents)))


def _lattice(rows: int, columns: int, *, periodic: bool) -> nx.Graph:
    import networkx as nx

    shape = require_count("rows", rows), require_count("columns", columns)
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(*shape, periodic=periodic))
