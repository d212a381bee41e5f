"""The flow beside the iteration: SciPy's exponential of the hand-written matrices beside the agents' own loop."""

import numpy as np
import oracles
import pytest
from conftest import to_numpy
from libraries import assert_at_home
from test_oracles import every_rule, mixing, small

import ntkflow as nf

STEPS = [0, 1, 7, 40]


@every_rule
@pytest.mark.parametrize("apart", [False, True])
def test_it_is_what_they_differ_by(lib, rule, apart):
    case = small(rule, mixing("star"), "sum", seed=2, apart=apart, n_samples=2, n_parameters=4, lib=lib)
    found = case.system.gap(STEPS)
    loop = case.loop(max(STEPS))[STEPS, 0]
    flow = oracles.dense_flow(case.dense, STEPS)[:, : case.start.size].reshape(len(STEPS), *case.start.shape)
    apart_by = np.linalg.norm(case.start + flow - loop, axis=(1, 2))
    moved = np.linalg.norm(loop - case.start, axis=(1, 2))
    np.testing.assert_allclose(found.distance, apart_by, rtol=1e-9, atol=1e-12 * moved.max())
    np.testing.assert_allclose(found.movement, moved, rtol=1e-9, atol=1e-12 * moved.max())
    np.testing.assert_allclose(found.relative[1:], apart_by[1:] / moved[1:], rtol=1e-8, atol=1e-12)
    assert found.relative[0] == 0
    assert found.loss.shape == (len(STEPS), len(case.W))


def problem(xp, step_size, rule="dgd"):
    rng = np.random.default_rng(3)
    J, e = (xp.asarray(a) for a in (rng.standard_normal((4, 2, 5)), rng.standard_normal((4, 2))))
    W = nf.weights.metropolis_hastings(nf.graphs.path(4))
    return nf.LinearSystem(rule, xp.asarray(W), nf.LinearizedModel.from_jacobian(J, e), step_size, "sum")


def test_it_falls_with_the_step_size_at_a_fixed_time():
    """T2: agents that start together part from their flow by O(η) at t = η k."""
    gaps = [problem(np, eta).gap([round(2.0 / eta)]).distance[0] for eta in (4e-3, 2e-3, 1e-3, 5e-4)]
    rates = np.log2(np.array(gaps[:-1]) / gaps[1:])
    assert np.all(np.abs(rates - 1) < 0.1), rates


def test_both_have_the_same_limit(xp):
    found = problem(xp, 0.05).gap([np.inf])
    assert float(found.distance[0]) <= 1e-12 * float(found.movement[0])
    assert np.all(np.abs(to_numpy(found.loss)) <= 1e-12)
    assert "∞" in str(found)


def test_it_stays_where_the_model_lives(xp):
    assert_at_home(problem(xp, 0.05).gap([1, 10]), xp)


def test_what_overflows_is_infinite(xp):
    found = problem(xp, 1e3).gap([1, 10_000])
    assert np.isfinite(float(found.distance[0]))
    assert np.isposinf(float(found.distance[1]))
    assert not np.isnan(to_numpy(found.loss)).any()


def test_a_study_has_it_for_every_step():
    data, model = nf.datasets.half_moons(4, 6, noise=0.1, seed=0), nf.models.MLP([2, 8, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-2)
    np.testing.assert_array_equal(study.gap(3).distance, study.system.gap([0, 1, 2, 3]).distance)
