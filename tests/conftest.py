"""Shared by all tests: the array libraries that every numeric test runs under."""

from __future__ import annotations

import numpy as np
import pytest
from libraries import libraries, through, to_numpy
from threadpoolctl import threadpool_limits

from ntkflow.errors import NtkflowError

__all__ = ["assert_one_clear_line", "to_numpy"]


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Small products on busy machines: threads would make them many times slower."""
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(params=list(libraries()))
def xp(request):
    """An array namespace; a test that takes it runs once under each library."""
    return request.param


@pytest.fixture
def lib(xp):
    """ntkflow under each library, for tests that think in NumPy."""
    return through(xp)


@pytest.fixture
def rng():
    """A fresh generator, the same for every test."""
    return np.random.default_rng(20240915)


def assert_one_clear_line(call, named):
    """What is refused names the culprit, in one line."""
    with pytest.raises(NtkflowError) as caught:
        call()
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
