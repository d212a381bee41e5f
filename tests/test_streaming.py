"""Jacobians in blocks: the same model as from all of J at once, read once, lifted by a second pass, never held."""

import math
import tracemalloc
import weakref

import array_api_strict
import numpy as np
import pytest
from conftest import assert_one_clear_line, to_numpy
from market import RULES, problem

import ntkflow as nf
from ntkflow import LinearizedModel
from ntkflow.errors import InputError, NtkflowError
from ntkflow.linearize import _blocks
from ntkflow.notation import W, eta, gradient, theta

CYCLE = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
EPS = np.finfo(float).eps


def cut(J, *edges):
    """A function that returns the columns of J in blocks with these edges."""
    P = J.shape[2]
    return lambda: (J[:, :, a:b] for a, b in zip((0, *edges), (*edges, P), strict=True))


class Lazy:
    """As an h5py dataset: a shape and slices, and nothing else."""

    def __init__(self, J):
        self.J, self.shape, self.dtype, self.read = J, J.shape, J.dtype, []

    def __getitem__(self, where):
        assert where[:2] == (slice(None), slice(None))
        self.read.append((where[2].start, min(where[2].stop, self.shape[2])))
        return self.J[where]


def decaying(decay, Q=4, n=3, P=30):
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((k, Q * n)))[0] for k in (Q * n, P))
    return ((U * decay(np.arange(Q * n))) @ V.T).reshape(Q, n, P)


def ask(system, flow):
    return system.flow([0, 0.5, 3, 12, 200]) if flow else system.iterate([0, 1, 3, 12, 200])


# --- one model, whichever way J comes

SHAPES = {"narrow": {}, "wide": {"n_parameters": 30}, "unequal": {"n_parameters": 30, "n_outputs": 2, "unequal": True}}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
def test_blocks_and_jacobian_say_the_same(xp, name, shape, flow):
    case, rng = problem(4, **SHAPES[shape]), np.random.default_rng(1)
    P = case.J.shape[2]
    J, residual, outputs = (xp.asarray(a) for a in (case.J, case.residual, rng.standard_normal(case.residual.shape)))
    at, f = rng.standard_normal((3, P)), xp.asarray(rng.standard_normal(3))
    plain = LinearizedModel.from_jacobian(
        J, residual, case.n_outputs, case.n_samples, outputs, test_jacobian=xp.asarray(at), test_outputs=f)  # fmt: skip
    streamed = LinearizedModel.from_blocks(
        cut(J, 1, P // 2), residual, case.n_outputs, case.n_samples, outputs,
        test_kernel=xp.asarray(at @ case.J.reshape(-1, P).T), test_outputs=f)  # fmt: skip
    assert (streamed.n_parameters, streamed.liftable, streamed.compressed) == (P, True, True)
    a, b = (ask(nf.LinearSystem(name, CYCLE, model, 0.05), flow) for model in (plain, streamed))
    for what in ("loss", "global_loss", "outputs", "test_outputs", "consensus_error", "deviation"):
        expected, found = to_numpy(getattr(a, what)), to_numpy(getattr(b, what))
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.nanmax(abs(expected)), err_msg=what)
    for block in a.blocks:
        expected = to_numpy(a.block(block))
        np.testing.assert_allclose(to_numpy(b.block(block)), expected, atol=1e-8 * abs(expected).max())


def test_padding_counts_nothing(xp):
    case = problem(4, n_samples=3, n_parameters=30, unequal=True)
    loud = np.where(np.arange(3)[None, :] < case.n_samples[:, None], 0.0, 1e6)[:, :, None] + case.J
    a, b = (
        LinearizedModel.from_blocks(xp.asarray(J), xp.asarray(case.residual), n_samples=case.n_samples)
        for J in (case.J, loud)
    )
    assert a.jacobian.shape == b.jacobian.shape
    x = np.random.default_rng(0).standard_normal((4, a.jacobian.shape[2]))
    assert abs(to_numpy(b.lift(xp.asarray(x)))).max() < 1e2
    systems = [nf.LinearSystem("dgd", CYCLE, m, 0.05).iterate([100]) for m in (a, b)]
    np.testing.assert_allclose(*(to_numpy(s.deviation) for s in systems), atol=1e-8)


def test_everything_after_it_works():
    case = problem(4, n_parameters=30)
    plain = LinearizedModel.from_jacobian(case.J, case.residual)
    streamed = LinearizedModel.from_blocks(cut(case.J, 7), case.residual)
    for name in ("dgd", "diging"):
        a, b = (nf.LinearSystem(name, CYCLE, model, 0.02) for model in (plain, streamed))
        assert nf.minimality(a).order == nf.minimality(b).order
        assert nf.minimality(a).minimal_order == nf.minimality(b).minimal_order
        assert nf.stability(a).iteration.verdict == nf.stability(b).iteration.verdict
        assert nf.stability(a).max_step_size == pytest.approx(nf.stability(b).max_step_size, rel=1e-8)
        assert nf.spectrum(a).radius == pytest.approx(nf.spectrum(b).radius, abs=1e-10)


def test_order_of_blocks_matters_to_parameters_only():
    case = problem(4, n_parameters=30)
    pieces = [case.J[:, :, :4], case.J[:, :, 4:11], case.J[:, :, 11:]]
    orders = [(0, 1, 2), (2, 0, 1)]
    deviations = []
    for order in orders:
        model = LinearizedModel.from_blocks(lambda order=order: (pieces[i] for i in order), case.residual)
        trajectory = nf.LinearSystem("atc", CYCLE, model, 0.05).iterate([50])
        blocks = list(model.lift_blocks(trajectory.states[0, 0]))
        assert [b.shape[1] for b in blocks] == [pieces[i].shape[2] for i in order]
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), trajectory.deviation[0])
        deviations.append(np.concatenate([blocks[order.index(i)] for i in range(3)], axis=1))
    np.testing.assert_allclose(*deviations, atol=1e-12)


def test_the_basis_is_orthonormal_and_spans_the_rows(xp):
    case = problem(4, n_parameters=30)
    model = LinearizedModel.from_blocks(xp.asarray(case.J), xp.asarray(case.residual), block_width=7)
    V = to_numpy(model.lift(xp.eye(12))).T
    np.testing.assert_allclose(V.T @ V, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(to_numpy(model.jacobian) @ V.T, case.J, atol=1e-12)
    one = model.lift(xp.eye(12)[0, :])
    assert one.shape == (30,)
    assert type(one) is type(xp.ones(1))


def test_a_plain_model_lifts_in_one_block(xp):
    case = problem(4, n_parameters=30)
    model = LinearizedModel.from_jacobian(xp.asarray(case.J), xp.asarray(case.residual)).compress()
    x = xp.ones((2, 4, 12))
    (block,) = model.lift_blocks(x)
    np.testing.assert_array_equal(to_numpy(block), to_numpy(model.lift(x)))
    with pytest.raises(InputError, match="a kernel has no parameters"):
        next(LinearizedModel.from_kernel(xp.eye(12), xp.asarray(case.residual)).lift_blocks(x))


# --- bounds


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-10])
@pytest.mark.parametrize("rate", [0.4, 0.1])
def test_the_lifted_deviation_stays_within_its_bound(name, flow, tol, rate):
    J = decaying(lambda i: 2.0 * rate**i)
    residual = np.random.default_rng(0).standard_normal((4, 3))
    exact = ask(nf.LinearSystem(name, CYCLE, LinearizedModel.from_jacobian(J, residual), 0.1), flow)
    streamed = LinearizedModel.from_blocks(cut(J, 10, 20), residual, tol=tol)
    found = ask(nf.LinearSystem(name, CYCLE, streamed, 0.1), flow)
    gap = np.linalg.norm((exact.deviation - found.deviation).reshape(5, -1), axis=1)
    assert found.bound_kind == ("rigorous" if name in ("dgd", "atc", "cta") else "estimate")
    if found.bound_kind == "rigorous":
        assert (gap <= found.error_bound + exact.error_bound).all()


@pytest.mark.parametrize("tol", [1e-1, 1e-4, 1e-10])
def test_left_out_bounds_what_is_left_out(xp, tol):
    J = decaying(lambda i: 0.2**i)
    model = LinearizedModel.from_blocks(cut(xp.asarray(J), 9), xp.ones((4, 3)), tol=tol)
    rank, s = model.jacobian.shape[2], 0.2 ** np.arange(12.0)
    assert rank <= np.count_nonzero(s > tol)
    beyond = s[rank] if rank < 12 else 0.0
    assert beyond <= model.left_out <= beyond + 1e-7
    U = np.linalg.qr(to_numpy(model.jacobian).reshape(12, rank))[0]
    flat = J.reshape(12, 30)
    assert np.linalg.norm(flat - U @ (U.T @ flat), 2) <= model.left_out


def test_compressed_further():
    J = decaying(lambda i: 0.3**i)
    model = LinearizedModel.from_blocks(cut(J, 9), np.ones((4, 3)))
    short = model.compress(1e-2)
    assert short.jacobian.shape[2] < model.jacobian.shape[2]
    assert short.basis is None
    V = short.lift(np.eye(short.jacobian.shape[2])).T
    np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=1e-9)
    assert np.linalg.norm((J - short.jacobian @ V.T).reshape(12, 30), 2) <= short.left_out


def test_long_sums_of_few_rows_are_no_negative_kernel():
    rng = np.random.default_rng(0)
    for _ in range(20):
        row = rng.standard_normal(20_000)
        model = LinearizedModel.from_blocks(np.stack([row[None], row[None]]), np.ones((2, 1)), block_width=999)
        assert model.jacobian.shape[2] == 1


def test_no_jacobian_at_all(xp):
    model = LinearizedModel.from_blocks(xp.zeros((4, 3, 30)), xp.ones((4, 3)))
    assert model.jacobian.shape == (4, 3, 1)
    assert not to_numpy(model.lift(xp.ones((4, 1)))).any()


# --- precision


@pytest.mark.parametrize("mixed", [False, True])
def test_float32_blocks_are_summed_in_double_precision(xp, mixed):
    J = decaying(lambda i: 0.2**i).astype(np.float32)
    blocks = cut(xp.asarray(J), 9)
    dtype = xp.float64 if mixed else xp.float32
    model = LinearizedModel.from_blocks(blocks, xp.ones((4, 3), dtype=dtype))
    s = np.linalg.svd(J.reshape(12, 30).astype(float), compute_uv=False)
    floor = 12 * np.finfo(np.float32).eps
    rank = np.count_nonzero(s > floor * s[0])
    assert model.jacobian.shape[2] == rank  # a kernel in float32 would see half of it
    assert s[rank] <= model.left_out <= 2 * floor * s[0]
    x = xp.ones((4, rank), dtype=dtype)
    assert all(a.dtype == dtype for a in (model.jacobian, model.n_samples, model.start, model.lift(x)))
    V = to_numpy(model.lift(xp.eye(rank, dtype=dtype))).astype(float).T
    np.testing.assert_allclose(V.T @ V, np.eye(rank), atol=1e-4)
    found = nf.LinearSystem("dgd", CYCLE, model, 0.1).iterate([1, 10, 100])
    assert found.deviation.dtype == dtype
    truth = nf.LinearSystem("dgd", CYCLE, LinearizedModel.from_jacobian(J.astype(float), np.ones((4, 3))), 0.1)
    expected = truth.iterate([1, 10, 100])
    np.testing.assert_allclose(to_numpy(found.loss), expected.loss, rtol=1e-5)
    gap = np.linalg.norm((to_numpy(found.deviation) - expected.deviation).reshape(3, -1), axis=1)
    assert (gap <= to_numpy(found.error_bound)).all()


def test_wide_blocks_in_pieces(monkeypatch, xp):
    case = problem(4, n_parameters=30)
    whole = LinearizedModel.from_blocks(xp.asarray(case.J), xp.asarray(case.residual))
    monkeypatch.setattr(_blocks, "PIECE", 7)
    pieces = LinearizedModel.from_blocks(xp.asarray(case.J), xp.asarray(case.residual))
    a, b = (nf.LinearSystem("dgd", CYCLE, m, 0.05).iterate([100]).deviation for m in (whole, pieces))
    np.testing.assert_allclose(to_numpy(a), to_numpy(b), atol=1e-12)


# --- what is read, and what is held


def test_arrays_are_read_in_slices(tmp_path, monkeypatch):
    case = problem(4, n_parameters=30)
    expected = nf.LinearSystem("cta", CYCLE, LinearizedModel.from_jacobian(case.J, case.residual), 0.05).iterate([9])
    stored = np.memmap(tmp_path / "J", dtype=float, mode="w+", shape=case.J.shape)
    stored[:] = case.J
    stored.flush()
    lazy = Lazy(np.memmap(tmp_path / "J", dtype=float, mode="r", shape=case.J.shape))
    model = LinearizedModel.from_blocks(lazy, case.residual, block_width=8)
    edges = [(0, 8), (8, 16), (16, 24), (24, 30)]
    assert lazy.read == edges
    found = nf.LinearSystem("cta", CYCLE, model, 0.05).iterate([9])
    assert lazy.read == edges  # the second pass waits until it is asked for
    np.testing.assert_allclose(found.deviation, expected.deviation, atol=1e-10)
    assert lazy.read == 2 * edges
    assert type(found.deviation) is type(model.jacobian) is np.ndarray
    monkeypatch.setattr(_blocks, "BUDGET", 10 * 12 * 8)
    lazy.read.clear()
    LinearizedModel.from_blocks(lazy, case.residual)
    assert lazy.read == [(0, 10), (10, 20), (20, 30)]


def test_one_block_at_a_time():
    alive, most = set(), []

    def fresh(i):
        block = np.random.default_rng(i).standard_normal((4, 3, 50))
        alive.add(i)
        weakref.finalize(block, alive.discard, i)
        most.append(len(alive))
        return block

    def blocks():
        for i in range(6):
            yield fresh(i)

    model = LinearizedModel.from_blocks(blocks, np.ones((4, 3)))
    for part in model.lift_blocks(model.start):
        assert part.shape == (4, 50)
    assert most == [1] * 12


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_peak_memory_is_one_block(dtype):
    width, Q, n = 120_000, 4, 8

    def blocks():
        for i in range(8):
            yield np.random.default_rng(i).standard_normal((Q, n, width), dtype=dtype)

    one = Q * n * width * np.dtype(dtype).itemsize
    tracemalloc.start()
    model = LinearizedModel.from_blocks(blocks, np.ones((Q, n)))
    _, first = tracemalloc.get_traced_memory()
    x = np.ones((1, 32))
    tracemalloc.reset_peak()
    for _ in model.lift_blocks(x):
        pass
    _, second = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first < 1.3 * one
    assert second < 1.3 * one


def test_progress_is_told():
    told = []
    case = problem(4, n_parameters=30)
    LinearizedModel.from_blocks(
        case.J, case.residual, block_width=13, progress=lambda done, total: told.append((done, total))
    )
    LinearizedModel.from_blocks(cut(case.J, 11), case.residual, progress=lambda done, total: told.append((done, total)))
    assert told == [(13, 30), (26, 30), (30, 30), (11, None), (30, None)]


# --- what is refused

J, e = np.random.default_rng(0).standard_normal((2, 4, 5)), np.ones((2, 4))
strict = array_api_strict.asarray


def made(blocks, residual=e, **more):
    return lambda: LinearizedModel.from_blocks(blocks, residual, **more)


def spoiled(value):
    bad = J.copy()
    bad[1, 2, 3] = value
    return bad


BAD = {
    "a generator": (made(b for b in [J]), "read only once"),
    "a list": (made([J]), "pass the function"),
    "nothing": (made(None), "blocks"),
    "no blocks": (made(lambda: iter(())), "at least one block"),
    "no iterator": (made(lambda: None), "use yield"),
    "an array for an iterator": (made(lambda: J), "(2, 4, width)"),
    "flat": (made(J[0]), "(2, 4, P)"),
    "other agents": (made(J[:1]), "(2, 4, P)"),
    "without parameters": (made(J[:, :, :0]), "(2, 4, P)"),
    "an empty block": (made(cut(J, 2, 2)), "(2, 4, width)"),
    "other rows in one block": (made(lambda: iter([J, J[:, :3]])), "(2, 4, width)"),
    "a list for a block": (made(lambda: iter([J.tolist()])), "library"),
    "another library": (made(lambda: iter([strict(J)])), "library"),
    "another library, array": (made(strict(J)), "library"),
    "NaN": (made(spoiled(math.nan)), "columns 0 to 4"),
    "infinity in the second block": (made(cut(spoiled(math.inf), 2)), "columns 2 to 4"),
    "too large for squares": (made(spoiled(1e200)), "squares"),
    "whole numbers": (made(J.astype(int)), "floating"),
    "complex": (made(J + 0j), "floating"),
    "residual flat": (made(J, e[0]), "residual"),
    "residual NaN": (made(J, e * math.nan), "residual"),
    "residual none": (made(J, e[:0]), "residual"),
    "outputs shape": (made(J, outputs=e[:, :2]), "outputs"),
    "n_outputs": (made(J, n_outputs=3), "n_outputs"),
    "n_samples": (made(J, n_samples=[4]), "n_samples"),
    "tol": (made(J, tol=2), "tol"),
    "block_width zero": (made(J, block_width=0), "block_width"),
    "block_width of a function": (made(cut(J), block_width=2), "block_width"),
    "test points": (made(J, test_outputs=np.ones(3)), "test"),
}


@pytest.mark.parametrize(("call", "named"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_clear_error(call, named):
    assert_one_clear_line(call, named)


@pytest.mark.parametrize("more", [{"n_outputs": 3}, {"n_samples": [4]}, {"tol": 2}, {"outputs": e[0]}])
def test_refused_before_the_pass(more):
    with pytest.raises(NtkflowError):
        LinearizedModel.from_blocks(lambda: pytest.fail("read"), e, **more)


OTHERS = {
    "fewer": (lambda: iter([J[:, :, :4]]), "found 4"),
    "more": (lambda: iter([J, J[:, :, :2]]), "found 7 or more"),
    "none": (lambda: iter([]), "found 0"),
    "other numbers": (lambda: iter([J + 1e-3]), "other numbers"),
}


@pytest.mark.parametrize(("second", "found"), OTHERS.values(), ids=OTHERS.keys())
def test_a_second_pass_that_differs(second, found):
    passes = iter([lambda: iter([J]), second])
    model = LinearizedModel.from_blocks(lambda: next(passes)(), e)
    with pytest.raises(InputError, match=found) as caught:
        model.lift(model.start)
    assert "seed" in str(caught.value)


def test_a_lift_beyond_memory():
    row = np.ones((1, 1, 3000))
    model = LinearizedModel.from_blocks(lambda: iter([row]), np.ones((1, 1)))
    with pytest.raises(InputError, match="lift_blocks"):
        model.lift(np.broadcast_to(np.ones(1), (10**6, 1, 1)))


def test_rules_that_need_absolute_parameters_are_refused():
    decay = nf.Rule("decay", update={theta: (W - eta) * theta - eta * gradient(theta)})
    with pytest.raises(InputError, match="start"):
        nf.LinearSystem(decay, np.full((2, 2), 0.5), LinearizedModel.from_blocks(J, e), 0.1)
