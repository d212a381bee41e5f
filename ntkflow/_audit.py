"""What a mixing matrix has and has not, measured; and what every matrix must be before that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import graphs
from ._array import Array, all_finite, eps, is_real_floating, namespace, namespace_or_none, to_numpy
from .errors import MixingError, require, require_choice

if TYPE_CHECKING:
    import networkx as nx

Matrix = npt.NDArray[np.float64]
SLACK = 8  # rounding errors allowed, in units of the bound that each check names


@dataclass(frozen=True, eq=False)
class Property:
    """One line of an audit: a name, whether it holds (None: not asked), the measured number, what it means."""

    name: str
    holds: bool | None
    value: float | None
    explanation: str


@dataclass(frozen=True, eq=False)
class MixingAudit:
    """What a mixing matrix has and has not; made by :func:`audit`.

    ``audit[name]`` is a :class:`Property`, ``audit.holds(name)`` its verdict; print it to read all of them.
    """

    n_agents: int
    properties: tuple[Property, ...]

    def __getitem__(self, name: str) -> Property:
        known = {p.name: p for p in self.properties}
        return known[require_choice("property", name, known)]

    def holds(self, name: str) -> bool | None:
        """Whether the property holds; None when it could not be asked."""
        return self[name].holds

    @property
    def doubly_stochastic(self) -> bool:
        """Non-negative, and rows and columns sum to 1."""
        return all(self.holds(name) for name in ("non_negative", "row_stochastic", "column_stochastic"))

    @property
    def lambda_2(self) -> float:
        """The largest eigenvalue (largest modulus when W is not symmetric) beside the agents' agreement."""
        return self._number("lambda_2")

    @property
    def lambda_min(self) -> float:
        """The smallest eigenvalue (smallest real part when W is not symmetric)."""
        return self._number("lambda_min")

    @property
    def spectral_gap(self) -> float:
        """1 minus the second largest modulus of an eigenvalue: the rate at which agents come to agree."""
        return self._number("spectral_gap")

    def _number(self, name: str) -> float:
        value = self[name].value
        return math.nan if value is None else value

    def text(self) -> str:
        """The audit as a plain table, one property a line."""
        verdict = {True: "yes", False: "no", None: "-"}
        rows = [("property", "holds", "value", "measured")]
        for p in self.properties:
            rows.append((p.name, verdict[p.holds], "-" if p.value is None else f"{p.value:.6g}", p.explanation))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        pad = "  ".join(f"{{:{width}}}" for width in widths) + "  {}"
        return "\n".join(pad.format(*row) for row in rows)

    def __str__(self) -> str:
        return self.text()


def audit(W: Array, graph: nx.Graph | None = None) -> MixingAudit:
    """Measure everything that the theorems ask of a mixing matrix.

    Parameters
    ----------
    W : (Q, Q) array
        Any square, finite, real matrix, whether or not its rows sum to 1.
    graph : networkx.Graph or networkx.DiGraph, optional
        The network that W should respect: W_ij ≠ 0 only on edges (j → i when directed) and the diagonal.

    Returns
    -------
    MixingAudit
        With the properties ``non_negative``, ``row_stochastic``, ``column_stochastic``, ``symmetric``, ``support``,
        ``connected``, ``primitive``, ``lambda_2``, ``lambda_min``, ``spectral_gap``, ``positive_definite``.

    Raises
    ------
    MixingError
        When W is not square, real and finite, or has another number of agents than the graph.
    GraphError
        When :func:`ntkflow.graphs.check` refuses the graph.

    Notes
    -----
    Measured in NumPy, on the host, whatever the library and device of W.

    O(Q³), on the CPU in double precision whatever library W belongs to. Tolerances follow the dtype of W; an
    entry up to ``8 ε max(1, max |W|)`` counts as zero: a diagonal made as 1 minus the rest is off by that much.
    One eigenvalue, the nearest to 1, belongs to the agents' agreement; λ_2 and the gap are about the others, and a
    lone agent has λ_2 = 0 and gap 1. For a W with negative entries, ``primitive`` is decided from the eigenvalues.
    Eigenvalues of a strongly non-normal W are ill-conditioned: a k-fold defective one is blurred by about ε^(1/k).

    References
    ----------
    Horn, Johnson: Matrix analysis, second edition, section 8.5 (primitive matrices).

    Examples
    --------
    >>> from ntkflow import graphs, weights
    >>> report = weights.audit(weights.max_degree(graphs.cycle(4)))
    >>> report.doubly_stochastic, report.holds("primitive"), round(report.lambda_min, 12)
    (True, False, -1.0)
    >>> print(report["connected"].explanation)
    strongly connected components of the support
    """
    M = to_numpy(require_square(W)).astype(np.float64)
    ulp = eps(W)
    floor = SLACK * ulp * max(1.0, float(np.abs(M).max()))
    entries = (
        Property("non_negative", bool(M.min() >= -floor), float(M.min()), "smallest entry"),
        _sums("row_stochastic", M, ulp, "largest |row sum - 1|"),
        _sums("column_stochastic", M.T, ulp, "largest |column sum - 1|"),
        _symmetry(M, floor),
        _off_graph(M, graph, floor),
    )
    spectrum = _Spectrum.of(M, ulp, symmetric=bool(entries[3].holds))
    links = _links(np.abs(M) > floor, spectrum, non_negative=bool(entries[0].holds))
    return MixingAudit(len(M), (*entries, *links, *spectrum.properties(), _definite(M, spectrum.tolerance)))


def hearing(graph: nx.Graph) -> Matrix:
    """1.0 at (i, j) where agent i hears its neighbour j, else 0.0."""
    import networkx as nx

    A = np.array(nx.to_numpy_array(graphs.check(graph), weight=None, dtype=np.float64).T)
    np.fill_diagonal(A, 0.0)
    return A


def require_square(W: Array) -> Array:
    """A square, real, finite matrix, of whatever library."""
    kind = type(W).__name__
    usable = namespace_or_none(W) is not None and not isinstance(W, np.matrix)
    graph = hasattr(W, "nodes")
    remedy = "ntkflow.weights.metropolis_hastings(graph) makes one" if graph else "convert it with numpy.asarray"
    require(usable, "W", "an array", kind, remedy + (" (W.toarray())" if hasattr(W, "toarray") else ""), MixingError)
    shape = tuple(W.shape)
    square = len(shape) == 2 and shape[0] == shape[1] and shape[0] > 0
    require(square, "W", "a square matrix", f"shape {shape}", "give it one row and column an agent", MixingError)
    remedy = "convert it to float64"
    require(is_real_floating(W), "W", "real floating numbers", f"dtype {W.dtype}", remedy, MixingError)
    require(all_finite(W), "W", "finite weights", "NaN or infinity", "replace those entries", MixingError)
    return W


def row_remedy(W: Array, sums: Array) -> str:
    xp = namespace(W)
    tolerance = SLACK * W.shape[0] * eps(W)
    if bool(xp.all(xp.abs(xp.sum(W, axis=0) - 1) <= tolerance)):
        return "its columns do, so pass the transpose"
    if bool(xp.any(xp.abs(sums) <= tolerance)):
        return "make weights from the graph, such as ntkflow.weights.metropolis_hastings"
    return "divide each row by its sum"


def _sums(name: str, M: Matrix, ulp: float, explanation: str) -> Property:
    deviation = np.abs(M.sum(axis=1) - 1)
    tolerance = SLACK * len(M) * ulp * np.maximum(1.0, np.abs(M).sum(axis=1))
    return Property(name, bool(np.all(deviation <= tolerance)), float(deviation.max()), explanation)


def _symmetry(M: Matrix, floor: float) -> Property:
    difference = float(np.abs(M - M.T).max())
    return Property("symmetric", difference <= floor, difference, "largest |W - W^T|")


def _off_graph(M: Matrix, graph: nx.Graph | None, floor: float) -> Property:
    if graph is None:
        return Property("support", None, None, "largest |weight| off the graph: no graph was given")
    allowed = hearing(graph) + np.eye(len(graph))
    found, remedy = f"{len(M)} rows and {len(allowed)} nodes", "W and the graph must be about the same agents"
    require(len(M) == len(allowed), "W", "one row for each node of the graph", found, remedy, MixingError)
    largest = float(np.abs(M[allowed == 0]).max(initial=0.0))
    return Property("support", largest <= floor, largest, "largest |weight| off the graph")


def _links(support: npt.NDArray[np.bool_], spectrum: _Spectrum, *, non_negative: bool) -> tuple[Property, Property]:
    from scipy.sparse.csgraph import connected_components

    count = int(connected_components(support, directed=True, connection="strong")[0])
    connected = Property("connected", count == 1, float(count), "strongly connected components of the support")
    if not non_negative:
        # Perron and Frobenius do not apply: what is left of primitivity is that the powers of W settle
        text = "second largest modulus: decided from eigenvalues, as some weights are negative"
        return connected, Property("primitive", spectrum.dominated, spectrum.second, text)
    if count > 1:
        return connected, Property("primitive", False, None, "period of the support: none, it is reducible")
    period = _period(support)
    return connected, Property("primitive", period == 1, float(period), "period of the support: gcd of its cycles")


def _period(support: npt.NDArray[np.bool_]) -> int:
    """The gcd of the lengths of all cycles of a strongly connected pattern."""
    level = np.full(len(support), -1)
    frontier = np.arange(len(support)) == 0
    depth = 0
    while frontier.any():
        level[frontier] = depth
        frontier = support[frontier].any(axis=0) & (level < 0)
        depth += 1
    # Each edge that is not in the search tree closes a cycle up to this difference of lengths,
    # and those differences generate the same group of integers as the cycles themselves.
    tail, head = np.nonzero(support)
    return int(np.gcd.reduce(level[tail] + 1 - level[head]))


@dataclass(frozen=True, eq=False)
class _Spectrum:
    agreement: complex
    others: npt.NDArray[Any]
    smallest: float
    tolerance: float
    symmetric: bool

    @classmethod
    def of(cls, M: Matrix, ulp: float, *, symmetric: bool) -> _Spectrum:
        eigenvalues = np.linalg.eigvalsh((M + M.T) / 2) if symmetric else np.linalg.eigvals(M)
        first = int(np.argmin(np.abs(eigenvalues - 1)))
        size = max(1.0, float(np.sqrt(np.linalg.norm(M, 1) * np.linalg.norm(M, np.inf))))
        # the entries were rounded to W's dtype, the eigenvalues in double precision
        tolerance = SLACK * (ulp + len(M) * float(np.finfo(np.float64).eps)) * size
        others = np.delete(eigenvalues, first)
        return cls(complex(eigenvalues[first]), others, float(eigenvalues.real.min()), tolerance, symmetric)

    @property
    def second(self) -> float:
        return float(np.abs(self.others).max(initial=0.0))

    @property
    def dominated(self) -> bool:
        return self.second < abs(self.agreement) - self.tolerance

    def properties(self) -> tuple[Property, Property, Property]:
        slack, gap = self.tolerance, 1 - self.second
        if self.symmetric:
            lambda_2 = float(self.others.max()) if self.others.size else 0.0
            second, low = "second largest eigenvalue, < 1", "smallest eigenvalue, > -1"
        else:
            lambda_2 = self.second
            second, low = "second largest modulus (W not symmetric), < 1", "smallest real part (W not symmetric), > -1"
        return (
            Property("lambda_2", lambda_2 < 1 - slack, lambda_2, second),
            Property("lambda_min", self.smallest > -1 + slack, self.smallest, low),
            Property("spectral_gap", gap > slack, gap, "1 - second largest modulus, > 0"),
        )


def _definite(M: Matrix, tolerance: float) -> Property:
    smallest = float(np.linalg.eigvalsh((M + M.T) / 2)[0])
    return Property("positive_definite", smallest > tolerance, smallest, "smallest eigenvalue of (W + W^T)/2, > 0")
