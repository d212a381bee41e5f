"""What a linearised model is made from, checked: one library and device, true sizes, test points."""

from __future__ import annotations

from typing import Any

from .._array import Array, like, namespace
from ..errors import ShapeError, refuse, require, require_array, require_shape, require_together


def one_namespace(**arrays: Array | None) -> Any:
    """The common namespace; every array must be real, finite, of the same library and dtype, on the same device."""
    given = {name: require_array(name, array) for name, array in arrays.items() if array is not None}
    xp = require_together(given)
    dtypes = {str(array.dtype) for array in given.values()}
    require(len(dtypes) == 1, "arrays", "one dtype", ", ".join(sorted(dtypes)), "convert with astype")
    return xp


def true_sizes(n_samples: Any, Q: int, n: int, M: int, other: Array) -> tuple[Array, Array]:
    """True sizes (Q,) as real numbers, and the mask (Q, n) of rows that are no padding."""
    xp = namespace(other)
    require(n % M == 0, "n_outputs", f"a divisor of the {n} rows an agent", M, error=ShapeError)
    sizes = [n // M] * Q if n_samples is None else [int(s) for s in _listed(n_samples)]
    require(len(sizes) == Q, "n_samples", f"{Q} sizes, one an agent", len(sizes), error=ShapeError)
    require(all(1 <= s <= n // M for s in sizes), "n_samples", f"sizes from 1 to {n // M}", sizes, error=ShapeError)
    D = like(sizes, other)
    rows = xp.arange(n, dtype=other.dtype, device=other.device)
    return D, xp.astype(rows[None, :] < M * D[:, None], other.dtype)


def _listed(values: Any) -> list[Any]:
    expected = "a sequence of Q whole numbers, one an agent"
    if isinstance(values, str) or getattr(values, "ndim", 1) != 1:
        refuse("n_samples", expected, " ".join(repr(values).split()), error=ShapeError)
    try:
        listed = [values[i] for i in range(values.shape[0])] if hasattr(values, "shape") else list(values)
        whole = all(float(v) == int(v) for v in listed)
    except (TypeError, ValueError, OverflowError):
        refuse("n_samples", expected, repr(values), error=ShapeError)
    require(whole, "n_samples", expected, str(values), error=ShapeError)
    return listed


def test_points(xp: Any, J: Array | None, f: Array | None, Q: int, p: int) -> tuple[Array | None, Array | None]:
    """Jacobian and outputs at the test points, one copy an agent."""
    if J is None and f is None:
        return None, None
    if J is None or f is None:
        refuse("test points", "both test_jacobian and test_outputs", "one of them", "pass the other too")
    require(J.ndim in (2, 3), "test_jacobian", f"shape (m, {p}) or ({Q}, m, {p})", f"shape {J.shape}", error=ShapeError)
    require(f.ndim in (1, 2), "test_outputs", f"shape (m,) or ({Q}, m)", f"shape {f.shape}", error=ShapeError)
    J = J if J.ndim == 3 else xp.broadcast_to(J[None, :, :], (Q, *J.shape))
    f = f if f.ndim == 2 else xp.broadcast_to(f[None, :], (Q, *f.shape))
    require_shape("test_jacobian", J, (Q, J.shape[1], p))
    return J, require_shape("test_outputs", f, (Q, J.shape[1]))
