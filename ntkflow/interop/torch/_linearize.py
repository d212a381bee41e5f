"""A module's tangent at every agent's data: the way from PyTorch into the linear system."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ..._array import Array
from ...errors import InputError, require
from ...linearize import LinearizedModel
from ...reports.bars import bar
from ...tangent import tangent
from ...training import Network
from ._checks import FULL
from ._data import dealt
from ._model import TorchModel
from ._tensors import array_like, tensor_of


def linearize(
    module: nn.Module | Callable[[Any, Tensor], Tensor],
    x: Any,
    y: Any = None,
    params: Any = None,
    agents: Any = None,
    *,
    theta0: Array | None = None,
    test_inputs: Any = None,
    n_classes: int | None = None,
    library: str | None = None,
    dtype: torch.dtype | None = None,
    matrix_free: bool = False,
    memory: float = 1.0,
    progress: bool | Callable[[int, int | None], None] = False,
) -> LinearizedModel:
    r"""J_q = ∂f/∂θ and f_q − y_q of a PyTorch network at every agent's samples (arXiv 2409.15267, eqs. 8–9).

    Parameters
    ----------
    module : nn.Module, or callable
        Or a function of (parameters by name, inputs (B, ...)), with its ``params`` as a dict of tensors.
    x, y, agents
        The data as `dataset` takes them: (Q, D, ...) dealt already, (S, ...) with ``agents``, lists agent by agent,
        one torch Dataset an agent, or an ntkflow ``Dataset``.
    params
        What is trained: None, "last", or names, submodules or patterns; see `TorchModel`.
    theta0 : (P,) or (Q, P), optional
        Where the agents start; by default where the module stands.
    test_inputs : (m, ...), optional
        Where ``Trajectory.test_outputs`` is wanted.
    n_classes : int, optional
        For targets that are class numbers; see `dataset`.
    library : "numpy", "cupy" or "torch"
        Of the result; by default NumPy on the CPU and CuPy on a GPU, which share the tensors' memory.
    dtype : torch.float32 or torch.float64, optional
        Of the computation and the result; by default that of the parameters, which the data must share.
    matrix_free : bool
        Multiply with the Jacobian instead of forming it, for networks whose Jacobian is too large.
    memory : float
        GiB that a pass may take beside its result.
    progress : bool or callable
        True for a bar on the terminal, or a function told ``progress(done, total)``.

    Returns
    -------
    LinearizedModel

    Raises
    ------
    InputError, ShapeError, DataError
        Modules that no linearisation describes (`TorchModel`), data that do not fit, module and data on two devices.
    MissingError
        A GPU's tensors without CuPy, unless ``library="torch"``.

    Notes
    -----
    Cost: a forward pass a sample and M backward passes that share it. Peak memory: J (Q, n, P) and ``memory``.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    >>> linearize(net, torch.randn(12, 3), torch.randn(12, 2), agents=4).jacobian.shape
    (4, 6, 50)
    >>> linearize(net, torch.randn(4, 3, 3), torch.randn(4, 3, 2), params="last").jacobian.shape
    (4, 6, 18)
    """
    require(dtype in (None, *FULL), "dtype", "torch.float32 or torch.float64", dtype)
    kept = dealt(x, y, agents, library, dtype, n_classes)
    known = isinstance(progress, bool) or callable(progress)
    require(known, "progress", "True, False or a function", type(progress).__name__)
    tell = progress if callable(progress) else None
    with bar("products" if matrix_free else "Jacobian") if progress is True else nullcontext(tell) as told:
        model = TorchModel(module, kept.input_shape, params, matrix_free=matrix_free, memory=memory, progress=told,
                           input_dtype=kept.input_dtype, trial=_few(kept.data.x))  # fmt: skip
        own, here = model.function.kind.dtype, tensor_of(kept.data.x).dtype
        remedy = f"convert them, or compute in {here}: dtype={here}"
        require(own == (dtype or here) or dtype is not None, "x and y", f"the parameters' dtype {own}", here, remedy)
        start = model.own_parameters(kept.data.x) if theta0 is None else array_like(tensor_of(theta0), kept.data.x)
        points = None if test_inputs is None else _flat(test_inputs, kept.input_shape, kept.data.x)
        return tangent(Network.of(model, kept.data, start), test_inputs=points)


def taking_flat_samples(module: nn.Module, x: Array) -> TorchModel:
    """The model of a module that takes samples as data (Q, D, N) hold them."""
    try:
        return TorchModel(module, (x.shape[2],), trial=_few(x))
    except InputError as error:
        remedy = "say how it takes a sample: TorchModel(module, input_shape=(1, 28, 28))"
        raise InputError(f"{error}; {remedy}" if "forward pass" in str(error) else str(error)) from error


def _few(x: Array) -> Tensor:
    """The first samples of the first agent."""
    return tensor_of(x)[0, :3]


def _flat(points: Any, shape: tuple[int, ...], other: Array) -> Array:
    """Test inputs (m, N) as ``other`` is."""
    tensor = tensor_of(points)
    found = tuple(tensor.shape)
    require(found[1:] == shape, "test_inputs", f"shape (m, {', '.join(map(str, shape))})", f"shape {found}")
    return array_like(tensor.reshape(found[0], -1).to(tensor_of(other).dtype), other)
