"""What every model offers, and the initialisation that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from .._array import Array, like, namespace
from ..errors import ShapeError, refuse, require, require_array, require_count, require_memory, require_together

Pull = Callable[[Array], Array]


class Model(ABC):
    """f(x; θ) with its Jacobian: one parameter vector an agent, inputs (Q, D, N), outputs (Q, D, M)."""

    n_inputs: int
    n_outputs: int
    matrix_free: bool = False  # whether its Jacobian is only multiplied: then it has `products`
    progress: Callable[[int, int | None], None] | None = None  # told how far a long Jacobian has come

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """P, the trainable parameters."""

    @abstractmethod
    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        """One random parameter vector (P,)."""

    @abstractmethod
    def _pullback(self, theta: Array, x: Array) -> tuple[Array, Pull]:
        """Outputs (Q, D, M) and r ↦ Jᵀ r for θ (Q, P), r (Q, D, M) ↦ (Q, P)."""

    @abstractmethod
    def _jacobian(self, theta: Array, x: Array) -> Array:
        """(Q, D, M, P) for θ (Q, P)."""

    def init(
        self, seed: int = 0, n_agents: int | None = None, *, synchronise: bool = False, other: Any = None
    ) -> Array:
        """Random parameters: (P,) shared by all agents, or (Q, P) drawn by each agent.

        Parameters
        ----------
        seed : int
            The draw is the same for the same seed.
        n_agents : int, optional
            Draw separately for so many agents.
        synchronise : bool
            After separate draws, all agents adopt the draw of largest norm, as a max-consensus
            protocol lets them; gives (P,) again.
        other : array, optional
            An array whose library, dtype and device the result takes (default NumPy, float64).
        """
        generator = np.random.default_rng(require_count("seed", seed, 0))
        if n_agents is None:
            require(not synchronise, "synchronise", "n_agents to draw for", "none", "pass n_agents too")
            theta = self._draw(generator)
        else:
            theta = np.stack([self._draw(generator) for _ in range(require_count("n_agents", n_agents))])
            if synchronise:
                theta = theta[np.argmax(np.linalg.norm(theta, axis=1))]
        return theta if other is None else like(theta, require_array("other", other))

    def own_parameters(self, other: Array) -> Array:
        """The parameters that the model holds by itself, (P,), in the library, dtype and device of ``other``."""
        refuse("theta0", "parameters", "None", "draw them with model.init")

    def products(self, theta: Array, x: Array) -> tuple[Pull, Pull]:
        """(P,) ↦ J v (Q, n) and (Q, n) ↦ Jᵀ u (P,) at shared θ (P,), for models that are ``matrix_free``."""
        raise NotImplementedError

    def __call__(self, theta: Array, x: Array) -> Array:
        """f(x; θ), (Q, D, M)."""
        return self._outputs(*self._checked(theta, x))

    def outputs(self, theta: Array, x: Array) -> Array:
        """The same where θ may have overflowed."""
        return self._outputs(*self._checked(theta, x, finite=False))

    def _outputs(self, theta: Array, x: Array) -> Array:
        """(Q, D, M) for θ (Q, P)."""
        return self._pullback(theta, x)[0]

    def pullback(self, theta: Array, x: Array) -> tuple[Array, Pull]:
        """Outputs (Q, D, M) and the map r (Q, D, M) ↦ J_qᵀ r_q (Q, P), sharing one forward pass.

        θ may have overflowed, as it does in a training run with too large a step: then so have the results.
        """
        return self._pullback(*self._checked(theta, x, finite=False))

    def jacobian(self, theta: Array, x: Array) -> Array:
        """∂f/∂θ at every agent's inputs.

        Parameters
        ----------
        theta : (P,) or (Q, P)
            Shared parameters, or each agent's own.
        x : (Q, D, N)
            Inputs.

        Returns
        -------
        (Q, n, P)
            n = D M rows, sample-major with the output index fastest (arXiv 2409.15267, eq. 9).

        Raises
        ------
        ShapeError, InputError
            Shapes that do not fit, NaN, two array libraries or devices, a result beyond 8 GiB.
        """
        theta, x = self._checked(theta, x)
        entries = float(x.shape[0]) * x.shape[1] * self.n_outputs * self.n_parameters
        require_memory("Jacobian", entries, "take fewer samples or a smaller network, or bring a kernel")
        return namespace(theta).reshape(
            self._jacobian(theta, x), (x.shape[0], x.shape[1] * self.n_outputs, self.n_parameters)
        )

    def _checked(self, theta: Array, x: Array, *, finite: bool = True) -> tuple[Array, Array]:
        """θ as (Q, P) and x as (Q, D, N)."""
        require_array("x", x, 3, "pass the inputs of all agents as (Q, D, N)")
        if finite:
            require_array("theta", theta)
        xp, Q, P = require_together({"theta": theta, "x": x}), x.shape[0], self.n_parameters
        require(x.shape[2] == self.n_inputs, "x", f"{self.n_inputs} inputs", x.shape[2], error=ShapeError)
        if tuple(theta.shape) == (P,):
            theta = xp.broadcast_to(theta[None, :], (Q, P))
        if tuple(theta.shape) != (Q, P):
            refuse(
                "theta",
                f"shape ({P},) or ({Q}, {P})",
                f"shape {tuple(theta.shape)}",
                "draw it with model.init",
                ShapeError,
            )
        return theta, x
