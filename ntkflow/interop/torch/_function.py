"""A module as a pure function of the parameters that are trained, and what such a function may not do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError, nearest, refuse, require
from ._checks import require_deterministic, require_full_precision, require_modes

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Function:
    """(parameters by name, inputs (B, ...)) ↦ outputs (B, M)."""

    call: Callable[[Tensors, Tensor], Any]
    own: Tensors  # what θ holds, one after the other
    fixed: Tensors  # all that is not trained
    _cast: dict[Any, Tensors] = field(default_factory=dict)

    @classmethod
    def of(cls, module: Any, params: Any) -> Function:
        """A module whose parameters are chosen by name, or a function of (parameters, inputs) with its parameters."""
        if isinstance(module, nn.Module):
            require_modes(module)
            every = dict(module.named_parameters())
            own = _chosen(every, params)
            fixed = {name: p.detach() for name, p in every.items() if name not in own}
            fixed |= {name: buffer.clone() for name, buffer in module.named_buffers()}

            def call(named: Tensors, x: Tensor) -> Any:
                return torch.func.functional_call(module, dict(named), (x,))

            return cls(call, _usable(own), fixed)
        require(callable(module), "module", "an nn.Module or a function of (parameters, inputs)", type(module).__name__)
        if not isinstance(params, Mapping) or not all(isinstance(p, Tensor) for p in params.values()):
            refuse("params", "the function's parameters, a dict of tensors", type(params).__name__)
        return cls(module, _usable(dict(params)), {})

    @property
    def sizes(self) -> list[int]:
        """Numbers in each parameter."""
        return [p.numel() for p in self.own.values()]

    @property
    def theta(self) -> Tensor:
        """The parameters as they are, (P,)."""
        return torch.cat([p.detach().reshape(-1) for p in self.own.values()])

    def named(self, theta: Tensor) -> dict[str, Tensor]:
        """θ (P,) as parameters by name."""
        parts = torch.split(theta, self.sizes)
        return {name: part.reshape(p.shape) for (name, p), part in zip(self.own.items(), parts, strict=True)}

    def __call__(self, named: Tensors, x: Tensor) -> Tensor:
        """Outputs (B, M), with all that is not trained in the dtype of what is."""
        out = self.call({**self._fixed_like(next(iter(named.values()))), **named}, x)
        if not isinstance(out, Tensor) or not out.is_floating_point():
            kind = f"dtype {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            refuse("module", "one floating-point tensor of outputs", kind, "wrap it so that it returns just that")
        return out.reshape(x.shape[0], -1)

    def _fixed_like(self, other: Tensor) -> Tensors:
        if other.dtype not in self._cast:
            self._cast[other.dtype] = {
                name: tensor.to(other.dtype) if tensor.is_floating_point() else tensor
                for name, tensor in self.fixed.items()
            }
        return self._cast[other.dtype]

    def tried(self, x: Tensor) -> int:
        """M, found on a few inputs; refused unless outputs are a differentiable function of each input alone."""
        fixed = self._fixed_like(next(iter(self.own.values())))
        before = {name: tensor.clone() for name, tensor in fixed.items()}
        with _explained(f"a forward pass on inputs of shape {tuple(x.shape)}"):
            slopes = self._slopes(x)
        if all(slope is None for slope in slopes):
            remedy = "look for detach, no_grad, argmax or rounding"
            refuse("module", "outputs that depend on its parameters differentiably", "none that do", remedy)
        for name, tensor in fixed.items():
            kept = torch.equal(tensor, before[name])
            require(kept, "module", "a pass without side effects", f"one that changes {name!r}", "call module.eval()")
        require_deterministic(lambda inputs: self(self.own, inputs), x)
        with _explained("operations that torch.func can differentiate"):
            return len(torch.func.vmap(lambda each: self.rows(self.own, each))(x))

    def _slopes(self, x: Tensor) -> Sequence[Tensor | None]:
        """The gradient of the sum of all outputs, None for a parameter that they do not depend on."""
        named = {name: p.clone().requires_grad_() for name, p in self.own.items()}
        with torch.enable_grad():
            total = self(named, x).sum()
        if not total.requires_grad:
            return [None]
        return torch.autograd.grad(total, list(named.values()), allow_unused=True)

    def rows(self, named: Tensors, x: Tensor) -> list[dict[str, Tensor]]:
        """∂f_m/∂parameter for every output m at one input, sharing one forward pass."""
        out, pull = torch.func.vjp(lambda p: self(p, x[None])[0], dict(named))
        return [pull(unit)[0] for unit in torch.eye(out.shape[0], dtype=out.dtype, device=out.device)]


def _chosen(known: dict[str, Tensor], params: Any) -> dict[str, Tensor]:
    """By name, by the name of a submodule, or by a pattern such as "block.*.weight"; in the module's own order."""
    if params is None:
        return {name: p for name, p in known.items() if p.requires_grad}
    if params == "last":
        owners = [name.rpartition(".")[0] for name in known]
        params = [owners[-1]] if owners else []
        return {name: p for name, p in known.items() if name.rpartition(".")[0] in params}
    params = [params] if isinstance(params, str) else params
    named = isinstance(params, Iterable) and all(isinstance(asked, str) for asked in params)
    require(named, "params", "None, 'last' or names of parameters", repr(params)[:60])
    for asked in params:
        if not any(_meant(asked, name) for name in known):
            refuse("params", "names of the module's parameters", repr(asked), nearest(str(asked), known))
    return {name: p for name, p in known.items() if any(_meant(asked, name) for asked in params)}


def _meant(asked: str, name: str) -> bool:
    return name == asked or name.startswith(f"{asked}.") or fnmatchcase(name, asked)


def _usable(own: Tensors) -> Tensors:
    require(bool(own), "params", "at least one parameter to train", "none", "name some, or unfreeze them")
    for name, p in own.items():
        require_full_precision(name, p)
    kinds = {(p.dtype, p.device) for p in own.values()}
    found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
    require(len(kinds) == 1, "params", "one dtype and one device", found, "convert them with module.to(...)")
    return {name: p.detach() for name, p in own.items()}


@contextmanager
def _explained(expected: str) -> Iterator[None]:
    """Whatever the user's own code raises, in one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(f"module: expected {expected}, found {words[:160]}") from error
