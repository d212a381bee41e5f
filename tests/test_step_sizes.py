"""The table of step sizes against eigenvalues, entry by entry, and the spectra it rests on."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import sympy
from modes import GRID, first_failure

import ntkflow as nf
from ntkflow.analysis.modal import kappa_max, lam_min, modal
from ntkflow.analysis.step_sizes import table
from ntkflow.analysis.topologies import FAMILIES, TOPOLOGIES, spectrum_of
from ntkflow.errors import InputError

THEORY = Path(__file__).parent.parent / "theory"
SIZES = {
    "cycle, even": [(4,), (6,), (8,)], "cycle, odd": [(3,), (5,), (7,)], "star": [(3,), (6,)],
    "complete": [(2,), (5,)], "path": [(3,), (4,), (7,)], "hypercube": [(1,), (2,), (3,), (4,)],
    "torus, even": [(4, 4), (4, 6)], "torus, odd": [(3, 3), (3, 5), (5, 5)],
}  # fmt: skip
GRAPHS = [(family, sides) for family, sizes in SIZES.items() for sides in sizes]
MOMENTUM = 0.35


def weights(topology, sides):
    return nf.weights.metropolis_hastings(getattr(nf.graphs, topology)(*sides))


def eigenvalues(W):
    """The distinct ones, numerically."""
    return np.unique(np.round(np.linalg.eigvalsh(W), 13))


def parameters(rule):
    return dict.fromkeys(rule.parameters, MOMENTUM)


def number(bound, smallest, sides=None):
    """The value of a bound's formula at κ_max = 1."""
    chosen = {symbol: sympy.Rational(35, 100) for symbol in bound.value.free_symbols if symbol.name == "mu"}
    formula = bound.value.subs({lam_min: smallest, kappa_max: 1, **chosen})
    return float(formula.subs(sides or {}))


def smallest_of(family, sides):
    """λ_min in closed form, exactly, as the boundary between two cases may run through it."""
    topology = TOPOLOGIES[family.title.partition(",")[0]]
    return family.smallest.subs(dict(zip(topology.sides, sides, strict=True)))


def agrees(bound, entry, wanted):
    """Equal, as far as the oracle's grid goes; below, for a bound that is sufficient only."""
    entry, wanted = min(entry, GRID[-1]), min(wanted, GRID[-1])
    return abs(entry - wanted) <= 1e-9 if bound.exact else entry <= wanted + 1e-9


@pytest.fixture(scope="module")
def tables():
    """{flow: {algorithm: its bounds}}."""
    return {flow: {key.split()[0]: row for key, row in table(flow=flow).rows.items()} for flow in (False, True)}


@pytest.mark.parametrize("name", nf.algorithms.names())
def test_every_entry_is_what_the_eigenvalues_say(tables, name):
    rule = nf.algorithms.get(name)
    families = {family.title: (family, column) for column, family in enumerate(FAMILIES, start=1)}
    for title, sides in GRAPHS:
        family, column = families[title]
        topology = title.partition(",")[0]
        symbols = dict(zip(TOPOLOGIES[topology].sides, sides, strict=True))
        spectrum = eigenvalues(weights(topology, sides))
        for flow, rows in tables.items():
            wanted = first_failure(rule, spectrum, parameters(rule), flow)
            for bound in (rows[name][0], rows[name][column]):  # of any graph, and of this family
                entry = number(bound, smallest_of(family, sides), symbols)
                assert agrees(bound, entry, wanted), (title, sides, flow, entry, wanted)


def test_only_repeated_mixing_is_bounded_by_more_than_the_smallest_eigenvalue(tables):
    loose = {name for rows in tables.values() for name, row in rows.items() if not all(b.exact for b in row)}
    assert loose == {"icdsgd"}


@pytest.mark.parametrize("name", nf.algorithms.names())
def test_any_other_mixing_matrix(tables, name):
    rule = nf.algorithms.get(name)
    graph = nf.graphs.erdos_renyi(7, 0.5, seed=3)
    metropolis = nf.weights.metropolis_hastings(graph)
    for W in (nf.weights.laplacian(graph), nf.weights.max_degree(graph), nf.weights.lazy(metropolis)):
        spectrum = eigenvalues(W)
        for flow, rows in tables.items():
            bound = rows[name][0]
            wanted = first_failure(rule, spectrum, parameters(rule), flow)
            assert agrees(bound, number(bound, spectrum[0]), wanted), flow


@pytest.mark.parametrize(
    ("topology", "sides"), [("cycle", (7,)), ("path", (5,)), ("torus", (3, 4)), ("hypercube", (3,))]
)
@pytest.mark.parametrize("name", ["dgd", "icdsgd", "d2", "atc_tracking", "cdmsgd_nesterov", "fedavg"])
def test_a_graph_with_its_size(name, topology, sides):
    """Here the whole spectrum is known, so that nothing is only sufficient."""
    rule = nf.algorithms.get(name)
    given = {"momentum": MOMENTUM} if rule.parameters else {}
    for flow in (False, True):
        bound = modal(name, **given).step_size_bound(topology, *sides, flow=flow)
        wanted = first_failure(rule, eigenvalues(weights(topology, sides)), parameters(rule), flow)
        assert bound.exact
        assert agrees(bound, float(bound.value.subs(kappa_max, 1)), wanted)


@pytest.mark.parametrize(("family", "sides"), [*GRAPHS, ("torus", (3, 4)), ("cycle", (9,))])
def test_spectra(family, sides):
    topology = family.partition(",")[0]
    closed = spectrum_of(topology, *sides)
    W = weights(topology, sides)
    repeated = [float(value) for value, count in closed.items() for _ in range(count)]
    np.testing.assert_allclose(repeated, np.linalg.eigvalsh(W)[::-1], atol=1e-13)
    graph = TOPOLOGIES[topology]
    symbols = dict(zip(graph.sides, sides, strict=True))
    assert sympy.N(graph.smallest.subs(symbols) - list(closed)[-1], 20, chop=True) == 0
    assert sympy.N(graph.second.subs(symbols) - list(closed)[1], 20, chop=True) == 0
    assert graph.low <= list(closed)[-1] <= graph.high


@pytest.mark.parametrize(
    ("topology", "sides"),
    [("cycle", (5,)), ("cycle", (8,)), ("path", (6,)), ("star", (5,)), ("complete", (4,)), ("hypercube", (3,)),
     ("torus", (3, 3))],
)  # fmt: skip
def test_spectra_exactly(topology, sides):
    """The characteristic polynomial of the matrix of fractions is the product of its closed-form factors."""
    W = weights(topology, sides)
    exact = sympy.Matrix(*W.shape, lambda i, j: sympy.Rational(W[i, j]).limit_denominator(60))
    x = sympy.Symbol("x")
    product = sympy.Integer(1)
    for value, count in spectrum_of(topology, *sides).items():
        product *= (x - value) ** count
    difference = sympy.expand(exact.charpoly(x).as_expr() - sympy.expand(product))
    assert all(sympy.simplify(c) == 0 for c in sympy.Poly(difference, x).all_coeffs())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.title)
def test_families_know_where_their_smallest_eigenvalue_lies(family):
    for sides in SIZES[family.title]:
        assert family.low <= smallest_of(family, sides) <= family.high


@pytest.mark.parametrize(
    ("topology", "sides"),
    [("ring", (5,)), ("cycle", (2,)), ("cycle", (2.5,)), ("torus", (3,)), ("torus", (2, 5)), ("star", ()), (3, (3,))],
)
def test_what_has_no_formula_is_refused(topology, sides):
    with pytest.raises(InputError) as caught:
        spectrum_of(topology, *sides)
    assert "\n" not in str(caught.value)


def test_the_written_table_is_up_to_date():
    script = runpy.run_path(str(THEORY / "make_step_sizes.py"))
    assert (THEORY / "step_sizes.md").read_text(encoding="utf-8") == script["document"]()


def test_the_table_in_latex():
    written = table(["dgd", "atc_tracking"], ["star", "hypercube"]).latex()
    assert written.count(r"\\") == 4
    assert all(line.count("&") == 3 for line in written.splitlines() if line.endswith(r"\\"))
    assert r"atc\_tracking" in written


def test_unknown_families_are_refused():
    with pytest.raises(InputError, match="families"):
        table(["dgd"], ["ring"])
