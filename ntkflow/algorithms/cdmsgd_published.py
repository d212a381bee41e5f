"""CDMSGD as its authors' published code has it: Nesterov's momentum in the form that deep-learning libraries use.

For one agent it is `cdmsgd_nesterov` seen at θ + μ v; on a graph the two part ways at the second step, by μ (I − W) v.
"""

from ..notation import W, eta, gradient, mu, theta, v
from ._claims import Claim, hypotheses, motion, stability
from ._rule import Rule

_velocity = mu * v - eta * gradient(theta)

RULE = Rule(
    "cdmsgd_published",
    update={theta: W * theta + mu * _velocity - eta * gradient(theta), v: _velocity},
    parameters={mu: 0.9},
    synonyms=("cdmsgd_keras",),
    source="the code published with arXiv 1706.07880, the deterministic part",
    claims=(
        Claim(
            "At θ − μv it is the look-ahead form but for μ (I − W) v: for a lone agent the same method.",
            motion.is_look_ahead_seen_from_behind,
            "theory T10",
        ),
        Claim(
            "Symmetric W, 0 ≤ μ < 1: the flow is stable for every step size.",
            stability.flow_is_stable,
            "theory T9, its modal polynomial at the Rayleigh quotients of W and ηΨ",
            (hypotheses.symmetric, hypotheses.damped),
        ),
        Claim(
            "Symmetric W, 0 ≤ μ < 1: the iteration is stable when η λ_max(Ψ) ≤ (1 + μ)(1 + λ_min(W)) / (1 + 2μ).",
            stability.iteration_is_stable,
            "theory T9, its modal polynomial at the Rayleigh quotients of W and ηΨ",
            (hypotheses.symmetric, hypotheses.damped, hypotheses.step_up_to(hypotheses.published_bound)),
        ),
    ),
)
