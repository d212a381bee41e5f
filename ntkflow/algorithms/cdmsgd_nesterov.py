"""CDMSGD with Nesterov's momentum: the gradient is taken where the momentum is about to lead."""

from ..notation import W, eta, gradient, mu, theta, v
from ._claims import Claim, hypotheses, motion, stability
from ._claims.motion import before
from ._rule import Rule

_step = mu * v - eta * gradient(theta + mu * v)
_memory = mu * (theta - W * before)

RULE = Rule(
    "cdmsgd_nesterov",
    update={theta: W * theta + _step, v: _step},
    parameters={mu: 0.9},
    synonyms=("nesterov", "look_ahead"),
    source="CDMSGD of arXiv 1706.07880 without noise, read with look-ahead momentum (theory T10)",
    claims=(
        Claim(
            "θ_{k+2} = W θ_{k+1} + v − η g(θ_{k+1} + v) with v = μ (θ_{k+1} − W θ_k).",
            motion.obeys(W * theta + _memory - eta * gradient(theta + _memory)),
            "its update without v",
        ),
        Claim(
            "Symmetric W, 0 ≤ μ < 1, agents that share Ψ: the iteration is stable if and only if "
            "η λ_max(Ψ) ≤ (1 + λ)(1 + μ) / (1 + μ + λμ) at λ = λ_min(W).",
            stability.iteration_is_stable_iff(stability.below_nesterov_bound),
            "theory T9, Jury's conditions",
            (hypotheses.symmetric, hypotheses.damped, hypotheses.alike),
        ),
    ),
)
