"""Jacobians known by their products: the same model as from all of J, few products, nothing as large as J."""

import math
import tracemalloc

import array_api_strict
import numpy as np
import pytest
from conftest import assert_one_clear_line, to_numpy
from market import RULES, problem

import ntkflow as nf
from ntkflow import LinearizedModel
from ntkflow._array import namespace
from ntkflow.errors import InputError, NtkflowError
from ntkflow.linearize import _sketch

CYCLE = nf.weights.metropolis_hastings(nf.graphs.cycle(4))


class Network:
    """J (Q, n, P) of any library as products, counted; ``off`` is the relative error of a sloppy jvp."""

    def __init__(self, J, off=0.0):
        self.J, self.flat = J, namespace(J).reshape(J, (-1, J.shape[2]))
        self.off, self.rng, self.calls = off, np.random.default_rng(5), {"jvp": 0, "vjp": 0}

    def jvp(self, v):
        self.calls["jvp"] += 1
        found = self.J @ v
        return found * (1.0 + self.off * self.rng.standard_normal(found.shape)) if self.off else found

    def vjp(self, u):
        self.calls["vjp"] += 1
        return self.flat.T @ namespace(u).reshape(u, (-1,))

    def model(self, residual=None, **more):
        residual = self.J[:, :, 0] if residual is None else residual
        return LinearizedModel.from_products(self.jvp, self.vjp, residual, **more)


def spectral(s, Q=4, P=None, seed=0):
    """J (Q, n, P) with singular values s."""
    rng, N = np.random.default_rng(seed), len(s)
    U, V = (np.linalg.qr(rng.standard_normal((k, N)))[0] for k in (N, P or N + 40))
    return ((U * s) @ V.T).reshape(Q, N // Q, -1)


def ask(system, flow):
    return system.flow([0, 0.5, 3, 12, 200]) if flow else system.iterate([0, 1, 3, 12, 200])


def missed(J, model):
    """‖J − J V Vᵀ‖₂ for the V that the model lifts with."""
    flat = J.reshape(-1, J.shape[2]).astype(float)
    V = np.linalg.qr(to_numpy(model.lift(np.eye(model.jacobian.shape[2], dtype=J.dtype))).astype(float).T)[0]
    return np.linalg.norm(flat - flat @ V @ V.T, 2)


# --- one model, whether J comes whole or as products

SHAPES = {"narrow": {}, "wide": {"n_parameters": 30}, "unequal": {"n_parameters": 30, "n_outputs": 2, "unequal": True}}
NAMES = ("loss", "global_loss", "outputs", "test_outputs", "consensus_error", "deviation")


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
def test_products_and_jacobian_say_the_same(xp, name, shape, flow):
    case, rng = problem(4, **SHAPES[shape]), np.random.default_rng(1)
    J, residual, outputs = (xp.asarray(a) for a in (case.J, case.residual, rng.standard_normal(case.residual.shape)))
    at, f = xp.asarray(rng.standard_normal((3, J.shape[2]))), xp.asarray(rng.standard_normal(3))
    given = (residual, case.n_outputs, case.n_samples, outputs)
    plain = LinearizedModel.from_jacobian(J, *given, test_jacobian=at, test_outputs=f)
    network = Network(J)
    made = LinearizedModel.from_products(network.jvp, network.vjp, *given, test_jvp=lambda v: at @ v, test_outputs=f)
    assert (made.n_parameters, made.liftable, made.compressed) == (J.shape[2], True, True)
    a, b = (ask(nf.LinearSystem(name, CYCLE, model, 0.05), flow) for model in (plain, made))
    for what in NAMES:
        expected, found = to_numpy(getattr(a, what)), to_numpy(getattr(b, what))
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.nanmax(abs(expected)), err_msg=what)
    for block in a.blocks:
        expected = to_numpy(a.block(block))
        np.testing.assert_allclose(to_numpy(b.block(block)), expected, atol=1e-8 * abs(expected).max())


def test_blocks_and_products_are_one_kernel():
    case = problem(4, n_parameters=30)
    made = Network(case.J).model(case.residual)
    streamed = LinearizedModel.from_blocks(case.J, case.residual)
    np.testing.assert_allclose(
        *(np.tensordot(m.jacobian, m.jacobian, ([2], [2])) for m in (made, streamed)), atol=1e-12
    )
    assert made.left_out < 1e-12
    for name in ("dgd", "diging"):
        a, b = (nf.LinearSystem(name, CYCLE, model, 0.02) for model in (streamed, made))
        assert nf.minimality(a).minimal_order == nf.minimality(b).minimal_order
        assert nf.stability(a).iteration.verdict == nf.stability(b).iteration.verdict
        assert nf.stability(a).max_step_size == pytest.approx(nf.stability(b).max_step_size, rel=1e-8)


@pytest.mark.parametrize("whole", [256, 8], ids=["whole", "drawn"])
def test_the_basis_is_orthonormal_and_spans_the_rows(xp, monkeypatch, whole):
    monkeypatch.setattr(_sketch, "WHOLE", whole)
    case = problem(4, n_parameters=30)
    model = Network(xp.asarray(case.J)).model(xp.asarray(case.residual))
    V = to_numpy(model.lift(xp.eye(12))).T
    np.testing.assert_allclose(V.T @ V, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(to_numpy(model.jacobian) @ V.T, case.J, atol=1e-12)
    np.testing.assert_allclose(to_numpy(model.gram), [V.T @ j.T @ j @ V for j in case.J], atol=1e-12)
    (block,) = model.lift_blocks(xp.ones((2, 4, 12)))
    assert type(block) is type(xp.ones(1))
    np.testing.assert_allclose(to_numpy(block), np.broadcast_to(V.sum(1), (2, 4, 30)), atol=1e-12)
    assert model.lift(xp.ones(12)).shape == (30,)


def test_padding_counts_nothing(xp):
    case = problem(4, n_samples=3, n_parameters=30, unequal=True)
    loud = np.where(np.arange(3)[None, :] < case.n_samples[:, None], 0.0, 1e6)[:, :, None] + case.J
    networks = [Network(xp.asarray(J)) for J in (case.J, loud)]
    a, b = (network.model(xp.asarray(case.residual), n_samples=case.n_samples) for network in networks)
    assert a.jacobian.shape == b.jacobian.shape == (4, 3, case.n_samples.sum())
    assert networks[0].calls["vjp"] == case.n_samples.sum() + 2  # and padding is not asked for
    systems = [nf.LinearSystem("dgd", CYCLE, m, 0.05).iterate([100]) for m in (a, b)]
    np.testing.assert_allclose(*(to_numpy(s.deviation) for s in systems), atol=1e-8)
    pulled = [next(m.rows.source.pulled(xp.ones((1, 12)), xp.float64)) for m in (a, b)]
    np.testing.assert_allclose(*(to_numpy(p) for p in pulled), atol=1e-12)


def test_no_jacobian_at_all(xp, monkeypatch):
    for whole in (256, 8):
        monkeypatch.setattr(_sketch, "WHOLE", whole)
        model = Network(xp.zeros((4, 30, 40))).model(xp.ones((4, 30)))
        assert model.jacobian.shape == (4, 30, 1)
        assert model.left_out == 0.0
        assert not to_numpy(model.lift(xp.ones((4, 1)))).any()


def test_a_state_that_overflowed_is_infinite_and_asks_nothing():
    network = Network(problem(4, n_parameters=30).J)
    model = network.model()
    before = network.calls["vjp"]
    x = np.zeros((3, 12))
    x[1], x[2] = math.inf, 1e300
    with np.errstate(invalid="ignore"):
        found = model.lift(x)
    assert not found[0].any()
    assert np.isinf(found[1]).all()
    assert np.isfinite(found[2]).all()
    assert network.calls["vjp"] == before + 1


# --- more rows than are asked for one by one

N = 320
DECAYS = {
    "geometric": 0.7 ** np.arange(N),
    "algebraic": 1.0 / (1.0 + np.arange(N)),
    "low rank": 1.0 * (np.arange(N) < 20),
    "a plateau": np.where(np.arange(N) < 5, 1.0, 1e-3),
    "flat": np.ones(N),
}


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-10])
@pytest.mark.parametrize("decay", DECAYS)
def test_left_out_bounds_what_is_left_out(decay, tol):
    s = DECAYS[decay]
    J = spectral(s)
    network = Network(J)
    model = network.model(tol=tol)
    rank, floor = model.jacobian.shape[2], max(tol, (N * np.finfo(float).eps) ** 0.5)
    assert network.calls["vjp"] <= N + 2
    assert missed(J, model) <= model.left_out
    assert rank <= np.count_nonzero(s > floor)
    if rank < N:
        assert model.left_out <= 3 * floor  # certificate 4 floor², truncation and rounding floor² each


@pytest.mark.parametrize("decay", ["geometric", "low rank"])
def test_fast_decay_takes_few_products(decay):
    network = Network(spectral(DECAYS[decay]))
    told = []
    model = network.model(progress=lambda done, total: told.append((done, total)))
    assert model.jacobian.shape[2] in (20, np.count_nonzero(DECAYS[decay] > (N * np.finfo(float).eps) ** 0.5))
    assert told == [(k + 1, None) for k in range(len(told))]
    assert len(told) <= 3 * 32  # at most two draws hold it, a third says so
    assert network.calls == {"jvp": len(told) + 2, "vjp": len(told) + 2}


def test_flat_spectra_are_asked_for_completely():
    network = Network(spectral(np.ones(N)))
    model = network.model(tol=0.5)
    assert network.calls["jvp"] == N + 2
    assert model.jacobian.shape[2] == N
    np.testing.assert_allclose(missed(network.J, model), 0.0, atol=1e-12)


def test_a_certificate_is_no_guess():
    """The first draw of 32 cannot hold 40 directions, however small the last nine: the next one tells."""
    s = np.zeros(N)
    s[:31], s[31:40] = 1.0, 1e-4
    model = Network(spectral(s)).model(tol=1e-6)
    assert model.jacobian.shape[2] == 40


@pytest.mark.parametrize("rows", [1, 5])
def test_the_certificate_bounds_every_norm(rows):
    """Lemma 4.1 of arXiv 0909.4061, α⁻ᵇ = 1/2: of many runs not more than half, and three deviations, exceed it."""
    rng, exceeded, runs = np.random.default_rng(0), 0, 400
    A = spectral(np.array([1.0, 0.9, 0.5, 0.1, 0.0, 0.0, 0.0, 0.0]), Q=1)[0][:, :8]
    K = A @ A.T
    empty = _sketch.Nystrom(np.zeros((8, 1)), np.zeros((8, 1)), 0.0, 0.0)
    sketch = _sketch.Sketch(np.eye(8), K, 0.0)
    for _ in range(runs):
        bound = sketch.bound_beyond(empty, rng.standard_normal((8, rows)), 0.5)
        exceeded += bound < np.linalg.norm(K, 2)
    assert exceeded <= runs / 2 + 3 * runs**0.5 / 2


@pytest.mark.parametrize("name", ["dgd", "atc", "cta"])
@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-10])
def test_the_lifted_deviation_stays_within_its_bound(name, flow, tol):
    J = spectral(2.0 * 0.7 ** np.arange(N))
    residual = np.random.default_rng(3).standard_normal((4, N // 4))
    exact = ask(nf.LinearSystem(name, CYCLE, LinearizedModel.from_jacobian(J, residual).compress(1e-12), 0.1), flow)
    found = ask(nf.LinearSystem(name, CYCLE, Network(J).model(residual, tol=tol), 0.1), flow)
    gap = np.linalg.norm((exact.deviation - found.deviation).reshape(5, -1), axis=1)
    assert found.bound_kind == "rigorous"
    assert (gap <= found.error_bound + exact.error_bound).all()
    assert tol == 1e-10 or gap.max() > 1e-12  # so that there was something to bound
    np.testing.assert_allclose(found.loss, exact.loss, rtol=10 * tol)


def test_compressed_further():
    J = spectral(0.7 ** np.arange(N))
    model = Network(J).model()
    short = model.compress(1e-2)
    assert short.jacobian.shape[2] == 13  # 0.7¹² > 0.01 > 0.7¹³
    assert short.basis is None
    V = short.lift(np.eye(13)).T
    np.testing.assert_allclose(V.T @ V, np.eye(13), atol=1e-9)
    assert np.linalg.norm((J - short.jacobian @ V.T).reshape(N, -1), 2) <= short.left_out


# --- precision


@pytest.mark.parametrize("rows", [12, N])
def test_float32_claims_no_more_than_it_can_see(xp, rows):
    J = spectral(0.2 ** np.arange(rows)).astype(np.float32)
    model = Network(xp.asarray(J)).model(xp.ones((4, rows // 4), dtype=xp.float32))
    floor = (max(rows, 32) * np.finfo(np.float32).eps) ** 0.5
    assert model.jacobian.shape[2] == np.count_nonzero(0.2 ** np.arange(rows) > floor)
    V = to_numpy(model.lift(xp.eye(model.jacobian.shape[2], dtype=xp.float32))).astype(float).T
    V = np.linalg.qr(V)[0]
    flat = J.reshape(rows, -1).astype(float)
    assert np.linalg.norm(flat - flat @ V @ V.T, 2) <= model.left_out <= 3 * floor
    assert all(a.dtype == xp.float32 for a in (model.jacobian, model.n_samples, model.start, model.lift(model.start)))
    assert nf.LinearSystem("dgd", CYCLE, model, 0.1).iterate([1, 10]).deviation.dtype == xp.float32


@pytest.mark.parametrize("rows", [120, N])
@pytest.mark.parametrize("off", [1e-9, 1e-11])
def test_products_with_errors_of_their_own_are_not_trusted_below_them(rows, off):
    """As from finite differences: what K lacks in symmetry is not taken for Jacobian."""
    s = 0.5 ** np.arange(rows)
    J = spectral(s)
    network = Network(J, off)
    model = network.model()
    assert network.calls["vjp"] <= min(rows, 4 * 32) + 2  # nor is it chased to the last row
    assert missed(J, model) <= model.left_out <= 10 * off**0.5
    assert np.count_nonzero(s > 30 * off**0.5) <= model.jacobian.shape[2] <= np.count_nonzero(s > 0.1 * off**0.5)


# --- what is asked, and what is held


def test_products_are_counted():
    case, rng = problem(4, n_parameters=30), np.random.default_rng(0)
    network, told, tested = Network(case.J), [], []
    at = rng.standard_normal((5, 30))

    def test_jvp(v):
        tested.append(v)
        return at @ v

    model = network.model(case.residual, progress=lambda done, total: told.append((done, total)))
    assert told == [(k, 12) for k in range(1, 13)]
    assert network.calls == {"jvp": 12 + 2, "vjp": 12 + 2}
    trajectory = nf.LinearSystem("dgd", CYCLE, model, 0.05).iterate([0, 3, 9])
    assert np.isfinite(trajectory.loss).all()
    assert network.calls == {"jvp": 14, "vjp": 14}  # nothing until parameters are asked for
    assert trajectory.deviation.shape == (3, 4, 30)
    assert network.calls == {"jvp": 14, "vjp": 14 + 8}  # and none for the start, where nothing has moved
    again = Network(case.J)
    again.model(case.residual, test_jvp=test_jvp, test_outputs=np.ones(5))
    assert len(tested) == 12 + 1
    assert again.calls == {"jvp": 14, "vjp": 14 + 13}


@pytest.mark.parametrize("drawn", [False, True], ids=["whole", "drawn"])
def test_peak_memory_is_a_few_vectors(monkeypatch, drawn):
    """The first layer A (3, H) of tanh(x A) a, whose Jacobian would be 16 vectors: written row by row."""
    if drawn:
        monkeypatch.setattr(_sketch, "WHOLE", 8)
        monkeypatch.setattr(_sketch, "BLOCK", 4)
    H, rng = 50_000, np.random.default_rng(0)
    x, A, a = rng.standard_normal((16, 3)), rng.standard_normal((3, H)), rng.standard_normal(H) / H**0.5

    def hidden(i):
        return a * (1.0 - np.tanh(x[i] @ A) ** 2)

    def jvp(v):
        return np.array([x[i] @ (v.reshape(3, H) @ hidden(i)) for i in range(16)]).reshape(4, 4)

    def vjp(u):
        total = np.zeros((3, H))
        for i, weight in enumerate(u.reshape(-1)):
            row = weight * hidden(i)
            for k in range(3):
                total[k] += x[i, k] * row
        return total.reshape(-1)

    one = 3 * H * 8
    tracemalloc.start()
    model = LinearizedModel.from_products(jvp, vjp, np.ones((4, 4)))
    _, first = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in model.lift_blocks(np.ones((1, model.jacobian.shape[2]))):
        pass
    _, second = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first < 4.5 * one  # two vectors, a third while they are compared, and what the products themselves take
    assert second < 4.5 * one


# --- what is refused

J, e = np.random.default_rng(0).standard_normal((2, 4, 5)), np.ones((2, 4))
flat = J.reshape(8, 5)
strict = array_api_strict.asarray
good = Network(J)


def made(jvp=good.jvp, vjp=good.vjp, residual=e, **more):
    return lambda: LinearizedModel.from_products(jvp, vjp, residual, **more)


def after(calls, product, bad):
    """The product, which goes wrong after so many calls."""
    left = iter(range(calls))
    return lambda given: product(given) if next(left, None) is not None else bad(given)


BAD = {
    "an array for jvp": (made(jvp=J), "jvp: expected a function"),
    "nothing for vjp": (made(vjp=None), "vjp: expected a function"),
    "a tuple": (made(vjp=lambda u: (good.vjp(u),)), "first entry"),
    "a tuple from jvp": (made(jvp=lambda v: (good.jvp(v), v)), "first entry"),
    "a list": (made(vjp=lambda u: list(good.vjp(u))), "library"),
    "another library": (made(vjp=lambda u: strict(good.vjp(u))), "array_api_strict"),
    "jvp in another library": (made(jvp=lambda v: strict(good.jvp(v))), "array_api_strict"),
    "vjp an agent at a time": (made(vjp=lambda u: (J * u[:, :, None]).sum(1)), "vjp: expected shape (P,)"),
    "vjp of no parameters": (made(vjp=lambda u: good.vjp(u)[:0]), "vjp: expected shape (P,)"),
    "vjp that changes": (made(vjp=after(1, good.vjp, lambda u: good.vjp(u)[:4])), "vjp: expected shape (5,)"),
    "jvp flat": (made(jvp=lambda v: flat @ v), "jvp: expected shape (2, 4), found shape (8,)"),
    "other dtype": (made(jvp=lambda v: good.jvp(v).astype(np.float32)), "jvp: expected the residual's dtype float64"),
    "whole numbers": (made(vjp=lambda u: good.vjp(u).astype(int)), "vjp: expected the residual's dtype float64"),
    "NaN": (made(jvp=lambda v: good.jvp(v) * math.nan), "jvp: expected finite"),
    "infinity": (made(vjp=lambda u: good.vjp(u) + math.inf), "vjp: expected finite"),
    "NaN later": (made(jvp=after(5, good.jvp, lambda v: good.jvp(v) * math.nan)), "jvp: expected finite"),
    "outputs too": (made(jvp=lambda v: good.jvp(v) + 1.0), "jvp: expected a linear map"),
    "not linear": (made(jvp=lambda v: good.jvp(v) ** 3), "jvp: expected a linear map"),
    "absolute values": (made(jvp=lambda v: abs(good.jvp(v))), "jvp: expected a linear map"),
    "another sign": (made(vjp=lambda u: -good.vjp(u)), "transpose"),
    "one agent's only": (made(vjp=lambda u: J[0].T @ u[0]), "transpose"),
    "mean for sum": (made(vjp=lambda u: good.vjp(u) / 2), "transpose"),
    "rows in another order": (made(vjp=lambda u: good.vjp(u[::-1])), "transpose"),
    "parameters in another order": (made(vjp=lambda u: good.vjp(u)[::-1].copy()), "transpose"),
    "not linear, transposed": (made(vjp=lambda u: np.tanh(good.vjp(u))), "transpose"),
    "residual flat": (made(residual=e[0]), "residual"),
    "residual none": (made(residual=e[:0]), "residual"),
    "outputs shape": (made(outputs=e[:, :2]), "outputs"),
    "n_outputs": (made(n_outputs=3), "n_outputs"),
    "n_samples": (made(n_samples=[4]), "n_samples"),
    "tol": (made(tol=2), "tol"),
    "test_outputs alone": (made(test_outputs=np.ones(3)), "test points"),
    "test_jvp alone": (made(test_jvp=lambda v: v[:3]), "test points"),
    "test_jvp an array": (made(test_jvp=np.ones((3, 5)), test_outputs=np.ones(3)), "test_jvp: expected a function"),
    "test_jvp of other points": (made(test_jvp=lambda v: v[:2], test_outputs=np.ones(3)), "expected shape (3,)"),
    "test_outputs of other agents": (made(test_jvp=lambda v: v[:3], test_outputs=np.ones((4, 3))), "(2, m)"),
    "test_outputs a number": (made(test_jvp=lambda v: v[:3], test_outputs=np.asarray(1.0)), "(2, m)"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "named"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_clear_error(call, named):
    assert_one_clear_line(call, named)


@pytest.mark.parametrize("more", [{"n_outputs": 3}, {"n_samples": [4]}, {"tol": 2}, {"outputs": e[0]}])
def test_refused_before_any_product(more):
    never = lambda given: pytest.fail("asked")  # noqa: E731
    with pytest.raises(NtkflowError):
        LinearizedModel.from_products(never, never, e, **more)


def test_a_right_pair_in_float32_is_not_refused():
    """Sums of a million rounded terms are further off than the dtype's eps, and no reason to refuse."""
    J = np.random.default_rng(0).standard_normal((2, 4, 10**6), dtype=np.float32)
    model = Network(J).model()
    K = np.tensordot(*(J.astype(float),) * 2, ([2], [2])).reshape(8, 8)
    flat = model.jacobian.reshape(8, -1).astype(float)
    np.testing.assert_allclose(flat @ flat.T, K, atol=32 * np.finfo(np.float32).eps * np.linalg.norm(K, 2))


def test_a_lift_beyond_memory():
    model = Network(np.ones((1, 1, 3000))).model()
    x = np.broadcast_to(np.ones(1), (10**6, 1, 1))
    for lift in (model.lift, lambda x: next(model.lift_blocks(x))):
        with pytest.raises(InputError, match="fewer"):
            lift(x)


def test_rules_that_need_absolute_parameters_are_refused():
    from ntkflow.notation import W, eta, gradient, theta

    decay = nf.Rule("decay", update={theta: (W - eta) * theta - eta * gradient(theta)})
    with pytest.raises(InputError, match="start"):
        nf.LinearSystem(decay, np.full((2, 2), 0.5), good.model(e), 0.1)
