"""A module as a pure function of the parameters that are trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..._devices import one_line
from ...errors import InputError, refuse, require
from ._checks import require_full_precision, require_modes
from ._names import chosen, slots

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Function:
    """(parameters by name, inputs (B, ...)) ↦ outputs (B, M), on a private copy of the module."""

    call: Callable[[Tensors, Tensor], Any]
    own: Tensors  # what θ holds, one after the other
    fixed: Tensors  # all that is not trained
    vmaps: bool = True  # torch.func.vmap knows all operations
    forward: bool = True  # so does forward-mode differentiation
    _cast: dict[Any, Tensors] = field(default_factory=dict)

    @classmethod
    def of(cls, module: Any, params: Any) -> Function:
        """A module whose parameters are chosen by name, or a function of (parameters, inputs) with its parameters."""
        if not isinstance(module, nn.Module):
            known = "an nn.Module or a function of (parameters, inputs)"
            require(callable(module), "module", known, type(module).__name__)
            return cls(module, _usable(_own_tensors(params)), {})
        require_modes(module)
        with undisturbed(), explained("one that can be copied"):
            private = copy.deepcopy(module)
        places = slots(private)
        tensors = {name: tensor.detach() for name, (tensor, _) in places.items()}
        own = {name: tensors[name] for name in chosen(private, params)}

        def call(named: Tensors, x: Tensor) -> Any:
            every = {place: tensor for name, tensor in named.items() for place in places[name][1]}
            return torch.func.functional_call(private, every, (x,), tie_weights=False)

        return cls(call, _usable(own), {name: tensor for name, tensor in tensors.items() if name not in own})

    @property
    def kind(self) -> Tensor:
        """Any of the parameters, for their dtype and device."""
        return next(iter(self.own.values()))

    @property
    def sizes(self) -> list[int]:
        """Numbers in each parameter."""
        return [p.numel() for p in self.own.values()]

    @property
    def theta(self) -> Tensor:
        """The parameters as they are, (P,)."""
        return torch.cat([p.reshape(-1) for p in self.own.values()])

    def fitting(self, x: Tensor) -> dict[str, Tensor]:
        """Copies of the parameters as they are, in the dtype to compute in on inputs x."""
        dtype = x.dtype if x.is_floating_point() else self.kind.dtype
        return {name: p.to(dtype, copy=True) for name, p in self.own.items()}

    def named(self, theta: Tensor) -> dict[str, Tensor]:
        """θ (P,) as parameters by name."""
        parts = torch.split(theta, self.sizes)
        return {name: part.reshape(p.shape) for (name, p), part in zip(self.own.items(), parts, strict=True)}

    def __call__(self, named: Tensors, x: Tensor) -> Tensor:
        """Outputs (B, M), with all that is not trained in the dtype of what is."""
        dtype = next(iter(named.values())).dtype
        out = self.call({**self.fixed_as(dtype), **named}, x)
        if not isinstance(out, Tensor) or out.dtype != dtype:
            kind = f"dtype {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            refuse("module", f"one tensor of outputs in {dtype}", kind, "wrap it so that it returns just that")
        return out.reshape(x.shape[0], -1)

    def rows(self, named: Tensors, x: Tensor) -> Tensor:
        """∂f/∂θ at one input, (M, P): a backward pass an output, sharing one forward pass."""
        out, pull = torch.func.vjp(lambda p: self(p, x[None])[0], dict(named))
        units = torch.eye(out.shape[0], dtype=out.dtype, device=out.device)
        return torch.stack([flat(pull(unit)[0]) for unit in units])

    def each(self, f: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """f along the first axis of its arguments: at once where vmap can, else one after the other."""
        if self.vmaps:
            return torch.func.vmap(f)
        return lambda *stacks: torch.stack([f(*one) for one in zip(*stacks, strict=True)])

    def fixed_as(self, dtype: torch.dtype) -> Tensors:
        """What is not trained, its real numbers in this dtype."""
        if dtype not in self._cast:
            self._cast[dtype] = {
                name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in self.fixed.items()
            }
        return self._cast[dtype]


def flat(parts: Tensors) -> Tensor:
    """Tensors by name, one after the other."""
    return torch.cat([part.reshape(-1) for part in parts.values()])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever the caller has switched on, gradients are on, precision is full, and attention can be differentiated."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with ExitStack() as stack:
            for context in (torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH)):
                stack.enter_context(context)
            for device in ("cpu", "cuda"):
                stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def explained(expected: str) -> Iterator[None]:
    """Whatever the user's own code raises, in one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"module: expected {expected}, found {type(error).__name__}: {one_line(error)}") from error


def _own_tensors(params: Any) -> dict[str, Tensor]:
    if not isinstance(params, Mapping) or not all(isinstance(p, Tensor) for p in params.values()):
        found = "none" if params is None else f"a {type(params).__name__} of other things"
        refuse("params", "the function's parameters, a dict of tensors by name", found)
    return {name: p.detach().clone() for name, p in params.items()}


def _usable(own: Tensors) -> Tensors:
    require(bool(own), "params", "at least one parameter to train", "none", "name some, or unfreeze them")
    for name, p in own.items():
        require_full_precision(name, p)
        require(bool(p.isfinite().all()), f"parameter {name!r}", "finite numbers", "NaN or infinity")
    kinds = {(p.dtype, p.device) for p in own.values()}
    found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
    require(len(kinds) == 1, "params", "one dtype and one device", found, "convert them with module.to(...)")
    return own
