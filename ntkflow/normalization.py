r"""The factor c_q in an agent's gradient, c_q J_qᵀ r_q (the step size is one scalar outside).

========================  ==============  ==================================================
name                      c_q             where it stands
========================  ==============  ==================================================
``"per_agent"``           1 / D_q         arXiv 2409.15267, eqs. (4)–(6): ∂L_q/∂θ_q
``"global"``              1 / (Q D_q)     eqs. (7)–(12): ∂L/∂ϑ, the factor Q that the paper drops
``"sum"``                 1               the sum of squares over the agent's samples, halved
``"torch_mse"``           2 / (D_q M)     ``torch.nn.MSELoss``
========================  ==============  ==================================================
"""

from __future__ import annotations

import numbers
from typing import Any

from ._array import Array, all_finite, like, namespace, namespace_or_none, taken
from .errors import UnknownNameError, nearest, refuse, require

NAMES = ("per_agent", "global", "sum", "torch_mse")


def gradient_scale(normalization: Any, n_samples: Array, n_outputs: int) -> Array:
    """The factors c_q (Q,) for a name or a given (Q,) array; ``n_samples`` (Q,) is real-valued."""
    xp = namespace(n_samples)
    if isinstance(normalization, str):
        plain = normalization.lower().replace("-", "_")
        if plain not in NAMES:
            refuse("normalization", "a known name", repr(normalization), nearest(plain, NAMES), UnknownNameError)
        Q = n_samples.shape[0]
        return {
            "per_agent": 1.0 / n_samples,
            "global": 1.0 / (Q * n_samples),
            "sum": xp.ones_like(n_samples),
            "torch_mse": 2.0 / (n_outputs * n_samples),
        }[plain]
    scale = _given(normalization, n_samples)
    fits = tuple(scale.shape) == tuple(n_samples.shape)
    require(fits, "normalization", f"shape {tuple(n_samples.shape)}", f"shape {tuple(scale.shape)}")
    require(all_finite(scale) and bool(xp.all(scale >= 0)), "normalization", "finite factors >= 0", str(scale))
    return scale


def _given(factors: Any, n_samples: Array) -> Array:
    """Factors in the library and on the device of the model, from a list of numbers or any real array."""
    expected = f"one of {', '.join(NAMES)} or a (Q,) array"
    xp = namespace_or_none(factors)
    listed = isinstance(factors, list | tuple) and all(isinstance(f, numbers.Real) for f in factors)
    if not listed and (xp is None or not xp.isdtype(factors.dtype, ("real floating", "integral"))):
        refuse("normalization", expected, " ".join(repr(factors).split())[:60])
    return like(factors, n_samples) if listed else taken(factors, n_samples)
