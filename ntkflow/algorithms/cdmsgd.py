"""Consensus-based distributed momentum gradient descent, with Polyak's heavy ball."""

from ..notation import W, eta, gradient, mu, theta, v
from ._claims import Claim, hypotheses, motion, stability
from ._claims.motion import before
from ._rule import Rule

_step = mu * v - eta * gradient(theta)

RULE = Rule(
    "cdmsgd",
    update={theta: W * theta + _step, v: _step},
    parameters={mu: 0.9},
    synonyms=("cdmsgd_polyak", "heavy_ball"),
    source="CDMSGD of arXiv 1706.07880 without noise, read with Polyak's momentum (theory T10)",
    claims=(
        Claim(
            "θ_{k+2} = (W + μ) θ_{k+1} − μ W θ_k − η g(θ_{k+1}).",
            motion.obeys((W + mu) * theta - mu * W * before - eta * gradient(theta)),
            "its update without v",
        ),
        Claim(
            "Symmetric W, 0 ≤ μ < 1: the flow is stable for every step size.",
            stability.flow_is_stable,
            "theory T9, its modal polynomial at the Rayleigh quotients of W and ηΨ",
            (hypotheses.symmetric, hypotheses.damped),
        ),
        Claim(
            "Symmetric W, 0 ≤ μ < 1: the iteration is stable when η λ_max(Ψ) ≤ (1 + μ)(1 + λ_min(W)).",
            stability.iteration_is_stable,
            "theory T9, its modal polynomial at the Rayleigh quotients of W and ηΨ",
            (hypotheses.symmetric, hypotheses.damped, hypotheses.step_up_to(hypotheses.heavy_ball_bound)),
        ),
    ),
)
