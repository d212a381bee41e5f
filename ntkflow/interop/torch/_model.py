"""An ``nn.Module`` as a model of ntkflow: Jacobians, products with them, and training by every rule."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ..._array import Array
from ...errors import ReadOnly, refuse, require, require_count, require_number
from ...models import Model
from ...models._base import Pull
from ._chunks import Chunks
from ._function import Function, undisturbed
from ._products import Products
from ._tensors import array_like, tensor_of
from ._trial import tried


class TorchModel(ReadOnly, Model):
    r"""f(x; θ) of a PyTorch module, θ its chosen parameters one after the other in the module's own order.

    Arrays may be NumPy's, CuPy's or tensors; they share their memory with PyTorch and results come back as they are.
    Everything is computed in the dtype of θ, whatever the module's own is, on a private copy of the module.

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
        GiB that Jacobians, products and outputs may take beside their results; samples are taken in chunks that fit.
        A step of training takes what its full batch takes in PyTorch.
    progress : callable, optional
        Told ``progress(done, total)`` in samples while a Jacobian is computed, in products with the kernel where it is
        matrix-free.
    input_dtype : torch.dtype, optional
        What the module wants instead of the data's dtype, e.g. torch.long for an embedding.
    trial : (S, ...) array, optional
        A few samples that the module is tried on; by default random numbers between 0 and 1.

    Raises
    ------
    InputError
        Modules that no linearisation describes: batch statistics, random layers, half precision, nothing to train,
        outputs that do not depend on the parameters differentiably or depend on the other samples of a batch.

    Notes
    -----
    Cost of a Jacobian: a forward pass a sample, shared by its M backward passes, all samples of a chunk at once; one
    after the other where `torch.func.vmap` does not know an operation, as for recurrent layers. Peak memory: the
    result (Q, D M, P) and ``memory``. Products: a pass in forward mode, or two backward ones; a forward and a backward.

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
    >>> observed = study.train(steps=20)
    >>> first_agent = model.with_parameters(study.theta0 + observed.deviation[-1, 0])
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
        trial: Any = None,
    ) -> None:
        listed = isinstance(input_shape, Sequence) and not isinstance(input_shape, str)
        require(listed, "input_shape", "the shape of one sample, such as (1, 28, 28)", repr(input_shape))
        self.input_shape = tuple(require_count("input_shape", size) for size in input_shape)
        require(progress is None or callable(progress), "progress", "a function", type(progress).__name__)
        module = module.module if isinstance(module, nn.DataParallel) else module
        self.matrix_free, self.progress = bool(matrix_free), progress
        self.memory, self.input_dtype = require_number("memory", memory, 0.0, open_low=True), input_dtype
        self.name, self.function = type(module).__name__, Function.of(module, params)
        x = self._random() if trial is None else self._shaped(self._tensor(trial))
        self.function, self.n_outputs = tried(self.function, x, matrix_free=self.matrix_free)
        self.n_inputs = math.prod(self.input_shape)
        self.chunks = Chunks.of(self.function, x, self.n_outputs, self.memory * 2**30)
        self._initial = module if isinstance(module, nn.Module) else None
        self._settle()

    def __repr__(self) -> str:
        return f"TorchModel of {self.name}, {self.n_parameters} parameters"

    @property
    def n_parameters(self) -> int:
        """P, the numbers in the chosen parameters."""
        return sum(self.function.sizes)

    def own_parameters(self, other: Array) -> Array:
        """The module's parameters as they were when this was made, (P,), in the library and dtype of ``other``."""
        theta = self.function.theta
        return array_like(theta.to(self._tensor(other).dtype, copy=True), other)

    def products(self, theta: Array, x: Array) -> tuple[Pull, Pull]:
        """(P,) ↦ J v (Q, n) and (Q, n) ↦ Jᵀ u (P,) at shared parameters θ (P,) and inputs x (Q, D, N)."""
        named = self.function.named(self._tensor(theta))
        found = Products(self.function, named, self._inputs(x), self.chunks.passes)
        return (
            lambda v: array_like(found.push(tensor_of(v)), theta),
            lambda u: array_like(found.pull(tensor_of(u)), theta),
        )

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        """As the module's own layers initialise themselves, by their reset_parameters()."""
        remedy = "start from the module's own: theta0=None"
        if self._initial is None:
            refuse("init", "a module that can draw its parameters", "a function", remedy)
        fresh = copy.deepcopy(self._initial)
        drawn: set[str] = set()
        with torch.random.fork_rng():
            torch.manual_seed(int(generator.integers(2**63)))
            for name, layer in fresh.named_modules():
                if hasattr(layer, "reset_parameters") and not is_parametrized(layer):
                    layer.reset_parameters()
                    drawn |= {f"{name}.{own}" if name else own for own, _ in layer.named_parameters()}
        for name in self.function.own:
            require(name in drawn, "init", "layers with reset_parameters", f"none that holds {name!r}", remedy)
        return Function.of(fresh, list(self.function.own)).theta.double().cpu().numpy()

    def with_parameters(self, theta: Array) -> nn.Module:
        """A copy of the module with θ (P,) in its parameters, e.g. one agent's at the end of training."""
        if self._initial is None:
            refuse("with_parameters", "a model made from a module", "one made from a function")
        tensor, module = self._tensor(theta), copy.deepcopy(self._initial)
        expected = f"shape ({self.n_parameters},)"
        require(tuple(tensor.shape) == (self.n_parameters,), "theta", expected, f"shape {tuple(tensor.shape)}")
        own = dict(module.named_parameters())
        with torch.no_grad():
            for name, part in self.function.named(tensor).items():
                own[name].copy_(part)
        return module

    def _random(self) -> Tensor:
        """Three samples: numbers between 0 and 1, or zeros and ones for whole numbers."""
        kind, dtype = self.function.kind, self.input_dtype
        draw = torch.from_numpy(np.random.default_rng(0).random((3, *self.input_shape))).to(kind.device)
        whole = dtype is not None and not dtype.is_floating_point
        return (draw.round() if whole else draw).to(dtype or kind.dtype)

    def _tensor(self, array: Array) -> Tensor:
        tensor, home = tensor_of(array), self.function.kind.device
        require(tensor.device == home, "module", f"parameters on {tensor.device} as the data", home, "move one of them")
        return tensor

    def _inputs(self, x: Array) -> Tensor:
        """(Q, D, *input_shape)."""
        return self._shaped(self._tensor(x).flatten(0, 1)).reshape(*x.shape[:2], *self.input_shape)

    def _shaped(self, x: Tensor) -> Tensor:
        """(B, *input_shape) in the dtype that the module wants."""
        shaped = x.reshape(x.shape[0], *self.input_shape)
        return shaped if self.input_dtype is None else shaped.to(self.input_dtype)

    def _agents(self, thetas: Tensor, inputs: Tensor) -> Tensor:
        """Outputs (Q, D, M) of every agent's network."""
        return self.function.each(lambda t, x: self.function(self.function.named(t), x))(thetas, inputs)

    def _outputs(self, theta: Array, x: Array) -> Array:
        """Without what a backward pass would need, a chunk of samples at a time."""
        thetas, inputs = self._tensor(theta), self._inputs(x)
        Q, D = inputs.shape[:2]
        step = max(1, self.chunks.passes // Q)
        with undisturbed(), torch.no_grad():
            out = torch.empty((Q, D, self.n_outputs), dtype=thetas.dtype, device=thetas.device)
            for a in range(0, D, step):
                out[:, a : a + step] = self._agents(thetas, inputs[:, a : a + step])
        return array_like(out, theta)

    def _pullback(self, theta: Array, x: Array) -> tuple[Array, Pull]:
        inputs = self._inputs(x)
        with undisturbed():
            out, back = torch.func.vjp(lambda t: self._agents(t, inputs), self._tensor(theta))

        def pull(r: Array) -> Array:
            with undisturbed():
                return array_like(back(tensor_of(r))[0], theta)

        return array_like(out, theta), pull

    def _jacobian(self, theta: Array, x: Array) -> Array:
        """(Q, D, M, P), a chunk of samples at a time."""
        thetas, inputs = self._tensor(theta), self._inputs(x)
        Q, D = inputs.shape[:2]
        with undisturbed():
            J = torch.empty((Q, D, self.n_outputs, self.n_parameters), dtype=thetas.dtype, device=thetas.device)
            for q in range(Q):
                rows = self.function.each(partial(self.function.rows, self.function.named(thetas[q])))
                for a in range(0, D, self.chunks.rows):
                    b = min(a + self.chunks.rows, D)
                    J[q, a:b] = rows(inputs[q, a:b])
                    if self.progress is not None:
                        self.progress(q * D + b, Q * D)
        return array_like(J, theta)
