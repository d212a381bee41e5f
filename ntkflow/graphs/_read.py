"""Graphs from a matrix or a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, GraphError, require, require_path
from ._check import check
from ._random import ordered

if TYPE_CHECKING:
    import networkx as nx

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")


def from_adjacency(matrix: Any) -> nx.Graph:
    """The graph of a square matrix: an edge i → j wherever ``matrix[i, j]`` is not zero.

    Parameters
    ----------
    matrix : (Q, Q) array or nested list
        Non-negative and finite; the diagonal is ignored.

    Returns
    -------
    networkx.Graph or networkx.DiGraph
        With the nodes 0 ... Q-1; directed when the pattern of the non-zeros is not symmetric. The values
        themselves are not kept.

    Raises
    ------
    GraphError
        When the matrix is not of this kind, or :func:`check` refuses the graph.

    Notes
    -----
    In a directed graph an edge i → j carries agent i's parameters to agent j.

    Examples
    --------
    >>> from ntkflow import graphs
    >>> sorted(graphs.from_adjacency([[0, 1, 0], [1, 0, 2], [0, 2, 0]]).edges)
    [(0, 1), (1, 2)]
    """
    import networkx as nx

    joined = _adjacency(matrix) != 0
    np.fill_diagonal(joined, False)
    graph = nx.Graph() if np.array_equal(joined, joined.T) else nx.DiGraph()
    graph.add_nodes_from(range(len(joined)))
    graph.add_edges_from(np.argwhere(joined).tolist())
    return check(graph)


def from_edge_list(path: str | Path) -> nx.Graph:
    r"""The undirected graph in a text file with two labels a line.

    Parameters
    ----------
    path : str or pathlib.Path
        File in UTF-8; labels without spaces, blank lines everything after ``#`` and self-loops ignored.

    Returns
    -------
    networkx.Graph
        Connected. Labels that are all whole numbers become integers and are sorted; other labels stay strings in
        the order of their first appearance. Row i of a mixing matrix is the i-th of ``list(graph.nodes)``.

    Raises
    ------
    DataError
        When the file cannot be read, holds no edge, or has a line without exactly two labels.
    GraphError
        When :func:`check` refuses the graph.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from ntkflow import graphs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "edges.txt")
    ...     _ = file.write_text("# Italy\nRome Pisa\nPisa Turin\n")
    ...     list(graphs.from_edge_list(file))
    ['Rome', 'Pisa', 'Turin']
    """
    import networkx as nx

    edges = list(_edges(require_path("path", path)))
    require(bool(edges), str(path), "at least one edge", "none", "write two labels a line, such as: 0 1", DataError)
    graph = nx.Graph()
    graph.add_edges_from(edges)
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    if not all(_WHOLE.fullmatch(label) for label in graph):
        return check(graph)
    return check(ordered(nx.relabel_nodes(graph, int)))


def _adjacency(matrix: Any) -> np.ndarray:
    expected, remedy = "a square array of numbers", "pass a (Q, Q) numpy array"
    try:
        array = np.asarray(matrix)
    except (TypeError, ValueError) as error:
        raise GraphError(f"matrix: expected {expected}, found {type(matrix).__name__}; {remedy}") from error
    found = f"shape {array.shape} of {array.dtype}"
    square = array.ndim == 2 and array.shape[0] == array.shape[1] and array.dtype.kind in "buif"
    require(square, "matrix", expected, found, remedy, GraphError)
    proper = bool(np.all(np.isfinite(array)) and np.all(array >= 0))
    found = "a negative, NaN or infinite entry"
    require(proper, "matrix", "non-negative finite entries", found, "use 1 for an edge and 0 for none", GraphError)
    return np.asarray(array)


def _edges(path: Path) -> Iterable[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a null in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: expected a readable text file, found: {reason}; check the path") from error
    for number, line in enumerate(lines, start=1):
        labels = line.partition("#")[0].split()
        if labels:
            found = f"{len(labels)} in {line.strip()[:60]!r}"
            require(len(labels) == 2, f"{path}, line {number}", "two labels", found, "write one edge a line", DataError)
            yield labels[0], labels[1]
