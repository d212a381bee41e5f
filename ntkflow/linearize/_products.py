"""Jacobians known by their products only: J v and Jᵀ u, each checked as it comes back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._array import Array, eps, finite_slices, like, namespace, namespace_or_none, norm, zeros
from ..errors import ShapeError, refuse, require, require_device, require_memory

TUPLE = "take its first entry, as for the tuple that torch and JAX return"


@dataclass(frozen=True, eq=False)
class Products:
    """J v (Q, n) and Jᵀ u (P,) as functions; ``real`` (Q n,) is 1 on rows of data, 0 on padding."""

    jvp: Callable[[Array], Array]
    vjp: Callable[[Array], Array]
    residual: Array
    real: Array
    total: int

    @classmethod
    def of(cls, jvp: Any, vjp: Any, residual: Array, mask: Array) -> Products:
        """The pair a user passes, refused unless it is linear and one the transpose of the other."""
        for name, given in (("jvp", jvp), ("vjp", vjp)):
            require(callable(given), name, "a function", type(given).__name__, "pass the product, not the Jacobian")
        xp = namespace(residual)
        real = xp.astype(xp.reshape(mask, (-1,)), xp.float64)
        u, w = (like(draw, real) * real for draw in np.random.default_rng(0).standard_normal((2, real.shape[0])))
        unsized = cls(jvp, vjp, residual, real, 0)
        v = unsized.pull(w)
        found = cls(jvp, vjp, residual, real, v.shape[0])
        found._matched(u, v)
        return found

    @property
    def n_real(self) -> int:
        """Rows that are no padding."""
        return int(namespace(self.real).count_nonzero(self.real))

    def pull(self, u: Array) -> Array:
        """Jᵀ u (P,) for u (Q n,) in double precision."""
        xp = namespace(u)
        given = xp.reshape(xp.astype(u * self.real, self.residual.dtype), self.residual.shape)
        return self._checked("vjp", self.vjp(given), (self.total or "P",))

    def push(self, v: Array) -> Array:
        """J v (Q n,) in double precision for v (P,)."""
        xp = namespace(v)
        found = self._checked("jvp", self.jvp(v), tuple(self.residual.shape))
        return xp.astype(xp.reshape(found, (-1,)), self.real.dtype) * self.real

    def seen(self, test_jvp: Any, test_outputs: Any, C: Array) -> Array | None:
        """J V (m, p) at m test points for V = Jᵀ C, where there are any."""
        if test_jvp is None and test_outputs is None:
            return None
        if test_jvp is None or test_outputs is None:
            refuse("test points", "both test_jvp and test_outputs", "one of them", "pass the other too")
        (Q, _), shape = self.residual.shape, tuple(test_outputs.shape)
        expected = f"shape (m,) or ({Q}, m)"
        require(len(shape) == 1 or shape[:-1] == (Q,), "test_outputs", expected, f"shape {shape}", error=ShapeError)
        require(callable(test_jvp), "test_jvp", "a function", type(test_jvp).__name__)
        columns = [self._checked("test_jvp", test_jvp(self.pull(C[:, i])), shape[-1:]) for i in range(C.shape[1])]
        xp = namespace(C)
        return xp.astype(xp.stack(columns, axis=1), C.dtype)

    def pulled(self, weights: Array, dtype: Any) -> Iterator[Array]:
        """Jᵀ w for the rows w of ``weights`` (k, Q n) as one block (k, P): a product gives all parameters at once."""
        xp, k = namespace(weights), weights.shape[0]
        require_memory("lift", k * self.total, "take fewer agents or times")
        block = xp.astype(zeros((k, self.total), weights), dtype)
        for i in range(k):
            size = float(xp.max(xp.abs(weights[i, :])))
            if math.isfinite(size) and size > 0:
                block[i, :] = xp.astype(self.pull(weights[i, :] / size), dtype) * size
            elif size != 0:  # the state has overflowed: no network need be asked
                block[i, :] = math.inf
        yield block

    def _matched(self, u: Array, v: Array) -> None:
        """⟨u, J v⟩ = ⟨Jᵀ u, v⟩ and J(−2v) = −2 J v: where a pair is wrong the first digit is off, by rounding the last.

        Half of the digits tell the two apart.
        """
        half, Jv, size = eps(self.residual) ** 0.5, self.push(v), norm(v)
        bent = norm(self.push(-2.0 * v) + 2.0 * Jv)
        require(bent <= half * norm(Jv), "jvp", "a linear map", f"|J(-2v) + 2Jv| = {bent:.3g}",
                "return the derivative along v, without the outputs themselves")  # fmt: skip
        g = self.pull(u)
        a, b = float(u @ Jv), float(g @ v)
        scale = norm(u) * norm(Jv) + norm(g) * size
        require(abs(a - b) <= half * scale, "vjp", "the transpose of jvp", f"<u, J v> = {a:.6g}, <J'u, v> = {b:.6g}",
                "let both be of the same network, parameters and data")  # fmt: skip

    def _checked(self, name: str, found: Any, shape: tuple[Any, ...]) -> Array:
        """The residual's library, shape and dtype, and finite."""
        if namespace_or_none(found, self.residual) is None:
            kind = f"{type(found).__module__.split('.')[0]} {type(found).__name__}"
            remedy = TUPLE if isinstance(found, tuple) else "convert it"
            refuse(name, "an array of the residual's library", kind, remedy)
        require_device(name, {"what it returned": found, "the residual": self.residual})
        got, dtype = tuple(found.shape), self.residual.dtype
        fits = len(got) == 1 and got[0] >= 1 if shape == ("P",) else got == shape
        require(fits, name, f"shape {_text(shape)}", f"shape {_text(got)}", error=ShapeError)
        require(found.dtype == dtype, name, f"the residual's dtype {dtype}", found.dtype, "convert the residual")
        finite = bool(finite_slices(found[None, ...])[0])
        require(finite, name, "finite numbers", "NaN or infinity", "look at the network and its parameters")
        return found


def _text(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
