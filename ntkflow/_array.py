"""The array standard, and the little that it lacks.

Every numeric module takes its namespace from its inputs, ``xp = namespace(x)``, and then runs the
same lines on NumPy, CuPy, PyTorch or any other library that follows the array API standard.
"""

from __future__ import annotations

import math
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import array_api_compat as compat
import array_api_compat.numpy as numpy_namespace
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Array = Any
CACHED = 2**18  # numbers that stay in cache


def namespace(*arrays: Array) -> Any:
    """The array library that all ``arrays`` belong to (``TypeError`` when they do not agree)."""
    for array in arrays:
        if type(array) is not np.ndarray:
            return compat.array_namespace(*arrays)
    return numpy_namespace  # without the search: this is asked hundreds of times a prediction


def namespace_or_none(*arrays: Array) -> Any:
    """The namespace, or None when something here is not an array of one library."""
    if all(type(array) is np.ndarray for array in arrays):
        return numpy_namespace
    if not all(compat.is_array_api_obj(array) for array in arrays):  # the search would pass over None and numbers
        return None
    try:
        return compat.array_namespace(*arrays)
    except TypeError:
        return None


def library(name: str) -> Any:
    """The namespace of the library of this name, "numpy", "cupy" or "torch"; ImportError where it is not installed."""
    return import_module(f"array_api_compat.{name}")


def device(array: Array) -> Any:
    """The device on which ``array`` lives."""
    return "cpu" if type(array) is np.ndarray else compat.device(array)


def like(values: Any, other: Array) -> Array:
    """``values`` (numbers, lists, NumPy arrays) in the library, dtype and device of ``other``."""
    if isinstance(values, np.ndarray) and not isinstance(other, np.ndarray):
        values = np.array(values)  # PyTorch takes no views that are reversed or read-only
    return namespace(other).asarray(values, dtype=other.dtype, device=device(other))


def taken(array: Array, other: Array) -> Array:
    """What is small and given once, a mixing matrix say, in the library, dtype and device of ``other``.

    By way of the host where it has to leave its library or its device: nothing else in ntkflow moves.
    """
    stays = namespace_or_none(array, other) is not None and device(array) == device(other)
    return like(array if stays else to_numpy(array), other)


def zeros(shape: tuple[int, ...], other: Array) -> Array:
    """Zeros in the library, dtype and device of ``other``."""
    return namespace(other).zeros(shape, dtype=other.dtype, device=device(other))


def empty(shape: tuple[int, ...], other: Array) -> Array:
    """Room for numbers in the library, dtype and device of ``other``."""
    return namespace(other).empty(shape, dtype=other.dtype, device=device(other))


def eye(size: int, other: Array) -> Array:
    """The identity matrix in the library, dtype and device of ``other``."""
    return namespace(other).eye(size, dtype=other.dtype, device=device(other))


def reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    """`reshape`, for arrays so small that the search for their library would take longer."""
    return array.reshape(shape) if type(array) is np.ndarray else namespace(array).reshape(array, shape)


def is_real_floating(array: Array) -> bool:
    """Whether the entries are real floating-point numbers."""
    xp = namespace(array)
    return array.dtype.kind == "f" if xp is numpy_namespace else bool(xp.isdtype(array.dtype, "real floating"))


def all_finite(array: Array) -> bool:
    """Whether no entry is NaN or infinite."""
    xp = namespace(array)
    return bool(xp.all(xp.isfinite(array)))


def finite_slices(array: Array) -> Array:
    """Whether each ``array[i, ...]`` holds no NaN or infinity, without a mask as large as the array."""
    xp = namespace(array)
    flat = xp.reshape(array, (array.shape[0], -1))
    return xp.isfinite(xp.max(flat, axis=1)) & xp.isfinite(xp.min(flat, axis=1))


def nan_to_inf(array: Array) -> Array:
    """The array with inf for NaN, which is what inf − inf leaves of an overflow."""
    xp = namespace(array)
    return xp.where(xp.isnan(array), xp.full_like(array, math.inf), array)


def eps(array: Array) -> float:
    """The machine epsilon of the array's dtype."""
    return _eps(namespace(array), array.dtype)


@lru_cache(maxsize=32)
def _eps(xp: Any, dtype: Any) -> float:
    return float(xp.finfo(dtype).eps)


def to_numpy(array: Array) -> npt.NDArray[Any]:
    """The array as a NumPy array, on the CPU: the one explicit move, for reports only.

    Parameters
    ----------
    array : array
        Of any library of the array standard, on any device.

    Returns
    -------
    numpy array
        Same shape and dtype; shares memory where it can, so do not write to it.

    Examples
    --------
    >>> import numpy as np
    >>> to_numpy(np.ones(2))
    array([1., 1.])
    """
    if isinstance(array, np.ndarray):
        return array
    try:
        return np.asarray(compat.to_device(array, "cpu"))
    except (ValueError, TypeError, RuntimeError):  # a library that does not call its host "cpu"
        return np.from_dlpack(array)


def floats(values: Array) -> list[float]:
    """A vector of one number a time, say, as Python floats: by one copy, as reading each would wait for the device."""
    return [float(value) for value in to_numpy(values)]


def overflow_allowed() -> Any:
    """A context in which NumPy does not warn when an unstable run overflows: the answer says inf instead."""
    return np.errstate(over="ignore", invalid="ignore")


def norm(array: Array) -> float:
    """The Frobenius norm of the whole array, as a Python float."""
    flat = array if array.ndim == 1 else reshaped(array, (-1,))
    return math.sqrt(float(flat @ flat))


def svd(A: Array) -> tuple[Array, Array, Array]:
    """The thin singular value decomposition U, s, Vᵀ.

    LAPACK's divide-and-conquer fails to converge once in a great while on entries of very unequal size;
    the transpose then serves.
    """
    xp = namespace(A)
    try:
        U, s, Vt = xp.linalg.svd(A, full_matrices=False)
    except (np.linalg.LinAlgError, RuntimeError):
        V, s, Ut = xp.linalg.svd(A.T, full_matrices=False)
        return Ut.T, s, V.T
    return U, s, Vt


def cholesky(A: Array) -> Array | None:
    """The lower triangular L of a symmetric A = L Lᵀ, None where A is not positive definite.

    A seventh of the price of its eigenvalues.
    """
    try:
        L = namespace(A).linalg.cholesky(A)
    except (np.linalg.LinAlgError, RuntimeError):
        return None
    return L if all_finite(L) else None


def expm1(A: Array, time: float = 1.0) -> Array:
    """e^{tA} − I for a square matrix, slow modes to full relative accuracy.

    Scaling and squaring of the [13/13] Padé approximant (Higham, Functions of Matrices, 2008, sec. 10.3),
    on D = e^A − I throughout: e^{2A} − I = D² + 2D, so that nothing is ever rounded against I.  Written
    here because the array standard has no matrix exponential.  Cost: about 12 + log₂‖A‖₁ products.
    """
    xp = namespace(A)
    size = float(xp.max(xp.sum(xp.abs(A), axis=0))) if A.shape[0] else 0.0
    busy = size > 0 and time > 0
    squarings = max(0, math.ceil(math.log2(size) + math.log2(time))) if busy else 0
    A = A * math.ldexp(time, -squarings)
    b = _PADE_13
    identity = eye(A.shape[0], A)
    A2 = A @ A
    A4 = A2 @ A2
    A6 = A4 @ A2
    U = A @ (A6 @ (b[13] * A6 + b[11] * A4 + b[9] * A2) + b[7] * A6 + b[5] * A4 + b[3] * A2 + b[1] * identity)
    V = A6 @ (b[12] * A6 + b[10] * A4 + b[8] * A2) + b[6] * A6 + b[4] * A4 + b[2] * A2 + b[0] * identity
    D = xp.linalg.solve(V - U, 2.0 * U)
    for _ in range(squarings):
        D = D @ D + 2.0 * D
    return D


def power1(A: Array, k: int) -> Array:
    """(I + A)^k − I for a square matrix and k ≥ 0, by the same rule: D_{j+k} = D_j + D_k + D_j D_k."""
    result = 0.0 * A
    while k:
        if k & 1:
            result = result + A + result @ A
        k >>= 1
        if k:
            A = A @ A + 2.0 * A
    return result


# (26 − j)! / (j! (13 − j)!): the [13/13] Padé approximant of the exponential, its last coefficient 1
_PADE_13 = [float(math.factorial(26 - j) // (math.factorial(j) * math.factorial(13 - j))) for j in range(14)]


def erf(x: Array) -> Array:
    """The error function: SciPy's, CuPy's or PyTorch's for their arrays, plain array code for any other library.

    Up to |x| = 1.5 the series 2/√π · x e^{−x²} Σ (2x²)ⁿ / (2n+1)!!, whose terms are all positive; beyond, one
    less the continued fraction of erfc (Abramowitz and Stegun 7.1.6 and 7.1.14).
    """
    if compat.is_numpy_array(x):
        from scipy.special import erf as special
    elif compat.is_cupy_array(x):
        from cupyx.scipy.special import erf as special
    elif compat.is_torch_array(x):
        from torch.special import erf as special
    else:
        special = _erf_series
    return special(x)


def _erf_series(x: Array) -> Array:
    xp = namespace(x)
    inner = xp.clip(x, -1.5, 1.5)
    total = xp.ones_like(x)
    for n in range(40, 0, -1):  # at |x| = 1.5 the terms fall below 1e-17 after 30
        total = 1.0 + total * 2.0 * inner * inner / (2 * n + 1)
    near = 2.0 / math.sqrt(math.pi) * inner * xp.exp(-inner * inner) * total
    outer = xp.clip(xp.abs(x), 1.5, 6.0)  # at 6 the function is 1 to double precision
    fraction = outer
    for n in range(80, 0, -1):
        fraction = outer + 0.5 * n / fraction
    far = xp.sign(x) * (1.0 - xp.exp(-outer * outer) / (math.sqrt(math.pi) * fraction))
    return xp.where(xp.abs(x) < 1.5, near, far)
