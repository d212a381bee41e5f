"""An ``nn.Module`` as a model of ntkflow: Jacobians, products with them, and training by every rule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._array import Array
from ...errors import ReadOnly, refuse, require, require_count, require_number
from ...models import Model
from ...models._base import Pull
from ._chunks import Chunks
from ._function import Function
from ._products import Products
from ._tensors import array_like, tensor_of


class TorchModel(ReadOnly, Model):
    r"""f(x; θ) of a PyTorch module, θ its chosen parameters one after the other in the module's own order.

    Arrays may be NumPy's, CuPy's or tensors; they share their memory with PyTorch and results come back as they are.
    Everything is computed in the dtype of θ, whatever the module's own is.  The module itself is never changed.

    Parameters
    ----------
    module : nn.Module, or callable
        In eval mode if it has batch normalisation or dropout. Or a function of (parameters, inputs (B, ...)), with
        its ``params`` as a dict of tensors.
    input_shape : sequence of int
        Of one sample as the module takes it, e.g. (1, 28, 28); data hold it flat, N = 784.
    params : None, "last", str or list of str
        What is trained: every parameter that requires a gradient; those of the submodule that is registered last; or
        parameters by name, by submodule ("head"), or by pattern ("blocks.*.bias").
    matrix_free : bool
        For networks whose Jacobian is too large to form: it is multiplied only
        (`LinearizedModel.from_products`).
    memory : float
        GiB that a pass may take beside its result; samples are taken in chunks that fit.
    progress : callable, optional
        Told ``progress(done, total)`` in samples while a Jacobian is computed, in products with the kernel where it is
        matrix-free.
    input_dtype : torch.dtype, optional
        What the module wants instead of the data's dtype, e.g. torch.long for an embedding.

    Raises
    ------
    InputError
        Modules that no linearisation describes: batch statistics, random layers, half precision, nothing to train,
        outputs that do not depend on the parameters differentiably or depend on the other samples of a batch.

    Notes
    -----
    Cost of a Jacobian: a forward pass a sample, shared by its M backward passes. Peak memory: the result
    (Q, D M, P) and ``memory``. Products (`products`): a forward and a backward pass each way.

    Examples
    --------
    >>> import ntkflow as nf
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 10))
    >>> model = TorchModel(net, input_shape=(1, 8, 8))
    >>> model.n_inputs, model.n_outputs, model.n_parameters
    (64, 10, 1490)
    >>> data = nf.datasets.digits(n_agents=4, n_samples=5, classes=range(10))
    >>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    >>> study = nf.Study(W, model, None, data, "atc", step_size=0.01, normalization="torch_mse")
    >>> study.predict(steps=20).loss.shape
    (21, 4)
    """

    _remedy = "make another TorchModel"

    def __init__(
        self,
        module: nn.Module | Callable[[Any, Tensor], Tensor],
        input_shape: Sequence[int],
        params: Any = None,
        *,
        matrix_free: bool = False,
        memory: float = 1.0,
        progress: Callable[[int, int | None], None] | None = None,
        input_dtype: torch.dtype | None = None,
    ) -> None:
        listed = isinstance(input_shape, Sequence) and not isinstance(input_shape, str)
        require(listed, "input_shape", "the shape of one sample, such as (1, 28, 28)", repr(input_shape))
        self.input_shape = tuple(require_count("input_shape", size) for size in input_shape)
        self.module, self.params, self.matrix_free, self.progress = module, params, bool(matrix_free), progress
        self.memory = require_number("memory", memory, 0.0, open_low=True)
        self.input_dtype = input_dtype
        self.function = Function.of(module, params)
        trial = self._trial()
        self.n_inputs, self.n_outputs = int(np.prod(self.input_shape)), self.function.tried(trial)
        self.chunks = Chunks.of(self.function, trial, self.memory * 2**30)
        self._settle()

    def __repr__(self) -> str:
        return f"TorchModel of {type(self.module).__name__}, {self.n_parameters} parameters"

    @property
    def n_parameters(self) -> int:
        """P, the numbers in the chosen parameters."""
        return sum(self.function.sizes)

    def own_parameters(self, other: Array) -> Array:
        """The module's parameters as they are now, (P,), in the library and dtype of ``other``."""
        theta = self.function.theta
        return array_like(theta.to(tensor_of(other).dtype, copy=True), self._on_device(other))

    def products(self, theta: Array, x: Array) -> tuple[Pull, Pull]:
        """(P,) ↦ J v (Q, n) and (Q, n) ↦ Jᵀ u (P,) at shared parameters θ (P,) and inputs x (Q, D, N)."""
        named = self.function.named(self._tensor(theta))
        found = Products(self.function, named, self._inputs(x), self.chunks.passes)
        return (
            lambda v: array_like(found.push(tensor_of(v)), theta),
            lambda u: array_like(found.pull(tensor_of(u)), theta),
        )

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        """As the module's own layers initialise themselves."""
        remedy = "start from the module's own: theta0=None"
        if not isinstance(self.module, nn.Module):
            refuse("init", "a module that can draw its parameters", "a function", remedy)
        fresh = copy.deepcopy(self.module)
        drawn: set[str] = set()
        with torch.random.fork_rng():
            torch.manual_seed(int(generator.integers(2**63)))
            for name, layer in fresh.named_modules():
                if hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()
                    drawn |= {f"{name}.{own}" if name else own for own, _ in layer.named_parameters()}
        for name in self.function.own:
            require(name in drawn, "init", "layers with reset_parameters", f"none that holds {name!r}", remedy)
        return Function.of(fresh, list(self.function.own)).theta.double().cpu().numpy()

    def _trial(self) -> Tensor:
        """Two samples."""
        kind = next(iter(self.function.own.values()))
        shape = (2, *self.input_shape)
        if self.input_dtype is not None and not self.input_dtype.is_floating_point:
            return torch.zeros(shape, dtype=self.input_dtype, device=kind.device)
        draw = torch.from_numpy(np.random.default_rng(0).standard_normal(shape))
        return draw.to(self.input_dtype or kind.dtype).to(kind.device)

    def _on_device(self, array: Array) -> Array:
        home = next(iter(self.function.own.values())).device
        here = tensor_of(array).device
        require(here == home, "module", f"parameters on the device of the data, {here}", home, "move one of them")
        return array

    def _tensor(self, theta: Array) -> Tensor:
        return tensor_of(self._on_device(theta))

    def _inputs(self, x: Array) -> Tensor:
        """(Q, D, *input_shape)."""
        shaped = self._tensor(x).reshape(*x.shape[:2], *self.input_shape)
        return shaped if self.input_dtype is None else shaped.to(self.input_dtype)

    def _pullback(self, theta: Array, x: Array) -> tuple[Array, Pull]:
        inputs = self._inputs(x)

        def outputs(t: Tensor) -> Tensor:
            return torch.func.vmap(lambda p, x: self.function(self.function.named(p), x))(t, inputs)

        out, back = torch.func.vjp(outputs, self._tensor(theta))
        return array_like(out, theta), lambda r: array_like(back(tensor_of(r))[0], theta)

    def _jacobian(self, theta: Array, x: Array) -> Array:
        """(Q, D, M, P), a chunk of samples at a time."""
        thetas, inputs = self._tensor(theta), self._inputs(x)
        Q, D = inputs.shape[:2]
        J = torch.empty((Q, D, self.n_outputs, self.n_parameters), dtype=thetas.dtype, device=thetas.device)
        for q in range(Q):
            rows = torch.func.vmap(partial(self.function.rows, self.function.named(thetas[q])))
            for a in range(0, D, self.chunks.rows):
                b = min(a + self.chunks.rows, D)
                for m, row in enumerate(rows(inputs[q, a:b])):
                    J[q, a:b, m, :] = torch.cat([part.reshape(b - a, -1) for part in row.values()], dim=1)
                if self.progress is not None:
                    self.progress(q * D + b, Q * D)
        return array_like(J, theta)
