"""Where the nodes of a network go in a picture."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import networkx as nx


def places(graph: nx.Graph) -> np.ndarray:
    """Where the nodes go, (Q, 2): their ``pos``, around a hub, along a circle, two columns, or a spring model."""
    import networkx as nx

    nodes, plain, Q = list(graph), graph.to_undirected(), len(graph)
    if all("pos" in graph.nodes[node] for node in nodes):
        return np.asarray([graph.nodes[node]["pos"] for node in nodes], dtype=float)[:, :2]
    hubs = [i for i, node in enumerate(nodes) if Q > 3 and plain.number_of_edges() == Q - 1 == plain.degree(node)]
    if hubs:
        return np.insert(_circle(Q - 1), hubs[0], 0.0, axis=0)
    if all(plain.has_edge(a, b) for a, b in pairwise(nodes)):
        closed = Q < 3 or plain.has_edge(nodes[0], nodes[-1])
        return _circle(Q) if closed else _circle(Q + 1)[:Q]
    left, right = nx.bipartite.sets(plain) if nx.is_bipartite(plain) else (set(), set())
    if left and plain.number_of_edges() == len(left) * len(right):
        column = {node: [n for n in nodes if n in side] for side in (left, right) for node in side}
        height = [1 - 2 * (column[node].index(node) + 0.5) / len(column[node]) for node in nodes]
        return np.stack([np.asarray([0.8 if node in right else -0.8 for node in nodes]), np.asarray(height)], axis=1)
    places = nx.spring_layout(plain, seed=0, iterations=300)
    return np.asarray([places[node] for node in nodes])


def _circle(count: int) -> np.ndarray:
    angle = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
