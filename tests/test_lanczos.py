"""Lanczos' spaces: small ones one after the other, bounds that hold, and paths that are read without their states."""

import itertools
import math
from dataclasses import replace

import mpmath
import numpy as np
import oracles
import pytest
import scipy.linalg
from far import long_system
from market import problem

import ntkflow as nf
from ntkflow._path import Path
from ntkflow.propagators import _arnoldi, _chain, _stretch
from ntkflow.propagators._chain import Chain
from ntkflow.structure import Form

W = nf.weights.metropolis_hastings(nf.graphs.cycle(6))


def network(rule="dgd", reach=0.5, apart=False, W=W, n=4, p=9):
    """A system whose step size is ``reach`` over the largest curvature."""
    rng = np.random.default_rng(3)
    J, start = rng.normal(size=(len(W), n, p)), rng.normal(size=(len(W), p)) if apart else None
    model = nf.LinearizedModel.from_jacobian(J, rng.normal(size=(len(W), n)), start=start)
    return nf.LinearSystem(rule, W, model, reach / float(model.sharpness.max()), "sum")


def exact(system, times, flow):
    """The deviations by SciPy's exponential of [[A, w], [0, 0]] or powers of I + it, in double precision."""
    A, w = system.dense()[0], system.full.drive.ravel()
    augmented = np.block([[A, w[:, None]], [np.zeros((1, len(w) + 1))]])
    one = np.eye(len(augmented))
    maps = (
        scipy.linalg.expm(t * augmented) if flow else np.linalg.matrix_power(one + augmented, int(t)) for t in times
    )
    return np.stack([(M @ one[:, -1])[:-1].reshape(len(system.mixing), -1) for M in maps])


def far(found, truth):
    return np.linalg.norm((found.deviation - truth).reshape(len(truth), -1), axis=1)


@pytest.fixture
def little_room(monkeypatch):
    """Spaces of a dozen vectors; of thirty where a flow is the average of as many iterates and more."""
    monkeypatch.setattr(_chain, "LEAST", 12)
    monkeypatch.setattr(_chain, "LARGEST", 12)
    monkeypatch.setattr(_arnoldi, "LARGEST", 30)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("method", ["lanczos", "krylov"])
@pytest.mark.parametrize("rule", ["dgd", "atc", "cta"])
def test_one_space_after_the_other(rule, method, flow, apart, little_room):
    system, times = network(rule, apart=apart), [1.0, 0.0, 400.0, 2.0, 40.0, 39.0, 3.0, 4.0, 170.0, 3.0]
    found, truth = (system.flow if flow else system.iterate)(times, method), exact(system, times, flow)
    assert found.path.coefficients is None  # no single space had room for it
    assert np.all(far(found, truth) <= found.error_bound)
    # the exact powers and exponentials lose some t eps of what they hold
    np.testing.assert_allclose(found.deviation, truth, atol=400 * 30 * np.finfo(float).eps * abs(truth).max())


def test_what_is_conserved_is_not_started_anew(little_room):
    """Rules with several blocks keep sums that a rounded start would set drifting: one space, or another engine."""
    with pytest.raises(nf.errors.InputError, match="30 Krylov vectors reach"):
        network("extra", reach=0.2).iterate([400], "krylov")


@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("rule", ["dgd", "atc", "cta"])
@pytest.mark.parametrize("m", [2, 4, 8, 16])
def test_what_a_small_space_lacks_is_bounded(rule, flow, m, monkeypatch):
    """T15 (c) where it is no rounding: the space ends after m vectors, and nothing is asked of it but its bound."""
    monkeypatch.setattr(_stretch, "FIRST_LOOK", m)
    nothing = lambda self, times: (np.zeros(len(times)), *np.ones((2, len(times))))  # noqa: E731
    monkeypatch.setattr(_stretch.Stretch, "_lacking", nothing)
    system, times = network(rule, apart=True), [1.0, 3.0, 10.0, 40.0]
    found, truth = (system.flow if flow else system.iterate)(times, "lanczos"), exact(system, times, flow)
    missed = far(found, truth)
    assert np.all(missed <= found.error_bound)
    if m < 16:
        assert missed[-1] > 1e-9 * np.linalg.norm(truth[-1])  # there was something to bound
        assert found.error_bound[-1] < 100 * missed[-1]  # and the bound is not empty


def test_what_a_flow_lacks_has_one_sign_and_grows():
    """e_mᵀ g_t(T) e₁ by 50 digits, however large the step: the theorem is about any T with positive β."""
    rng = np.random.default_rng(0)
    with mpmath.workdps(50):
        for scale in (0.5, 3.0, 40.0):
            T = mpmath.matrix(9, 9)
            for i in range(9):
                T[i, i] = -scale * rng.uniform()
                if i:
                    T[i, i - 1] = T[i - 1, i] = scale * rng.uniform(0.1, 0.5)
            values, vectors = mpmath.eigsy(T)
            weights = [vectors[0, j] * vectors[8, j] for j in range(9)]
            last = [sum(w * mpmath.expm1(t * x) / x for w, x in zip(weights, values, strict=True))
                    for t in (0.01, 0.1, 1.0, 3.0, 10.0, 50.0)]  # fmt: skip
            assert last[0] > 0
            assert all(a < b for a, b in itertools.pairwise(last))


@pytest.mark.parametrize("rule", ["atc", "cta"])
def test_a_drive_that_mixing_takes_away(rule):
    """Opposite agents on a complete graph: V w = 0, and CTA's filter on it is f(0) alone."""
    J, residual = np.ones((2, 1, 1)), np.array([[1.0], [-1.0]])
    model = nf.LinearizedModel.from_jacobian(J, residual)
    system = nf.LinearSystem(rule, np.full((2, 2), 0.5), model, 0.25, "sum")
    for flow in (True, False):
        ask = system.flow if flow else system.iterate
        found, sure = ask([0.0, 1.0, 7.0], "lanczos"), ask([0.0, 1.0, 7.0], "dense")
        np.testing.assert_allclose(found.deviation, sure.deviation, atol=1e-15)


def test_an_exploding_flow_has_no_cancelling_terms():
    """The step size does not matter to the flow of a symmetric rule; averages of its iterates would cancel."""
    system = network(reach=400.0)
    found, truth = system.flow([0.1, 1.0, 5.0], "lanczos"), system.flow([0.1, 1.0, 5.0], "spectral")
    assert np.all(far(found, truth.deviation) <= found.error_bound + truth.error_bound)
    np.testing.assert_allclose(found.deviation, truth.deviation, rtol=1e-10)


def test_an_exploding_iteration_is_another_engines():
    system = network(reach=400.0)
    with pytest.raises(nf.errors.InputError, match="lanczos"):
        system.iterate([3000], "lanczos")
    assert math.isinf(float(system.iterate([3000]).loss.max()))


def test_losses_and_bounds_are_read_off_the_directions():
    """Long after the space is there, no state has been written down."""
    system = network(n=3, p=60)
    found = system.flow(np.linspace(0.0, 30.0, 40), "lanczos")
    _ = found.loss, found.residual, found.error_bound, found.bound_kind
    assert "states" not in vars(found.path)
    assert found.path.directions.shape[0] < 40
    written = replace(found, path=Path(found.states))
    np.testing.assert_allclose(found.loss, written.loss, rtol=1e-13)
    np.testing.assert_allclose(found.consensus_error, written.consensus_error, rtol=1e-13)


@pytest.mark.parametrize("rule", ["dgd", "atc", "cta"])
@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_a_chain_that_does_not_climb_needs_its_iterates(rule, m, monkeypatch):
    """An eigenvalue of W near −1: the last entry of the iterates comes and goes, and no one of them speaks for all."""
    chains = []
    monkeypatch.setattr(_stretch, "FIRST_LOOK", m)
    nothing = lambda self, times: chains.append(self.chain) or (np.zeros(1), *np.ones((2, 1)))  # noqa: E731
    monkeypatch.setattr(_stretch.Stretch, "_lacking", nothing)
    restless = 0.95 * nf.weights.max_degree(nf.graphs.cycle(6)) + 0.05 * np.eye(6)
    system, times = network(rule, reach=0.05, apart=True, W=restless), [1.0, m + 1.0, m + 2.0, 10.0, 40.0]
    found = system.iterate(times, "lanczos")
    assert not chains[0].climbing
    assert np.all(far(found, exact(system, times, False)) <= 1.01 * found.error_bound)  # it is sharp at m + 1


@pytest.mark.parametrize("after", [False, True])
def test_a_chain_that_climbs_needs_no_iterate(after, monkeypatch):
    """Where I + T has no negative entry the last of the iterates says what the sum of all would, or more."""
    monkeypatch.setattr(_stretch, "FIRST_LOOK", 7)
    monkeypatch.setattr(_stretch.Stretch, "_lacking", lambda self, times: (np.zeros(1), *np.ones((2, 1))))
    rng, k = np.random.default_rng(2), list(map(float, range(60)))
    root = rng.normal(size=(40, 40)) / 40
    S, V = np.eye(40) - root @ root.T, np.eye(40) - root.T @ root
    form = Form(lambda x: V @ (S @ x) - x, lambda x: S @ x, lambda x: V @ x, after)
    stretch = _stretch.Stretch.of(form, rng.normal(size=40), k[-1], flow=False)
    assert (stretch.chain.m, stretch.chain.climbing) == (7, True)
    y, bound = stretch.at(k)
    monkeypatch.setattr(Chain, "climbing", False)
    summed, less = stretch.at(k)
    np.testing.assert_allclose(y, summed, rtol=1e-13, atol=1e-13 * abs(y).max())
    assert np.all(less <= bound * (1 + 1e-12))
    assert np.all(bound[:8] == 0.0)
    assert np.all(bound[20:] <= 20 * less[20:])  # k times the last of them


def test_the_chain_is_what_it_says():
    """A V = V T + v eᵀ to rounding, with a measure of lengths and without."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(30, 30)) / 30
    S, A = np.eye(30) - root @ root.T, -root.T @ root
    V = np.eye(30) + A
    for form in (Form(lambda x: A @ x), Form(lambda x: V @ (S @ x) - x, lambda x: S @ x, lambda x: V @ x)):
        chain = Chain(form, rng.normal(size=30))
        for _ in range(10):
            chain.extend()
        rows, T = chain.directions, chain._T[:10, :10]
        T = np.tril(T) + np.tril(T, -1).T
        left = np.stack([form.A(row) for row in rows]) - T @ rows
        assert abs(left[:9]).max() < 1e-14
        assert np.linalg.norm(left[9]) == pytest.approx(chain.rest, rel=1e-12)
        gram = rows @ (rows if form.S is None else rows @ S).T
        np.testing.assert_allclose(gram, np.eye(10), atol=1e-12)


@pytest.mark.parametrize("method", ["spectral", "lanczos", "krylov"])
@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("rule", ["gd", "dgd", "atc"])
def test_short_steps_are_rounded_as_long_ones(rule, flow, method):
    """A x is W x − x: its rounding is that of x, however small A is on the space. Against 400 bits."""
    times, own = [10.0, 1e3, 1e4], rule != "gd"
    given = problem(4, n_samples=2, n_parameters=5, seed=2)
    step = 1e-3 / max(np.linalg.norm(J, 2) ** 2 for J in given.J)
    mixing = np.full((4, 4), 0.25) if own else None
    model = nf.LinearizedModel.from_jacobian(given.J, given.residual)
    system = nf.LinearSystem(rule, mixing, model, step, "sum")
    truth = oracles.long_states(long_system(rule, mixing, given, step), times, flow=flow)
    found = (system.flow if flow else system.iterate)(times, method)
    for x, row, bound in zip(found.deviation, truth, found.error_bound, strict=True):
        assert oracles.long_gap(np.ravel(x), row)[0] <= bound


@pytest.mark.parametrize("push", [1e-6, 1e-9, 1e-12, 1e-14])
def test_a_growing_mode_that_hardly_anything_drives(push):
    """No Krylov space holds it before it has outgrown the others: such iterations are the spectral engine's."""
    rates = np.append(np.geomspace(0.01, 1.0, 300), 2.05)
    residual = np.append(np.ones(300), push)
    model = nf.LinearizedModel.from_jacobian(np.diag(rates**0.5)[None], residual[None])
    system, k = nf.LinearSystem("gd", None, model, 1.0, "sum"), 900
    found = system.iterate([k])
    exact = ((1 - rates) ** k - 1) / rates**0.5 * residual  # θ' = θ − √r (√r θ + e)
    assert found.method == "spectral"
    np.testing.assert_allclose(found.deviation[0, 0], exact, rtol=1e-10)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-22), (np.float64, 1e-170), (np.float64, 1e160)])
@pytest.mark.parametrize("method", ["lanczos", "krylov"])
@pytest.mark.parametrize("rule", ["dgd", "cta"])
def test_drives_whose_squares_are_no_numbers(rule, method, dtype, size):
    rng = np.random.default_rng(0)
    J, e = rng.normal(size=(6, 4, 9)).astype(dtype), rng.normal(size=(6, 4)).astype(dtype)
    one, other = (
        nf.LinearSystem(rule, W, nf.LinearizedModel.from_jacobian(J, e * dtype(s)), 0.01, "sum").iterate(
            [5, 50], method
        )
        for s in (1.0, size)
    )
    unit = 2e3 * np.finfo(dtype).eps  # fifty steps, a few dozen roundings each
    np.testing.assert_allclose(other.deviation / dtype(size), one.deviation, rtol=unit, atol=unit * 1e-2)
    assert np.all(other.error_bound > 0)


@pytest.mark.parametrize("method", ["lanczos", "krylov"])
def test_a_drive_that_overflows_is_another_engines(method):
    rng = np.random.default_rng(0)
    J = rng.normal(size=(6, 4, 9))
    model = nf.LinearizedModel.from_jacobian(J * 1e150, np.full((6, 4), 1e200))
    system = nf.LinearSystem("dgd", W, model, 0.01, "sum")
    with pytest.raises(nf.errors.InputError, match="the drive overflows"):
        system.flow([1.0, 5.0], method)
    assert np.isinf(system.iterate([1, 5]).loss).all()
