"""A rule, a mixing matrix and a linearised model as one affine map of the state, s⁺ = M s + b.

States are arrays (blocks, Q, p) and never flattened; a trailing axis of columns is allowed
everywhere, so that many states are mapped at the price of matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import sympy

from ._array import CACHED, Array, namespace
from .algorithms._program import Program, in_numbers
from .algorithms._rule import Rule
from .errors import require
from .linearize import LinearizedModel
from .notation import eta, g0, theta, theta0
from .structure import Factored, Parts, Words, factored


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A linear map that is applied and never formed: ``A @ x`` or ``A(x)``."""

    apply: Callable[[Array], Array]
    domain: tuple[int, ...]
    codomain: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        require(tuple(x.shape) == self.domain, "operand", f"shape {self.domain}", f"shape {tuple(x.shape)}")
        return self.apply(x)

    def __matmul__(self, x: Array) -> Array:
        return self(x)


@dataclass(frozen=True, eq=False)
class StateOperator:
    """A = M − I, the start s₀ and the drive w = U(s₀) − s₀ of one linear system.

    ``scale`` (Q,) has the factors c_q of the gradient; ``numbers`` the scalars that ``program`` was
    bound to.
    """

    rule: Rule
    program: Program
    numbers: dict[sympy.Symbol, float]
    W: Array
    model: LinearizedModel
    scale: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """(blocks, Q, p)."""
        return (len(self.program.blocks), self.model.n_agents, self.model.jacobian.shape[2])

    @property
    def step_size(self) -> float:
        """η."""
        return self.numbers[eta]

    @property
    def size(self) -> int:
        """The number of states, blocks·Q·p."""
        blocks, Q, p = self.shape
        return blocks * Q * p

    @property
    def cost(self) -> float:
        """Rough seconds that one application of A takes: interpreter time, and Ψ or J read once, from cache or not."""
        blocks, Q, p = self.shape
        n = self.model.jacobian.shape[1]
        entries, far = Q * p * min(p, 2 * n), 6e-10 if p <= 2 * n else 2.5e-10  # J is read once for two products
        return 7e-6 + blocks * (9e-6 + 1e-9 * Q * p) + entries * (1e-10 if entries < CACHED else far)

    def mix(self, x: Array) -> Array:
        """W along the agents' axis of (Q, p, ...)."""
        if x.shape[-1] == 1:  # one state
            return (self.W @ x[..., 0])[..., None]
        xp = namespace(x)
        return xp.reshape(self.W @ xp.reshape(x, (x.shape[0], -1)), x.shape)

    @property
    def weighted_jacobian(self) -> Array:
        """√c_q J_q, (Q, n, p): with it every agent has the same factor, the step size."""
        return self._parts.J

    @cached_property
    def hessian(self) -> Callable[[Array], Array]:
        """Ψ x for (Q, p, k)."""
        return self.curvature(1.0)

    def curvature(self, factor: float) -> Callable[[Array], Array]:
        """``factor`` Ψ x for (Q, p, k), through JᵀJ itself where it is smaller than J; designs share what is large."""
        (_, n, p), weights = self.model.jacobian.shape, factor * self.scale[:, None, None]
        if p <= 2 * n:
            gram = self.model.gram
            return lambda x: weights * (gram @ x)
        return lambda x: self._by_pieces(x, weights)

    def _by_pieces(self, x: Array, weights: Array) -> Array:
        xp, image = namespace(x), namespace(x).zeros_like(x)
        for a, b, J in self.model.pieces:
            width = J.shape[2]
            image[a:b, :width, :] = xp.matrix_transpose(J) @ (weights[a:b, ...] * (J @ x[a:b, :width, :]))
        return image

    @cached_property
    def words(self) -> Words:
        """M of a one-block rule as {word in W and H: number}; without a graph, W is the average."""
        return self._words_of(theta)

    def _words_of(self, source: sympy.Symbol) -> Words:
        return self.rule.spelled(self.rule.words[theta].get(source, {}), lambda c: in_numbers(c, self.numbers))

    @cached_property
    def _parts(self) -> Parts:
        left_out = self.model.left_out * float(namespace(self.scale).max(self.scale)) ** 0.5
        return Parts(self.W, self.model.jacobian, self.scale, self.top, left_out)

    @cached_property
    def factors(self) -> Factored | None:
        """The factors of M, where the rule's words have such a structure."""
        return None if self.shape[0] > 1 else factored(self.words, self._parts)

    @cached_property
    def plain(self) -> bool:
        """Whether a one-block rule takes its gradients at Wᵏθ, or after steps from there, so that its words say all."""
        if self.shape[0] > 1:
            return False
        constant = {word[: _last(word)]: c for word, c in self.words.items() if "H" in word}
        reference = {(*word, "H"): -c for word, c in constant.items()}
        return self._words_of(g0) == constant and self._words_of(theta0) == reference

    @cached_property
    def source(self) -> Array | None:
        """h with Y w = Gᵀh where the rule is plain and factored; else None."""
        if self.factors is None or not self.plain:
            return None
        residual = self.model.residual * (self.scale**0.5)[:, None]
        start = namespace(self.W).reshape(self.model.start, (-1,))
        return self.factors.source(start, residual)

    @cached_property
    def top(self) -> float:
        """max_q λ_max(c_q J_qᵀJ_q), of the compressed model."""
        return float(namespace(self.W).max(self.scale * self.model.sharpness))

    def gradient_of(self, residual: Array) -> Array:
        """c_q J_qᵀ r_q for residuals (Q, n), as (Q, p, 1)."""
        if residual is self.model.residual:
            return self.scale[:, None, None] * self.model.slope
        J = self.model.jacobian
        return namespace(J).matrix_transpose(J) @ (self.scale[:, None] * residual)[:, :, None]

    def affine_gradient(self, residual: Array, origin: Array) -> Callable[[Array], Array]:
        """x ↦ Ψ (x − origin) + c Jᵀ residual, the gradient of the linearised loss."""
        constant = self.gradient_of(residual)
        return lambda x: self.hessian(x - origin) + constant

    def update(self, state: Array, gradient: Callable[[Array], Array]) -> Array:
        """The rule's next state, (blocks, Q, p, k) to the same."""
        return _stacked(self.program.update(tuple(state[i, ...] for i in range(state.shape[0])), self.mix, gradient))

    def image(self, state: Array) -> Array:
        """M s for states (blocks, Q, p) or (blocks, Q, p, k)."""
        if state.ndim == 4:
            return self.update(state, self.hessian)
        return self.update(state[..., None], self.hessian)[..., 0]

    def apply(self, state: Array) -> Array:
        """A s = (M − I) s for states (blocks, Q, p) or (blocks, Q, p, k)."""
        return self.image(state) - state

    @cached_property
    def gradient(self) -> Callable[[Array], Array]:
        """The gradient of the linearised loss at parameters (Q, p, k)."""
        return self.affine_gradient(self.model.residual, self.model.start[..., None])

    @cached_property
    def start(self) -> Array:
        """s₀ (blocks, Q, p): the parameters' offsets, the auxiliary blocks as the rule starts them."""
        return _stacked(self.program.start(self.model.start[..., None], self.mix, self.gradient))[..., 0]

    @cached_property
    def drive(self) -> Array:
        """w = U(s₀) − s₀ = A s₀ + b, the first update (blocks, Q, p); every answer is s₀ + g_t(A) w."""
        return self._moved(self.start)

    @cached_property
    def origin(self) -> Array:
        """The parameters' offsets with every auxiliary block at zero: where deviations count from."""
        xp = namespace(self.W)
        theta = self.model.start
        return xp.stack([theta] + [xp.zeros_like(theta)] * (self.shape[0] - 1), axis=0)

    @cached_property
    def input(self) -> Array:
        """u (blocks, Q, p) of ẋ = A x + u, x = (θ − θ(0), auxiliary blocks)."""
        return self.drive if self.shape[0] == 1 else self._moved(self.origin)

    def input_of(self, residual: Array) -> Array:
        """B e: what residuals e (Q, n) add to u."""
        xp = namespace(self.W)
        zero = xp.zeros_like(self.origin)[..., None]
        return self.update(zero, self.affine_gradient(residual, 0.0))[..., 0]

    def output_of(self, state: Array) -> Array:
        """C x: what a deviation (blocks, Q, p) adds to the outputs, (Q, n)."""
        return (self.model.jacobian @ state[0, :, :, None])[..., 0]

    def _moved(self, state: Array) -> Array:
        return self.update(state[..., None], self.gradient)[..., 0] - state


def _stacked(blocks: tuple[Array, ...]) -> Array:
    return blocks[0][None, ...] if len(blocks) == 1 else namespace(blocks[0]).stack(blocks, axis=0)


def _last(word: tuple[str, ...]) -> int:
    """The place of its last H."""
    return len(word) - 1 - word[::-1].index("H")
