"""Mixing matrices against closed forms, and their audit against independent routes."""

import itertools

import networkx as nx
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import is_at_home

from ntkflow import graphs, weights
from ntkflow._array import to_numpy
from ntkflow.errors import GraphError, InputError, MixingError, UnknownNameError

SYMMETRIC = [weights.metropolis_hastings, weights.max_degree, weights.laplacian]


@st.composite
def connected_graphs(draw, max_agents=9):
    """A random spanning tree, random further edges, and nodes listed in a random order."""
    size = draw(st.integers(1, max_agents))
    tree = [(i, draw(st.integers(0, i - 1))) for i in range(1, size)]
    more = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=12))
    graph = nx.Graph()
    graph.add_nodes_from(draw(st.permutations(range(size))))
    graph.add_edges_from(tree + more)  # self-loops may be among them
    return graph


def ring(size):
    return np.cos(2 * np.pi * np.arange(size) / size)


def same_spectrum(W, expected):
    np.testing.assert_allclose(np.linalg.eigvalsh(W), np.sort(expected), atol=1e-13)


# --- closed forms


@pytest.mark.parametrize("size", [3, 4, 5, 8, 17])
def test_metropolis_on_a_cycle(size):
    same_spectrum(weights.metropolis_hastings(graphs.cycle(size)), (1 + 2 * ring(size)) / 3)


@pytest.mark.parametrize("size", [1, 2, 5, 10])
def test_metropolis_on_the_complete_graph_averages_at_once(size):
    np.testing.assert_allclose(weights.metropolis_hastings(graphs.complete(size)), np.full((size, size), 1 / size))


@pytest.mark.parametrize("size", [2, 3, 8])
def test_metropolis_on_a_star(size):
    same_spectrum(weights.metropolis_hastings(graphs.star(size)), [1, 0] + [1 - 1 / size] * (size - 2))


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_hypercube(dimension):
    # L = a sum of d edges' Laplacians, eigenvalue 2 for each digit that differs
    ones = np.array([sum(digits) for digits in itertools.product((0, 1), repeat=dimension)])
    same_spectrum(weights.metropolis_hastings(graphs.hypercube(dimension)), 1 - 2 * ones / (dimension + 1))
    same_spectrum(weights.max_degree(graphs.hypercube(dimension)), 1 - 2 * ones / dimension)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (4, 6)])
def test_torus(shape):
    cosines = ring(shape[0])[:, None] + ring(shape[1])[None, :]
    same_spectrum(weights.metropolis_hastings(graphs.torus(*shape)), (1 + 2 * cosines.ravel()) / 5)
    same_spectrum(weights.laplacian(graphs.torus(*shape), step=0.1), 1 - 0.1 * (4 - 2 * cosines.ravel()))


@pytest.mark.parametrize("size", [2, 5, 9])
def test_laplacian_on_a_path(size):
    same_spectrum(weights.laplacian(graphs.path(size), 0.3), 1 - 0.6 * (1 - np.cos(np.pi * np.arange(size) / size)))


@pytest.mark.parametrize(
    "graph", [graphs.cycle(4), graphs.cycle(10), graphs.hypercube(3), graphs.complete_bipartite(3, 3)]
)
def test_max_degree_oscillates_on_regular_bipartite_graphs(graph):
    report = weights.audit(weights.max_degree(graph), graph)
    assert report.lambda_min == pytest.approx(-1, abs=1e-13)
    assert report["primitive"].value == 2
    assert not any(report.holds(name) for name in ("primitive", "lambda_min", "spectral_gap", "positive_definite"))
    lazy = weights.audit(weights.lazy(weights.max_degree(graph)), graph)
    assert lazy.holds("primitive")
    assert lazy.lambda_min == pytest.approx(0, abs=1e-13)
    assert lazy.lambda_2 == pytest.approx((1 + report.lambda_2) / 2)


def test_max_degree_diagonal_is_exactly_zero_where_the_degree_is_largest():
    # (1/49) * 49 is not 1 in floating point
    W = weights.max_degree(graphs.complete_bipartite(49, 49))
    assert np.all(np.diag(W) == 0)


# --- the best constant


def networkx_laplacian(graph):
    loopless = nx.create_empty_copy(graph)
    loopless.add_edges_from(edge for edge in graph.edges if edge[0] != edge[1])
    return nx.laplacian_matrix(loopless).toarray().astype(float)


@settings(max_examples=30, deadline=None)
@given(connected_graphs())
def test_best_constant_is_the_best(graph):
    def second_modulus(step):
        return np.linalg.norm(np.eye(len(graph)) - step * L - 1 / len(graph), 2)

    L = networkx_laplacian(graph)
    best = scipy.optimize.minimize_scalar(second_modulus, bounds=(0, 2), method="bounded", options={"xatol": 1e-12})
    W = weights.laplacian(graph)
    second = np.linalg.norm(W - 1 / len(graph), 2)
    assert second == pytest.approx(best.fun, abs=1e-7)
    assert 1 - weights.audit(W).spectral_gap == pytest.approx(second, abs=1e-12)


@given(connected_graphs(), st.floats(1e-3, 2))
def test_laplacian_against_networkx(graph, step):
    expected = np.eye(len(graph)) - step * networkx_laplacian(graph)
    np.testing.assert_allclose(weights.laplacian(graph, step), expected, atol=1e-14)


# --- random graphs


@pytest.mark.parametrize("make", SYMMETRIC)
@given(graph=connected_graphs())
def test_symmetric_doubly_stochastic_on_the_graph(make, graph):
    W = make(graph)
    assert W.dtype == np.float64
    np.testing.assert_array_equal(W, W.T)
    np.testing.assert_allclose(W.sum(axis=1), 1, rtol=0, atol=1e-14)
    for (i, a), (j, b) in itertools.permutations(enumerate(graph.nodes), 2):
        assert (W[i, j] > 0) == graph.has_edge(a, b)
    report = weights.audit(weights.require_mixing(W), graph)
    assert report.holds("symmetric")
    assert report.holds("support")
    assert report.holds("connected")
    if make is not weights.laplacian:
        assert report.doubly_stochastic


@given(connected_graphs())
def test_metropolis_entry_by_entry(graph):
    W, nodes = weights.metropolis_hastings(graph), list(graph)
    degree = {a: len(set(graph.neighbors(a)) - {a}) for a in graph}
    for a, b in graph.edges:
        if a != b:
            assert W[nodes.index(a), nodes.index(b)] == pytest.approx(1 / (1 + max(degree[a], degree[b])))
    assert np.all(np.diag(W) > 0)
    assert weights.audit(W, graph).holds("primitive")


@given(connected_graphs())
def test_lazy_is_positive_semidefinite(graph):
    W = weights.metropolis_hastings(graph)
    np.testing.assert_allclose(np.linalg.eigvalsh(weights.lazy(W)), (1 + np.linalg.eigvalsh(W)) / 2, atol=1e-14)
    np.testing.assert_array_equal(weights.named("Lazy", graph), weights.lazy(W))


def test_equal_weights_follow_the_direction_of_the_parameters():
    graph = nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)])  # agent 2 hears 0 and 1
    W = weights.equal(graph)
    np.testing.assert_allclose(W, [[1 / 2, 0, 1 / 2], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]])
    report = weights.audit(W, graph)
    assert report.holds("support")
    assert report.holds("row_stochastic")
    assert report.holds("primitive")
    assert not report.doubly_stochastic
    assert not report.holds("symmetric")
    assert not weights.audit(W.T, graph).holds("support")


@given(connected_graphs())
def test_equal_weights_average_the_neighbourhood(graph):
    nodes = list(graph)
    for i, row in enumerate(weights.equal(graph)):
        near = {nodes.index(b) for b in graph.neighbors(nodes[i])} | {i}
        expected = np.zeros(len(nodes))
        expected[sorted(near)] = 1 / len(near)
        np.testing.assert_allclose(row, expected)


@pytest.mark.parametrize("name", weights.NAMES)
def test_one_agent_keeps_everything(name):
    W = weights.named(name, graphs.complete(1))
    np.testing.assert_array_equal(W, [[1.0]])
    report = weights.audit(W, graphs.complete(1))
    assert report.doubly_stochastic
    assert all(p.holds for p in report.properties)
    assert (report.lambda_2, report.lambda_min, report.spectral_gap) == (0.0, 1.0, 1.0)


# --- other array libraries


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_array_library(xp, dtype):
    W = weights.metropolis_hastings(graphs.grid(3, 4))
    V = xp.asarray(W, dtype=getattr(xp, dtype))
    assert weights.require_mixing(V) is V
    half = weights.lazy(V)
    assert is_at_home(half, xp)
    assert half.dtype == V.dtype
    np.testing.assert_allclose(to_numpy(half), (np.eye(12) + W) / 2, atol=1e-7)
    report, reference = weights.audit(V, graphs.grid(3, 4)), weights.audit(W, graphs.grid(3, 4))
    assert [p.holds for p in report.properties] == [p.holds for p in reference.properties]
    assert report.lambda_2 == pytest.approx(reference.lambda_2, abs=1e-6)
    with pytest.raises(MixingError, match=r"0\.5 in row 0"):
        weights.require_mixing(V * 0 + xp.eye(12, dtype=V.dtype) / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 10, 300])
def test_the_tolerance_lets_honest_rounding_through(dtype, size):
    raw = np.random.default_rng(0).random((size, size)).astype(dtype)
    W = raw / raw.sum(axis=1, keepdims=True)
    weights.require_mixing(W)
    weights.require_mixing(W @ W @ W)
    for make in (weights.metropolis_hastings, weights.max_degree, weights.laplacian):
        weights.require_mixing(make(graphs.star(size)).astype(dtype))


def test_the_tolerance_stops_printed_decimals():
    with pytest.raises(MixingError, match=r"0\.9999 in row 0"):
        weights.require_mixing(np.full((3, 3), 0.3333))


# --- primitivity


def wielandt(pattern):
    """Primitive if and only if the power Q² − 2Q + 2 is positive, with Boolean arithmetic."""
    power = np.eye(len(pattern), dtype=int)
    for _ in range(len(pattern) ** 2 - 2 * len(pattern) + 2):
        power = (power @ pattern > 0).astype(int)
    return bool(np.all(power > 0))


@settings(max_examples=300)
@given(st.integers(1, 6), st.floats(0.1, 0.7), st.integers(0, 2**32 - 1))
def test_primitive_against_wielandt(size, density, seed):
    rng = np.random.default_rng(seed)
    pattern = (rng.random((size, size)) < density).astype(int)
    if seed % 2:  # half of them irreducible, and periodic more often
        np.fill_diagonal(pattern, 0)
        pattern |= np.roll(np.eye(size, dtype=int), 1, axis=1)
    W = pattern * rng.uniform(1e-6, 1, (size, size))
    assert weights.audit(W).holds("primitive") == wielandt(pattern)


@pytest.mark.parametrize(("size", "period"), [(2, 2), (3, 3), (6, 6), (12, 12)])
def test_period_of_a_directed_ring(size, period):
    report = weights.audit(np.roll(np.eye(size), 1, axis=1))
    assert report["primitive"].value == period
    assert report.doubly_stochastic
    assert report.spectral_gap == pytest.approx(0, abs=1e-12)
    assert not report.holds("spectral_gap")


def test_wielandts_own_matrix_is_primitive_with_the_largest_exponent():
    W = np.roll(np.eye(7), 1, axis=1)
    W[-1, :2] = 0.5  # cycles of length 7 and 6
    assert weights.audit(W).holds("primitive")


def test_negative_weights_are_judged_by_eigenvalues():
    graph = graphs.star(6)  # L has the eigenvalues 0, 1, ..., 1, 6
    good, bad = weights.audit(weights.laplacian(graph)), weights.audit(weights.laplacian(graph, step=0.5))
    assert not good.holds("non_negative")
    assert good.holds("primitive")
    assert "eigenvalues" in good["primitive"].explanation
    assert good.spectral_gap == pytest.approx(1 - 5 / 7)
    assert not bad.holds("primitive")
    assert bad.lambda_min == pytest.approx(-2)
    assert bad.spectral_gap == pytest.approx(-1)


# --- the audit


def test_audit_of_a_matrix_that_has_nothing():
    W = np.array([[0.5, -0.4, 0.0], [0.2, 0.1, 0.0], [0.0, 0.0, -3.0]])
    report = weights.audit(W, graphs.path(3))
    assert not any(p.holds for p in report.properties if p.name not in ("support", "lambda_2"))
    assert report["row_stochastic"].value == pytest.approx(4.0)
    assert report["column_stochastic"].value == pytest.approx(4.0)
    assert report["non_negative"].value == -3.0
    assert report["symmetric"].value == pytest.approx(0.6)
    assert report["connected"].value == 2
    assert report["support"].value == 0.0
    assert report.lambda_min == pytest.approx(-3.0)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_audit_of_row_stochastic_matrices(size, seed):
    W = np.random.default_rng(seed).dirichlet(np.ones(size), size)
    report = weights.audit(W)
    moduli = np.sort(np.abs(np.linalg.eigvals(W)))
    assert report.holds("row_stochastic")
    assert report.holds("primitive")
    assert report.spectral_gap == pytest.approx(1 - moduli[-2], abs=1e-10)
    assert report.lambda_2 == pytest.approx(moduli[-2], abs=1e-10)
    assert report["positive_definite"].value == pytest.approx(np.linalg.eigvalsh((W + W.T) / 2)[0], abs=1e-12)


def test_support_names_the_largest_weight_off_the_graph():
    W = weights.metropolis_hastings(graphs.complete(4))
    property_ = weights.audit(W, graphs.cycle(4))["support"]
    assert not property_.holds
    assert property_.value == pytest.approx(0.25)
    assert weights.audit(W)["support"].holds is None


def test_the_reports_values_are_python_numbers():
    for p in weights.audit(weights.equal(graphs.star(5)), graphs.star(5)).properties:
        assert type(p.holds) is bool
        assert type(p.value) is float


def test_text_is_an_aligned_table():
    report = weights.audit(weights.metropolis_hastings(graphs.cycle(5)))
    lines = report.text().splitlines()
    assert len(lines) == 1 + len(report.properties)
    assert str(report) == report.text()
    column = lines[0].index("measured")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)


def test_results_are_frozen_and_compare_by_identity():
    report = weights.audit(np.eye(2))
    with pytest.raises(AttributeError):
        report.n_agents = 3
    assert report != weights.audit(np.eye(2))


# --- refusals

DIRECTED = nx.DiGraph([(0, 1), (1, 2), (2, 0)])
BAD = {
    "list": (lambda: weights.require_mixing([[1.0]]), MixingError, "found list; convert it with numpy.asarray"),
    "number": (lambda: weights.require_mixing(1.0), MixingError, "found float"),
    "nothing": (lambda: weights.require_mixing(None), MixingError, "found NoneType"),
    "numpy matrix": (lambda: weights.require_mixing(scipy.sparse.eye(2).todense()), MixingError, "found matrix"),
    "sparse": (lambda: weights.require_mixing(scipy.sparse.eye(2).tocsr()), MixingError, r"W.toarray\(\)"),
    "vector": (lambda: weights.require_mixing(np.ones(3)), MixingError, r"a square matrix, found shape \(3,\)"),
    "not square": (lambda: weights.require_mixing(np.ones((2, 3))), MixingError, r"shape \(2, 3\)"),
    "empty": (lambda: weights.require_mixing(np.ones((0, 0))), MixingError, r"shape \(0, 0\)"),
    "integers": (lambda: weights.require_mixing(np.eye(2, dtype=int)), MixingError, "dtype int64; convert"),
    "complex": (lambda: weights.require_mixing(np.eye(2) * 1j), MixingError, "dtype complex128"),
    "objects": (lambda: weights.require_mixing(np.eye(2).astype(object)), MixingError, "dtype object"),
    "nan": (lambda: weights.require_mixing(np.array([[np.nan]])), MixingError, "NaN or infinity"),
    "infinite": (lambda: weights.require_mixing(np.array([[np.inf]])), MixingError, "NaN or infinity"),
    "rows": (
        lambda: weights.require_mixing(np.array([[0.5, 0.5], [0.2, 0.7]])),
        MixingError,
        "rows that sum to 1, found 0.9 in row 1; divide each row by its sum",
    ),
    "columns instead": (lambda: weights.require_mixing(weights.equal(graphs.star(4)).T), MixingError, "transpose"),
    "the laplacian": (
        lambda: weights.require_mixing(nx.laplacian_matrix(nx.path_graph(3)).toarray() * 1.0),
        MixingError,
        "found 0 in row 0; make weights from the graph",
    ),
    "lazy of no weights": (lambda: weights.lazy(np.ones((2, 2))), MixingError, "found 2 in row 0"),
    "audit of a list": (lambda: weights.audit([[1.0]]), MixingError, "found list"),
    "audit of nan": (lambda: weights.audit(np.full((2, 2), np.nan)), MixingError, "NaN"),
    "other graph": (lambda: weights.audit(np.eye(3), graphs.path(4)), MixingError, "3 rows and 4 nodes"),
    "split graph": (lambda: weights.audit(np.eye(4), nx.Graph([(0, 1), (2, 3)])), GraphError, "one component"),
    "no such property": (
        lambda: weights.audit(np.eye(1)).holds("symetric"),
        UnknownNameError,
        "did you mean 'symmetric'",
    ),
    "metropolis, directed": (lambda: weights.metropolis_hastings(DIRECTED), GraphError, "Metropolis.*row-stochastic W"),
    "max degree, directed": (lambda: weights.max_degree(DIRECTED), GraphError, "undirected"),
    "laplacian, directed": (lambda: weights.laplacian(DIRECTED), GraphError, "undirected"),
    "no graph": (lambda: weights.metropolis_hastings(np.eye(3)), GraphError, "found ndarray"),
    "isolated": (lambda: weights.equal(nx.empty_graph(2)), GraphError, "none for 0, 1"),
    "step zero": (
        lambda: weights.laplacian(graphs.path(3), 0),
        InputError,
        "step: expected a positive finite number, found 0.0",
    ),
    "step below zero": (lambda: weights.laplacian(graphs.path(1), -0.1), InputError, "found -0.1"),
    "step of text": (lambda: weights.laplacian(graphs.path(3), "best"), InputError, "found 'best'"),
    "misspelt": (lambda: weights.named("metropolis", graphs.path(3)), UnknownNameError, "metropolis-hastings"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_are_one_clear_line(case):
    call, error, match = BAD[case]
    with pytest.raises(error, match=match) as caught:
        call()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
