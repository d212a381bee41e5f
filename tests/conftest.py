"""Shared by all tests: the array libraries that every numeric test runs under."""

from __future__ import annotations

import importlib.util

import array_api_strict
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ntkflow.errors import NtkflowError


def _libraries():
    yield pytest.param(np, id="numpy")
    yield pytest.param(array_api_strict, id="array_api_strict")
    if importlib.util.find_spec("cupy") is not None:
        import cupy

        yield pytest.param(cupy, id="cupy", marks=pytest.mark.gpu)


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Small products on busy machines: threads would make them many times slower."""
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(params=list(_libraries()))
def xp(request):
    """An array namespace; a test that takes it runs once under each library."""
    return request.param


@pytest.fixture
def rng():
    """A fresh generator, the same for every test."""
    return np.random.default_rng(20240915)


def to_numpy(array):
    """A NumPy copy of an array of any library."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def assert_one_clear_line(call, named):
    """What is refused names the culprit, in one line."""
    with pytest.raises(NtkflowError) as caught:
        call()
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
