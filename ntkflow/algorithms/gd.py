"""Gradient descent on the mean of the agents' losses, as if one machine had all the data: the yardstick for the others.

Agents that start together take the step η/Q Σ_q gradient(θ_q).  That is η times the gradient of the mean over *all*
data under "per_agent" with equal amounts; "global" makes the step Q times smaller, "sum" D times larger.
"""

from ..notation import average, eta, gradient, theta
from ._claims import Claim, limits, motion, stability
from ._rule import Rule

RULE = Rule(
    "gd",
    update={theta: average * (theta - eta * gradient(theta))},
    synonyms=("gradient_descent", "centralized_gradient_descent", "centralised_gradient_descent"),
    source="Y. Nesterov, Introductory Lectures on Convex Optimization (2004), the gradient method",
    claims=(
        Claim("After the first update all agents agree, wherever they start.", motion.agrees_at_once, "its update"),
        Claim(
            "The agents' mean moves along the mean of their gradients: θ̄⁺ = θ̄ − η Σ_q g_q(θ_q) / Q.",
            motion.mean_follows_mean_gradient,
            "its update",
        ),
        Claim(
            "The iteration is stable if and only if η λ_max(Σ_q Ψ_q / Q) ≤ 2.",
            stability.iteration_is_stable_iff(stability.below_pooled_bound),
            "the eigenvalues of I − η Σ_q Ψ_q / Q",
        ),
        Claim(
            "Where it comes to rest, all agents agree on a minimiser of Σ f_q.",
            limits.rests_at_a_minimiser,
            "the mean of the gradients vanishes there",
        ),
    ),
)
