"""What can go wrong, and the checks that say so: name, expected, found, remedy."""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ._array import all_finite, device, is_real_floating, namespace_or_none

MEMORY = 8.0  # GiB that one array may take
SHOWN = 40  # names in a message


class NtkflowError(Exception):
    """Base of every error that ntkflow raises on purpose."""


class InputError(NtkflowError, ValueError):
    """An argument that cannot be used; the message says what to do instead."""


class ShapeError(InputError):
    """An array whose shape does not fit."""


class GraphError(InputError):
    """A graph on which no network of agents can learn together."""


class MixingError(InputError):
    """A matrix that cannot serve as mixing matrix."""


class RuleError(InputError):
    """An update rule that is not linear in state and gradient, or not complete."""


class DataError(InputError):
    """Data that cannot be read or dealt to the agents."""


class MissingError(NtkflowError, ImportError):
    """An optional package that is not installed; the message says how to get it."""


class ReadOnly:
    """Attributes are set while the object is made; afterwards `_settle` has closed them."""

    _remedy = "make a new one"

    def _settle(self) -> None:
        self.__dict__["_settled"] = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Refused once settled: what has been computed would silently keep the old value."""
        if self.__dict__.get("_settled"):
            refuse(f"{type(self).__name__}.{name}", "no assignment", repr(value)[:40], self._remedy)
        super().__setattr__(name, value)


class OutputError(InputError):
    """A place where results cannot be written."""


class UnknownNameError(InputError):
    """A name that is not in the catalogue; the message names the nearest one."""


class NoLimitError(NtkflowError, ArithmeticError):
    """The trajectory has no limit as time goes to infinity; the message names the mode."""


def refuse(name: str, expected: str, found: object, remedy: str = "", error: type[InputError] = InputError) -> NoReturn:
    """Raise ``error`` in the one form that all messages share."""
    advice = f"; {remedy}" if remedy else ""
    raise error(f"{name}: expected {expected}, found {found}{advice}")


def require(
    holds: bool, name: str, expected: str, found: object, remedy: str = "", error: type[InputError] = InputError
) -> None:
    """Refuse unless ``holds``."""
    if not holds:
        refuse(name, expected, found, remedy, error)


def require_count(name: str, value: Any, minimum: int = 1) -> int:
    """A whole number that is at least ``minimum``."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    require(whole and int(value) >= minimum, name, f"a whole number >= {minimum}", repr(value))
    return int(value)


def require_number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False
) -> float:
    """A finite real number in [low, high], or in (low, high] with ``open_low``."""
    expected = _interval(low, high, open_low)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        refuse(name, expected, repr(value))
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        number = math.inf
    inside = math.isfinite(number) and low <= number <= high and not (open_low and number == low)
    require(inside, name, expected, repr(number))
    return number


def _interval(low: float, high: float, open_low: bool) -> str:
    if math.isfinite(high):
        return f"a finite number in {'(' if open_low else '['}{low:g}, {high:g}]"
    if low == 0 and open_low:
        return "a positive finite number"
    return "a finite number" + ("" if math.isinf(low) else f" {'>' if open_low else '>='} {low:g}")


def nearest(value: str, choices: Iterable[str]) -> str:
    """``"did you mean 'cycle'?"``, or the list of choices when nothing is near."""
    names = sorted(choices)
    close = difflib.get_close_matches(str(value).lower(), names, n=1, cutoff=0.5)
    some = ", ".join(names[:SHOWN]) + (f", … ({len(names)} in all)" if len(names) > SHOWN else "")
    return f"did you mean {close[0]!r}?" if close else f"choose one of {some}"


def require_memory(name: str, numbers: float, remedy: str) -> None:
    """Room for so many double-precision numbers, before they are asked of the machine."""
    gigabytes = 8.0 * numbers / 2**30
    require(gigabytes <= MEMORY, name, f"at most {MEMORY:g} GiB of results", f"{gigabytes:.3g} GiB", remedy)


def require_path(name: str, value: Any) -> Path:
    """A file or folder, given as text or path."""
    require(isinstance(value, str | os.PathLike), name, "a path", repr(value), "pass it as text or pathlib.Path")
    return Path(value).expanduser()


def plain_name(value: Any, separators: str, joiner: str) -> Any:
    """A name as its catalogue spells it: no outer blanks, lower case, ``joiner`` for each of ``separators``."""
    if not isinstance(value, str):
        return value  # require_choice refuses it
    return value.strip().lower().translate(dict.fromkeys(map(ord, separators), joiner))


def require_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """One of the names in ``choices``."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        refuse(name, "a known name", repr(value), nearest(str(value), known), UnknownNameError)
    return value


def require_together(arrays: Mapping[str, Any], error: type[InputError] = InputError) -> Any:
    """The namespace of arrays by name, all of one library and on one device: nothing is moved unasked."""
    names, xp = " and ".join(arrays), namespace_or_none(*arrays.values())
    if xp is None:
        found = ", ".join(f"{name} {_kind(array)}" for name, array in arrays.items())
        refuse(names, "arrays of one library", found, "convert them to one library first", error)
    require_device(names, arrays, error)
    return xp


def require_device(name: str, arrays: Mapping[str, Any], error: type[InputError] = InputError) -> None:
    """Arrays of one library that are on one device."""
    places = {label: device(array) for label, array in arrays.items()}
    first, *others = places.values()
    if any(place != first for place in others):
        found = ", ".join(f"{label} on {place}" for label, place in places.items())
        refuse(name, "arrays on one device", found, "move them to one device first", error)


def _kind(array: Any) -> str:
    """``"numpy ndarray"``, ``"list"``."""
    return f"{type(array).__module__.split('.')[0]} {type(array).__name__}".removeprefix("builtins ")


def require_array(name: str, array: Any, ndim: int | None = None, remedy: str = "") -> Any:
    """A real floating array without NaN or infinity, of ``ndim`` dimensions when given."""
    xp = namespace_or_none(array)
    if xp is None:
        refuse(name, "an array", type(array).__name__, remedy or "convert it with numpy.asarray first", ShapeError)
    if ndim is not None:
        require(array.ndim == ndim, name, f"{ndim} dimensions", f"shape {tuple(array.shape)}", remedy, ShapeError)
    if not is_real_floating(array):
        refuse(name, "real floating numbers", f"dtype {array.dtype}", "convert with astype(float)")
    require(all_finite(array), name, "finite numbers", "NaN or infinity", "remove or replace those entries")
    return array


def require_shape(name: str, array: Any, shape: tuple[int, ...], remedy: str = "") -> Any:
    """A real, finite floating array of exactly this shape."""
    require_array(name, array, None, remedy)
    require(tuple(array.shape) == shape, name, f"shape {shape}", f"shape {tuple(array.shape)}", remedy, ShapeError)
    return array
