r"""The alphabet that rules, derivations and theory share.

States and operators do not commute (W θ is not θ W), scalars do.  A state block is the array of one
quantity over all agents; ``W`` mixes along the agents' axis; ``average`` gives every agent the mean of
all, 11ᵀ/Q, with or without a graph; ``gradient(x)`` is agent q's scaled gradient c_q J_qᵀ r_q at x_q;
``H`` and ``g0`` are what it becomes when the network is linear, ``gradient(x) = H (x − θ₀) + g₀``
(arXiv 2409.15267, eq. 11 put into eq. 4).

>>> from ntkflow.notation import W, eta, gradient, theta
>>> W * theta - eta * gradient(theta)
-eta*gradient(theta) + W*theta
"""

from __future__ import annotations

import sympy

__all__ = [
    "LONG_NAMES", "H", "W", "average", "beta", "d", "eta", "g0", "gamma",
    "gradient", "h", "iterates", "m", "mu", "p", "psi", "theta", "theta0", "v", "x_next", "y", "z",
]  # fmt: skip

# operators: the mixing matrix, the mean over all agents, and the scaled Hessian of the linearised loss, c JᵀJ
W, average, H = sympy.symbols("W average H", commutative=False)

# states: the parameters, their start, the gradient there, and letters for auxiliary blocks and lets
theta, theta0, g0 = sympy.symbols("theta theta0 g0", commutative=False)
v, y, z, d, h, m, p, psi, x_next = sympy.symbols("v y z d h m p psi x_next", commutative=False)

# scalars
eta = sympy.Symbol("eta", positive=True)
mu, beta, gamma = sympy.symbols("mu beta gamma", real=True)

# the words that a user may write in place of a letter: LinearSystem(..., momentum=0.9)
LONG_NAMES = {"step_size": "eta", "momentum": "mu", "consensus_steps": "tau", "local_steps": "E"}


def iterates(count: int) -> tuple[sympy.Symbol, ...]:
    """x_1, …, x_count: letters for so many points on the way through one update.

    >>> iterates(3)
    (x_1, x_2, x_3)
    """
    return tuple(sympy.Symbol(f"x_{i}", commutative=False) for i in range(1, count + 1))


class gradient(sympy.Function):  # noqa: N801 - it reads as the function that it is
    """The scaled gradient of every agent's own loss, at the state in the brackets."""

    is_commutative = False
    nargs = 1
