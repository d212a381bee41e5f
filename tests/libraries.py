"""The array libraries that numeric tests run under, and ntkflow seen from NumPy through any of them."""

from __future__ import annotations

import importlib.util
import types
from dataclasses import fields, is_dataclass, replace
from functools import cache, cached_property, partial

import array_api_compat as compat
import array_api_strict
import numpy as np
import pytest

import ntkflow
from ntkflow import _array, _devices
from ntkflow.errors import NtkflowError

CREATION = frozenset({"arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros"})


class OnDevice:
    """A library whose new arrays live on one device unless a test says otherwise.

    The code under test sees the library's own namespace, whose default is another device: where it forgets ``device=``,
    the next operation is one on two devices, which is refused, as is turning such an array into a NumPy array.
    """

    def __init__(self, library, device):
        self.library, self.device = library, device

    def __getattr__(self, name):
        found = getattr(self.library, name)
        return partial(found, device=self.device) if name in CREATION else found

    def asarray(self, values, **options):
        """What is on another device already is not brought here in silence either."""
        foreign = compat.is_array_api_strict_namespace(self.library) and hasattr(values, "to_device")
        assert not foreign or isinstance(values, np.ndarray) or values.device == self.device
        return self.library.asarray(values, **{"device": self.device, **options})


class InDoubles:
    """PyTorch, whose new arrays are double unless a test says otherwise: the code under test sees single by default."""

    def __init__(self, library):
        self.library = library

    def __getattr__(self, name):
        found = getattr(self.library, name)
        return partial(found, dtype=self.library.float64) if name in CREATION - {"arange", "asarray", "full"} else found

    def asarray(self, values, **options):
        """Lists as NumPy reads them; what PyTorch can not share is copied."""
        mine = compat.is_torch_array(values)
        return self.library.asarray(values if mine else np.array(values), **options)

    def full(self, shape, value, **options):
        """Of what NumPy makes of the value."""
        return self.library.full(shape, value, **{"dtype": self.asarray(value).dtype, **options})


STRICT = OnDevice(array_api_strict, array_api_strict.Device("device1"))


@cache
def _torch():
    import array_api_compat.torch

    return InDoubles(array_api_compat.torch)


@cache
def _cupy():
    """CuPy's namespace; skipped in the driver's words where it has no GPU."""
    found = _devices.gpus()[0]
    if not found.usable:
        return pytest.param(None, id="cupy", marks=[pytest.mark.gpu, pytest.mark.skip(reason=found.says)])
    return pytest.param(_array.library("cupy"), id="cupy", marks=pytest.mark.gpu)


def libraries():
    """As parameters of the ``xp`` fixture."""
    yield pytest.param(np, id="numpy")
    yield pytest.param(STRICT, id="array_api_strict")
    if importlib.util.find_spec("torch") is not None:
        yield pytest.param(_torch(), id="torch", marks=pytest.mark.torch)
    if importlib.util.find_spec("cupy") is not None:
        yield _cupy()


def to_numpy(array):
    """A NumPy copy of an array of any library, moved by name."""
    if hasattr(array, "get"):
        return array.get()
    if type(array) is type(STRICT.zeros(0)):
        array = array.to_device(array_api_strict.Device("CPU_DEVICE"))
    return np.asarray(array)


def few(library, cases, step, first=0):
    """All cases under NumPy, one in ``step`` under another ``xp`` or ``lib``: the same lines, several times slower."""
    cases = list(cases)
    return cases if library in (np, ntkflow) else cases[first % min(step, len(cases)) :: step]


def sampled(name, values, step):
    """A test's parameter ``name``: all values under NumPy, one in ``step`` under each other library."""
    places = [(place, value) for place in libraries() for value in few(place.values[0], values, step)]
    cases = [pytest.param(*place.values, value, id=f"{place.id}-{value}", marks=place.marks) for place, value in places]
    return pytest.mark.parametrize(("xp", name), cases)


# --- where arrays live


def assert_at_home(result, xp):
    """Every array that a result holds or offers, and those of its parts, is of this library and on its device."""
    found = dict(_arrays(result, type(result).__name__, {}))
    assert found
    for name, array in found.items():
        assert is_at_home(array, xp), f"{name}: {type(array)}"


def is_at_home(array, xp):
    """Of this library, on the device where its new arrays live."""
    home = xp.zeros(1)
    return isinstance(array, type(home)) and compat.device(array) == compat.device(home)


def _arrays(thing, name, seen):
    """The arrays of an object by name: what its fields hold and its properties give."""
    if id(thing) in seen or name.count(".") > DEEPEST:
        return
    seen[id(thing)] = thing
    if compat.is_array_api_obj(thing):
        yield name, thing
    elif isinstance(thing, tuple | list):
        for i, part in enumerate(thing):
            yield from _arrays(part, f"{name}[{i}]", seen)
    elif is_dataclass(thing) and type(thing).__module__.startswith("ntkflow"):
        for part in [field.name for field in fields(thing)] + _properties(type(thing)):
            if f"{type(thing).__name__}.{part}" in COUNTS:
                continue
            try:
                yield from _arrays(getattr(thing, part), f"{name}.{part}", seen)
            except NtkflowError:  # a property that this very result does not have
                continue


DEEPEST = 4  # the minimal part of a system has a minimal part, and so on
COUNTS = {"Dataset.n_samples"}  # whole numbers, which decide shapes: NumPy's by contract


def _properties(kind):
    return [n for n in dir(kind) if n[0] != "_" and isinstance(getattr(kind, n), property | cached_property)]


# --- ntkflow seen from NumPy


@cache
def through(xp):
    """ntkflow for tests that think in NumPy: arrays go in as those of ``xp``, and come back moved to the host.

    What a numeric part returns has to be at home (`is_at_home`); weights, reports and the door to python-control are in
    NumPy by contract.
    """
    return ntkflow if xp is np else Through(ntkflow, xp)


def changed(thing, **new):
    """`dataclasses.replace`, also of what is seen through another library."""
    if not isinstance(thing, Through):
        return replace(thing, **new)
    return Through(replace(thing._thing, **{name: thing._in(value) for name, value in new.items()}), thing._xp)


def lib_of(thing):
    """ntkflow as it was seen when this was made."""
    return through(thing._xp) if isinstance(thing, Through) else ntkflow


class Through:
    """Something of ntkflow's whose arrays are of another library."""

    def __init__(self, thing, xp):
        self._thing, self._xp = thing, xp

    def __getattr__(self, name):
        return self._out(getattr(self._thing, name))

    def __call__(self, *given, **named):
        return self._out(self._thing(*map(self._in, given), **{key: self._in(value) for key, value in named.items()}))

    def __str__(self):
        return str(self._thing)

    def __matmul__(self, x):
        return self._out(self._thing @ self._in(x))

    def _in(self, value):
        if isinstance(value, Through):
            return value._thing
        return self._xp.asarray(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value

    def _out(self, value):
        if isinstance(value, tuple | list):
            return type(value)(map(self._out, value))
        if compat.is_array_api_obj(value):
            assert is_at_home(value, self._xp) or _on_host(self._thing), (self._thing, type(value))
            return to_numpy(value)
        if isinstance(value, type) and issubclass(value, Exception):
            return value
        inside = callable(value) or isinstance(value, types.ModuleType)
        numeric = inside or (_named(value).startswith("ntkflow.") and not _on_host(value))
        return Through(value, self._xp) if numeric else value


def _on_host(thing):
    """Whether its arrays are NumPy's by contract."""
    return _named(thing).startswith(HOST)


def _named(thing):
    """Where it, or its class, was written."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    kind = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


HOST = (
    "ntkflow.analysis", "ntkflow.weights", "ntkflow._audit", "ntkflow.interop", "ntkflow.graphs", "ntkflow.algorithms",
    "ntkflow.models._base.Model.init",
)  # fmt: skip
