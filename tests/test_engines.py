"""Engines where it hurts: flows of iterations that explode, factors without slow modes, single precision."""

import numpy as np
import pytest
from conftest import to_numpy
from libraries import sampled

import ntkflow as nf
from ntkflow import _rowspace

W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))


@pytest.mark.parametrize("method", ["auto", "krylov", "stepping"])
@pytest.mark.parametrize("time", [5.0, 20.0, 50.0, 200.0])
@sampled("reach", [12.0, 3.0, 5.0, 6.0, 8.0, 44.0], 6)
def test_a_stable_flow_of_an_exploding_iteration(lib, method, time, reach):
    """Its iterates grow like r^k and outweigh the Poisson probabilities beyond any cut that looks at these alone."""
    model = lib.LinearizedModel.from_jacobian(np.random.default_rng(1).normal(size=(4, 20, 300)), np.ones((4, 20)))
    top = lib.LinearSystem("dgd", W, model, 1.0).compact.top
    system = lib.LinearSystem("dgd", W, model, reach / top)
    truth = system.flow(time, "spectral").deviation
    try:
        found = system.flow(time, method)
    except nf.errors.InputError as refusal:
        assert method != "auto", refusal  # noqa: PT017 - an engine may give up, the package may not
        return
    assert np.linalg.norm(found.deviation - truth) <= found.error_bound[0] + 1e-12 * np.linalg.norm(truth)
    assert np.linalg.norm(found.deviation - truth) <= 1e-10 * np.linalg.norm(truth)


def test_an_invariant_space_of_an_exploding_iteration(lib):
    model = lib.LinearizedModel.from_jacobian(np.diag([1.0, 0.3, 0.05])[None], np.ones((1, 3)))
    system = lib.LinearSystem("gd", None, model, step_size=6.0, normalization="sum")
    s = np.array([1.0, 0.3, 0.05])
    exact = np.expm1(-6.0 * s**2 * 50.0) / s  # θ' = -6 s (s θ + 1)
    np.testing.assert_allclose(system.flow(50.0, "krylov").deviation[0, 0], exact, rtol=1e-11)


@pytest.mark.parametrize("times", [[1.0, 1000.0], [1.0, np.inf]])
def test_a_large_factor_without_slow_modes(lib, times):
    identity = lib.LinearizedModel.from_jacobian(np.eye(80)[None], np.ones((1, 80)))
    flow = lib.LinearSystem("gd", None, identity, step_size=0.5, normalization="sum").flow(times, "spectral")
    exact = [np.expm1(-0.5 * t) for t in times]
    np.testing.assert_allclose(flow.deviation, np.broadcast_to(np.array(exact)[:, None, None], (2, 1, 80)), rtol=1e-13)
    nothing = lib.LinearizedModel.from_jacobian(np.zeros((70, 1, 3)), np.ones((70, 1)))
    alone = lib.LinearSystem("dgd", np.eye(70), nothing, step_size=0.5).flow(times, "spectral")
    np.testing.assert_array_equal(alone.deviation, 0.0)


def test_single_precision_row_spaces_are_orthonormal(xp):
    rng = np.random.default_rng(0)
    for rows, columns in ((40, 300), (36, 40), (120, 900)):
        U = np.linalg.qr(rng.normal(size=(rows, rows)))[0]
        V = np.linalg.qr(rng.normal(size=(columns, rows)))[0]
        for decades in (2, 8, 18):
            J = ((U * 10.0 ** -np.linspace(0, decades, rows)) @ V.T).astype(np.float32)
            found, _, left_out = _rowspace.row_space(xp.asarray(J), 1e-10)
            found = to_numpy(found)
            assert np.abs(found.T @ found - np.eye(found.shape[1])).max() < 1e-5  # rows · eps of float32
            truth = np.linalg.norm(J.astype(float) - (J @ found).astype(float) @ found.T.astype(float), 2)
            assert truth <= left_out + 30 * np.finfo(np.float32).eps * np.linalg.norm(J, 2)


def test_single_precision_at_late_times(lib):
    rng = np.random.default_rng(0)
    J, e = rng.normal(size=(4, 3, 10)), rng.normal(size=(4, 3))
    times = [1.0, 150.0, 200.0, 1000.0, 1e39]
    for rule in ("dgd", "atc", "cta"):
        fine, coarse = (
            lib.LinearSystem(rule, W, lib.LinearizedModel.from_jacobian(J.astype(kind), e.astype(kind)), 0.1)
            for kind in (np.float64, np.float32)
        )
        expected, found = fine.flow(times, "spectral").loss, coarse.flow(times, "spectral").loss
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


def test_what_a_breakdown_drops_is_in_the_bound(lib):
    """A component of 90 eps beside w, with a mode that lives 1e5 iterations."""
    slow, e = 1e-5, 90 * np.finfo(float).eps
    model = lib.LinearizedModel.from_jacobian(np.diag([1.0, slow**0.5])[None], np.array([[1.0, e / slow**0.5]]))
    system = lib.LinearSystem("gd", None, model, step_size=1.0, normalization="sum")
    for k in (100, 10_000):
        found = system.iterate(k, "krylov")
        exact = np.array([-1.0, -e / slow * -np.expm1(k * np.log1p(-slow))])
        assert np.linalg.norm(found.deviation[0, 0] - exact) <= found.error_bound[0]
