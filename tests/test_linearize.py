"""Linearised models: compression is exact, truncation is bounded, kernels say the same as Jacobians."""

import math
from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
import scipy.linalg
from conftest import assert_one_clear_line, to_numpy
from market import RULES, linearized, problem

import ntkflow as nf
from ntkflow import LinearizedModel, _rowspace
from ntkflow._rowspace import row_space
from ntkflow.errors import InputError
from ntkflow.linearize import _model
from ntkflow.linearize._kernel import triangular

EPS = np.finfo(float).eps
CYCLE = nf.weights.metropolis_hastings(nf.graphs.cycle(4))


def stacked(model):
    J = to_numpy(model.jacobian)
    return J.reshape(-1, J.shape[2])


def with_everything(case, xp=np, m=2, seed=5, **more):
    """The case with outputs and test points of its own for every agent."""
    rng = np.random.default_rng(seed)
    Q, n, P = case.J.shape
    extra = {"outputs": rng.standard_normal((Q, n)), "test_jacobian": rng.standard_normal((Q, m, P)),
             "test_outputs": rng.standard_normal((Q, m))}  # fmt: skip
    if case.start is not None:
        extra["start"] = case.start
    extra = {k: xp.asarray(v) for k, v in extra.items()}
    J, residual = xp.asarray(case.J), xp.asarray(case.residual)
    return LinearizedModel.from_jacobian(J, residual, case.n_outputs, n_samples=case.n_samples, **(extra | more))


# --- what is stored


@pytest.mark.parametrize("sizes", [None, [3, 1, 2, 3], (3.0, 1.0, 2.0, 3.0), np.array([3, 1, 2, 3])])
def test_padding_is_set_to_zero(xp, rng, sizes):
    J, residual = rng.standard_normal((4, 6, 5)), rng.standard_normal((4, 6))
    model = LinearizedModel.from_jacobian(xp.asarray(J), xp.asarray(residual), 2, n_samples=sizes)
    real = np.array([3, 3, 3, 3] if sizes is None else sizes)
    mask = np.arange(6)[None, :] < 2 * real[:, None]
    np.testing.assert_array_equal(to_numpy(model.n_samples), real)
    np.testing.assert_array_equal(to_numpy(model.jacobian), J * mask[:, :, None])
    np.testing.assert_array_equal(to_numpy(model.residual), residual * mask)
    assert (model.n_agents, model.n_parameters, model.n_outputs, model.left_out) == (4, 5, 2, 0.0)
    assert (model.basis, model.liftable, model.absolute, model.compressed) == (None, True, False, False)


def test_sizes_of_the_callers_library(xp):
    model = LinearizedModel.from_jacobian(xp.ones((2, 3, 4)), xp.ones((2, 3)), n_samples=xp.asarray([3, 2]))
    np.testing.assert_array_equal(to_numpy(model.n_samples), [3, 2])


def test_test_points_are_shared_or_own(xp, rng):
    J, at, f = rng.standard_normal((3, 2, 5)), rng.standard_normal((4, 5)), rng.standard_normal(4)
    J, e = xp.asarray(J), xp.ones((3, 2))
    shared, own = (
        LinearizedModel.from_jacobian(J, e, test_jacobian=xp.asarray(a), test_outputs=xp.asarray(b))
        for a, b in [(at, f), (np.stack([at] * 3), np.stack([f] * 3))]
    )
    x = rng.standard_normal((7, 3, 5))
    expected = f + np.einsum("mp,tqp->tqm", at, x)
    for model in (shared, own):
        np.testing.assert_allclose(to_numpy(model.test_outputs_at(xp.asarray(x))), expected, atol=1e-13)
    small = shared.compress()
    np.testing.assert_allclose(
        to_numpy(small.test_outputs_at(xp.asarray(x) @ small.basis)),
        f + np.einsum("mp,tqp->tqm", at, x @ to_numpy(small.basis @ small.basis.T)), atol=1e-13)  # fmt: skip


def test_global_loss_is_every_model_on_everybodys_data(xp, rng):
    case = problem(4, n_outputs=2, apart=True, unequal=True)
    model, x = with_everything(case, xp), rng.standard_normal((3, 4, 5))
    expected = np.zeros((3, 4))
    for t in range(3):
        for q in range(4):
            place = case.start[q] + x[t, q]
            errors = [case.residual[r] + case.J[r] @ (place - case.start[r]) for r in range(4)]
            expected[t, q] = np.sum(np.square(errors)) / (2 * case.n_samples.sum())
    np.testing.assert_allclose(to_numpy(model.global_loss_at(xp.asarray(x))), expected, rtol=1e-12)
    small = model.compress()
    found = small.global_loss_at(xp.asarray(x) @ small.basis)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-12)  # P = 5: the basis is complete


# --- compressed and full are one system


def full_iteration(system, steps):
    states = [system.x0]
    for _ in range(steps):
        states.append(states[-1] + system.A @ states[-1] + system.u)
    return np.stack([to_numpy(s) for s in states])


def full_flow(system, times):
    A, *_ = system.dense()
    A, u, x0 = to_numpy(A), to_numpy(system.u).ravel(), to_numpy(system.x0).ravel()
    augmented = np.block([[A, u[:, None]], [np.zeros((1, len(u) + 1))]])
    states = [(scipy.linalg.expm(t * augmented) @ np.append(x0, 1.0))[:-1] for t in times]
    return np.stack(states).reshape(len(times), *system.x0.shape)


SHAPES = {
    "wide": {"n_parameters": 10, "n_samples": 2},
    "narrow": {"n_parameters": 4},
    "wide, apart": {"n_parameters": 15, "n_samples": 2, "apart": True},
    "unequal, 2 outputs, apart": {"n_parameters": 20, "n_samples": 2, "apart": True, "unequal": True, "n_outputs": 2},
    "no Jacobian": {"n_parameters": 6, "scale": 0.0, "apart": True},
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
def test_compressed_equals_full(xp, name, shape, flow):
    case = problem(4, **shape)
    model = with_everything(case, xp)
    system = nf.LinearSystem(name, CYCLE, model, 0.05)
    found = system.flow([0, 0.5, 3, 12]) if flow else system.iterate(range(13))
    assert found.states.shape[3] < case.J.shape[2] or case.J.shape[2] == 4
    states = full_flow(system, [0, 0.5, 3, 12]) if flow else full_iteration(system, 12)
    x = states[:, 0]
    residual = case.residual + np.einsum("qnp,tqp->tqn", case.J, x)
    real = np.arange(case.J.shape[1])[None, :] < case.n_samples[:, None] * case.n_outputs
    start = 0.0 if case.start is None else case.start
    apart = x + start - (x + start).mean(axis=1, keepdims=True)
    expected = {
        "loss": (residual**2).sum(axis=2) / (2 * case.n_samples),
        "outputs": np.where(real, to_numpy(model.outputs) + residual - case.residual, math.nan),
        "test_outputs": to_numpy(model.test_outputs) + np.einsum("qmp,tqp->tqm", to_numpy(model.test_jacobian), x),
        "deviation": x,
        "consensus_error": np.sqrt((apart**2).sum(axis=(1, 2))),
    }
    for what, value in expected.items():
        np.testing.assert_allclose(to_numpy(getattr(found, what)), value, rtol=1e-11, atol=1e-11, err_msg=what)
    for i, block in enumerate(found.blocks):
        np.testing.assert_allclose(to_numpy(found.block(block)), states[:, i], rtol=1e-11, atol=1e-11)
    gap = np.sqrt(((to_numpy(found.deviation) - x) ** 2).sum(axis=(1, 2)))
    assert (gap <= to_numpy(found.error_bound) + 1e-12).all()


@pytest.mark.parametrize("apart", [False, True])
def test_compression_keeps_what_it_says(xp, apart):
    case = problem(5, n_parameters=40, n_samples=2, apart=apart)
    model = with_everything(case, xp)
    small = model.compress()
    V, J = to_numpy(small.basis), to_numpy(small.jacobian)
    rank = np.linalg.matrix_rank(stacked(model))
    assert rank == 10
    assert V.shape[1] == rank + (5 if apart else 0)  # Q more at most, on which every Jacobian is zero to rounding
    np.testing.assert_allclose(J[:, :, rank:], 0, atol=1e-14)
    np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=1e-14)
    np.testing.assert_allclose(J @ V.T, case.J, atol=1e-13)
    np.testing.assert_allclose(to_numpy(small.lift(small.start)), 0 if case.start is None else case.start, atol=1e-13)
    x = np.random.default_rng(0).standard_normal((2, 3, V.shape[1]))
    np.testing.assert_allclose(to_numpy(small.lift(xp.asarray(x))), x @ V.T, atol=1e-14)
    assert small.compact is small
    assert (small.compressed, small.liftable, small.n_parameters) == (True, True, 40)


def test_starts_around_their_mean_need_one_column_less(xp):
    case = problem(5, n_parameters=40, n_samples=2, apart=True)
    centred = xp.asarray(case.start - case.start.mean(axis=0))
    assert with_everything(case, xp, start=centred).compress().basis.shape[1] == 10 + 4
    together = xp.asarray(np.broadcast_to(case.start[0], (5, 40)).copy())
    assert with_everything(case, xp, start=together).compress().basis.shape[1] == 10 + 1
    inside = xp.asarray(np.einsum("qnp,qn->qp", case.J, case.residual))  # starts in the row space need none
    assert with_everything(case, xp, start=inside).compress().basis.shape[1] == 10


def test_zero_jacobian_keeps_one_idle_direction(xp):
    model = LinearizedModel.from_jacobian(xp.zeros((3, 2, 6)), xp.ones((3, 2)))
    small = model.compress()
    assert small.jacobian.shape == (3, 2, 1)
    assert small.left_out == 0.0
    assert not to_numpy(small.jacobian).any()


@pytest.mark.parametrize("name", RULES)
def test_compression_happens_once(monkeypatch, name):
    calls = []
    monkeypatch.setattr(_model, "row_space", lambda J, tol: calls.append(J.shape) or row_space(J, tol))
    model = linearized(problem(4, n_parameters=20))
    for step in (0.1, 0.2):
        system = nf.LinearSystem(name, CYCLE, model, step)
        system.iterate([1, 5])
        system.flow(3.0)
    assert calls == [(12, 20)]


# --- truncation (T12)


def decaying(rows, columns, decay, seed=0):
    rng = np.random.default_rng(seed)
    size = min(rows, columns)
    U, V = (np.linalg.qr(rng.standard_normal((k, size)))[0] for k in (rows, columns))
    return (U * decay(np.arange(size))) @ V.T


SPECTRA = {
    "SVD, fast": (decaying(60, 90, lambda i: 0.5**i), 1e-4),
    "SVD, tight": (decaying(90, 60, lambda i: 0.5**i), 1e-10),
    "SVD, flat": (decaying(40, 80, lambda i: 1.0 + 0 * i), 1e-10),
    "SVD, everything but one": (decaying(30, 30, lambda i: 0.9**i), 1.0),
    "SVD, low rank": (decaying(50, 40, lambda i: 1.0 * (i < 7)), 1e-10),
    "SVD, nothing asked for": (decaying(50, 40, lambda i: 1.0 * (i < 7)), 0.0),
    "SVD, a step": (decaying(50, 40, lambda i: np.where(i < 7, 1.0, 1e-6)), 1e-4),
    "kernels, tight": (decaying(60, 900, lambda i: 0.55**i), 1e-10),
    "kernels, steep": (decaying(100, 350, lambda i: 10.0 ** (-i / 4)), 1e-13),
    "kernels, clusters": (decaying(90, 390, lambda i: 1e-5 ** (i // 30)), 0.0),
    "sketch, fast": (decaying(500, 700, lambda i: 0.8**i), 1e-8),
    "sketch, algebraic": (decaying(700, 450, lambda i: (1.0 + i) ** -4), 1e-7),
    "sketch, low rank": (decaying(450, 450, lambda i: 3.0 * (i < 20)), 1e-10),
    "sketch, doubled": (decaying(700, 650, lambda i: np.where(i < 200, 1.0, 1e-12)), 1e-9),
    "sketch, noise floor": (decaying(450, 500, lambda i: 0.5**i + 1e-13), 1e-10),
    "too noisy for a sketch": (decaying(450, 500, lambda i: np.where(i < 20, 1.0, 5e-5)), 1e-4),
    "too slow for a sketch": (decaying(450, 500, lambda i: (1.0 + i) ** -1.0), 1e-3),
    "too flat for a sketch": (decaying(420, 430, lambda i: 1.0 + 0 * i), 1e-10),
    "sketch, zero": (np.zeros((410, 405)), 1e-10),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_left_out_bounds_what_is_left_out(monkeypatch, name):
    (J, tol), direct, plain = SPECTRA[name], [], _rowspace._direct
    monkeypatch.setattr(_rowspace, "_direct", lambda J, tol: direct.append(1) or plain(J, tol))
    V, JV, left_out = row_space(J, tol)
    s = np.linalg.svd(J, compute_uv=False)
    rounding = EPS * max(J.shape) * s[0]
    np.testing.assert_allclose(JV, J @ V, atol=rounding)
    np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=2e-14)
    truth = np.linalg.svd(J - (J @ V) @ V.T, compute_uv=False)[0]
    assert truth <= left_out + 2 * rounding
    # the bound is of use: no more is left out than asked for (in the sketch, within its factor of four) ...
    assert left_out <= 4 * max(tol * s[0], rounding)
    # ... and no more is kept than that takes
    assert V.shape[1] <= max(1, np.count_nonzero(s > 0.99 * max(tol * s[0], rounding)))
    assert bool(direct) == (not name.startswith("sketch"))


def test_rows_that_need_every_parameter_stay_as_they_are(xp):
    J = xp.asarray(decaying(160, 40, lambda i: 0.8**i))
    assert row_space(J, 1e-10) is None
    assert row_space(J, 1e-2)[0].shape[1] < 40
    model = LinearizedModel.from_jacobian(xp.reshape(J, (4, 40, 40)), xp.ones((4, 40)))
    small = model.compress()
    assert small.compressed
    assert small.basis is None
    assert small.left_out == 0.0
    np.testing.assert_array_equal(to_numpy(small.lift(small.jacobian[:, 0, :])), to_numpy(model.jacobian[:, 0, :]))


@pytest.mark.parametrize("flow", [False, True])
def test_a_basis_as_large_as_the_jacobian_is_applied_and_not_formed(xp, flow):
    rng = np.random.default_rng(4)
    J = xp.asarray(rng.standard_normal((4, 5, 60_000)) / 245)
    residual, test = xp.asarray(rng.standard_normal((4, 5))), xp.asarray(rng.standard_normal((3, 60_000)))
    given = {"test_jacobian": test, "test_outputs": xp.zeros(3)}
    model = LinearizedModel.from_jacobian(J, residual, **given)
    small = model.compress()
    assert small.basis is None
    assert tuple(small.jacobian.shape) == (4, 5, 20)
    assert 0 < small.left_out < 1e-12
    W = xp.asarray(CYCLE)
    exact, found = (
        getattr(nf.LinearSystem("atc", W, m, 0.3, "sum"), "flow" if flow else "iterate")([0, 1, 7, 300])
        for m in (replace(model, compressed=True), small)
    )
    scale = np.abs(to_numpy(exact.deviation)).max()
    np.testing.assert_allclose(to_numpy(found.deviation), to_numpy(exact.deviation), atol=1e-12 * scale)
    np.testing.assert_allclose(to_numpy(found.loss), to_numpy(exact.loss), atol=1e-12)
    np.testing.assert_allclose(to_numpy(found.test_outputs), to_numpy(exact.test_outputs), atol=1e-11)
    gap = np.sqrt(((to_numpy(found.deviation) - to_numpy(exact.deviation)) ** 2).sum(axis=(1, 2)))
    assert (gap <= to_numpy(found.error_bound) + to_numpy(exact.error_bound)).all()
    apart = LinearizedModel.from_jacobian(J, residual, start=xp.asarray(rng.standard_normal((4, 60_000))))
    assert apart.compress().basis is not None


@pytest.mark.parametrize("name", ["sketch, fast", "kernels, tight", "SVD, tight"])
def test_the_row_space_in_any_library(xp, name):
    J, tol = SPECTRA[name]
    V, _, left_out = row_space(xp.asarray(J), tol)
    assert type(V) is type(xp.ones(1))
    assert type(left_out) is float
    assert np.linalg.norm(J - (J @ to_numpy(V)) @ to_numpy(V).T, 2) <= left_out + 2 * EPS * max(J.shape) * 1.0


@pytest.mark.parametrize("tol", [0.0, 1e-12, 1e-6, 1e-2, 0.5, 1.0])
@pytest.mark.parametrize("apart", [False, True])
def test_model_truncation_is_bounded(xp, tol, apart):
    J = decaying(12, 30, lambda i: 0.3**i).reshape(4, 3, 30)
    case = problem(4, n_parameters=30, apart=apart)
    model = LinearizedModel.from_jacobian(
        xp.asarray(J), xp.ones((4, 3)), start=None if case.start is None else xp.asarray(case.start)
    )
    small = model.compress(tol)
    kept = to_numpy(small.jacobian) @ to_numpy(small.basis).T
    gap = np.linalg.norm((J - kept).reshape(12, 30), 2)
    rounding = 30 * EPS / 2  # of sums of 30 products, ‖J‖ = 1
    assert gap <= small.left_out + rounding
    again = small.compress(min(1.0, 100 * tol))  # a second truncation adds to the first
    kept = to_numpy(again.jacobian) @ to_numpy(again.basis).T
    assert np.linalg.norm((J - kept).reshape(12, 30), 2) <= again.left_out + rounding
    np.testing.assert_allclose(to_numpy(again.lift(again.start)), 0 if case.start is None else case.start, atol=1e-13)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_truncated_trajectories_stay_within_their_bound(name, flow, tol):
    J = decaying(12, 30, lambda i: 2.0 * 0.4**i).reshape(4, 3, 30)
    model = LinearizedModel.from_jacobian(J, np.random.default_rng(0).standard_normal((4, 3)))
    times = [0, 1, 2, 5, 20, 100]
    exact, found = (
        getattr(nf.LinearSystem(name, CYCLE, m, 0.1), "flow" if flow else "iterate")(times)
        for m in (model, model.compress(tol))
    )
    gap = np.sqrt(((exact.deviation - found.deviation) ** 2).sum(axis=(1, 2)))
    assert gap[-1] > 0
    assert found.bound_kind == ("rigorous" if name in ("dgd", "atc", "cta") else "estimate")
    if found.bound_kind == "rigorous":
        assert (gap <= found.error_bound * (1 + 1e-9)).all()


# --- kernels


def kernel(case, at=None):
    J = case.J.reshape(-1, case.J.shape[2])
    return J @ J.T if at is None else at @ J.T


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", [{}, {"n_parameters": 20, "n_outputs": 2, "unequal": True}], ids=["narrow", "wide"])
def test_kernel_and_jacobian_say_the_same(xp, name, shape, rng):
    case = problem(4, **shape)
    f, at, f_at = rng.standard_normal(case.residual.shape), rng.standard_normal((3, case.J.shape[2])), rng.random(3)
    residual, outputs, f_at = xp.asarray(case.residual), xp.asarray(f), xp.asarray(f_at)
    known = LinearizedModel.from_jacobian(
        xp.asarray(case.J), residual, case.n_outputs, case.n_samples, outputs,
        test_jacobian=xp.asarray(at), test_outputs=f_at)  # fmt: skip
    kernel_only = LinearizedModel.from_kernel(
        xp.asarray(kernel(case)), residual, case.n_outputs, case.n_samples, outputs,
        test_kernel=xp.asarray(kernel(case, at)), test_outputs=f_at)  # fmt: skip
    assert kernel_only.n_parameters == np.linalg.matrix_rank(stacked(known))
    a, b = (nf.LinearSystem(name, CYCLE, m, 0.05).iterate([0, 1, 10, 1000]) for m in (known, kernel_only))
    for what in ("loss", "global_loss", "outputs", "test_outputs", "consensus_error"):
        expected, found = to_numpy(getattr(a, what)), to_numpy(getattr(b, what))
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.nanmax(abs(expected)), err_msg=what)
    # coordinates of rank: norms are those of the deviations, the entries are not
    expected, found = (np.linalg.norm(to_numpy(t.deviation), axis=2) for t in (a, b))
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_kernel_of_a_decaying_spectrum_is_off_by_the_root_of_eps(xp):
    J = decaying(12, 30, lambda i: 0.1**i).reshape(4, 3, 30)  # half of it below sqrt(eps)
    K = J.reshape(12, 30) @ J.reshape(12, 30).T
    model = LinearizedModel.from_kernel(xp.asarray(K), xp.ones((4, 3)))
    kept = stacked(model)
    s = 0.1 ** np.arange(12.0)
    lost = np.sqrt(max(0.0, np.linalg.norm(K - kept @ kept.T, 2)))
    assert s[model.n_parameters] <= model.left_out + 1e-15
    assert lost <= model.left_out * 1.5
    assert model.left_out <= 10 * math.sqrt(12 * EPS)
    losses = [nf.LinearSystem("dgd", CYCLE, m, 0.5).flow([0.0, 10.0, 100.0]).loss
              for m in (LinearizedModel.from_jacobian(xp.asarray(J), xp.ones((4, 3))), model)]  # fmt: skip
    np.testing.assert_allclose(to_numpy(losses[1]), to_numpy(losses[0]), rtol=1e-7)


@pytest.mark.parametrize("tol", [1e-12, 1e-4, 1e-1, 1.0])
def test_kernel_truncation_is_bounded(tol):
    K = decaying(12, 12, lambda i: 0.25**i)
    U, s, _ = np.linalg.svd(K)
    K = (U * s) @ U.T
    model = LinearizedModel.from_kernel((K + K.T) / 2, np.ones((4, 3)), tol=tol)
    rank = model.n_parameters
    assert rank == max(1, np.count_nonzero(np.sqrt(s) > tol * np.sqrt(s[0])))
    beyond = np.sqrt(s[rank]) if rank < 12 else 0.0
    assert beyond <= model.left_out <= beyond + 2 * math.sqrt(12 * EPS)


def test_kernels_do_not_lift(xp):
    model = LinearizedModel.from_kernel(xp.eye(6), xp.ones((2, 3)))
    with pytest.raises(InputError, match="a kernel has no parameters"):
        model.lift(model.start)
    assert model.basis is None
    assert not model.liftable
    assert model.compact is model
    assert nf.LinearSystem("dgd", np.full((2, 2), 0.5), model, 0.1).iterate([1]).deviation.shape == (1, 2, 6)
    zero = LinearizedModel.from_kernel(xp.zeros((6, 6)), xp.ones((2, 3)))
    assert zero.jacobian.shape == (2, 3, 1)
    assert not to_numpy(zero.jacobian).any()


# --- float32


def test_float32_noise_is_no_rank(xp):
    J = decaying(60, 40, lambda i: 1.0 * (i < 7)).reshape(4, 15, 40)  # rounded to float32 its rank is 40
    J, e = xp.asarray(J, dtype=xp.float32), xp.ones((4, 15), dtype=xp.float32)
    small = LinearizedModel.from_jacobian(J, e).compress(1e-10)
    assert small.jacobian.shape[2] == 7
    assert small.basis.dtype == xp.float32
    flat = xp.reshape(J, (60, 40))
    assert LinearizedModel.from_kernel(flat @ flat.T, e).jacobian.shape[2] == 7


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("route", ["jacobian", "kernel"])
def test_float32_stays_and_is_right(xp, name, route):
    case = problem(4, n_parameters=20, apart=route == "jacobian")
    J32, r32 = xp.asarray(case.J, dtype=xp.float32), xp.asarray(case.residual, dtype=xp.float32)
    if route == "jacobian":
        model = LinearizedModel.from_jacobian(J32, r32, start=xp.asarray(case.start, dtype=xp.float32))
    else:
        model = LinearizedModel.from_kernel(xp.asarray(kernel(case), dtype=xp.float32), r32)
    expected = nf.LinearSystem(name, CYCLE, linearized(case), 0.02)
    system = nf.LinearSystem(name, CYCLE, model, 0.02)
    for method in ("auto", "dense", "stepping"):
        for found, truth in [
            (system.iterate([0, 1, 7, 50], method), expected.iterate([0, 1, 7, 50])),
            (system.flow([0.0, 0.5, 7.0, 50.0], method), expected.flow([0.0, 0.5, 7.0, 50.0])),
        ]:
            for what in ("times", "loss", "global_loss", "deviation", "consensus_error", "error_bound"):
                assert getattr(found, what).dtype == xp.float32, what
            np.testing.assert_allclose(to_numpy(found.loss), truth.loss, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", ["dgd", "atc", "cta", "cdmsgd"])
def test_float32_has_limits_too(xp, name):
    case = problem(4, n_parameters=20, n_samples=2)
    model = LinearizedModel.from_jacobian(
        xp.asarray(case.J, dtype=xp.float32), xp.asarray(case.residual, dtype=xp.float32)
    )
    truth = nf.LinearSystem(name, CYCLE, linearized(case), 0.05).iterate([math.inf]).deviation
    found = nf.LinearSystem(name, CYCLE, model, 0.05).iterate([math.inf])
    assert found.deviation.dtype == xp.float32
    np.testing.assert_allclose(to_numpy(found.deviation), truth, atol=5e-3 * abs(truth).max())


# --- bad inputs

J, e = np.random.default_rng(0).standard_normal((2, 4, 5)), np.ones((2, 4))
K = J.reshape(8, 5) @ J.reshape(8, 5).T
strict = array_api_strict.asarray


def spoiled(array, value):
    array = array.copy()
    array.flat[3] = value
    return array


def jacobian(*args, **more):
    return lambda: LinearizedModel.from_jacobian(*args, **more)


def from_kernel(*args, **more):
    return lambda: LinearizedModel.from_kernel(*args, **more)


at, f = np.ones((3, 5)), np.ones(3)
BAD = {
    "J flat": (jacobian(J[0], e), "J"),
    "J a list": (jacobian(J.tolist(), e), "J"),
    "J missing": (jacobian(None, e), "J"),
    "J empty": (jacobian(J[:0], e[:0]), "J"),
    "J without parameters": (jacobian(J[:, :, :0], e), "J"),
    "J NaN": (jacobian(spoiled(J, math.nan), e), "J"),
    "J infinite": (jacobian(spoiled(J, -math.inf), e), "J"),
    "J complex": (jacobian(J + 0j, e), "J"),
    "J whole numbers": (jacobian(J.astype(int), e), "J"),
    "residual shape": (jacobian(J, e[:, :3]), "residual"),
    "residual transposed": (jacobian(J, e.T), "residual"),
    "residual NaN": (jacobian(J, spoiled(e, math.nan)), "residual"),
    "residual a list": (jacobian(J, e.tolist()), "residual"),
    "two libraries": (jacobian(J, strict(e)), "arrays of one library"),
    "two libraries, outputs": (jacobian(strict(J), strict(e), outputs=e), "arrays of one library"),
    "two dtypes": (jacobian(J, e.astype(np.float32)), "one dtype"),
    "outputs shape": (jacobian(J, e, outputs=e[0]), "outputs"),
    "outputs infinite": (jacobian(J, e, outputs=e * math.inf), "outputs"),
    "start shape": (jacobian(J, e, start=J[:, 0, :3]), "start"),
    "start of one": (jacobian(J, e, start=J[0, 0]), "start"),
    "start NaN": (jacobian(J, e, start=J[:, 0] * math.nan), "start"),
    "n_outputs does not divide": (jacobian(J, e, 3), "n_outputs"),
    "n_outputs zero": (jacobian(J, e, 0), "n_outputs"),
    "n_outputs half": (jacobian(J, e, 0.5), "n_outputs"),
    "n_outputs text": (jacobian(J, e, "1"), "n_outputs"),
    "n_outputs true": (jacobian(J, e, True), "n_outputs"),
    "n_samples one number": (jacobian(J, e, n_samples=4), "n_samples"),
    "n_samples one NumPy number": (jacobian(J, e, n_samples=np.int64(4)), "n_samples"),
    "n_samples one float": (jacobian(J, e, n_samples=4.0), "n_samples"),
    "n_samples short": (jacobian(J, e, n_samples=[4]), "n_samples"),
    "n_samples 2-D": (jacobian(J, e, n_samples=np.ones((2, 2))), "n_samples"),
    "n_samples zero": (jacobian(J, e, n_samples=[4, 0]), "n_samples"),
    "n_samples negative": (jacobian(J, e, n_samples=[4, -1]), "n_samples"),
    "n_samples too large": (jacobian(J, e, n_samples=[4, 5]), "n_samples"),
    "n_samples too large for M": (jacobian(J, e, 2, n_samples=[2, 3]), "n_samples"),
    "n_samples half": (jacobian(J, e, n_samples=[4, 1.5]), "n_samples"),
    "n_samples NaN": (jacobian(J, e, n_samples=[4, math.nan]), "n_samples"),
    "n_samples infinite": (jacobian(J, e, n_samples=[4, math.inf]), "n_samples"),
    "n_samples none inside": (jacobian(J, e, n_samples=[4, None]), "n_samples"),
    "n_samples text": (jacobian(J, e, n_samples="44"), "n_samples"),
    "test outputs missing": (jacobian(J, e, test_jacobian=at), "test"),
    "test Jacobian missing": (jacobian(J, e, test_outputs=f), "test"),
    "test Jacobian width": (jacobian(J, e, test_jacobian=at[:, :4], test_outputs=f), "test_jacobian"),
    "test Jacobian flat": (jacobian(J, e, test_jacobian=at[0], test_outputs=f), "test_jacobian"),
    "test Jacobian agents": (jacobian(J, e, test_jacobian=np.ones((3, 3, 5)), test_outputs=f), "test_jacobian"),
    "test Jacobian 4-D": (jacobian(J, e, test_jacobian=np.ones((2, 2, 3, 5)), test_outputs=f), "test_jacobian"),
    "test outputs length": (jacobian(J, e, test_jacobian=at, test_outputs=f[:2]), "test_outputs"),
    "test outputs number": (jacobian(J, e, test_jacobian=at, test_outputs=np.array(1.0)), "test_outputs"),
    "test outputs 3-D": (jacobian(J, e, test_jacobian=at, test_outputs=np.ones((2, 3, 1))), "test_outputs"),
    "test Jacobian NaN": (jacobian(J, e, test_jacobian=at * math.nan, test_outputs=f), "test_jacobian"),
    "tol negative": (lambda: jacobian(J, e)().compress(-1e-3), "tol"),
    "tol above one": (lambda: jacobian(J, e)().compress(2), "tol"),
    "tol NaN": (lambda: jacobian(J, e)().compress(math.nan), "tol"),
    "tol text": (lambda: jacobian(J, e)().compress("small"), "tol"),
    "test points not given": (lambda: jacobian(J, e)().test_outputs_at(J[:1, 0]), "test_jacobian"),
    "K shape": (from_kernel(K[:6, :6], e), "K"),
    "K by agents": (from_kernel(K.reshape(2, 4, 8), e), "K"),
    "K not symmetric": (from_kernel(K + np.triu(K, 1), e), "symmetric"),
    "K barely not symmetric": (from_kernel(K + 1e-9 * np.triu(K, 1), e), "symmetric"),
    "K indefinite": (from_kernel(K - np.eye(8), e), "positive semi-definite"),
    "K slightly indefinite": (from_kernel(K - 1e-10 * np.linalg.norm(K, 2) * np.eye(8), e), "positive semi-definite"),
    "K negative": (from_kernel(-K, e), "positive semi-definite"),
    "K NaN": (from_kernel(K * math.nan, e), "K"),
    "K complex": (from_kernel(K + 0j, e), "K"),
    "K of another library": (from_kernel(strict(K), e), "arrays of one library"),
    "K of another dtype": (from_kernel(K.astype(np.float32), e), "one dtype"),
    "K tol": (from_kernel(K, e, tol=-1.0), "tol"),
    "K residual flat": (from_kernel(K, e.ravel()), "residual"),
    "K test kernel width": (from_kernel(K, e, test_kernel=np.ones((3, 5)), test_outputs=f), "test_kernel"),
    "K test kernel flat": (from_kernel(K, e, test_kernel=np.ones(8), test_outputs=f), "test_kernel"),
    "K test outputs missing": (from_kernel(K, e, test_kernel=np.ones((3, 8))), "test"),
}


@pytest.mark.parametrize(("call", "named"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_clear_error(call, named):
    assert_one_clear_line(call, named)


@pytest.mark.parametrize("lowest", [1.0, 0.3, 0.1, 1e-3, 1e-8, 1e-15, 0.0])
def test_a_triangular_factor_never_claims_more_than_the_least_eigenvalue(xp, lowest):
    """The bound is error / s_r with s_r from Cholesky alone: here the spectrum is known beforehand."""
    rng, rows = np.random.default_rng(5), 60
    U, R = (np.linalg.qr(rng.standard_normal((n, rows)))[0] for n in (rows, 90))
    squares = np.geomspace(1.0, lowest, rows) if lowest else np.linspace(1.0, 0.0, rows)
    J = (U * squares**0.5) @ R.T
    error = rows * EPS * np.abs(J @ J.T).sum(axis=1).max()
    found = triangular(xp.asarray(J @ J.T), error, error)
    assert found is not None or lowest < 0.1
    assert found is None or lowest > 1e-10  # there pivots are within rounding of the kernel
    if found is not None:
        F, V = to_numpy(found.F), J.T @ to_numpy(found.C())
        assert found.left_out >= 0.99 * error / lowest**0.5
        assert found.left_out <= 10 * error / lowest**0.5  # and it is of use
        np.testing.assert_allclose(F @ F.T, J @ J.T, atol=error)
        np.testing.assert_allclose(V.T @ V, np.eye(rows), atol=10 * error / lowest)
