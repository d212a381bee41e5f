"""The trust horizon: network and linearisation on the predicted path, by forward passes written out here."""

import math

import numpy as np
import pytest
from conftest import to_numpy

import ntkflow as nf
from ntkflow.errors import InputError

TIMES = [0, 1, 10, 100, 400]


def study(width=64, rule="dgd", theta0=None, model=None, step_size=0.02, seed=0, lib=nf):
    moons = nf.datasets.half_moons(n_agents=4, n_samples=6, noise=0.1, seed=0)
    data = lib.datasets.from_arrays(moons.x, moons.y)
    model = model or lib.models.MLP([2, width, 1], activation="tanh")
    W = nf.weights.metropolis_hastings(nf.graphs.path(4))
    start = model.init(seed=seed) if theta0 is None else theta0
    return lib.Study(W, model, start, data, rule, step_size=step_size, normalization="sum")


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("rule", ["dgd", "cta", "cdmsgd", "diging"])
def test_it_is_the_network_less_its_linearisation(lib, rule, flow):
    here = study(rule=rule, step_size=2e-3, lib=lib)
    found, predicted = here.trust(times=TIMES, flow=flow), here.predict(times=TIMES, flow=flow)
    J, theta, x = here.model.jacobian(here.network.theta0, here.data.x), here.theta0, here.data.x
    f0 = here.model(here.network.theta0, x).reshape(4, -1)
    for t, moved in enumerate(predicted.deviation):
        linear = np.einsum("qnp,qp->qn", J, moved)
        apart = np.linalg.norm(here.model(theta + moved, x).reshape(4, -1) - f0 - linear, axis=1)
        np.testing.assert_allclose(found.departure[t], apart, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(found.movement[t], np.linalg.norm(linear, axis=1), rtol=1e-6, atol=1e-12)


def test_the_horizon_is_the_first_time_beyond_the_tolerance(lib):
    here = study(lib=lib)
    loose, tight = here.trust(times=TIMES, tolerance=0.5), here.trust(times=TIMES, tolerance=1e-3)
    assert loose.horizon == math.inf
    assert tight.horizon in TIMES
    share = dict(zip(TIMES, tight.relative, strict=True))
    assert share[0] == 0
    assert share[tight.horizon] > 1e-3
    assert all(share[t] <= 1e-3 for t in TIMES if t < tight.horizon)
    assert "exceeded at t = " in str(tight)
    assert "kept up to t = 400" in str(loose)


def test_an_affine_model_can_be_trusted_for_ever():
    affine = nf.models.Affine(n_inputs=2)
    here = study(model=affine, step_size=0.05)
    assert here.trust(steps=100, tolerance=1e-9).horizon == math.inf


def test_wide_networks_can_be_trusted_more():
    """T14 (d): the departure falls at least like √(log H / H): by 64^½ / 2^½ from 64 units to 4,096."""
    narrow, wide = (np.median([study(H, seed=s).trust(times=[200]).relative[0] for s in range(4)]) for H in (64, 4096))
    assert narrow / wide > 8 / 2**0.5


def test_agents_that_start_apart(lib):
    model = nf.models.MLP([2, 64, 1], activation="tanh")
    start = model.init(seed=0) + 1e-3 * np.random.default_rng(0).standard_normal((4, model.n_parameters))
    found = study(theta0=start, lib=lib).trust(steps=20)
    assert found.departure.shape == (21, 4)
    assert 0 < found.relative[-1] < 0.1


def test_what_overflows_is_not_trusted(lib):
    found = study(step_size=10.0, lib=lib).trust(times=[1, 5000])
    assert found.relative[-1] == math.inf
    assert not np.isnan(to_numpy(found.departure)).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"times": [3, 1]}, "increasing"),
        ({"times": [1, math.inf], "flow": True}, "finite"),
        ({"steps": 3, "tolerance": 0.0}, "tolerance"),
        ({"steps": 3, "tolerance": math.nan}, "tolerance"),
        ({}, "steps or times"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(InputError, match=words):
        study().trust(**options)
