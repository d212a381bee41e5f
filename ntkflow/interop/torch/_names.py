"""Which of a module's parameters are meant, and all the places where a shared one stands."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from ...errors import nearest, refuse, require

PARAMETRIZED = ".parametrizations."


def slots(module: nn.Module) -> dict[str, tuple[Tensor, list[str]]]:
    """Every parameter and buffer by its first name, with the names of all places that hold it, each place once.

    A layer that is used twice has one place and two names; tied weights have two places.
    """
    found: dict[int, tuple[Tensor, list[str]]] = {}
    for path, owner in module.named_modules():
        held = (owner.named_parameters(recurse=False, remove_duplicate=False),
                owner.named_buffers(recurse=False, remove_duplicate=False))  # fmt: skip
        for name, tensor in (pair for some in held for pair in some):
            found.setdefault(id(tensor), (tensor, []))[1].append(f"{path}.{name}" if path else name)
    return {names[0]: (tensor, names) for tensor, names in found.values()}


def chosen(module: nn.Module, params: Any) -> list[str]:
    """The first names of the parameters that are meant, in the module's own order.

    By name, by the name of a submodule, or by a pattern such as "block.*.weight".
    """
    every = dict(module.named_parameters(remove_duplicate=False))
    if params is None:
        wanted = {id(p) for p in every.values() if p.requires_grad}
    elif isinstance(params, str) and params == "last" and "last" not in every:
        last = _owner(list(every)[-1]) if every else ""
        wanted = {id(p) for name, p in every.items() if _owner(name) == last}
    else:
        wanted = {id(every[name]) for asked in _asked(params) for name in _found(asked, every)}
    return [name for name, p in module.named_parameters() if id(p) in wanted]


def _asked(params: Any) -> list[str]:
    listed = [params] if isinstance(params, str) else list(params) if isinstance(params, Iterable) else [params]
    named = all(isinstance(asked, str) for asked in listed)
    require(named, "params", "None, 'last' or names of parameters", f"a {type(params).__name__} of other things")
    return listed


def _found(asked: str, every: dict[str, Tensor]) -> list[str]:
    names = [name for name in every if name == asked or name.startswith(f"{asked}.") or fnmatchcase(name, asked)]
    if not names:
        refuse("params", "names of the module's parameters", repr(asked), nearest(asked, every))
    return names


def _owner(name: str) -> str:
    """The submodule that a parameter belongs to, also where it is parametrised."""
    before, parametrized, _ = name.partition(PARAMETRIZED)
    return before if parametrized else name.rpartition(".")[0]
