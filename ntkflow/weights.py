"""How much each agent listens to each other one: mixing matrices, the gate they pass, and their audit.

``W[i, j]`` is the weight that agent i gives to agent j; the rows follow ``list(graph.nodes)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, eps, eye, namespace
from ._audit import SLACK, Matrix, MixingAudit, Property, audit, hearing, require_square, row_remedy
from .errors import GraphError, MixingError, plain_name, refuse, require, require_choice, require_number

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "NAMES", "MixingAudit", "Property", "audit", "equal", "laplacian", "lazy", "max_degree", "metropolis_hastings",
    "named", "require_mixing",
]  # fmt: skip


def metropolis_hastings(graph: nx.Graph) -> Matrix:
    """Metropolis-Hastings weights: W_ij = 1 / (1 + max(d_i, d_j)) on edges, the rest of each row on the diagonal.

    Parameters
    ----------
    graph : networkx.Graph
        Connected; d_i is the number of neighbours of agent i.

    Returns
    -------
    (Q, Q) numpy array
        Symmetric, doubly stochastic, primitive; every diagonal entry is positive.

    Raises
    ------
    GraphError
        When :func:`ntkflow.graphs.check` refuses the graph, or it is directed.

    Notes
    -----
    Each agent needs the degrees of its neighbours only.

    References
    ----------
    Xiao, Boyd, Lall: A scheme for robust distributed sensor fusion based on average consensus, IPSN 2005,
    doi:10.1109/IPSN.2005.1440896.
    Xiao, Boyd, Lall: Distributed average consensus with time-varying Metropolis weights, 2006,
    https://stanford.edu/~boyd/papers/avg_metropolis.html.

    Examples
    --------
    >>> from ntkflow import graphs, weights
    >>> weights.metropolis_hastings(graphs.path(2))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    A = _undirected(graph, "Metropolis-Hastings weights")
    degree = A.sum(axis=1)
    W = A / (1 + np.maximum(degree[:, None], degree[None, :]))
    return W + np.diag(1 - W.sum(axis=1))


def max_degree(graph: nx.Graph) -> Matrix:
    """Maximum-degree weights: W = I − L / d_max, with L the graph's Laplacian.

    Parameters, Returns and Raises as in :func:`metropolis_hastings`; diagonal entries may be zero here.

    Notes
    -----
    λ_min(W) = −1 on regular bipartite graphs (even cycles, hypercubes): W is not primitive there and plain
    averaging oscillates for ever. :func:`lazy` repairs it.

    References
    ----------
    Xiao, Boyd: Fast linear iterations for distributed averaging, doi:10.1016/j.sysconle.2004.02.022.

    Examples
    --------
    >>> from ntkflow import graphs, weights
    >>> weights.max_degree(graphs.path(3))
    array([[0.5, 0.5, 0. ],
           [0.5, 0. , 0.5],
           [0. , 0.5, 0.5]])
    """
    A = _undirected(graph, "maximum-degree weights")
    degree = A.sum(axis=1)
    largest = max(degree.max(), 1.0)  # a lone agent has d_max = 0 and W = [[1]]
    # divided, not 1 - the row's sum: an agent of largest degree gets exactly 0, on which primitivity hinges
    return A / largest + np.diag(1 - degree / largest)


def laplacian(graph: nx.Graph, step: float | None = None) -> Matrix:
    """Constant edge weights: W = I − step · L, with L the graph's Laplacian.

    Parameters
    ----------
    graph : networkx.Graph
        Connected.
    step : float, optional
        Positive weight of each edge; left out, the best constant 2 / (λ_2(L) + λ_Q(L)), λ ascending.

    Returns
    -------
    (Q, Q) numpy array
        Symmetric, rows and columns sum to 1; entries of the diagonal may be negative.

    Raises
    ------
    GraphError, InputError
        As in :func:`metropolis_hastings`; when ``step`` is not a positive finite number.

    Notes
    -----
    The best constant minimises the second largest modulus of W's eigenvalues among all constants and costs one
    symmetric eigenvalue problem, O(Q³). Averaging diverges when step > 2 / λ_Q(L).

    References
    ----------
    Xiao, Boyd: Fast linear iterations for distributed averaging, doi:10.1016/j.sysconle.2004.02.022.

    Examples
    --------
    >>> from ntkflow import graphs, weights
    >>> weights.laplacian(graphs.cycle(4), step=0.25)
    array([[0.5 , 0.25, 0.  , 0.25],
           [0.25, 0.5 , 0.25, 0.  ],
           [0.  , 0.25, 0.5 , 0.25],
           [0.25, 0.  , 0.25, 0.5 ]])
    """
    A = _undirected(graph, "Laplacian weights")
    alpha = _best_constant(A) if step is None else require_number("step", step, 0.0, open_low=True)
    return alpha * A + np.diag(1 - alpha * A.sum(axis=1))


def equal(graph: nx.Graph) -> Matrix:
    """Equal weights: W_ij = 1 / (1 + d_i) for agent i itself and for each of the d_i agents it hears.

    Parameters
    ----------
    graph : networkx.Graph or networkx.DiGraph
        (Strongly) connected. A directed edge j → i carries agent j's parameters to agent i, so the predecessors
        of i are the agents it hears and d_i is its in-degree.

    Returns
    -------
    (Q, Q) numpy array
        Row-stochastic and primitive; columns sum to 1 only when the graph is regular (or by luck).
        Errors as in :func:`metropolis_hastings`, but a directed graph is welcome.

    Notes
    -----
    Without columns that sum to 1 the agents agree on a weighted mean instead of the plain one.

    Examples
    --------
    >>> import networkx as nx
    >>> from ntkflow import weights
    >>> weights.equal(nx.DiGraph([(0, 1), (1, 2), (2, 0)]))
    array([[0.5, 0. , 0.5],
           [0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    heard = hearing(graph) + np.eye(len(graph))
    return heard / heard.sum(axis=1, keepdims=True)


def lazy(W: Array) -> Array:
    """Lazy weights: ½ (I + W), every agent keeps half of its own.

    Parameters
    ----------
    W : (Q, Q) array
        A mixing matrix, of any library of the array standard.

    Returns
    -------
    (Q, Q) array
        In the library, dtype and device of ``W``. Eigenvalues λ become (1 + λ)/2: a symmetric stochastic W turns
        positive semidefinite, a row-stochastic irreducible one primitive.

    Raises
    ------
    MixingError
        As in :func:`require_mixing`.

    Examples
    --------
    >>> from ntkflow import graphs, weights
    >>> weights.lazy(weights.max_degree(graphs.path(2)))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    require_mixing(W)
    return (eye(W.shape[0], W) + W) / 2


def _lazy_metropolis(graph: nx.Graph) -> Matrix:
    W: Matrix = lazy(metropolis_hastings(graph))
    return W


NAMES: Mapping[str, Callable[[nx.Graph], Matrix]] = {
    "metropolis-hastings": metropolis_hastings,
    "max-degree": max_degree,
    "laplacian": laplacian,
    "equal": equal,
    "lazy": _lazy_metropolis,
}
"""The catalogue of the command line: name -> function of the graph; ``lazy`` is lazy Metropolis-Hastings."""


def named(name: str, graph: nx.Graph) -> Matrix:
    """A mixing matrix of the catalogue.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`; upper case and underscores are understood.
    graph : networkx.Graph or networkx.DiGraph
        As the weights' own function wants it.

    Returns
    -------
    (Q, Q) numpy array
        The weights; ``lazy`` stands for ½ (I + W) of the Metropolis-Hastings weights W.

    Raises
    ------
    UnknownNameError, GraphError
        When there is no such name; as the weights' own function.

    Examples
    --------
    >>> from ntkflow import graphs, weights
    >>> weights.named("Max_Degree", graphs.path(2))
    array([[0., 1.],
           [1., 0.]])
    """
    return NAMES[require_choice("weights", plain_name(name, "_", "-"), NAMES)](graph)


def require_mixing(W: Array) -> Array:
    """The same matrix, after making sure that it is square, real, finite and its rows sum to 1.

    Parameters
    ----------
    W : (Q, Q) array
        Of any library of the array standard; it stays where it is.

    Returns
    -------
    (Q, Q) array
        ``W`` itself.

    Raises
    ------
    MixingError
        When it is not such a matrix; the message names the row and its sum.

    Notes
    -----
    Row i may miss 1 by ``8 Q ε max(1, Σ_j |W_ij|)``, ε of the dtype: summing Q numbers rounds by up to
    ``Q ε/2 Σ_j |W_ij|``, once when the weights were made and once here, and a small factor is left over for weights
    that were multiplied together. Everything else about W is reported by :func:`audit`, not refused.

    Examples
    --------
    >>> import numpy as np
    >>> from ntkflow import weights
    >>> weights.require_mixing(np.array([[0.5, 0.5], [0.2, 0.7]]))
    Traceback (most recent call last):
    ntkflow.errors.MixingError: W: expected rows that sum to 1, found 0.9 in row 1; divide each row by its sum
    """
    xp, slack = namespace(require_square(W)), SLACK * W.shape[0] * eps(W)
    sums = xp.sum(W, axis=1)
    if float(xp.max(xp.abs(sums - 1.0))) <= slack:
        return W
    size = xp.sum(xp.abs(W), axis=1)
    excess = xp.abs(sums - 1) - slack * xp.where(size > 1, size, xp.ones_like(size))
    worst = int(xp.argmax(excess))
    if not float(excess[worst]) <= 0:  # so that NaN, from sums that overflow, is refused as well
        found = f"{float(sums[worst]):.10g} in row {worst}"
        if found.startswith("1 "):
            found = f"1 {float(sums[worst]) - 1:+.2g} in row {worst}"
        refuse("W", "rows that sum to 1", found, row_remedy(W, sums), MixingError)
    return W


def _undirected(graph: nx.Graph, what: str) -> Matrix:
    A = hearing(graph)
    remedy = "take weights.equal(graph) or pass your own row-stochastic W"
    require(not graph.is_directed(), "graph", f"an undirected graph for {what}", "a DiGraph", remedy, GraphError)
    return A


def _best_constant(A: Matrix) -> float:
    eigenvalues = np.linalg.eigvalsh(np.diag(A.sum(axis=1)) - A)
    return 2.0 / float(eigenvalues[1] + eigenvalues[-1]) if len(A) > 1 else 1.0
