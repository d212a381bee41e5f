"""Whether all agents on a graph can learn together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import GraphError, refuse, require

if TYPE_CHECKING:
    import networkx as nx


def check(graph: Any) -> nx.Graph:
    """The same graph, after making sure that all agents on it can learn together.

    Parameters
    ----------
    graph : networkx.Graph or networkx.DiGraph
        Connected, a DiGraph strongly connected; one lone node is fine.

    Returns
    -------
    networkx.Graph or networkx.DiGraph
        ``graph`` itself, unchanged.

    Raises
    ------
    GraphError
        Not such a graph, parallel edges, no node, agents without a neighbour, or several components.

    Notes
    -----
    Linear in nodes and edges. A self-loop is no neighbour.

    Examples
    --------
    >>> import networkx
    >>> from ntkflow import graphs
    >>> graphs.check(networkx.Graph([(0, 1), (2, 3)]))
    Traceback (most recent call last):
    ntkflow.errors.GraphError: graph: expected one component, found 2: {0, 1}, {2, 3}; add an edge between them
    """
    import networkx as nx

    kind, build = type(graph).__name__, "build one with ntkflow.graphs or networkx.Graph(edges)"
    require(isinstance(graph, nx.Graph), "graph", "a networkx.Graph or DiGraph", kind, build, GraphError)
    merge = "merge parallel edges with networkx.Graph(graph)"
    require(not graph.is_multigraph(), "graph", "at most one edge between two agents", kind, merge, GraphError)
    require(len(graph) > 0, "graph", "at least one agent", "a graph without nodes", build, GraphError)
    alone = _lonely(graph) if len(graph) > 1 else []
    remedy = "join them with the others or remove them"
    require(not alone, "graph", "a neighbour for every agent", f"none for {_shown(alone)}", remedy, GraphError)
    _require_one_component(graph)
    return graph


def _lonely(graph: nx.Graph) -> list[Any]:
    joined = {node for edge in graph.edges if edge[0] != edge[1] for node in edge}
    return [node for node in graph if node not in joined]


def _require_one_component(graph: nx.Graph) -> None:
    import networkx as nx

    directed = graph.is_directed()
    parts = list(nx.strongly_connected_components(graph) if directed else nx.connected_components(graph))
    if len(parts) == 1:
        return
    place = {node: i for i, node in enumerate(graph)}
    members = sorted((sorted(part, key=place.__getitem__) for part in parts), key=lambda part: place[part[0]])
    found = f"{len(parts)}: " + _shortened([f"{{{_shown(part)}}}" for part in members])
    kind, edge = ("strongly connected component", "edges both ways") if directed else ("component", "an edge")
    refuse("graph", f"one {kind}", found, f"add {edge} between them", GraphError)


def _shown(nodes: list[Any]) -> str:
    return _shortened([repr(node) for node in nodes])


def _shortened(words: list[str], limit: int = 6) -> str:
    more = f", ... ({len(words)} in all)" if len(words) > limit else ""
    return ", ".join(words[:limit]) + more
