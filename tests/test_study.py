"""A study checks its arguments before it computes anything, and says which one is wrong."""

import numpy as np
import pytest
from conftest import to_numpy
from libraries import assert_at_home

import ntkflow as nf
from ntkflow.errors import NtkflowError

data = nf.datasets.half_moons(n_agents=4, n_samples=5, seed=0)
model = nf.models.MLP([2, 4, 1])
mixing = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
theta0 = model.init(seed=0)


def made(**changes):
    given = {"W": mixing, "model": model, "theta0": theta0, "data": data, "algorithm": "dgd", "step_size": 1e-3}
    return nf.Study(**{**given, **changes})


BAD = {
    "W as a list": ({"W": mixing.tolist()}, "an array, found list"),
    "a graph for W": ({"W": nf.graphs.cycle(4)}, "metropolis_hastings"),
    "negative step": ({"step_size": -1.0}, "step_size"),
    "step as text": ({"step_size": "0.1"}, "step_size"),
    "normalization": ({"normalization": "summ"}, "did you mean 'sum'"),
    "rows of W": ({"W": 2 * mixing}, "sum to 1"),
    "shape of W": ({"W": np.full((3, 3), 1 / 3)}, "one row an agent"),
    "no W": ({"W": None}, "W"),
    "a parameter the rule has not": ({"foo": 1.0}, "foo"),
    "a misspelt parameter": ({"algorithm": "cdmsgd", "momentun": 0.5}, "did you mean 'momentum'"),
    "algorithm": ({"algorithm": "dgdd"}, "did you mean 'dgd'"),
    "model": ({"model": np.ones(3)}, "model"),
    "data": ({"data": data.x}, "data"),
    "theta0": ({"theta0": theta0[:-1]}, "theta0"),
    "single precision": ({"theta0": theta0.astype(np.float32)}, "dtype"),
    "inputs": ({"model": nf.models.MLP([3, 4, 1]), "theta0": nf.models.MLP([3, 4, 1]).init()}, "inputs"),
}


@pytest.mark.parametrize(("changes", "shown"), BAD.values(), ids=BAD.keys())
def test_bad_design_is_refused_at_once(changes, shown):
    with pytest.raises(NtkflowError, match=shown) as caught:
        made(**changes)
    assert "\n" not in str(caught.value)


def test_using_checks_names_and_shares_jacobians():
    study = made()
    with pytest.raises(NtkflowError, match="did you mean 'step_size'"):
        study.using(stepsize=1.0)
    with pytest.raises(NtkflowError, match="step_size"):
        study.using(step_size=0.0)
    other = study.using(algorithm="atc", step_size=2e-3, W=np.full((4, 4), 0.25), normalization="sum")
    assert other.linearized.compact is study.linearized.compact
    assert study.using(theta0=model.init(seed=1)).linearized is not study.linearized
    fast = study.using(algorithm="cdmsgd", momentum=0.5)
    assert fast.using(step_size=1e-4).parameters == {"momentum": 0.5}
    assert fast.using(algorithm="dgd").parameters == {}


def test_counts_shape_the_rule():
    study = made(algorithm="icdsgd", tau=3)
    assert study.rule.counts == study.system.rule.counts == {"tau": 3}
    assert study.using(step_size=1e-4).rule.counts == {"tau": 3}
    assert study.using(tau=4).rule.counts == study.using(consensus_steps=4).rule.counts == {"tau": 4}
    assert made(algorithm="fedavg", W=None).using(local_steps=5).rule.counts == {"E": 5}
    assert study.using(algorithm="dgd").parameters == {}
    for bad in (0, 2.5, "3", True, 10**6):
        with pytest.raises(NtkflowError, match="tau: expected"):
            study.using(tau=bad)


@pytest.mark.parametrize(
    ("algorithm", "given"), [("gd", {}), ("fedavg", {"E": 3}), ("icdsgd", {"tau": 2}), ("icdsgd", {"tau": 5})]
)
def test_shaped_and_averaging_rules_train_as_they_predict(lib, algorithm, given):
    """An affine model has no Taylor remainder, so training and closed form must be one."""
    line = nf.models.Affine(2)
    W = mixing if algorithm == "icdsgd" else None
    start = np.random.default_rng(0).standard_normal((4, 3))
    moons = lib.datasets.from_arrays(data.x, data.y)
    study = lib.Study(W, line, start, moons, algorithm, step_size=0.1, **given)
    predicted, observed = study.predict(40), study.train(40)
    np.testing.assert_allclose(predicted.deviation, observed.deviation, atol=1e-12)
    np.testing.assert_allclose(predicted.loss, observed.loss, rtol=1e-11)


def test_what_a_study_finds_stays_on_the_device_of_its_data(xp):
    moons = nf.datasets.from_arrays(xp.asarray(data.x), xp.asarray(data.y))
    start = model.init(seed=0, other=moons.x)
    study = nf.Study(mixing, model, start, moons, "diging", 1e-3, test_inputs=moons.x[0, :2, :])
    found = (moons, study.linearized, study.network, study.predict(3), study.train(3), study.gap(3), study.trust(3))
    for result in (*found, study.using(algorithm="atc").predict(times=[0.5, np.inf], flow=True)):
        assert_at_home(result, xp)
    for result in (study.spectrum(), study.limit()):  # reports, on the host
        assert_at_home(result, np)


def test_a_parameter_is_changed_by_either_name():
    study = made(algorithm="cdmsgd", mu=0.5)
    assert study.using(momentum=0.7).parameters == {"momentum": 0.7}


def test_predict_wants_steps_or_times():
    study = made()
    for bad in ({}, {"steps": 3, "times": [1.0]}):
        with pytest.raises(NtkflowError, match="either steps or times"):
            study.predict(**bad)
    assert study.predict(times=[0.0, np.inf]).loss.shape == (2, 4)


CARELESS = {
    "assignment": (lambda: setattr(made(), "step_size", 1.0), "using"),
    "assignment to a system": (lambda: setattr(made().system, "step_size", 1.0), "no assignment"),
    "more steps than memory": (lambda: made().predict(10**9), "at most 8 GiB"),
    "a training beyond memory": (lambda: made().train(10**9), "at most 8 GiB"),
    "data beyond memory": (lambda: nf.datasets.half_moons(8, 10**8), "at most 8 GiB"),
    "a Jacobian beyond memory": (
        lambda: nf.models.MLP([2, 10**5, 1]).jacobian(np.ones(4 * 10**5 + 1), np.ones((64, 100, 2))),
        "at most 8 GiB",
    ),
    "numbers too large to square": (
        lambda: nf.LinearizedModel.from_jacobian(np.full((2, 1, 3), 1e300), np.ones((2, 1))),
        "squares",
    ),
    "a graph to lazy": (lambda: nf.weights.lazy(nf.graphs.cycle(4)), "metropolis_hastings"),
    "rows short by a hair": (lambda: made(W=mixing * (1 - 1e-12)), "1 -1e-12 in row 0"),
    "edges instead of a file": (lambda: nf.graphs.from_edge_list([(0, 1)]), "a path"),
    "an empty kernel": (lambda: nf.LinearizedModel.from_kernel(np.zeros((0, 0)), np.zeros((0, 0))), "at least one"),
    "axes": (lambda: nf.plots.loss(made().predict(3), ax=3), "Axes"),
    "a folder that is not": (lambda: nf.plots.save(nf.plots.figure()[0], "/nope/x"), "folder that exists"),
}


@pytest.mark.parametrize(("call", "shown"), CARELESS.values(), ids=CARELESS.keys())
def test_careless_use_gets_one_clear_line(call, shown):
    with pytest.raises(NtkflowError, match=shown) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_few_steps_are_not_worth_a_compression(xp):
    """From the Jacobians as they are, before anything else is asked; afterwards everything shares the compression."""
    rng = np.random.default_rng(0)
    J, e = xp.asarray(rng.standard_normal((4, 150, 1200)) / 35), xp.asarray(rng.standard_normal((4, 150)))
    model = nf.LinearizedModel.from_jacobian(J, e)
    system = nf.LinearSystem("dgd", nf.weights.metropolis_hastings(nf.graphs.cycle(4)), model, 0.1, "sum")
    few = system.iterate([0, 1, 3])
    assert "compact" not in vars(model)
    assert few.landscape is model
    np.testing.assert_array_equal(to_numpy(few.error_bound) > 0, [False, True, True])
    many = system.iterate(range(300))
    assert "compact" in vars(model)
    again = system.iterate([0, 1, 3])
    assert again.landscape is model.compact
    np.testing.assert_allclose(to_numpy(few.loss), to_numpy(many.loss)[[0, 1, 3]], rtol=1e-12)
    moved = to_numpy(few.deviation)
    np.testing.assert_allclose(moved, to_numpy(again.deviation), atol=1e-13 * np.abs(moved).max())
