"""Orders against exact arithmetic, PBH, python-control and slycot; the reduction against the dense system."""

import importlib.util
from dataclasses import replace
from fractions import Fraction

import exact_orders
import networkx as nx
import numpy as np
import pytest
from conftest import to_numpy
from libraries import few
from market import CATALOGUE, linearized, mixing_of, problem

import ntkflow as nf
from ntkflow.analysis._modes import eigenspaces, near_eigenvalues
from ntkflow.analysis._reduction import reduction
from ntkflow.analysis._staircase import observable, reachable
from ntkflow.analysis.minimality import minimality
from ntkflow.notation import W as mixing
from ntkflow.notation import average, eta, gradient, theta

GRAPHS = {
    "pair": nf.graphs.complete(2),
    "complete": nf.graphs.complete(5),
    "cycle of four": nf.graphs.cycle(4),
    "cycle": nf.graphs.cycle(6),
    "star": nf.graphs.star(6),
    "path": nf.graphs.path(5),
    "grid": nf.graphs.grid(2, 3),
    "torus": nf.graphs.torus(3, 3),
    "hypercube": nf.graphs.hypercube(3),
    "bipartite": nf.graphs.complete_bipartite(2, 3),
    "petersen": nx.petersen_graph(),
    "wheel": nx.wheel_graph(6),
    "erdos-renyi": nf.graphs.erdos_renyi(6, 0.5, seed=1),
    "geometric": nf.graphs.random_geometric(6, seed=2),
}


def jacobians(rng, Q):
    """Small whole numbers (Q, n, P): P below, at and above Q n; rows that repeat, agents alike or idle, low rank."""
    n = int(rng.integers(1, 4))
    P = int(rng.integers(1, max(2, min(2 * Q * n, 60 // Q + 3))))
    J = rng.integers(-3, 4, (Q, n, P))
    kind = rng.integers(5)
    if kind == 0:
        J[:, -1] = 2 * J[:, 0]
    elif kind == 1:
        J[rng.integers(Q)] = 0
    elif kind == 2:
        J[:] = J[:1]
    elif kind == 3:
        J = J @ np.outer(rng.integers(-2, 3, P), rng.integers(-2, 3, P))
    return J


def symmetric(rng):
    W = nf.weights.metropolis_hastings(list(GRAPHS.values())[rng.integers(len(GRAPHS))])
    return (W + np.eye(len(W))) / 2 if rng.integers(4) == 0 else W


def directed(rng):
    """Row-stochastic, defective or with complex eigenvalues as it comes."""
    Q = int(rng.integers(2, 6))
    return np.stack([rng.multinomial(12, np.full(Q, 1 / Q)) for _ in range(Q)]) / 12


def drawn(rule, seed, draw=symmetric, apart=False, xp=np):
    """A random system, and its exact matrices."""
    rng = np.random.default_rng(seed)
    W = draw(rng)
    J, Q = jacobians(rng, len(W)), len(W)
    c = rng.integers(1, 4, Q)
    c[0] *= rng.integers(6) > 0  # now and then an agent without a gradient
    step, residual = Fraction(1, int(rng.integers(50, 200))), rng.integers(-3, 4, J.shape[:2])
    start = rng.integers(-3, 4, (Q, J.shape[2])) if apart else None
    lin = nf.LinearizedModel.from_jacobian(
        *(xp.asarray(a.astype(float)) for a in (J, residual)),
        start=None if start is None else xp.asarray(start.astype(float)),
    )
    system = nf.LinearSystem(rule, mixing_of(rule, W), lin, float(step), normalization=xp.asarray(c.astype(float)))
    return system, exact_orders.matrices(rule, exact_orders.Problem(W, J, c, step), start, residual)


def answers(system):
    report = minimality(system)
    return report.controllable_dimension, report.observable_dimension, report.minimal_order, report.null_dimension


# orders ------------------------------------------------------------------------------------------------------------


def test_every_rule_has_an_oracle():
    assert set(CATALOGUE) == set(exact_orders.UPDATES)


@pytest.mark.parametrize("rule", CATALOGUE)
def test_orders_are_exact(xp, rule):
    for seed in few(xp, range(20), 8):
        system, exact = drawn(rule, 1000 * CATALOGUE.index(rule) + seed, xp=xp)
        assert answers(system) == exact_orders.orders(*exact), seed


@pytest.mark.parametrize("rule", CATALOGUE)
def test_orders_are_exact_with_starts_apart_and_on_directed_graphs(xp, rule):
    for seed in few(xp, range(4), 4):
        for draw, apart in ((symmetric, True), (directed, False), (directed, True)):
            system, exact = drawn(rule, 7000 + 10 * CATALOGUE.index(rule) + seed, draw, apart, xp)
            assert answers(system) == exact_orders.orders(*exact), (seed, draw, apart)


@pytest.mark.skipif(importlib.util.find_spec("slycot") is None, reason="slycot is not installed")
@pytest.mark.parametrize("rule", CATALOGUE)
def test_orders_agree_with_slycot(rule):
    control = pytest.importorskip("control")
    for seed in range(20):
        system, _ = drawn(rule, 1000 * CATALOGUE.index(rule) + seed)
        A, _, C, _ = system.dense()
        M, inputs = A + np.eye(len(A)), columns_of(system)
        inputs = inputs / (np.abs(inputs).max() or 1.0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builtins.print", lambda *args, **kwargs: None)  # minreal prints
            theirs = control.ss(M, inputs, C, 0, dt=True, remove_useless_states=False).minreal(tol=1e-9)
        assert minimality(system).minimal_order == theirs.nstates, seed


def columns_of(system):
    """[B, X] of the dense system: what unit residuals make of its input and its first state, one after the other."""
    shape = system.model.residual.shape
    single = [replace(system.model, residual=e.reshape(shape)) for e in np.eye(system.model.residual.size)]
    W = mixing_of(system.rule.name, system.mixing)
    systems = [nf.LinearSystem(system.rule, W, lin, system.step_size, system.normalization) for lin in single]
    return np.stack([np.ravel(each.u) for each in systems] + [np.ravel(each.x0) for each in systems], axis=1)


def test_orders_of_the_theory():
    """The table of T5, and T3's dim ker A = P - rank J_s."""
    rng = np.random.default_rng(0)
    table = [
        (nf.graphs.complete(6), 5, 17, 5),
        (nf.graphs.cycle(6), 5, 30, 20),
        (nf.graphs.star(6), 5, 20, 15),
        (nf.graphs.path(7), 30, 92, 92),
        (nx.hypercube_graph(3), 12, 56, 40),
        (nx.petersen_graph(), 30, 60, 60),
    ]
    for graph, P, mixed, adapted in table:
        W = nf.weights.metropolis_hastings(graph)
        lin = nf.LinearizedModel.from_jacobian(rng.normal(size=(len(W), 2, P)), np.ones((len(W), 2)))
        for rule, order in (("dgd", mixed), ("cta", mixed), ("atc", adapted)):
            report = minimality(nf.LinearSystem(rule, W, lin, 0.03))
            assert (report.minimal_order, report.order) == (order, len(W) * P)
            assert report.null_dimension == max(0, P - 2 * len(W))
            assert sum(share.order for share in report.by_eigenvalue) == order
            assert sum(share.multiplicity for share in report.by_eigenvalue) == len(W)


@pytest.mark.parametrize(("step", "order"), [(1.0, 2), (1.0 + 1e-3, 4), (3.0, 4)])
def test_the_exception_of_cta(step, order):
    """T5 (c): 1 an eigenvalue of step J J^T."""
    lin = nf.LinearizedModel.from_jacobian(np.eye(2)[:, None, :], np.ones((2, 1)))
    W = np.array([[0.75, 0.25], [0.25, 0.75]])
    assert minimality(nf.LinearSystem("cta", W, lin, step, "sum")).minimal_order == order
    assert minimality(nf.LinearSystem("dgd", W, lin, step, "sum")).minimal_order == 4


def test_a_kernel_has_the_orders_of_its_jacobian():
    rng = np.random.default_rng(1)
    J = rng.normal(size=(6, 2, 4))
    K = J.reshape(12, 4) @ J.reshape(12, 4).T
    W = nf.weights.metropolis_hastings(nf.graphs.star(6))
    given = nf.LinearizedModel.from_kernel(K, np.ones((6, 2)))
    whole = nf.LinearizedModel.from_jacobian(J, np.ones((6, 2)))
    for rule in ("atc", "diging"):
        mine, theirs = (minimality(nf.LinearSystem(rule, W, lin, 0.1)) for lin in (given, whole))
        assert mine.minimal_order == theirs.minimal_order
        assert mine.order == len(nf.algorithms.get(rule).blocks) * 6 * 4  # of rank 4


@pytest.mark.parametrize("normalization", ["per_agent", "global", "sum", "torch_mse", [1e-6, 1.0, 1e4, 3.0, 1.0]])
def test_positive_factors_and_steps_do_not_change_orders(normalization):
    """Unequal amounts of data, two outputs; T5 knows neither c nor the step size."""
    lin, W = (
        linearized(problem(5, n_outputs=2, unequal=True, seed=3)),
        nf.weights.metropolis_hastings(nf.graphs.star(5)),
    )
    for rule in ("dgd", "extra", "diging", "cdmsgd"):
        orders = {answers(nf.LinearSystem(rule, W, lin, step, normalization))[:3] for step in (1e-6, 1e-3)}
        assert orders == {answers(nf.LinearSystem(rule, W, lin, 1e-3, "sum"))[:3]}, rule


def test_a_rule_of_ones_own_with_average_and_graph():
    """W and 11^T/Q together: on a graph in two pieces the eigenvalue 1 holds the consensus and its difference apart."""
    rule = nf.Rule("pulled", update={theta: mixing * theta / 2 + average * theta / 2 - eta * gradient(theta)})
    W = np.kron(np.eye(2), np.full((2, 2), 0.5))
    lin = nf.LinearizedModel.from_jacobian(np.random.default_rng(4).normal(size=(4, 1, 3)), np.ones((4, 1)))
    system = nf.LinearSystem(rule, W, lin, 0.1)
    assert [(m.value, m.multiplicity, m.average) for m in reduction(system).modes] == [
        (0.0, 2, 0.0), (1.0, 1, 1.0), (1.0, 1, 0.0)]  # fmt: skip
    assert minimality(system).minimal_order == rank_of_markov(system)


def rank_of_markov(system, count=12):
    """The rank of the Hankel matrix of C M^k B, for small systems of well separated modes."""
    A, B, C, _ = system.dense()
    M = A + np.eye(len(A))
    h = [C @ np.linalg.matrix_power(M, k) @ B for k in range(2 * count)]
    return np.linalg.matrix_rank(np.block([[h[i + j] for j in range(count)] for i in range(count)]), tol=1e-9)


# the realisation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", CATALOGUE)
@pytest.mark.parametrize("apart", [False, True])
def test_the_realisation_has_the_outputs_of_the_system(xp, rule, apart):
    lin = linearized(problem(5, n_samples=2, unequal=True, apart=apart, seed=5), xp)
    W = nf.weights.metropolis_hastings(nf.graphs.star(5))
    system = nf.LinearSystem(rule, mixing_of(rule, W), lin, 0.02)
    minimal, expected = reduction(system).minimal, system.iterate(range(12))
    e, z = to_numpy(lin.residual).reshape(-1), np.zeros(minimal.order)
    driven, started = [], []
    x = minimal.X0 @ e
    for _ in range(12):
        driven.append(minimal.C @ z)
        started.append(minimal.C @ x)
        z, x = minimal.M @ z + minimal.drive, minimal.M @ x + minimal.B @ e
    J = to_numpy(lin.jacobian)
    exact = np.stack([(J @ d[..., None]).reshape(-1) for d in to_numpy(expected.deviation)])
    scale = np.abs(exact).max()
    assert np.abs(np.array(driven) - exact).max() <= 1e-11 * scale  # some 1e4 roundings, none amplified
    if not apart:
        assert np.abs(np.array(started) - exact).max() <= 1e-11 * scale


@pytest.mark.parametrize("rule", CATALOGUE)
def test_pbh_at_every_eigenvalue(rule):
    """Popov, Belevitch and Hautus: [M - z, inputs] and [M - z; C] have full rank at every z."""
    lin = linearized(problem(5, n_samples=1, n_parameters=3, seed=6))
    system = nf.LinearSystem(rule, mixing_of(rule, nf.weights.metropolis_hastings(nf.graphs.path(5))), lin, 0.1)
    minimal = reduction(system).minimal
    units = [B / np.abs(B).max() for B in (minimal.B, minimal.X0) if B.any()]
    for z in np.linalg.eigvals(minimal.M):
        shifted = minimal.M - z * np.eye(minimal.order)
        reach, see = np.hstack([shifted, *units]), np.vstack([shifted, minimal.C / np.abs(minimal.C).max()])
        for matrix in (reach, see):  # rounding leaves 1e-15; the farthest from minimal among the rules has 1e-7
            assert np.linalg.svd(matrix, compute_uv=False)[minimal.order - 1] > 1e-11


def test_the_map_at_another_step_size():
    lin = linearized(problem(4, n_samples=2, seed=7))
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    for rule in ("atc", "cdmsgd", "nids"):
        here, there = (nf.LinearSystem(rule, W, lin, step) for step in (0.01, 0.05))
        reduced = reduction(here)
        A, B, C, _ = there.dense()
        M, x, z = reduced.minimal_map(0.05), B, reduced.minimal.dual @ reduced.residual_input(0.05)
        for _ in range(6):
            assert np.abs(reduced.minimal.C @ z - C @ x).max() <= 1e-12
            x, z = x + A @ x, M @ z
    assert np.allclose(reduced.map(0.05), reduction(there).map(), atol=1e-15)
    momentum = reduction(nf.LinearSystem("cdmsgd", W, lin, 0.01))
    other = reduction(nf.LinearSystem("cdmsgd", W, lin, 0.02, momentum=0.3))
    assert np.allclose(momentum.map(0.02, momentum=0.3), other.map(), atol=1e-15)


# the reduction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", CATALOGUE)
@pytest.mark.parametrize("draw", [symmetric, directed])
def test_learning_and_mixing_part_make_the_whole(xp, rule, draw):
    """tr M^k of the dense map is that of R^s and of all the copies."""
    for seed in few(xp, range(3), 3):
        system, _ = drawn(rule, 500 + seed, draw, xp=xp)
        A = to_numpy(system.dense()[0])
        M, reduced = A + np.eye(len(A)), reduction(system)
        R, parts = reduced.map(), reduced.mixing_part
        assert reduced.order == len(A)
        assert len(R) + sum(part.copies * len(part.matrix) for part in parts) == len(A)
        for k in range(1, 7):
            whole, learning = trace(M, k), trace(R, k)
            mixed = sum(part.copies * trace(part.matrix, k) for part in parts)
            assert abs(whole - learning - mixed) <= 1e-12 * len(M) * np.abs(np.linalg.matrix_power(M, k)).max()


def trace(M, k):
    return np.trace(np.linalg.matrix_power(M, k))


def test_exact_matrices_of_mixing_modes():
    lin = linearized(problem(8, n_samples=1, n_parameters=12, seed=8))
    system = nf.LinearSystem("extra", nf.weights.metropolis_hastings(nf.graphs.cycle(8)), lin, 0.1)
    known = {mode.value: mode for mode in reduction(system).mixing_part}
    assert known[1.0].exact.tolist() == [[2, -1], [1, 0]]
    third = next(mode for value, mode in known.items() if abs(value + 1 / 3) < 1e-12)
    assert [str(x) for x in third.exact] == ["2/3", "-1", "1/3", "0"]
    assert [mode.exact is None for value, mode in known.items() if abs(abs(value - 1 / 3) - 2**0.5 / 3) < 1e-12] == [
        True, True]  # fmt: skip
    for mode in known.values():
        assert mode.exact is None or np.abs(mode.matrix - np.array(mode.exact.tolist(), float)).max() <= 1e-14


def test_eigenvalues_that_are_one_and_that_are_not():
    W = np.diag([0.0, 1e-15, 0.3, 0.3 + 1e-15, 0.3 + 1e-9, 1.0 - 1e-16])
    found = eigenspaces(W, near_eigenvalues(W, np.finfo(float).eps), False)
    assert [(space.value, space.vectors.shape[1]) for space in found] == [
        (0.0, 2), (pytest.approx(0.3, abs=1e-14), 2), (0.3 + 1e-9, 1), (1.0, 1)]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_arrays_and_precisions(xp, dtype):
    case = problem(6, n_samples=1, n_parameters=4, seed=9)
    J, e = (xp.asarray(a, dtype=getattr(xp, dtype)) for a in (case.J, case.residual))
    lin = nf.LinearizedModel.from_jacobian(J, e)
    W = xp.asarray(nf.weights.metropolis_hastings(nf.graphs.cycle(6)), dtype=getattr(xp, dtype))
    report = minimality(nf.LinearSystem("exact_diffusion", W, lin, 0.05))
    double = minimality(nf.LinearSystem("exact_diffusion", np.asarray(nf.weights.metropolis_hastings(
        nf.graphs.cycle(6))), linearized(case), 0.05))  # fmt: skip
    assert (report.minimal_order, report.observable_dimension) == (double.minimal_order, double.observable_dimension)


# the staircase -----------------------------------------------------------------------------------------------------


def test_a_chain_is_reached_link_by_link():
    shift = np.eye(9, k=-1)
    assert reachable(shift, np.eye(9, 1), 1e-14).dimension == 9
    assert reachable(shift, np.eye(9, 1, -4), 1e-14).dimension == 5
    assert observable(shift, np.eye(1, 9, 3), 1e-14).dimension == 4


def test_a_link_in_the_rounding_is_no_link():
    broken = np.eye(9, k=-1)
    broken[5, 4] = 1e-16
    found = reachable(broken, np.eye(9, 1), 1e-14)
    assert found.dimension == 5
    assert found.gap == pytest.approx(1e16)


# the report --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    """A real network, whose singular values have no gap."""
    data = nf.datasets.half_moons(n_agents=4, n_samples=40, noise=0.1, seed=0)
    model = nf.models.MLP([2, 48, 1], activation="tanh")
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    return nf.Study(W, model, model.init(seed=0), data, algorithm="atc", step_size=1e-3).system


def test_the_report_says_that_there_is_no_gap(network):
    report = minimality(network)
    assert not report.is_minimal
    assert report.gap < 1e3
    assert "no gap" in str(report)
    assert "1 ⊗ v" in report.unobservable


def test_the_report_in_three_ways(network):
    report = minimality(network)
    for written in (report.text(), report.markdown(), report.latex()):
        assert str(report.order) in written
        assert str(report.minimal_order) in written
    assert report.latex().count(r"\begin{") == report.latex().count(r"\end{")
    assert "⊗" not in report.latex()


def test_a_minimal_system():
    lin = linearized(problem(3, n_samples=4, n_parameters=2, seed=10))
    report = minimality(nf.LinearSystem("dgd", nf.weights.metropolis_hastings(nf.graphs.path(3)), lin, 0.1))
    assert report.is_minimal
    assert (report.gap, report.unobservable) == (np.inf, "Every state is seen by some output.")
    assert "nothing was left out" in report.markdown()


def test_nothing_to_learn():
    lin = nf.LinearizedModel.from_jacobian(np.zeros((3, 2, 4)), np.ones((3, 2)))
    for rule in ("dgd", "diging"):
        report = minimality(nf.LinearSystem(rule, nf.weights.metropolis_hastings(nf.graphs.path(3)), lin, 0.1))
        assert (report.minimal_order, report.controllable_dimension, report.observable_dimension) == (0, 0, 0)
        assert report.null_dimension == 4


@pytest.mark.parametrize("apart", [1.0, 1e-3, 1e-7, 1e-9])
@pytest.mark.parametrize("directed", [False, True])
def test_one_rank_decides_the_kernel_of_dgd(apart, directed):
    """T3: P − rank of the joint Jacobian, however near to each other the agents' row spaces are."""
    rng = np.random.default_rng(0)
    J = rng.normal(size=(1, 1, 4)) + apart * rng.normal(size=(5, 1, 4))
    W = rng.random((5, 5)) if directed else nf.weights.metropolis_hastings(nf.graphs.cycle(5))
    lin = nf.LinearizedModel.from_jacobian(J, np.ones((5, 1)))
    system = nf.LinearSystem("dgd", W / W.sum(axis=1, keepdims=True), lin, 0.05)
    report, whole = minimality(system), nf.stability(system)
    sentence = next(line for line in whole.conclusions if line.startswith("T3"))
    assert report.null_dimension == 0
    assert "4 of 4" in sentence
    assert "so A is Hurwitz" in sentence
    assert whole.flow.whole


def test_agents_of_one_part_may_share_their_data():
    """Two parts of a directed network, P = 5: four of five directions rest where two agents share, two of five else."""
    rng = np.random.default_rng(0)
    J, W = rng.normal(size=(5, 1, 5)), np.zeros((5, 5))
    J[1] = J[0]
    W[:2, :2], W[2:, 2:] = rng.random((2, 2)), rng.random((3, 3))
    lin = nf.LinearizedModel.from_jacobian(J, np.ones((5, 1)))
    for rule in ("dgd", "atc", "cdmsgd"):
        system = nf.LinearSystem(rule, W / W.sum(axis=1, keepdims=True), lin, 0.02)
        assert minimality(system).null_dimension == 4 + 2


def test_agents_without_a_gradient_do_not_count_towards_the_rank():
    """c_q = 0: outputs see all three parameters, and the data that pull see two of them."""
    lin = nf.LinearizedModel.from_jacobian(np.eye(3)[:, None, :], np.ones((3, 1)))
    system = nf.LinearSystem("dgd", nf.weights.metropolis_hastings(nf.graphs.path(3)), lin, 0.1, [1.0, 1.0, 0.0])
    report = nf.stability(system)
    assert minimality(system).null_dimension == 1
    assert any("2 of 3, so A has the eigenvalue 0, 1 times" in line for line in report.conclusions)
    assert (report.flow.whole, report.iteration.whole) == (False, False)


def test_a_rank_without_a_gap_is_called_numerical(network):
    system = nf.LinearSystem("dgd", network.mixing, network.model, 1e-3)
    sentence = next(line for line in nf.stability(system).conclusions if line.startswith("T3"))
    assert f"numerically: singular values below {minimality(system).tolerance:.2g} of the largest" in sentence
    assert f"it is {network.model.n_parameters - minimality(system).null_dimension} of" in sentence


def test_what_agents_apart_do_not_see_is_common_to_none():
    lin = nf.LinearizedModel.from_jacobian(np.random.default_rng(0).normal(size=(5, 2, 8)), np.ones((5, 2)))
    found = minimality(nf.LinearSystem("atc", np.eye(5), lin, 0.01)).unobservable
    assert "1 ⊗ v" not in found
    assert "30 are sums of u ⊗ v with Wu = u, of which there are 5 independent ones" in found


@pytest.mark.parametrize("rule", ["diging", "aug_dgm", "atc_tracking", "extra"])
def test_what_training_moves_is_what_control_is_given(rule):
    from ntkflow.interop.matrices import minimal_matrices

    lin = linearized(problem(4, n_samples=2, n_parameters=3, seed=1))
    system = nf.LinearSystem(rule, nf.weights.metropolis_hastings(nf.graphs.cycle(4)), lin, 0.01)
    report = minimality(system)
    assert report.driven_order == minimal_matrices(system).order
    moved = f"Training moves {report.driven_order} of the {report.minimal_order} states"
    assert (moved in report.text()) == (rule != "extra") == (report.driven_order < report.minimal_order)
