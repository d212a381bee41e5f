"""What the array standard lacks, against 50 digits."""

import math

import array_api_strict
import mpmath
import numpy as np
import pytest
import scipy.special
from conftest import to_numpy

from ntkflow import _array

mp = mpmath.mp.clone()
mp.dps = 50
EPS = 2.0**-52


def exact(A):
    return mp.matrix(np.asarray(A).tolist())


def floats(M):
    return np.array([[float(M[i, j]) for j in range(M.cols)] for i in range(M.rows)])


def relative(found, expected):
    size = abs(expected).max()
    return np.linalg.norm((to_numpy(found) - expected) / size) / np.linalg.norm(expected / size)


def mixing_like(n, rng):
    """A Laplacian: rows that sum to zero, eigenvalues in the left half plane and one at 0."""
    L = rng.random((n, n))
    return L - np.diag(L.sum(1))


def matrices():
    rng = np.random.default_rng(1)
    random, orthogonal = rng.standard_normal((5, 5)), np.linalg.qr(rng.standard_normal((5, 5)))[0]
    yield "random", random
    yield "random, norm 30", 5 * random
    yield "random, norm 1e-13", 1e-13 * random
    yield "random, norm 1e-300", 1e-300 * random
    yield "zero", np.zeros((4, 4))
    yield "number", np.array([[-0.7]])
    yield "nilpotent", np.triu(random, 1)
    yield "nilpotent, large", 1e3 * np.triu(random, 1)
    yield "Jordan at 0", np.eye(5, k=1)
    yield "Jordan at -3", np.eye(5, k=1) - 3 * np.eye(5)
    yield "skew", random - random.T
    yield "norm exactly 2", np.diag([-2.0, 1.0])
    yield "Laplacian", mixing_like(5, rng)
    yield "Laplacian, long", 1e4 * mixing_like(5, rng)
    yield "stiff symmetric", (orthogonal * -np.logspace(-3, 3, 5)) @ orthogonal.T
    yield "decayed, norm 1e6", -1e6 * (orthogonal * np.arange(1.0, 6.0)) @ orthogonal.T


MATRICES = dict(matrices())


@pytest.mark.parametrize("name", MATRICES)
def test_expm1(xp, name):
    A = MATRICES[name]
    with mp.workdps(350 if name.endswith("1e-300") else 50):
        expected = floats(mp.expm(exact(A)) - mp.eye(len(A)))
    found = _array.expm1(xp.asarray(A))
    if not expected.any():
        np.testing.assert_array_equal(to_numpy(found), expected)
    else:  # the condition number of the exponential of a non-normal matrix is at least its norm
        assert relative(found, expected) <= 20 * EPS * max(1.0, np.linalg.norm(A, 1))


@pytest.mark.parametrize("scale", [1e-13, 1e-8, 1e-3, 1.0, 1e3])
def test_expm1_keeps_slow_modes_to_full_accuracy(xp, scale):
    rates = -scale * np.array([1e-12, 1e-6, 1.0, 3.0])
    found = to_numpy(_array.expm1(xp.asarray(np.diag(rates))))
    expected = [float(mp.expm1(r)) for r in rates]
    np.testing.assert_allclose(np.diag(found), expected, rtol=1e-14)  # e^A - I would keep 4 digits of the first
    np.testing.assert_array_equal(found - np.diag(np.diag(found)), 0)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e4])
def test_expm1_does_not_leak_mass(xp, scale, rng):
    L = scale * mixing_like(6, rng)
    rows = to_numpy(_array.expm1(xp.asarray(L))).sum(axis=1)
    assert abs(rows).max() <= 40 * EPS * max(scale, 1.0)  # rounding of L's own rows, at worst carried to the end


@pytest.mark.parametrize("k", [0, 1, 2, 3, 7, 64, 1000, 12345])
@pytest.mark.parametrize(
    "name", ["random", "random, norm 1e-13", "zero", "nilpotent", "Jordan at 0", "stiff symmetric"]
)
def test_power1(xp, name, k):
    A = 0.03 * MATRICES[name] / max(1.0, np.linalg.norm(MATRICES[name], 2))
    expected = floats((exact(A) + mp.eye(len(A))) ** k - mp.eye(len(A)))
    found = _array.power1(xp.asarray(A), k)
    if not expected.any():
        np.testing.assert_array_equal(to_numpy(found), expected)
    else:
        assert relative(found, expected) <= 20 * EPS * max(1.0, k * np.linalg.norm(A, 1))


def test_power1_keeps_slow_modes_to_full_accuracy(xp):
    rates = np.array([-1e-15, -1e-8, -0.5, -1.0, -1.9])
    found = np.diag(to_numpy(_array.power1(xp.asarray(np.diag(rates)), 10**6)))
    with mp.workdps(80):
        expected = [float((1 + mp.mpf(r)) ** (10**6) - 1) for r in rates]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_small_and_empty_matrices(xp):
    for k in (0, 3):
        assert _array.power1(xp.zeros((0, 0)), k).shape == (0, 0)
    assert _array.expm1(xp.zeros((0, 0))).shape == (0, 0)


@pytest.mark.parametrize("name", ["random", "Laplacian", "Jordan at -3"])
def test_float32_stays_float32(xp, name):
    A = xp.asarray(MATRICES[name], dtype=xp.float32)
    for found, expected in [
        (_array.expm1(A), floats(mp.expm(exact(MATRICES[name])))),
        (_array.power1(A, 3), np.linalg.matrix_power(MATRICES[name] + np.eye(5), 3)),
    ]:
        assert found.dtype == xp.float32
        assert relative(found, expected - np.eye(5)) < 2e-5


def test_erf(xp):
    x = np.unique(np.concatenate([np.linspace(-7, 7, 801), [6.0, -6.0, np.nextafter(6, 0), 1e-300, 1e-17, 1e-8, 0.0]]))
    expected = np.array([float(mp.erf(v)) for v in x])
    found = to_numpy(_array.erf(xp.asarray(x)))
    np.testing.assert_array_less(abs(found - expected), 4 * np.spacing(abs(expected)) + 1e-320)
    assert abs(found).max() <= 1.0 + EPS


def test_the_series_is_what_foreign_libraries_get(monkeypatch):
    x = np.linspace(-7, 7, 57)
    np.testing.assert_array_equal(_array.erf(x), scipy.special.erf(x))
    monkeypatch.setattr(_array, "_erf_series", lambda x: 2 * x)
    found = _array.erf(array_api_strict.asarray(x))
    np.testing.assert_array_equal(to_numpy(found), 2 * x)


def test_erf_at_the_edges(xp):
    found = _array.erf(xp.asarray([math.inf, -math.inf, math.nan, 1e10, -100.0]))
    np.testing.assert_array_equal(to_numpy(found), [1, -1, math.nan, 1, -1])
    assert _array.erf(xp.asarray([0.5], dtype=xp.float32)).dtype == xp.float32
    assert _array.erf(xp.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("values", [[1, 2], (0.5, 1.5), np.array([1, 2]), np.array([1.0, 2.0], dtype=np.float32)])
def test_like(xp, values):
    other = xp.asarray([0.0], dtype=xp.float32)
    found = _array.like(values, other)
    assert type(found) is type(other)
    assert found.dtype == xp.float32
    np.testing.assert_array_equal(to_numpy(found), np.asarray(values, dtype=np.float32))


def test_like_takes_arrays_of_another_library():
    strict = array_api_strict.asarray([1.0, 2.0])
    found = _array.like(strict, np.zeros(1))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, [1, 2])


@pytest.mark.filterwarnings("error")
def test_like_takes_views_of_any_kind(xp):
    values = np.arange(6.0).reshape(2, 3)[::-1, ::-1]
    values.flags.writeable = False
    np.testing.assert_array_equal(to_numpy(_array.like(values, xp.ones(1))), values)


def test_namespaces(xp):
    x = xp.ones((2, 2))
    assert _array.namespace(x, x) is _array.namespace_or_none(x)
    assert type(_array.namespace(x).zeros(2)) is type(x)
    assert _array.namespace_or_none([1.0]) is None
    assert _array.namespace_or_none("text") is None
    assert _array.namespace_or_none(3.0) is None
    assert _array.namespace_or_none(np.ones(2), array_api_strict.ones(2)) is None
    with pytest.raises(TypeError):
        _array.namespace(np.ones(2), array_api_strict.ones(2))


def test_small_questions(xp):
    assert _array.all_finite(xp.ones(3))
    assert not _array.all_finite(xp.asarray([1.0, math.nan]))
    assert not _array.all_finite(xp.asarray([1.0, math.inf]))
    assert _array.is_real_floating(xp.ones(1, dtype=xp.float32))
    assert not any(_array.is_real_floating(xp.ones(1, dtype=t)) for t in (xp.complex128, xp.int64, xp.bool))
    assert _array.eps(xp.ones(1)) == EPS
    assert _array.eps(xp.ones(1, dtype=xp.float32)) == 2.0**-23
    assert _array.norm(xp.asarray([[3.0, 0.0], [0.0, 4.0]])) == 5.0
    assert type(_array.norm(xp.ones((2, 3, 4)))) is float
    assert _array.norm(xp.zeros((0, 3))) == 0.0
    assert _array.device(xp.ones(1)) == _array.device(_array.like([1.0], xp.ones(1)))


@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_a_decomposition_that_does_not_converge_is_taken_of_the_transpose(monkeypatch, shape):
    A = np.random.default_rng(0).standard_normal(shape)
    linalg = _array.namespace(A).linalg
    whole, asked = linalg.svd, []

    def once_too_hard(B, **options):
        asked.append(B.shape)
        if len(asked) == 1:
            raise np.linalg.LinAlgError("SVD did not converge")
        return whole(B, **options)

    monkeypatch.setattr(linalg, "svd", once_too_hard)
    U, s, Vt = _array.svd(A)
    assert asked == [shape, shape[::-1]]
    assert np.linalg.norm((U * s) @ Vt - A) <= 20 * EPS * np.linalg.norm(A)
    assert np.linalg.norm(U.T @ U - np.eye(4)) <= 20 * EPS


def test_finite_slices(xp):
    values = np.ones((5, 2, 3))
    values[1, 0, 1], values[2, 1, 2], values[4, 0, 0] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(to_numpy(_array.finite_slices(xp.asarray(values))), [True, False, False, True, False])


@pytest.mark.parametrize(("lowest", "expected"), [(1e-6, True), (-1e-6, False)])
def test_positive_definite_is_told_by_the_factor(xp, lowest, expected):
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 30)))[0]
    A = xp.asarray((U * np.linspace(lowest, 1.0, 30)) @ U.T)
    found = _array.cholesky((A + A.T) / 2)
    assert (found is not None) is expected
    if expected:
        np.testing.assert_allclose(_array.to_numpy(found @ found.T), _array.to_numpy(A), atol=1e-14)


def test_numbers_come_as_python_floats(xp):
    for dtype in (xp.float32, xp.float64):
        found = _array.floats(xp.asarray([0.5, 3.0, math.inf], dtype=dtype))
        assert found == [0.5, 3.0, math.inf]
        assert {type(value) for value in found} == {float}
    assert _array.floats(xp.asarray([], dtype=xp.float64)) == []


def test_what_is_small_is_taken_along(xp):
    W, far = np.arange(4.0).reshape(2, 2), array_api_strict.Device("device1")
    for source in (W, array_api_strict.asarray(W), array_api_strict.asarray(W, device=far), W.astype(np.float32)):
        for other in (xp.ones(1), xp.ones(1, dtype=xp.float32), array_api_strict.ones(1, device=far)):
            found = _array.taken(source, other)
            assert (type(found), found.dtype, _array.device(found)) == (type(other), other.dtype, _array.device(other))
            np.testing.assert_array_equal(_array.to_numpy(found), W)
