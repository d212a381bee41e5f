"""Error bounds and engines where they were once wrong: cases made to break them."""

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from libraries import few
from market import CATALOGUE, linearized, mixing_of, problem

import ntkflow as nf
from ntkflow.errors import NoLimitError
from ntkflow.notation import W, eta, gradient, theta


def far(a, b):
    """The distance of two trajectories over all agents, a number a time."""
    return np.linalg.norm((a.deviation - b.deviation).reshape(len(a.times), -1), axis=1)


def graded(n_agents, n_samples, n_parameters, smallest, dtype=float, lib=nf):
    """Singular values from 1 down to ``smallest``."""
    rng = np.random.default_rng(0)
    N = n_agents * n_samples
    U, V = (np.linalg.qr(rng.normal(size=(m, N)))[0] for m in (N, n_parameters))
    J = (U * np.geomspace(1, smallest, N) @ V.T).reshape(n_agents, n_samples, n_parameters)
    residual = rng.normal(size=(n_agents, n_samples))
    return lib.LinearizedModel.from_jacobian(J.astype(dtype), residual.astype(dtype))


@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("rule", ["dgd", "atc", "cta"])
def test_starts_along_a_direction_that_is_left_out(lib, rule, flow):
    """T12 needs J on the columns of the starts too: J = a +- 1e-3 b, agents starting at +-b, b left out."""
    a, b = np.eye(3)[:2]
    J, start = np.stack([[a + 1e-3 * b], [a - 1e-3 * b]]), np.stack([b, -b])
    model = lib.LinearizedModel.from_jacobian(J, np.zeros((2, 1)), start=start)
    exact, short = (lib.LinearSystem(rule, np.full((2, 2), 0.5), m, 0.5, "sum") for m in (model, model.compress(1e-2)))
    ask = [(s.flow if flow else s.iterate)([1, 5, 20, 200]) for s in (exact, short)]
    assert ask[1].bound_kind == "rigorous"
    assert np.all(far(*ask) <= ask[1].error_bound + 1e-15)


@pytest.mark.parametrize("rule", ["dgd", "atc"])
def test_short_horizons_of_large_systems_keep_small_modes(lib, rule):
    """Above 400 states the spectral engine takes eigenvalues: modes lost in rounding are still driven."""
    mixing = nf.weights.metropolis_hastings(nf.graphs.cycle(6))
    system = lib.LinearSystem(rule, mixing, graded(6, 12, 200, 1e-9, lib=lib), 0.9, "sum")
    assert system.compact.size > 400
    quick, exact = system.flow([10, 100, 1000], "spectral"), system.flow([10, 100, 1000], "stepping")
    assert np.all(far(quick, exact) <= quick.error_bound + exact.error_bound)
    assert np.all(far(quick, exact) <= 1e-11 * np.linalg.norm(exact.deviation))


def test_a_gradient_elsewhere_is_no_theorem(lib):
    """Words alone do not tell where a gradient is taken: such rules get estimates and the general engines."""
    elsewhere = nf.Rule("elsewhere", update={theta: W * theta - eta * gradient(2 * theta) / 2})
    out_of_range = nf.Rule("anchored", update={theta: theta - eta * gradient(theta) - eta * W * gradient(0 * theta)})
    mixing = nf.weights.metropolis_hastings(nf.graphs.path(4))
    model = linearized(problem(4, n_parameters=9, apart=True), lib=lib)
    for rule in (elsewhere, out_of_range):
        system = lib.LinearSystem(rule, mixing, model, 0.01)
        found, exact = system.iterate([1, 10, 100]), system.iterate([1, 10, 100], "stepping")
        assert found.bound_kind == "estimate"
        assert found.method != "spectral"
        assert np.all(far(found, exact) <= 1e-11 * np.linalg.norm(exact.deviation))


@pytest.mark.parametrize("rule", CATALOGUE)
def test_the_dense_engine_reports_what_it_drops(lib, rule):
    for seed in few(lib, range(20), 20, len(rule)):
        case = problem(4, n_parameters=7, n_samples=2, apart=bool(seed % 2), seed=seed)
        mixing = mixing_of(rule, nf.weights.metropolis_hastings(nf.graphs.star(4)))
        system = lib.LinearSystem(rule, mixing, linearized(case, lib=lib), 0.02)
        dense, exact = system.iterate([1, 8, 64, 512], "dense"), system.iterate([1, 8, 64, 512], "stepping")
        assert np.all(far(dense, exact) <= dense.error_bound + exact.error_bound)


@pytest.mark.parametrize("rule", CATALOGUE)
def test_the_largest_times_there_are(lib, rule):
    """A stable flow at 1e308 is at its limit; an unstable iteration is infinite."""
    model = linearized(problem(3, n_parameters=4), lib=lib)
    mixing = mixing_of(rule, np.full((3, 3), 1 / 3))
    flow = lib.LinearSystem(rule, mixing, model, 0.05).flow([1e308, math.inf])
    np.testing.assert_allclose(flow.deviation[0], flow.deviation[1], atol=1e-9)
    assert np.isinf(lib.LinearSystem(rule, mixing, model, 50.0).iterate(10**6).loss).all()


@pytest.mark.parametrize("rule", ["cdmsgd", "diging"])
def test_the_message_does_not_claim_too_much(lib, rule):
    """Identical agents never excite the mode at -1 of maximum-degree weights; nobody checked whether they do."""
    case = problem(1, n_parameters=3)
    model = lib.LinearizedModel.from_jacobian(np.repeat(case.J, 4, axis=0), np.repeat(case.residual, 4, axis=0))
    system = lib.LinearSystem(rule, nf.weights.max_degree(nf.graphs.cycle(4)), model, 0.02)
    with pytest.raises(NoLimitError, match="unless nothing drives it"):
        system.iterate(math.inf)


BOTH_SIDES = nf.Rule("both_sides", update={theta: W * theta - eta * (gradient(theta) + W * gradient(W * theta)) / 2})


@pytest.mark.parametrize("rule", ["dgd", "icdsgd", BOTH_SIDES], ids=str)
@pytest.mark.parametrize("side", [0.99, 1.01])
def test_contraction_is_told_in_the_space_of_the_residuals(lib, rule, side):
    """Where states outnumber residuals I - M is not formed: the verdict is that of the norm of M all the same."""
    mixing = nf.weights.metropolis_hastings(nf.graphs.path(4))
    model = linearized(problem(4, n_samples=2, n_parameters=30), lib=lib)
    low, high = 1e-3, 1.0
    for _ in range(40):  # the step size at which a difference between trajectories can first grow
        middle = (low + high) / 2
        A = lib.LinearSystem(rule, mixing, model.compact, middle, "sum").dense()[0]
        low, high = (middle, high) if np.linalg.norm(np.eye(len(A)) + A, 2) <= 1 + 1e-12 else (low, middle)
    system = lib.LinearSystem(rule, mixing, model, side * low, "sum")
    assert system.compact.factors.contracting == (side < 1)


# --- what only a surrogate drives, and what is kept of a bound


@pytest.mark.parametrize(
    ("rule", "reach", "flow", "times"),
    [("fedavg", 0.1, False, [100, 10_000]), ("atc", 2.5, True, [100.0, 400.0]), ("dgd", 2.2, False, [17, 40, 400])],
)
def test_a_surrogate_drives_modes_at_rest(lib, rule, reach, flow, times):
    """J = 0 and a constant push: a factor would hold at rest what it moves, as the own drive does not touch it."""
    rng = np.random.default_rng(1)
    J = rng.normal(size=(4, 3, 6)) * np.geomspace(1, 1e-3, 6)
    full = lib.LinearizedModel.from_jacobian(J, rng.normal(size=(4, 3)))
    mixing, step = (
        mixing_of(rule, nf.weights.metropolis_hastings(nf.graphs.cycle(4))),
        reach / float(max(full.sharpness)),
    )
    given = {"local_steps": 3} if rule == "fedavg" else {}
    systems = [lib.LinearSystem(rule, mixing, m, step, "sum", **given) for m in (full, full.compress(0.05))]
    exact, short = [(s.flow if flow else s.iterate)(times) for s in systems]
    assert short.landscape.left_out > 0.01
    assert short.bound_kind == "estimate"
    assert np.all(far(exact, short) <= short.error_bound)


def test_a_bound_that_overflows_is_infinite(lib):
    model = graded(4, 3, 40, 1e-3, lib=lib).compress(0.05)
    mixing = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    system = lib.LinearSystem("dgd", mixing, model, 1.9 / float(max(model.sharpness)), "sum")
    bound = system.iterate([100, 1000, 5000]).error_bound
    assert not np.isnan(bound).any()
    assert np.isinf(bound[-1])


def test_a_trajectory_is_stored_with_its_bound_and_holds_no_factor():
    mixing = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    found = nf.LinearSystem("atc", mixing, graded(4, 3, 40, 1e-3), 0.1, "sum").flow([1.0, 1e5], "spectral")
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.error_bound, found.error_bound)
    np.testing.assert_array_equal(again.loss, found.loss)
    assert again.bound_kind == found.bound_kind == "rigorous"
    assert not {"G", "X", "Y", "half"} & set(vars(found.certificate.operator.factors))


@pytest.mark.parametrize("difference", [1e-2, 1e-4, 1e-8, 1e-15])
@pytest.mark.parametrize("method", ["spectral", "lanczos", "krylov", "stepping", "dense"])
def test_gradients_that_nearly_cancel(method, difference):
    """Two agents who pull against one another: what is left of the drive is rounded as the pulls are."""
    residual = np.array([[0.7], [-0.7 * (1.0 + difference)]])
    model = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 1)), residual)
    found = nf.LinearSystem("atc", np.full((2, 2), 0.5), model, 0.25, "sum").iterate([2, 5, 20], method)
    states, x = [Fraction(0)], Fraction(0)
    for _ in range(20):  # both agents are at one place from the first step on
        pulls = [x - Fraction(float(r[0])) / 4 - x / 4 for r in residual]
        x = sum(pulls) / 2
        states.append(x)
    errors = [
        abs(float(Fraction(float(y)) - states[k])) for y, k in zip(found.deviation[:, 0, 0], (2, 5, 20), strict=True)
    ]
    assert np.all(2**0.5 * np.array(errors) <= found.error_bound)
