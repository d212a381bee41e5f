"""Data sets: what is dealt to whom, what is read from files, and what is refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import array_api_strict as strict
import numpy as np
import pytest
from conftest import to_numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import assert_at_home

from ntkflow import datasets
from ntkflow._array import namespace
from ntkflow.datasets import Dataset, deal, digits, from_arrays, half_moons, mnist, named
from ntkflow.datasets._idx import read_idx
from ntkflow.errors import DataError, InputError, ShapeError, UnknownNameError

REAL_MNIST = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "mnist"
DEALS = ("iid", "shards", "dirichlet")


def idx_bytes(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def small_mnist(folder: Path, prefix: str = "t10k", count: int = 30, compress: bool = True) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, size=(count, 4, 5), dtype=np.uint8)
    labels = np.arange(count, dtype=np.uint8) % 3
    for array, kind in ((images, "images-idx3"), (labels, "labels-idx1")):
        content = idx_bytes(array)
        name = f"{prefix}-{kind}-ubyte" + (".gz" if compress else "")
        (folder / name).write_bytes(gzip.compress(content) if compress else content)
    return images, labels


def small_openml(n_rows: int = 70_000) -> SimpleNamespace:
    images = np.zeros((n_rows, 784), dtype=np.uint8)
    images[:, 0] = np.arange(n_rows) >= 60_000
    return SimpleNamespace(data=images, target=(np.arange(n_rows) % 10).astype(str))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("NTKFLOW_DATA", raising=False)


# ------------------------------------------------------------------------------------------- half moons, digits


def test_half_moons_are_the_points_of_scikit_learn():
    from sklearn.datasets import make_moons

    data = half_moons(n_agents=8, n_samples=200, noise=0.1, seed=3)
    x, labels = make_moons(1600, noise=0.1, random_state=3)
    assert data.x.dtype == data.y.dtype == np.float64
    assert data.n_agents == 8
    assert data.name == "half-moons"
    assert data.n_samples.tolist() == [200] * 8
    assert np.issubdtype(data.n_samples.dtype, np.integer)
    dealt = np.concatenate([data.x, data.y], axis=2).reshape(1600, 3)
    whole = np.column_stack([x, 2.0 * labels - 1])
    np.testing.assert_array_equal(np.sort(dealt.view("f8,f8,f8"), axis=0), np.sort(whole.view("f8,f8,f8"), axis=0))


def test_half_moons_without_noise_lie_on_the_two_half_circles():
    data = half_moons(4, 25, noise=0)
    centre = np.where(data.y < 0, np.zeros(2), np.array([1.0, 0.5]))
    np.testing.assert_allclose(np.linalg.norm(data.x - centre, axis=2), 1, rtol=1e-12)


def test_unequal_sizes_are_padded_with_zeros():
    data = half_moons(3, [5, 1, 3], seed=1)
    assert data.x.shape == (3, 5, 2)
    np.testing.assert_array_equal(data.mask, [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 0, 0]])
    assert np.all(data.x[~data.mask] == 0)
    assert np.all(data.y[~data.mask] == 0)
    assert np.all(data.y[data.mask] != 0)


@pytest.mark.parametrize("how", DEALS)
def test_the_same_seed_gives_the_same_data(how):
    first, second, other = (half_moons(4, 20, seed=seed, deal=how) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.y, second.y)
    assert not np.array_equal(first.x, other.x)


def test_half_moons_for_dirichlet_keep_each_agents_own_proportions():
    data = half_moons(40, 50, deal="dirichlet", beta=0.05)
    shares = np.mean(data.y[:, :, 0] > 0, axis=1)
    assert np.mean((shares < 0.05) | (shares > 0.95)) > 0.7


def test_digits_zeros_and_ones_for_eight_agents():
    data = digits(n_agents=8)
    assert data.x.shape == (8, 45, 64)
    assert data.y.shape == (8, 45, 1)
    assert data.x.min() == 0
    assert data.x.max() == 1
    assert np.sum(data.y == -1) == 178
    assert np.sum(data.y == 1) == 182


@pytest.mark.parametrize(
    ("classes", "targets", "shape", "values"),
    [
        ((3, 8), None, 1, {-1.0, 1.0}),
        ((3, 8), "zero_one", 1, {0.0, 1.0}),
        ((3, 8), "one_hot", 2, {0.0, 1.0}),
        ((3, 8, 9), None, 3, {0.0, 1.0}),
    ],
)
def test_targets(classes, targets, shape, values):
    data = digits(2, 12, classes=classes, targets=targets)
    assert data.y.shape == (2, 12, shape)
    assert set(np.unique(data.y)) == values
    if shape > 1:
        np.testing.assert_array_equal(data.y.sum(axis=2), 1)


def test_each_digit_keeps_its_target():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    label_of = {row.tobytes(): label for row, label in zip(pixels / 16, labels, strict=True)}
    data = digits(5, classes=(9, 2, 4), deal="dirichlet")
    for q, d in np.argwhere(data.mask):
        assert label_of[data.x[q, d].tobytes()] == (9, 2, 4)[np.argmax(data.y[q, d])]


# --------------------------------------------------------------------------------------------------- dealing


@st.composite
def dealings(draw):
    n_classes = draw(st.integers(1, 5))
    labels = draw(st.lists(st.integers(0, n_classes - 1), min_size=1, max_size=60))
    n_agents = draw(st.integers(1, min(len(labels), 9)))
    sizes = None
    if draw(st.booleans()):
        spare = len(labels) - n_agents
        extra = draw(st.lists(st.integers(0, spare // n_agents), min_size=n_agents, max_size=n_agents))
        sizes = [1 + more for more in extra]
    how = draw(st.sampled_from(DEALS))
    beta = draw(st.sampled_from([1e-320, 1e-3, 0.5, 1.0, 1e3, 1e308]))
    options = {"how": how, "beta": beta, "seed": draw(st.integers(0, 99)), "shards_per_agent": draw(st.integers(1, 4))}
    return labels, n_agents, sizes, options


@settings(max_examples=300, deadline=None)
@given(dealings())
def test_every_dealing_is_disjoint_complete_and_repeatable(case):
    labels, n_agents, sizes, options = case
    parts = deal(labels, n_agents, sizes, **options)
    everything = np.concatenate(parts)
    assert len(parts) == n_agents
    assert all(part.ndim == 1 and part.size >= 1 and part.dtype.kind == "i" for part in parts)
    assert np.unique(everything).size == everything.size
    assert everything.min() >= 0
    assert everything.max() < len(labels)
    if sizes is not None:
        assert [part.size for part in parts] == sizes
    else:
        assert everything.size == len(labels)
        if options["how"] != "dirichlet":
            assert max(part.size for part in parts) - min(part.size for part in parts) <= 1
    again = deal(labels, n_agents, sizes=sizes, **options)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("n_samples", [None, 12, [6, 12, 18, 24, 6, 12, 18, 24, 6, 12]])
def test_shards_show_an_agent_few_labels(shards, n_samples):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 60))
    parts = deal(labels, 10, n_samples, how="shards", shards_per_agent=shards)
    total = sum(part.size for part in parts)
    for part in parts:
        longest_run = -(-part.size // shards) * 600 / total + 1
        assert np.unique(labels[part]).size <= shards * (1 + np.ceil(longest_run / 60))
    assert np.unique(labels[np.concatenate(parts)]).size == 10


def test_runs_within_one_class_show_one_label_each():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 60))
    for n_samples in (None, 12):
        parts = deal(labels, 10, n_samples, how="shards", shards_per_agent=2)
        assert all(np.unique(labels[part]).size <= 2 for part in parts)


@pytest.mark.parametrize("n_samples", [None, 100])
def test_dirichlet_concentration(n_samples):
    labels = np.arange(4000) % 4

    def shares(beta):
        parts = deal(labels, 10, n_samples, how="dirichlet", beta=beta)
        counts = np.stack([np.bincount(labels[part], minlength=4) for part in parts])
        return counts / counts.sum(axis=1, keepdims=True)

    assert np.abs(shares(1e6) - 0.25).max() < 0.2
    assert np.mean(np.max(shares(0.02), axis=1)) > 0.8


def test_dirichlet_proportions_have_the_variance_of_the_distribution():
    # Var of one of C components of Dirichlet(β, ..., β): (C − 1) / (C² (C β + 1)); multinomial noise is below 1e-3.
    labels = np.arange(200_000) % 2
    parts = deal(labels, 400, 100, how="dirichlet", beta=1.0)
    shares = np.array([np.mean(labels[part]) for part in parts])
    assert abs(shares.mean() - 0.5) < 0.05
    assert abs(shares.var() - 1 / 12) < 0.02


def test_dirichlet_follows_the_class_frequencies_when_beta_is_large():
    labels = np.repeat([0, 1], [9000, 1000])
    parts = deal(labels, 5, 1000, how="dirichlet", beta=1e8)
    assert all(abs(np.mean(labels[part]) - 0.1) < 0.04 for part in parts)


def test_an_extreme_beta_is_no_trouble():
    labels = np.repeat([0, 1, 2], [98, 1, 1])
    for beta in (1e-320, 1.7e308):
        assert sum(part.size for part in deal(labels, 7, how="dirichlet", beta=beta)) == 100
        assert sum(part.size for part in deal(labels, 7, 14, how="dirichlet", beta=beta)) == 98


def test_labels_may_be_words():
    parts = deal(["cat", "dog"] * 4, 2, how="shards", shards_per_agent=1)
    assert {frozenset(part.tolist()) for part in parts} == {frozenset({0, 2, 4, 6}), frozenset({1, 3, 5, 7})}


# ------------------------------------------------------------------------------------------------ your own data


def test_dealt_arrays_keep_their_library(xp):
    x = np.arange(24.0).reshape(2, 4, 3) + 1
    y = np.ones((2, 4))
    x[1, 2:], y[1, 2:] = np.nan, np.inf  # whatever stands in the padding
    data = from_arrays(xp.asarray(x), xp.asarray(y), n_samples=[3, 2], name="mine")
    assert_at_home(data, xp)
    assert data.x.shape == (2, 3, 3)
    assert data.y.shape == (2, 3, 1)
    assert data.name == "mine"
    np.testing.assert_array_equal(to_numpy(data.mask), [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(to_numpy(data.x)[1], [[13, 14, 15], [16, 17, 18], [0, 0, 0]])
    np.testing.assert_array_equal(to_numpy(data.y)[:, :, 0], [[1, 1, 1], [1, 1, 0]])


@pytest.mark.parametrize("how", DEALS)
def test_a_table_is_dealt_in_its_library(xp, how):
    x = np.stack([np.arange(20.0), np.arange(20.0) ** 2], axis=1)
    y = np.arange(20) % 2
    data = from_arrays(xp.asarray(x), xp.asarray(y), agents=3, deal=how, seed=2)
    assert_at_home(data, xp)
    parts = deal(y, 3, how=how, seed=2)
    assert data.n_samples.tolist() == [part.size for part in parts]
    for q, part in enumerate(parts):
        np.testing.assert_array_equal(to_numpy(data.x)[q, : part.size], x[part])
        np.testing.assert_array_equal(to_numpy(data.y)[q, : part.size, 0], y[part])


def test_a_given_assignment_is_followed():
    x = np.arange(5.0)[:, None]
    data = from_arrays(x, x[:, 0], agents=np.array([1, 0, 1, 1, 0]))
    assert data.n_samples.tolist() == [2, 3]
    np.testing.assert_array_equal(data.x[:, :, 0], [[1, 4, 0], [0, 2, 3]])


def test_arrays_stay_on_their_device():
    far = strict.Device("device1")
    x = strict.ones((4, 2), device=far)
    flat = from_arrays(x, x[:, 0], agents=[0, 1, 1, 1])
    dealt = from_arrays(x[None, ...], x[None, :, 0], n_samples=(3,))
    for data in (flat, dealt):
        assert data.x.device == data.y.device == data.mask.device == far


@pytest.mark.parametrize(
    ("x_dtype", "y_dtype", "dtype"),
    [
        ("int64", "int64", None),  # the library's default
        ("float32", "int8", "float32"),
        ("int32", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("float32", "bool", "float32"),
    ],
)
def test_dtypes(xp, x_dtype, y_dtype, dtype):
    x, y = xp.ones((2, 3, 1), dtype=getattr(xp, x_dtype)), xp.ones((2, 3), dtype=getattr(xp, y_dtype))
    data = from_arrays(x, y)
    wanted = namespace(x).asarray(0.0).dtype if dtype is None else getattr(xp, dtype)
    assert data.x.dtype == data.y.dtype == wanted


# ------------------------------------------------------------------------------------------------ MNIST files


@pytest.mark.skipif(not REAL_MNIST.is_dir(), reason="no MNIST files beside the repository")
def test_real_mnist():
    assert read_idx(REAL_MNIST / "t10k-labels-idx1-ubyte.gz", ndim=1)[0] == 7
    data = mnist(n_agents=5, folder=REAL_MNIST)
    assert data.x.shape == (5, 423, 784)
    assert np.sum(data.y == -1) == 980
    assert np.sum(data.y == 1) == 1135
    assert data.x.min() == 0
    assert data.x.max() == 1
    everything = mnist(n_agents=4, classes=range(10), folder=REAL_MNIST, split="test", deal="shards", n_samples=100)
    assert everything.y.shape == (4, 100, 10)
    with pytest.raises(DataError, match="train"):
        mnist(4, 10, folder=REAL_MNIST, split="train")


@pytest.mark.parametrize("compress", [True, False])
def test_small_mnist(tmp_path, compress):
    images, labels = small_mnist(tmp_path, compress=compress)
    data = mnist(n_agents=4, n_samples=5, folder=tmp_path)
    assert data.x.shape == (4, 5, 20)
    label_of = {(row.reshape(-1) / 255).tobytes(): label for row, label in zip(images, labels, strict=True)}
    for x, y in zip(data.x.reshape(20, 20), data.y.reshape(20), strict=True):
        assert y == {0: -1, 1: 1}[label_of[x.tobytes()]]


def test_splits(tmp_path, monkeypatch):
    small_mnist(tmp_path, "train", count=60)
    (tmp_path / "mnist").mkdir()
    small_mnist(tmp_path / "mnist", "t10k", count=30, compress=False)
    monkeypatch.setenv("NTKFLOW_DATA", str(tmp_path))
    sizes = {split: mnist(1, split=split).n_samples[0] for split in ("train", "test", None)}
    assert sizes == {"train": 40, "test": 20, None: 60}


def test_the_spelling_with_a_dot(tmp_path):
    small_mnist(tmp_path, compress=False)
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / file.name.replace("-idx", ".idx"))
    assert mnist(2, 3, folder=str(tmp_path)).x.shape == (2, 3, 20)


def refused(tmp_path, content: bytes, ndim: int = 3) -> str:
    file = tmp_path / "some-idx"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(file, ndim)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    return message


IMAGES = idx_bytes(np.arange(24).reshape(2, 3, 4))
COMPRESSED = gzip.compress(IMAGES, mtime=0)  # the same at every collection


@pytest.mark.parametrize("length", range(len(IMAGES)))
def test_a_truncated_file(tmp_path, length):
    assert "cut short" in refused(tmp_path, IMAGES[:length])
    assert "cut short" in refused(tmp_path, gzip.compress(IMAGES[:length]))


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"\x89PNG" + IMAGES[4:], "an IDX file"),
        (bytes([0, 0, 0x0D, 3]) + IMAGES[4:], "dtype code 0x0d"),
        (idx_bytes(np.arange(5)), "expected 3 dimensions, found 1"),
        (IMAGES + b"\0", "more bytes"),
        (bytes([0, 0, 8, 3]) + bytes([255] * 12) + bytes(50), "found 50"),
        (bytes([0, 0, 8, 3]) + bytes(12), "at least one entry"),
        (gzip.compress(IMAGES + b"\0", mtime=0), "more bytes"),
        (COMPRESSED[:-9], "cannot be read"),
        (COMPRESSED[:5], "cannot be read"),
        (COMPRESSED[:-8] + bytes(8), "cannot be read"),
        (COMPRESSED[:10] + b"\xff" * 20, "cannot be read"),
        (COMPRESSED + b"rubbish", "cannot be read"),
    ],
)
def test_a_damaged_file(tmp_path, content, fragment):
    assert fragment in refused(tmp_path, content)


def test_files_that_do_not_fit_together(tmp_path):
    small_mnist(tmp_path, count=30)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(idx_bytes(np.zeros(29)))
    with pytest.raises(DataError, match=r"t10k-labels.*expected 30 labels.*found 29"):
        mnist(2, 2, folder=tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="images and labels side by side"):
        mnist(2, 2, folder=tmp_path)
    small_mnist(tmp_path, count=30)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((3, 2, 2))))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(3)))
    with pytest.raises(DataError, match="images of one size"):
        mnist(2, 2, folder=tmp_path)


def test_what_the_system_refuses_to_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path, ndim=3)


def test_no_mnist_says_what_can_be_done(tmp_path):
    for arguments in ({}, {"folder": tmp_path}, {"folder": tmp_path, "download": True}):
        with pytest.raises(DataError, match=r"folder=.*NTKFLOW_DATA.*download=True.*digits\(\)"):
            mnist(2, 2, **arguments)
    with pytest.raises(DataError, match="a folder that exists"):
        mnist(2, 2, folder=tmp_path / "nowhere")


# ---------------------------------------------------------------------------------------------------- OpenML


@pytest.mark.parametrize(
    ("split", "value", "count"), [("train", 0, 12_000), ("test", 1 / 255, 2000), (None, None, 14_000)]
)
def test_openml(monkeypatch, split, value, count):
    asked = []

    def fetch(*args, **options):
        asked.append((args, options))
        return small_openml()

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    data = mnist(4, split=split, download=True, n_samples=None)
    assert asked[0][0] == ("mnist_784",)
    assert asked[0][1]["as_frame"] is False
    assert data.n_samples.sum() == count
    if value is not None:
        assert set(np.unique(data.x[:, :, 0])) == {value}


@pytest.mark.parametrize(
    "problem",
    [URLError("no route to host"), TimeoutError("timed out"), ValueError("md5 checksum\ndoes not match"), EOFError()],
)
def test_a_failed_download_is_one_line(monkeypatch, problem):
    def fetch(*_, **__):
        raise problem

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    with pytest.raises(DataError, match=rf"download from OpenML failed \({type(problem).__name__}") as caught:
        mnist(2, 2, download=True)
    assert "\n" not in str(caught.value)


def test_an_incomplete_download(monkeypatch):
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda *_, **__: small_openml(50))
    with pytest.raises(DataError, match="70000, 784"):
        mnist(2, 2, download=True)


# ------------------------------------------------------------------------------------------ names and mistakes


@pytest.mark.parametrize("name", ["half-moons", "Half_Moons", "HALF MOONS"])
def test_names(name):
    np.testing.assert_array_equal(named(name, 2, 5, 7, noise=0.3).x, half_moons(2, 5, noise=0.3, seed=7).x)


def test_catalogue(tmp_path):
    small_mnist(tmp_path)
    assert set(datasets.CATALOGUE) == {"half-moons", "digits", "mnist"}
    assert named("digits", 2, 5, classes=(1, 2)).name == "digits"
    assert named("MNIST", 2, folder=tmp_path).name == "mnist"


ROWS, LABELS = np.ones((6, 2)), np.array([0, 1, 0, 1, 0, 1])
DEALT = np.ones((2, 3, 1))

MISTAKES = {
    "deal": (lambda: half_moons(2, 5, deal="idd"), UnknownNameError, "did you mean 'iid'"),
    "deal name": (lambda: deal(LABELS, 2, how="dirichelt"), UnknownNameError, "did you mean 'dirichlet'"),
    "beta": (lambda: deal(LABELS, 2, how="dirichlet", beta=0), InputError, "beta"),
    "beta nan": (lambda: digits(2, 5, beta=float("nan")), InputError, "beta"),
    "shards_per_agent": (lambda: deal(LABELS, 2, how="shards", shards_per_agent=0), InputError, "shards_per_agent"),
    "n_samples 0": (lambda: half_moons(2, 0), InputError, "n_samples: expected a whole number >= 1, found 0"),
    "n_samples float": (lambda: half_moons(2, 2.5), InputError, "n_samples"),
    "n_samples None": (lambda: named("half-moons", 2), InputError, "n_samples"),
    "n_samples length": (lambda: half_moons(3, [1, 2]), ShapeError, "one number or 3, one for each agent, found 2"),
    "n_samples entry": (lambda: half_moons(2, [1, 0]), InputError, r"n_samples\[1\]"),
    "n_samples ragged": (lambda: half_moons(2, [[1], [2, 3]]), ShapeError, "n_samples"),
    "sizes twice": (lambda: deal(LABELS, 2, 2, sizes=[1, 1]), InputError, "n_samples or sizes"),
    "n_agents": (lambda: half_moons(0, 5), InputError, "n_agents"),
    "n_agents bool": (lambda: digits(True), InputError, "n_agents"),
    "noise": (lambda: half_moons(2, 5, noise=-0.1), InputError, "noise"),
    "seed": (lambda: half_moons(2, 5, seed=-1), InputError, "seed"),
    "seed large": (lambda: deal(LABELS, 2, seed=2**32), InputError, "seed"),
    "too many agents": (lambda: deal(LABELS, 7), DataError, "6 samples, found 7 agents"),
    "too many samples": (lambda: deal(LABELS, 2, 4), DataError, "the 6 samples that there are, found 8"),
    "absurdly many": (lambda: deal(LABELS, 2, 10**30), DataError, "6 samples"),
    "too many digits": (lambda: digits(8, 46), DataError, "360 samples.*368"),
    "no labels": (lambda: deal([], 1), DataError, "at least one sample"),
    "labels in 2-D": (lambda: deal(ROWS, 2), ShapeError, r"shape \(6, 2\)"),
    "labels of objects": (lambda: deal([None, 1], 2), InputError, "numbers or strings"),
    "missing class": (lambda: digits(2, 5, classes=(0, 12)), DataError, "found 12"),
    "one class": (lambda: digits(2, 5, classes=(3,)), DataError, "at least two labels"),
    "class no list": (lambda: digits(2, 5, classes=3), DataError, "at least two labels"),
    "class twice": (lambda: digits(2, 5, classes=(3, 3)), DataError, "differ"),
    "targets": (lambda: digits(2, 5, targets="sgined"), UnknownNameError, "did you mean 'signed'"),
    "signed for three": (lambda: digits(2, 5, classes=(1, 2, 3), targets="signed"), DataError, "found 3 classes"),
    "split": (lambda: mnist(2, 5, split="tset"), UnknownNameError, "did you mean 'test'"),
    "data set": (lambda: named("half-mons", 2, 5), UnknownNameError, "did you mean 'half-moons'"),
    "data set no name": (lambda: named(3, 2, 5), UnknownNameError, "3"),
    "option": (lambda: named("digits", 2, 5, noise=0.1), UnknownNameError, "option of digits"),
    "x a list": (lambda: from_arrays([[1.0]], [1.0], agents=1), ShapeError, "arrays of one library"),
    "two libraries": (lambda: from_arrays(ROWS, strict.ones(6), agents=2), ShapeError, "arrays of one library"),
    "x missing": (lambda: from_arrays(ROWS, None, agents=2), InputError, "y NoneType"),
    "x 1-D": (lambda: from_arrays(ROWS[:, 0], LABELS, agents=2), ShapeError, r"x: expected shape \(S, N\)"),
    "y 3-D": (lambda: from_arrays(ROWS, ROWS[:, :, None], agents=2), ShapeError, r"y: expected shape \(S,\)"),
    "length": (lambda: from_arrays(ROWS, LABELS[:5], agents=2), ShapeError, "same number of samples"),
    "empty": (lambda: from_arrays(ROWS[:0], LABELS[:0], agents=1), DataError, "not empty"),
    "no agents": (lambda: from_arrays(ROWS, LABELS), ShapeError, "pass agents"),
    "agents and dealt": (lambda: from_arrays(DEALT, DEALT, agents=2), ShapeError, "leave agents out"),
    "complex": (lambda: from_arrays(ROWS * 1j, LABELS, agents=2), InputError, "x: expected real numbers.*complex"),
    "NaN": (lambda: from_arrays(ROWS * np.nan, LABELS, agents=2), InputError, "x: expected finite"),
    "inf": (lambda: from_arrays(DEALT, DEALT * np.inf), InputError, "y: expected finite"),
    "agents gap": (lambda: from_arrays(ROWS, LABELS, agents=LABELS * 2), DataError, "none for agent 1"),
    "agents negative": (lambda: from_arrays(ROWS, LABELS, agents=LABELS - 1), InputError, "numbers from 0"),
    "agents length": (lambda: from_arrays(ROWS, LABELS, agents=[0, 1]), ShapeError, r"agents: expected shape \(6,\)"),
    "agents float": (lambda: from_arrays(ROWS, LABELS, agents=LABELS * 1.0), InputError, "whole numbers"),
    "agents and sizes": (lambda: from_arrays(ROWS, LABELS, agents=LABELS, n_samples=2), InputError, "n_samples"),
    "dealt y": (lambda: from_arrays(DEALT, DEALT[:, :2]), ShapeError, r"same \(Q, D\)"),
    "dealt y 1-D": (lambda: from_arrays(DEALT, DEALT[:, 0, 0]), ShapeError, "y: expected shape"),
    "dealt empty": (lambda: from_arrays(DEALT[:, :0], DEALT[:, :0]), DataError, "not empty"),
    "dealt sizes": (lambda: from_arrays(DEALT, DEALT, n_samples=[3, 4]), DataError, "at most D = 3, found 4"),
    "Dataset dtype": (lambda: Dataset(DEALT.astype(int), DEALT, [3, 3]), InputError, "real floating"),
    "Dataset ndim": (lambda: Dataset(DEALT, DEALT[0], [3, 3]), ShapeError, r"y is \(Q, D, M\)"),
    "Dataset shapes": (lambda: Dataset(DEALT, DEALT[:1], [3, 3]), ShapeError, r"same \(Q, D\)"),
    "Dataset empty": (lambda: Dataset(DEALT[:0], DEALT[:0], []), ShapeError, "not empty"),
    "Dataset D": (lambda: Dataset(DEALT, DEALT, [2, 2]), ShapeError, "a maximum of D = 3, found 2"),
    "Dataset large": (lambda: Dataset(DEALT, DEALT, [3, 10**30]), ShapeError, "a maximum of D = 3"),
    "Dataset padding": (lambda: Dataset(DEALT, DEALT, [3, 2]), InputError, "zeros after each agent's true samples"),
    "Dataset sizes": (lambda: Dataset(DEALT, DEALT, [3, 3, 3]), ShapeError, "n_samples"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    call, error, fragment = MISTAKES[case]
    with pytest.raises(error, match=fragment) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_importing_loads_no_scikit_learn():
    code = "import sys, ntkflow.datasets; sys.exit(any(name.startswith('sklearn') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
