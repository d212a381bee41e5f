"""Topologies against their textbook degrees, counts and distances, and what is refused."""

import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkflow import graphs
from ntkflow.errors import DataError, GraphError, InputError, UnknownNameError

SHAPES = {  # graph, agents, edges, degrees, diameter
    "cycle": (graphs.cycle(7), 7, 7, {2}, 3),
    "cycle of two": (graphs.cycle(2), 2, 1, {1}, 1),
    "star": (graphs.star(6), 6, 5, {1, 5}, 2),
    "complete": (graphs.complete(6), 6, 15, {5}, 1),
    "path": (graphs.path(5), 5, 4, {1, 2}, 4),
    "grid": (graphs.grid(3, 4), 12, 17, {2, 3, 4}, 5),
    "torus": (graphs.torus(4, 5), 20, 40, {4}, 4),
    "torus of width two": (graphs.torus(2, 3), 6, 9, {3}, 2),
    "hypercube": (graphs.hypercube(4), 16, 32, {4}, 4),
    "bipartite": (graphs.complete_bipartite(2, 5), 7, 10, {2, 5}, 2),
    "exponential": (graphs.static_exponential(16), 16, 56, {7}, 2),
    "regular": (graphs.random_regular(10, 3), 10, 15, {3}, None),
    "erdos": (graphs.erdos_renyi(12, 0.4, seed=3), 12, None, None, None),
    "geometric": (graphs.random_geometric(12, seed=3), 12, None, None, None),
    "small world": (graphs.small_world(12, seed=3), 12, 24, None, None),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case):
    graph, agents, edges, degrees, diameter = SHAPES[case]
    assert list(graph.nodes) == list(range(agents))
    assert all(type(node) is int for node in graph)
    assert type(graph) is nx.Graph
    assert nx.is_connected(graph)
    assert nx.number_of_selfloops(graph) == 0
    assert edges is None or graph.number_of_edges() == edges
    assert degrees is None or {d for _, d in graph.degree} == degrees
    assert diameter is None or nx.diameter(graph) == diameter


@pytest.mark.parametrize(
    "graph",
    [
        graphs.cycle(1),
        graphs.star(1),
        graphs.complete(1),
        graphs.path(1),
        graphs.grid(1, 1),
        graphs.torus(1, 1),
        graphs.hypercube(0),
        graphs.static_exponential(1),
        graphs.erdos_renyi(1, 0.0),
        graphs.random_regular(1, 0),
        graphs.random_geometric(1),
        graphs.small_world(1),
    ],
)
def test_one_agent_stands_alone(graph):
    assert list(graph.nodes) == [0]
    assert graph.number_of_edges() == 0
    assert graphs.check(graph) is graph


def test_products_of_graphs():
    assert nx.is_isomorphic(graphs.torus(3, 4), nx.cartesian_product(graphs.cycle(3), graphs.cycle(4)))
    assert nx.is_isomorphic(graphs.grid(3, 4), nx.cartesian_product(graphs.path(3), graphs.path(4)))
    assert nx.is_isomorphic(graphs.hypercube(4), graphs.torus(4, 4))
    assert set(graphs.torus(1, 5).edges) == set(nx.cycle_graph(5).edges)


def test_grid_is_numbered_row_by_row():
    graph = graphs.grid(3, 4)
    assert sorted(graph.neighbors(1 * 4 + 2)) == [2, 5, 7, 10]


@given(n_agents=st.integers(1, 40))
def test_static_exponential_reaches_powers_of_two_both_ways(n_agents):
    graph = graphs.static_exponential(n_agents)
    steps = [2**k for k in range(10) if 2**k < n_agents]
    for i in range(n_agents):
        expected = {(i + s) % n_agents for s in steps} | {(i - s) % n_agents for s in steps}
        assert set(graph.neighbors(i)) == expected - {i}


RANDOM = {
    "erdos_renyi": lambda seed: graphs.erdos_renyi(20, 0.25, seed),
    "random_regular": lambda seed: graphs.random_regular(20, 3, seed),
    "random_geometric": lambda seed: graphs.random_geometric(20, None, seed),
    "small_world": lambda seed: graphs.small_world(20, 4, 0.5, seed),
}


@pytest.mark.parametrize("case", RANDOM)
def test_the_seed_decides(case):
    draw = RANDOM[case]
    assert list(draw(1).nodes) == list(range(20))
    assert nx.utils.edges_equal(draw(1).edges, draw(1).edges)
    assert len({frozenset(draw(seed).edges) for seed in range(5)}) == 5


def test_sparse_draws_are_repeated_until_connected():
    # at p = log(Q)/Q a single draw is connected with probability near 1/e only
    for seed in range(20):
        assert nx.is_connected(graphs.erdos_renyi(30, np.log(30) / 30, seed))


def test_geometric_edges_are_the_short_distances():
    graph = graphs.random_geometric(25, radius=0.4, seed=1)
    place = np.array([graph.nodes[i]["pos"] for i in graph])
    distance = np.linalg.norm(place[:, None] - place[None], axis=-1)
    expected = {(i, j) for i in range(25) for j in range(i) if distance[i, j] <= 0.4}
    assert {tuple(sorted(edge, reverse=True)) for edge in graph.edges} == expected


def test_small_world_is_complete_when_neighbours_run_out():
    for size in (2, 3, 4, 5):
        assert graphs.small_world(size, neighbours=4).number_of_edges() == size * (size - 1) // 2


@given(st.integers(2, 9), st.randoms(use_true_random=False))
def test_from_adjacency_keeps_the_pattern(size, random):
    A = np.array([[random.choice([0, 0, 2.5]) for _ in range(size)] for _ in range(size)])
    ring = np.roll(np.eye(size), 1, axis=1)
    A = np.where(ring > 0, 1.0, A)  # strongly connected whatever was drawn
    graph = graphs.from_adjacency(A)
    pattern = (A != 0) & ~np.eye(size, dtype=bool)
    assert graph.is_directed() == (not np.array_equal(pattern, pattern.T))
    assert np.array_equal(nx.to_numpy_array(graph) != 0, pattern)
    assert list(graph) == list(range(size))


def test_from_adjacency_takes_other_numbers():
    assert graphs.from_adjacency(np.eye(1)).number_of_edges() == 0
    assert graphs.from_adjacency(~np.eye(3, dtype=bool)).number_of_edges() == 3
    assert not graphs.from_adjacency(np.array([[0, 1], [7, 0]])).is_directed()


@pytest.mark.parametrize(
    ("text", "nodes", "edges"),
    [
        ("0 1\n1 2\n", [0, 1, 2], {(0, 1), (1, 2)}),
        ("\ufeff10 9\n\n# ring\n2\t10   # tab\r\n9 2\n9 9\n9 10", [2, 9, 10], {(2, 9), (2, 10), (9, 10)}),
        ("b a\na 0\n", ["b", "a", "0"], {("b", "a"), ("a", "0")}),
        ("01 1\n", ["01", "1"], {("01", "1")}),
        ("3 3\n", [3], set()),
    ],
)
def test_edge_lists(tmp_path, text, nodes, edges):
    file = tmp_path / "edges.txt"
    file.write_text(text, encoding="utf-8")
    graph = graphs.from_edge_list(str(file))
    assert list(graph.nodes) == nodes
    assert {frozenset(edge) for edge in graph.edges} == {frozenset(edge) for edge in edges}


@pytest.mark.parametrize(
    ("content", "error", "parts"),
    [
        (b"0 1\n\n0 1 0.5\n", DataError, ["line 3", "two labels", "0 1 0.5"]),
        (b"# one\n7\n", DataError, ["line 2", "two labels", "1 in '7'"]),
        (b"", DataError, ["at least one edge"]),
        (b"# nothing\n\n", DataError, ["at least one edge"]),
        (b"\xff\xfe\x00", DataError, ["readable text file", "utf-8"]),
        (b"0 1\n2 3\n", GraphError, ["one component", "{0, 1}, {2, 3}"]),
    ],
)
def test_bad_edge_lists(tmp_path, content, error, parts):
    file = tmp_path / "edges.txt"
    file.write_bytes(content)
    with pytest.raises(error) as caught:
        graphs.from_edge_list(file)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts)


def test_unreadable_edge_lists(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        graphs.from_edge_list(tmp_path / "absent.txt")
    with pytest.raises(DataError, match="readable text file"):
        graphs.from_edge_list(tmp_path)


def _isolated():
    graph = nx.path_graph(3)
    graph.add_edge("lost", "lost")
    graph.add_node(9)
    return graph


BAD = {
    "no graph": (lambda: graphs.check([(0, 1)]), GraphError, "found list"),
    "multigraph": (lambda: graphs.check(nx.MultiGraph([(0, 1), (0, 1)])), GraphError, "parallel"),
    "multidigraph": (lambda: graphs.check(nx.MultiDiGraph([(0, 1), (1, 0)])), GraphError, "MultiDiGraph"),
    "empty": (lambda: graphs.check(nx.Graph()), GraphError, "at least one agent"),
    "isolated": (lambda: graphs.check(_isolated()), GraphError, "'lost', 9"),
    "split": (lambda: graphs.check(nx.Graph([(0, 1), (2, 3)])), GraphError, "found 2: {0, 1}, {2, 3}"),
    "split in many": (
        lambda: graphs.check(nx.Graph([(i, i + 1) for i in range(0, 40, 2)])),
        GraphError,
        r"found 20: .* \(20 in all\)",
    ),
    "one way": (
        lambda: graphs.check(nx.DiGraph([(0, 1), (1, 2)])),
        GraphError,
        "strongly connected component, found 3",
    ),
    "cycle of none": (lambda: graphs.cycle(0), InputError, "n_agents: expected a whole number >= 1, found 0"),
    "cycle of a half": (lambda: graphs.cycle(2.5), InputError, "found 2.5"),
    "grid without rows": (lambda: graphs.grid(0, 3), InputError, "rows"),
    "cube below zero": (lambda: graphs.hypercube(-1), InputError, "dimension"),
    "one-sided": (lambda: graphs.complete_bipartite(0, 3), InputError, "left"),
    "probability": (lambda: graphs.erdos_renyi(5, 1.2), InputError, r"probability: .*\[0, 1\], found 1.2"),
    "never connected": (lambda: graphs.erdos_renyi(5, 0.0), GraphError, "none in 100 draws; raise probability"),
    "negative seed": (lambda: graphs.erdos_renyi(5, 0.5, seed=-1), InputError, "seed"),
    "no seed": (lambda: graphs.small_world(8, seed=None), InputError, "seed"),
    "degree too high": (lambda: graphs.random_regular(5, 5), GraphError, "below n_agents = 5"),
    "odd sum of degrees": (lambda: graphs.random_regular(5, 3), GraphError, "even"),
    "pairs": (lambda: graphs.random_regular(6, 1), GraphError, "raise degree"),
    "radius zero": (lambda: graphs.random_geometric(5, 0.0), InputError, "radius"),
    "radius too short": (lambda: graphs.random_geometric(50, 1e-6), GraphError, "raise radius"),
    "odd neighbours": (lambda: graphs.small_world(8, neighbours=3), InputError, "use 2 or 4"),
    "rewiring": (lambda: graphs.small_world(8, rewiring=-0.1), InputError, "rewiring"),
    "not square": (lambda: graphs.from_adjacency(np.ones((2, 3))), GraphError, r"shape \(2, 3\)"),
    "ragged": (lambda: graphs.from_adjacency([[0, 1], [1]]), GraphError, "square array"),
    "text matrix": (lambda: graphs.from_adjacency([["a", "b"], ["c", "d"]]), GraphError, "square array"),
    "negative": (lambda: graphs.from_adjacency([[0, -1], [-1, 0]]), GraphError, "non-negative"),
    "nan": (lambda: graphs.from_adjacency([[0, np.nan], [1, 0]]), GraphError, "finite"),
    "nothing": (lambda: graphs.from_adjacency(np.zeros((0, 0))), GraphError, "at least one agent"),
    "no edges": (lambda: graphs.from_adjacency(np.eye(3)), GraphError, "none for 0, 1, 2"),
    "misspelt": (lambda: graphs.named("hyper-cub", 8), UnknownNameError, "did you mean 'hypercube'"),
    "no name": (lambda: graphs.named(None, 8), UnknownNameError, "known name"),
    "no power of two": (lambda: graphs.named("hypercube", 12), GraphError, "found 12; use 8 or 16"),
    "no halves": (lambda: graphs.named("complete-bipartite", 1), InputError, "n_agents"),
    "no such option": (lambda: graphs.named("cycle", 8, seed=1), UnknownNameError, "'seed'; leave it out"),
    "option misspelt": (lambda: graphs.named("erdos-renyi", 8, probabilty=1), UnknownNameError, "'probability'"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_are_one_clear_line(case):
    call, error, match = BAD[case]
    with pytest.raises(error, match=match) as caught:
        call()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_check_returns_the_graph():
    for graph in (nx.Graph([("a", "b")]), nx.DiGraph([(0, 1), (1, 0)]), nx.freeze(nx.path_graph(3))):
        assert graphs.check(graph) is graph


@pytest.mark.parametrize("name", graphs.NAMES)
@pytest.mark.parametrize("n_agents", [2, 4, 8, 16])
def test_the_catalogue_needs_only_the_number_of_agents(name, n_agents):
    graph = graphs.named(name.upper().replace("-", "_"), n_agents)
    assert list(graph) == list(range(n_agents))
    assert graphs.check(graph) is graph


def test_named_graphs():
    assert nx.is_isomorphic(graphs.named("grid", 12), graphs.grid(3, 4))
    assert nx.is_isomorphic(graphs.named("torus", 16), graphs.torus(4, 4))
    assert nx.is_isomorphic(graphs.named("grid", 7), graphs.path(7))
    assert nx.is_isomorphic(graphs.named("complete-bipartite", 7), graphs.complete_bipartite(3, 4))
    assert set(graphs.named("erdos-renyi", 9, seed=4, probability=0.6).edges) == set(
        graphs.erdos_renyi(9, 0.6, 4).edges
    )
    assert {d for _, d in graphs.named("random-regular", 9).degree} == {4}


def test_importing_graphs_and_weights_loads_no_networkx():
    code = "import sys, ntkflow.graphs, ntkflow.weights; sys.exit('networkx' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
