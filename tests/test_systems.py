"""LinearSystem: shapes, libraries, refusals, overflow, limits, and every engine against the dense one."""

import dataclasses
import math

import array_api_strict
import numpy as np
import pandas as pd
import pytest
import sympy
from conftest import to_numpy
from libraries import STRICT, assert_at_home, few, is_at_home, sampled
from market import RULES, TOPOLOGIES, linearized, problem

import ntkflow as nf
from ntkflow.errors import InputError, MixingError, NoLimitError, NtkflowError, UnknownNameError
from ntkflow.notation import W, average, eta, gradient, theta, v
from ntkflow.propagators import ENGINES

CYCLE = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
BLOCKS = {"cdmsgd": ("theta", "v"), "diging": ("theta", "y")}
DERIVED = ["loss", "global_loss", "outputs", "test_outputs", "deviation", "consensus_error"]


def known(case, xp=np, m=3):
    """The case with everything that a trajectory can be asked for."""
    rng = np.random.default_rng(1)
    Q, n, P = case.J.shape
    return nf.LinearizedModel.from_jacobian(
        xp.asarray(case.J), xp.asarray(case.residual), case.n_outputs, case.n_samples,
        outputs=xp.asarray(rng.standard_normal((Q, n))), start=None if case.start is None else xp.asarray(case.start),
        test_jacobian=xp.asarray(rng.standard_normal((m, P))), test_outputs=xp.asarray(rng.standard_normal(m)),
    )  # fmt: skip


def small(name="dgd", xp=np, step_size=0.05, mixing=CYCLE, **shape):
    return nf.LinearSystem(name, mixing, known(problem(4, **shape), xp), step_size)


every_rule = pytest.mark.parametrize("name", RULES)
every_mode = pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
every_method = pytest.mark.parametrize("method", ["auto", *ENGINES])


def answer(system, flow, times, method):
    """The trajectory; None where an engine, asked for by name, does not accept the question."""
    try:
        return (system.flow if flow else system.iterate)(times, method)
    except InputError:
        assert method not in ("auto", "dense")
        return None


# --- what comes back


@every_rule
@every_mode
@every_method
def test_shapes_and_library(xp, name, flow, method):
    system = small(name, xp, n_samples=2, n_outputs=2, n_parameters=7, apart=True)
    found = answer(system, flow, [0, 3, 1, 3], method)
    if found is None:
        return
    shapes = {"times": (4,), "loss": (4, 4), "global_loss": (4, 4), "outputs": (4, 4, 4), "test_outputs": (4, 4, 3),
              "deviation": (4, 4, 7), "consensus_error": (4,), "error_bound": (4,), "residual": (4, 4, 4)}  # fmt: skip
    for what, shape in shapes.items():
        value = getattr(found, what)
        assert value.dtype == xp.float64, what
        assert value.shape == shape, what
    assert_at_home(found, xp)
    assert_at_home(system.compact, xp)
    assert found.blocks == BLOCKS.get(name, ("theta",))
    assert all(found.block(b).shape == (4, 4, 7) for b in found.blocks)
    assert found.mode == ("flow" if flow else "iteration")
    assert found.bound_kind in ("rigorous", "estimate")
    assert found.method == method or method == "auto"
    np.testing.assert_array_equal(to_numpy(found.times), [0, 3, 1, 3])


@every_rule
def test_operators(xp, name, rng):
    system = small(name, xp, n_outputs=2, n_parameters=5, apart=True)
    shape = (len(BLOCKS.get(name, ("theta",))), 4, 5)
    A, B, C, D = (to_numpy(m) for m in system.dense())
    N = math.prod(shape)
    assert (A.shape, B.shape, C.shape, D.shape) == ((N, N), (N, 24), (24, N), (24, 24))
    x, e = rng.standard_normal(shape), rng.standard_normal((4, 6))
    for operator, matrix, given in [(system.A, A, x), (system.B, B, e), (system.C, C, x)]:
        found = operator @ xp.asarray(given)
        assert type(found) is type(xp.ones(1))
        np.testing.assert_allclose(to_numpy(found).ravel(), matrix @ given.ravel(), atol=1e-13)
        np.testing.assert_array_equal(to_numpy(operator(xp.asarray(given))), to_numpy(found))
        with pytest.raises(InputError, match="operand"):
            operator @ xp.asarray(given.ravel())
    assert system.u.shape == system.x0.shape == shape
    assert not D.any()


def test_records_are_frozen():
    found = small().iterate([1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.method = "guess"
    assert found != small().iterate([1])


def test_a_scalar_is_one_time(xp):
    system = small(xp=xp)
    for given in (3, 3.0, np.float64(3), np.array(3), xp.asarray(3), xp.asarray(3.0), [3], (3.0,), xp.asarray([3.0])):
        for ask in (system.flow, system.iterate):
            found = ask(given)
            assert found.times.shape == (1,)
            np.testing.assert_allclose(to_numpy(found.loss), to_numpy(ask([3]).loss), rtol=1e-15)


@every_rule
@every_mode
@every_method
def test_times_may_come_in_any_order(name, flow, method):
    system = small(name, apart=True)
    ask = system.flow if flow else system.iterate
    times = [7, 0, 30, 7, 1, 30, 2]
    if answer(system, flow, times, method) is None:
        return
    found, alone = ask(times, method).deviation, [ask(t, method).deviation[0] for t in times]
    np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(found[0], found[3])
    np.testing.assert_array_equal(found[1], 0)
    as_iterator = ask((t for t in times), method)
    np.testing.assert_array_equal(as_iterator.deviation, found)


@every_rule
def test_first_iterations_are_the_affine_map(xp, name):
    system = small(name, xp, apart=True, n_parameters=5)
    state, found = system.x0, system.iterate([0, 1, 2])
    for k in range(3):
        for i, block in enumerate(found.blocks):
            np.testing.assert_allclose(to_numpy(found.block(block)[k, ...]), to_numpy(state[i, ...]), atol=1e-13)
        state = state + system.A @ state + system.u


def test_blocks_by_name(xp):
    system = small("cdmsgd", xp)
    found = system.iterate([0, 1, 2])
    assert not to_numpy(found.block("v"))[0].any()
    J, e = to_numpy(system.model.jacobian), to_numpy(system.model.residual)
    first = -0.05 / 3 * np.einsum("qnp,qn->qp", J, e)
    np.testing.assert_allclose(to_numpy(found.block("v"))[1], first, atol=1e-14)
    np.testing.assert_array_equal(to_numpy(found.block("theta")), to_numpy(found.deviation))
    for name in ("w", "V", "", None, 0):
        with pytest.raises(UnknownNameError, match="block"):
            found.block(name)


def test_outputs_on_padding_are_nan(xp):
    case = problem(4, n_outputs=2, unequal=True, seed=3)
    padding = np.broadcast_to(np.arange(6)[None, :] >= 2 * case.n_samples[:, None], (3, 4, 6))
    assert padding.any()
    outputs = to_numpy(nf.LinearSystem("atc", CYCLE, known(case, xp), 0.05).flow([0, 1, 1e3]).outputs)
    np.testing.assert_array_equal(np.isnan(outputs), padding)


def test_what_the_model_does_not_know_is_refused(xp):
    found = nf.LinearSystem("dgd", CYCLE, linearized(problem(4), xp), 0.05).iterate([1])
    with pytest.raises(InputError, match=r"pass outputs="):
        _ = found.outputs
    with pytest.raises(InputError, match="test_jacobian and test_outputs"):
        _ = found.test_outputs


@every_rule
def test_tables(xp, name):
    found = small(name, xp, apart=True).flow([5, 0, 2])
    table = found.to_pandas()
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["time", "agent", "loss", "consensus_error"]
    assert list(table["time"]) == [5] * 4 + [0] * 4 + [2] * 4
    assert list(table["agent"]) == [0, 1, 2, 3] * 3
    np.testing.assert_array_equal(table["loss"], to_numpy(found.loss).ravel())
    np.testing.assert_array_equal(table["consensus_error"][::4], to_numpy(found.consensus_error))


# --- normalization


@pytest.mark.parametrize(
    ("given", "factors"),
    [("per_agent", lambda D: 1 / D), ("global", lambda D: 1 / (4 * D)), ("sum", lambda D: 1.0 + 0 * D),
     ("torch_mse", lambda D: 2 / (2 * D)), ("Per-Agent", lambda D: 1 / D),
     ([0.1, 0.0, 2.0, 1.0], lambda D: np.array([0.1, 0.0, 2.0, 1.0])),
     (np.array([1, 2, 3, 4]), lambda D: np.array([1, 2, 3, 4]))],
)  # fmt: skip
def test_normalization_is_the_factor_of_the_gradient(xp, given, factors):
    case = problem(4, n_outputs=2, unequal=True, seed=3)
    system = nf.LinearSystem("dgd", CYCLE, known(case, xp), 0.3, given)
    c = factors(case.n_samples.astype(float))
    expected = -0.3 * c[:, None] * np.einsum("qnp,qn->qp", case.J, case.residual)
    np.testing.assert_allclose(to_numpy(system.u)[0], expected, rtol=1e-14, atol=1e-15)
    # the loss is the same number under every normalization
    loss = (case.residual**2).sum(axis=1) / (2 * case.n_samples)
    np.testing.assert_allclose(to_numpy(system.iterate(0).loss)[0], loss, rtol=1e-14)


# --- libraries


@every_rule
def test_mixing_is_taken_to_the_models_library(xp, name):
    expected = small(name).iterate(5).loss
    for mixing in (CYCLE, array_api_strict.asarray(CYCLE), STRICT.asarray(CYCLE), xp.asarray(CYCLE)):
        system = small(name, xp, mixing=mixing)
        assert is_at_home(system.mixing, xp)
        np.testing.assert_allclose(to_numpy(system.iterate(5).loss), expected, rtol=1e-13)


def test_mixing_of_less_digits_still_keeps_consensus():
    # rows that sum to 1 in float32 miss it by 3e-8 in float64: consensus would grow and have no limit
    system = small(mixing=CYCLE.astype(np.float32))
    np.testing.assert_allclose(system.mixing.sum(axis=1), 1, rtol=0, atol=1e-15)


# --- what is refused

one, J0 = problem(4), linearized(problem(4))
without_graph = nf.Rule("alone", update={theta: theta - eta * gradient(theta)})
partly = nf.Rule("partly", update={theta: (average + W) / 2 * theta - eta * W * gradient(average * theta)})


def build(algorithm="dgd", mixing=CYCLE, model=J0, step_size=0.1, normalization="per_agent", **given):
    return lambda: nf.LinearSystem(algorithm, mixing, model, step_size, normalization, **given)


lopsided = np.array([[0.5, 0.5], [0.2, 0.8]])


def spoiled(value):
    mixing = CYCLE.copy()
    mixing[1, 2] = value
    return mixing


BAD = {
    "no W": (build(mixing=None), MixingError, "W"),
    "W of three": (build(mixing=np.eye(3)), MixingError, "shape"),
    "W not square": (build(mixing=np.full((4, 3), 1 / 3)), MixingError, "W"),
    "W flat": (build(mixing=np.full(4, 0.25)), MixingError, "W"),
    "W of column sums": (build(mixing=lopsided.T, model=linearized(problem(2))), MixingError, "0.7 in row 0"),
    "W a little off": (build(mixing=spoiled(1 / 3 + 1e-12)), MixingError, "row 1"),
    "W NaN": (build(mixing=spoiled(math.nan)), MixingError, "W"),
    "W infinite": (build(mixing=spoiled(math.inf)), MixingError, "W"),
    "W complex": (build(mixing=CYCLE + 0j), MixingError, "W"),
    "W a list": (build(mixing=CYCLE.tolist()), MixingError, "W"),
    "W a name": (build(mixing="cycle"), MixingError, "W"),
    "W a graph": (build(mixing=nf.graphs.cycle(4)), MixingError, "W"),
    "W where there is no graph": (build(without_graph), MixingError, "has no graph"),
    "W for an average": (build("gd"), MixingError, "None, as rule 'gd' has no graph, found a matrix"),
    "W for local steps": (build("fedavg", local_steps=3), MixingError, "has no graph"),
    "no W beside an average": (build(partly, None), MixingError, "W"),
    "half a count": (build("icdsgd", tau=2.5), InputError, "tau: expected a whole number from 1 to 100, found 2.5"),
    "no count": (build("fedavg", None, local_steps=0), InputError, "local_steps: expected a finite number in [1, 100]"),
    "a count of another rule": (build("icdsgd", local_steps=2), InputError, "local_steps"),
    "step zero": (build(step_size=0), InputError, "step_size"),
    "step negative": (build(step_size=-0.1), InputError, "step_size"),
    "step NaN": (build(step_size=math.nan), InputError, "step_size"),
    "step infinite": (build(step_size=math.inf), InputError, "step_size"),
    "step text": (build(step_size="0.1"), InputError, "step_size"),
    "step none": (build(step_size=None), InputError, "step_size"),
    "step complex": (build(step_size=0.1j), InputError, "step_size"),
    "step an array": (build(step_size=np.full(4, 0.1)), InputError, "step_size"),
    "step true": (build(step_size=True), InputError, "step_size"),
    "algorithm": (build("dggd"), UnknownNameError, "did you mean 'dgd'"),
    "algorithm a number": (build(3), InputError, "a name or a Rule"),
    "algorithm an expression": (build(W * theta), InputError, "a name or a Rule"),
    "model an array": (build(model=one.J), InputError, "a LinearizedModel"),
    "model none": (build(model=None), InputError, "a LinearizedModel"),
    "normalization": (build(normalization="per_agnet"), UnknownNameError, "did you mean 'per_agent'"),
    "normalization none": (build(normalization=None), InputError, "normalization"),
    "normalization a number": (build(normalization=0.5), InputError, "normalization"),
    "normalization short": (build(normalization=[1.0, 1.0]), InputError, "normalization"),
    "normalization 2-D": (build(normalization=np.ones((4, 1))), InputError, "normalization"),
    "normalization negative": (build(normalization=[1.0, 1.0, 1.0, -1.0]), InputError, "normalization"),
    "normalization NaN": (build(normalization=[1.0, 1.0, 1.0, math.nan]), InputError, "normalization"),
    "normalization texts": (build(normalization=["a", "b", "c", "d"]), InputError, "normalization"),
    "normalization ragged": (build(normalization=[[1.0], [1.0, 2.0], 1.0, 1.0]), InputError, "normalization"),
    "normalization complex": (build(normalization=np.ones(4) * 1j), InputError, "normalization"),
    "parameter": (build("cdmsgd", momentun=0.9), InputError, "did you mean 'momentum'"),
    "parameter of none": (build(momentum=0.9), InputError, "has none"),
    "parameter infinite": (build("cdmsgd", mu=math.inf), InputError, "mu"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "named"), BAD.values(), ids=BAD.keys())
def test_bad_system_is_one_clear_error(call, kind, named):
    with pytest.raises(kind) as caught:
        call()
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


TIMES = {
    "none": [], "empty array": np.zeros(0), "negative": -1, "negative among": [1, -0.5], "NaN": math.nan,
    "NaN among": np.array([1, math.nan]), "minus infinity": [-math.inf], "text": "5", "bytes": b"5",
    "texts": ["1", "2"], "2-D": np.ones((2, 2)), "nested": [[1, 2]], "None": None, "None among": [1, None],
    "complex": [1j], "complex array": np.array([1j]), "no number": object(), "a dictionary of texts": {"a": 1},
}  # fmt: skip


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES.keys())
@every_mode
def test_bad_times_are_refused(times, flow):
    system = small()
    with pytest.raises(InputError, match="times" if flow else "steps") as caught:
        (system.flow if flow else system.iterate)(times)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("steps", [0.5, [1, 2.5], np.array([1e-9])])
def test_steps_are_whole(steps):
    with pytest.raises(InputError, match=r"whole numbers.*use flow"):
        small().iterate(steps)
    assert small().flow(steps).times.shape == np.shape(np.atleast_1d(steps))


@pytest.mark.parametrize("method", ["spectrel", "", "Dense", None, 3])
def test_unknown_method(method):
    with pytest.raises(UnknownNameError, match="method"):
        small().iterate([1], method)
    with pytest.raises(UnknownNameError, match="did you mean 'spectral'"):
        small().iterate([1], "spectrel")


@pytest.mark.parametrize(
    ("name", "times", "method"),
    [("cdmsgd", [1], "spectral"), ("diging", [1], "spectral"),
     ("dgd", [10**9], "stepping"), ("dgd", [math.inf], "stepping")],
)  # fmt: skip
def test_a_method_that_cannot_is_refused(name, times, method):
    with pytest.raises(InputError, match=f"{method}.*auto"):
        small(name).iterate(times, method)


@every_rule
@every_mode
@pytest.mark.parametrize("times", [[0, 3], [7e3], [2e4], [1e6], [math.inf]], ids=str)
def test_explained_is_what_is_done(name, flow, times):
    system = small(name, step_size=0.01)
    told = system.explain(times, flow=flow)
    accepted = {choice.engine for choice in told.choices if choice.accepted}
    assert told.chosen == min(told.choices, key=lambda c: (not c.accepted, c.seconds)).engine
    assert str(told).splitlines()[2].startswith(told.chosen)
    for method in ENGINES:
        if method not in accepted:
            with pytest.raises(InputError, match="no engine accepts"):
                (system.flow if flow else system.iterate)(times, method)
    assert (system.flow if flow else system.iterate)(times).method in accepted


def test_dense_has_a_limit():
    model = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 10_001)), np.ones((2, 1)))
    system = nf.LinearSystem("dgd", np.full((2, 2), 0.5), model, 0.1)
    with pytest.raises(InputError, match="dense: expected at most 20000 states, found 20002; compress"):
        system.dense()
    assert nf.LinearSystem("dgd", np.full((2, 2), 0.5), model.compress(), 0.1).dense()[0].shape == (2, 2)


# --- overflow and limits


@every_rule
@every_method
@pytest.mark.parametrize("apart", [False, True])
def test_overflow_is_infinite_never_nan(xp, name, method, apart):
    system = small(name, xp, step_size=30.0, apart=apart)
    found = answer(system, False, [0, 1, 3, 2000, 5000], method)
    if found is None:
        return
    exact = small(name, step_size=30.0, apart=apart).iterate([0, 1, 3], "stepping")
    for what in DERIVED:
        value = to_numpy(getattr(found, what))
        assert not np.isnan(value).any(), what
        assert np.isinf(value[3:]).all(), what
        np.testing.assert_allclose(value[:3], getattr(exact, what), rtol=1e-9, atol=1e-9)
    bound = to_numpy(found.error_bound)
    assert not np.isnan(bound).any()
    assert np.isinf(bound[3:]).all()  # a finite error bound on infinity would be a lie
    assert np.isfinite(bound[:3]).all()


def test_an_overflowing_flow(xp):
    # T7: alpha Psi = 4 I, W = [[.1,.9],[.9,.1]]: the flow of ATC and CTA grows like e^{1.4 t}, DGD's does not
    model = nf.LinearizedModel.from_jacobian(2.0 * xp.stack([xp.eye(3)] * 2), xp.asarray([[1.0, 2, 3], [-1, 0, 1]]))
    mixing = np.array([[0.1, 0.9], [0.9, 0.1]])
    for name in ("atc", "cta"):
        system = nf.LinearSystem(name, mixing, model, 1.0, "sum")
        for method in ("auto", "dense"):
            found = system.flow([1.0, 10.0, 11.0, 1e4], method)
            loss = to_numpy(found.loss)
            assert not np.isnan(loss).any()
            assert np.isinf(loss[3]).all()
            np.testing.assert_allclose(np.log(loss[2] / loss[1]) / 2, 1.4, atol=1e-3)
            with pytest.raises(NoLimitError, match="flow has no limit"):
                system.flow(math.inf, method)
    quiet = nf.LinearSystem("dgd", mixing, model, 1.0, "sum").flow([1e4, math.inf])
    np.testing.assert_allclose(to_numpy(quiet.loss)[0], to_numpy(quiet.loss)[1], rtol=1e-12)


@every_rule
@pytest.mark.parametrize("method", ["auto", "dense"])
def test_too_large_a_step_has_no_limit(name, method):
    with pytest.raises(NoLimitError, match=r"the iteration has no limit: .*mode .* smaller step size"):
        small(name, step_size=30.0).iterate([math.inf], method)


@every_rule
@every_mode
def test_the_limit_is_where_long_times_go(xp, name, flow):
    system = small(name, xp, n_parameters=12, n_samples=2, step_size=0.03)
    ask = system.flow if flow else system.iterate
    for method in ("auto", "dense"):
        found = to_numpy(ask([math.inf, 1e6, 0], method).deviation)
        np.testing.assert_allclose(found[0], found[1], atol=1e-9 * abs(found).max())
        assert not found[2].any()


@pytest.mark.parametrize("n_parameters", [1, 2, 3, 5])
@sampled("n_agents", [4, 6, 12, 14], 4)
@pytest.mark.parametrize("method", ["auto", "dense"])
def test_a_mode_at_minus_one(lib, method, n_agents, n_parameters):
    # maximum-degree weights on an even cycle: lambda_min(W) = -1, the difference of neighbours flips for ever
    mixing = nf.weights.max_degree(nf.graphs.cycle(n_agents))
    still, apart = (problem(n_agents, n_parameters=n_parameters, scale=0.0, apart=a) for a in (False, True))
    assert (
        not lib.LinearSystem("dgd", mixing, linearized(still, lib=lib), 0.1).iterate(math.inf, method).deviation.any()
    )
    system = lib.LinearSystem("dgd", mixing, linearized(apart, lib=lib), 0.1)
    with pytest.raises(NoLimitError):
        system.iterate(math.inf, method)
    limit = system.flow(math.inf, method).deviation[0] + apart.start
    np.testing.assert_allclose(limit, np.broadcast_to(apart.start.mean(axis=0), limit.shape), atol=1e-13)
    late = system.iterate([10**9, 10**9 + 1, 10**9 + 2], method).deviation
    np.testing.assert_allclose(late[0], late[2], atol=1e-12)
    assert abs(late[0] - late[1]).max() > 1e-3  # it flips by twice the mean difference of neighbours at the start


# --- conserved


@every_rule
@sampled("topology", TOPOLOGIES, 5)
def test_mixing_alone_keeps_the_mean_and_reaches_it(lib, name, topology):
    mixing = nf.weights.metropolis_hastings(TOPOLOGIES[topology])
    case = problem(len(mixing), scale=0.0, apart=True)
    system = lib.LinearSystem(name, mixing, linearized(case, lib=lib), 0.1)
    for found in (system.iterate([1, 10, 10**5]), system.flow([0.3, 10.0, 1e5])):
        np.testing.assert_allclose(found.deviation.mean(axis=1), 0, atol=1e-13)
        assert found.consensus_error[-1] < 1e-12
        start = case.start - case.start.mean(axis=0)
        assert found.consensus_error[0] < np.linalg.norm(start)


@pytest.mark.parametrize("name", ["dgd", "atc", "cta"])
def test_directed_mixing_keeps_the_perron_mean(lib, name, rng):
    mixing = rng.dirichlet(np.ones(5), 5)  # row-stochastic only
    values, left = np.linalg.eig(mixing.T)
    perron = np.real(left[:, np.argmax(values.real)])
    perron /= perron.sum()
    case = problem(5, scale=0.0, apart=True)
    system = lib.LinearSystem(name, mixing, linearized(case, lib=lib), 0.1)
    for found in (system.iterate([1, 10, 10**4, math.inf]), system.flow([0.3, 10.0, 1e4, math.inf])):
        np.testing.assert_allclose(np.einsum("q,tqp->tp", perron, found.deviation), 0, atol=1e-12)
        assert found.consensus_error[-1] < 1e-11


def test_one_agent_is_gradient_descent(xp):
    case = problem(1, n_samples=4)
    for name in RULES:
        parameters = {"mu": 0.0} if name == "cdmsgd" else {}
        model = linearized(case, xp)
        found = nf.LinearSystem(name, xp.ones((1, 1)), model, 0.1, "sum", **parameters).iterate(range(6))
        x = np.zeros(5)
        for k in range(6):
            np.testing.assert_allclose(to_numpy(found.deviation)[k, 0], x, atol=1e-13)
            x = x - 0.1 * case.J[0].T @ (case.residual[0] + case.J[0] @ x)


# --- rules that average over all agents


@pytest.mark.parametrize("normalization", ["per_agent", "global", "sum", [0.5, 0.1, 1.0, 0.0]])
@pytest.mark.parametrize("apart", [False, True])
def test_gd_is_gradient_descent_on_the_pooled_loss(xp, apart, normalization):
    case, step = problem(4, n_outputs=2, unequal=True, apart=apart, seed=3), 0.2
    c = np.broadcast_to({"per_agent": 1 / case.n_samples, "global": 1 / (4 * case.n_samples), "sum": 1.0}.get(
        str(normalization), np.array(normalization, dtype=object)), 4).astype(float)  # fmt: skip
    start = np.zeros((4, 5)) if case.start is None else case.start
    # one loss of all the data, sum_q c_q/(2 Q) ||r_q||^2, one machine; agents that start apart take one step each first
    slope = [case.J[q].T @ case.J[q] for q in range(4)]
    constant = [case.J[q].T @ (case.residual[q] - case.J[q] @ start[q]) for q in range(4)]
    place = sum(start[q] - step * c[q] * case.J[q].T @ case.residual[q] for q in range(4)) / 4
    expected = [place]
    for _ in range(30):
        place = place - step * sum(c[q] * (slope[q] @ place + constant[q]) for q in range(4)) / 4
        expected.append(place)
    system = nf.LinearSystem("gd", None, linearized(case, xp), step, normalization)
    engines = [choice.engine for choice in system.explain(range(1, 32)).choices if choice.accepted]
    assert {"spectral", "krylov", "stepping", "dense"} <= set(engines)  # lanczos refuses the longer steps
    for method in ("auto", *engines):
        found = to_numpy(system.iterate(range(1, 32), method).deviation) + start
        np.testing.assert_allclose(found, np.repeat(np.array(expected)[:, None], 4, axis=1), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 4])
def test_fedavg_is_local_descent_and_a_mean(xp, steps):
    case, step = problem(4, apart=True), 0.1
    place, expected = list(case.start), []
    for _ in range(12):
        for _ in range(steps):
            place = [x - step * case.J[q].T @ (case.residual[q] + case.J[q] @ (x - case.start[q])) / 3
                     for q, x in enumerate(place)]  # fmt: skip
        place = [sum(place) / 4] * 4
        expected.append(np.array(place) - case.start)
    for words in ({"E": steps}, {"local_steps": float(steps)}):
        system = nf.LinearSystem("fedavg", None, linearized(case, xp), step, **words)
        assert system.rule.counts == {"E": steps}
        found = to_numpy(system.iterate(range(1, 13)).deviation)
        np.testing.assert_allclose(found, expected, atol=1e-13)


@every_mode
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("steps", "reach"), [(2, 0.3), (3, 0.9), (4, 1.5), (5, 1.5), (5, 1.9)])
def test_local_steps_have_a_factor(xp, steps, reach, apart, flow):
    """A mean after p(Ψ) is a product of which one order is symmetric, whether p is positive or not."""
    lin = linearized(problem(4, apart=apart, n_samples=3, n_parameters=7), xp)
    top = float(xp.max(lin.sharpness))
    system = nf.LinearSystem("fedavg", None, lin, reach / top, "sum", local_steps=steps)
    ask, times = system.flow if flow else system.iterate, [0.0, 1.0, 9.0, 2e4, math.inf]
    found, sure = ask(times, "spectral"), ask(times, "dense")
    size = float(xp.max(xp.abs(sure.deviation)))
    np.testing.assert_allclose(to_numpy(found.deviation), to_numpy(sure.deviation), atol=1e-11 * size)
    assert found.bound_kind == "estimate"  # gradients after steps are none of T12's


def test_local_steps_whose_terms_cancel_go_another_way():
    system = nf.LinearSystem("fedavg", None, known(problem(4)), 0.3, "sum", local_steps=20)
    assert system.compact.factors is None
    assert system.explain(math.inf).chosen == "dense"


def test_consensus_steps_are_a_power_of_the_mixing():
    plain = small("dgd", mixing=np.linalg.matrix_power(CYCLE, 3), apart=True).iterate([1, 7, 30])
    three = nf.LinearSystem("i-CDSGD", CYCLE, known(problem(4, apart=True)), 0.05, consensus_steps=3)
    three = three.iterate([1, 7, 30])
    np.testing.assert_allclose(three.deviation, plain.deviation, atol=1e-13)


def test_a_rule_that_is_symmetric_only_as_a_whole_has_no_factor(lib):
    """The words W·H and H·W mirror each other, but neither is of the form Wᵏ H Wᵏ: no root of A is at hand."""
    rule = nf.Rule.parse("theta' = W*theta - eta/2*W*grad(theta) - eta/2*grad(W*theta)")
    market, mixing = problem(4, n_parameters=5), nf.weights.metropolis_hastings(nf.graphs.path(4))
    system = lib.LinearSystem(rule, mixing, linearized(market, lib=lib), 0.1)
    with pytest.raises(InputError, match="spectral"):
        system.iterate(50, method="spectral")
    x, H = np.zeros((4, 5)), [J.T @ J / len(J) for J in market.J]
    drive = [J.T @ e / len(J) for J, e in zip(market.J, market.residual, strict=True)]
    for _ in range(50):
        here, mixed = (np.stack([H[q] @ y[q] + drive[q] for q in range(4)]) for y in (x, mixing @ x))
        x = mixing @ x - 0.05 * mixing @ here - 0.05 * mixed
    np.testing.assert_allclose(system.iterate(50).deviation[0], x, atol=1e-12 * abs(x).max())


def test_an_average_beside_a_mixing_matrix(xp):
    case, mean = problem(4, apart=True), np.full((4, 4), 0.25)
    place, expected = case.start, []
    for _ in range(10):
        r = case.residual + np.einsum("qnp,qp->qn", case.J, mean @ place - case.start)
        place = (mean + CYCLE) / 2 @ place - 0.05 / 3 * CYCLE @ np.einsum("qnp,qn->qp", case.J, r)
        expected.append(place - case.start)
    system = nf.LinearSystem(partly, CYCLE, linearized(case, xp), 0.05)
    assert system.compact.factors is None  # whatever W is, the two do not make one structure
    np.testing.assert_allclose(to_numpy(system.iterate(range(1, 11)).deviation), expected, atol=1e-13)


@every_mode
@pytest.mark.parametrize("reach", [0.06, 1.5])  # alpha lambda_max: I - alpha Psi has a root, or only 11^T / Q has one
@pytest.mark.parametrize(("name", "given"), [("gd", {}), ("fedavg", {"E": 1})])
def test_the_structure_of_an_average_is_found(lib, name, given, reach, flow):
    case = problem(4, n_parameters=14, apart=True)
    step_size = reach / np.linalg.norm(case.J, 2, (1, 2)).max() ** 2
    system = lib.LinearSystem(name, None, linearized(case, lib=lib), step_size, "sum", **given)
    ask, times = (system.flow if flow else system.iterate), [1, 10, 1e4, 1e6, math.inf]
    found, exact = ask(times, "spectral"), ask(times, "dense")
    assert ask(times).method == "spectral"
    assert found.bound_kind == "rigorous"
    gap = np.sqrt(((found.deviation - exact.deviation) ** 2).sum(axis=(1, 2)))
    assert (gap <= 1e-9 * np.linalg.norm(exact.deviation[-1])).all()
    assert found.consensus_error[-1] <= 1e-12 * np.linalg.norm(case.start)
    # as the same algebra says in W = 11^T / Q
    twin = lib.LinearSystem("atc", np.full((4, 4), 0.25), linearized(case, lib=lib), step_size, "sum")
    same = (twin.flow if flow else twin.iterate)(times, "spectral")
    np.testing.assert_allclose(found.deviation, same.deviation, atol=1e-12)


# --- whatever auto chooses, the dense route agrees


decay = nf.Rule("decay", update={theta: (1 - eta / 50) * W**2 * theta - eta * gradient(W * theta)})
lookahead = nf.Rule(
    "lookahead",
    update={theta: W * theta + v, v: sympy.Rational(1, 2) * W * v - eta * gradient(theta + v / 2)},
)
shrunk_twice = nf.Rule("atc squared", update={theta: W**2 * (theta - eta * gradient(theta))})


def random_system(seed, lib):
    rng = np.random.default_rng(seed)
    Q = int(rng.integers(1, 5))
    mixing = [
        lambda: nf.weights.metropolis_hastings(nf.graphs.erdos_renyi(Q, 0.9, seed=seed)) if Q > 1 else np.ones((1, 1)),
        lambda: rng.dirichlet(np.ones(Q), Q),
        lambda: np.eye(Q) - 0.3 * (np.diag((S := rng.random((Q, Q)) + 0.1).sum(1)) - S) / Q,
        lambda: np.full((Q, Q), 1 / Q),
    ][rng.integers(4)]()
    mixing = mixing / mixing.sum(axis=1, keepdims=True)
    case = problem(
        Q, n_samples=int(rng.integers(1, 4)), n_outputs=int(rng.integers(1, 3)), n_parameters=int(rng.integers(1, 6)),
        apart=True, unequal=bool(rng.integers(2)), seed=seed, scale=10.0 ** rng.uniform(-2, 0),
    )  # fmt: skip
    rules = [*RULES, "gd", "fedavg", partly, decay, lookahead, shrunk_twice]
    rule = nf.algorithms.get(rules[rng.integers(len(rules))])
    mixing = mixing if rule.uses_graph else None
    lipschitz = max(1e-6, np.linalg.norm(case.J, 2, axis=(1, 2)).max() ** 2)
    return lib.LinearSystem(
        rule, mixing, linearized(case, lib=lib), float(rng.uniform(0.05, 0.6)) / lipschitz, "sum"
    ), rng


def compared(system, flow, times, method):
    """Whether the engine answered, after holding its answer against the dense one."""
    truth, found = answer(system, flow, times, "dense"), answer(system, flow, times, method)
    if found is None:
        return False
    largest = [abs(answered.deviation).max(axis=(1, 2)) for answered in (truth, found)]
    finite = (largest[0] < 1e150) & (largest[1] < 1e150)
    assert (finite | (largest[0] > 1e149)).all()  # what grows may do so, in both answers or in none
    gap = np.sqrt(((found.deviation[finite] - truth.deviation[finite]) ** 2).sum(axis=(1, 2)))
    size = np.sqrt((truth.deviation[finite] ** 2).sum(axis=(1, 2)))
    size = np.maximum.accumulate(size) + np.linalg.norm(system.model.start)
    assert (gap <= 1e-11 * size).all()
    assert (gap <= found.error_bound[finite] + truth.error_bound[finite] + 1e-15 * size).all()
    return True


@sampled("seed", range(8), 8)
def test_every_engine_agrees_with_dense(lib, seed):
    answered = dict.fromkeys(["auto", *(set(ENGINES) - {"dense"})], 0)
    for trial in few(lib, range(10), 3, 1):
        system, rng = random_system(1000 * seed + trial, lib)
        times = np.unique(np.append(0.0, np.round(10 ** rng.uniform(0, 3.5, 4))))
        for flow in (True, False):
            for method in answered:
                answered[method] += compared(system, flow, times, method)
    assert min(answered.values()) > 0, answered  # each engine was really asked
    assert answered["auto"] == 2 * len(few(lib, range(10), 3, 1))


@sampled("seed", range(4), 4)
def test_auto_agrees_with_dense_at_infinity(lib, seed):
    limited = 0
    for trial in few(lib, range(15), 3):
        system, _ = random_system(500 + 1000 * seed + trial, lib)
        for ask in (system.flow, system.iterate):
            limits = []
            for method in ("auto", "dense"):
                try:
                    limits.append(ask(math.inf, method).deviation)
                except NtkflowError as no_limit:
                    limits.append(type(no_limit))
            context = f"seed {500 + 1000 * seed + trial}, {system.rule.name}"
            if any(isinstance(one, type) for one in limits):
                assert limits == [NoLimitError, NoLimitError], context
            else:
                scale = abs(limits[1]).max() + abs(system.model.start).max()
                np.testing.assert_allclose(limits[0], limits[1], atol=1e-7 * scale, err_msg=context)
                limited += 1
    assert limited > (15 if lib is nf else 2)
