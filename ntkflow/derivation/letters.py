r"""The further letters that a derivation needs: networks, data, sizes, and the linear system as a whole.

>>> from ntkflow.derivation.letters import D, Psi, Q
>>> Psi.tex
'\\Psi_0'
"""

from __future__ import annotations

from typing import Any

import sympy


class Letter(sympy.Symbol):
    """A letter of derivations: never the block or parameter of the same name in a rule.

    ``tex`` and ``plain`` say how it prints; ``curvature`` how far right in a sum its terms stand.
    """

    __slots__ = ("curvature", "plain", "tex")

    def __new__(cls, name: str, tex: str = "", plain: str = "", curvature: float = 0.0, **assumptions: Any) -> Letter:
        """A symbol with its two printed forms, the name where none is given."""
        letter = super().__new__(cls, name, **assumptions)
        letter.tex, letter.plain, letter.curvature = tex or name, plain or name, curvature
        return letter


def _stack(name: str, tex: str, plain: str = "", curvature: float = 0.0) -> Letter:
    return Letter(name, tex, plain, curvature, commutative=False)


# stacked over the agents: outputs and targets, at the parameters ϑ or, with a 0, at the start
f, f0 = _stack("f", r"f(\vartheta)", "f(theta)"), _stack("f0", "f_0")
Y, e0 = _stack("Y", r"\mathbf{y}"), _stack("e0", "e_0")
square = _stack("square", r"\lVert f(\vartheta) - \mathbf{y} \rVert^{2}", "|f(theta) - Y|^2")
weighted_square = _stack("weighted_square", r"\lVert f(\vartheta) - \mathbf{y} \rVert_{c}^{2}", "|f(theta) - Y|_c^2")

# Jacobians, their transposes, the curvature of the loss, the factors of the gradient
J, JT = _stack("J", "J_0", "J", 0.5), _stack("JT", r"J_0^{\top}", "J^T", 0.5)
JxT = _stack("JxT", r"J(\vartheta)^{\top}", "J(theta)^T", 0.5)
Psi, c = _stack("Psi", r"\Psi_0", "Psi", 1.0), _stack("c", "c")

# the linear system of all blocks together, and its state at the start
M, A, b, u, s0 = (_stack(name, tex) for name, tex in [("M", "M"), ("A", "A"), ("b", "b"), ("u", "u"), ("s0", "s_0")])

# agents, samples and outputs of each
Q, D = (Letter(name, integer=True, positive=True) for name in ("Q", "D"))
n_outputs = Letter("n_out", r"n_{\mathrm{out}}", integer=True, positive=True)  # the papers' M is the iteration's matrix

# numbers of steps, time, and what is summed and integrated over
k, j = (Letter(name, integer=True, nonnegative=True) for name in ("k", "j"))
t, tau = Letter("t", nonnegative=True), Letter("tau", r"\tau", nonnegative=True)
