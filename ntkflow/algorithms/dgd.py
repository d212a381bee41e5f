"""Distributed gradient descent: mix with the neighbours, then step along the own gradient."""

from ..notation import W, eta, gradient, theta
from ._claims import Claim, hypotheses, limits, stability
from ._rule import Rule

RULE = Rule(
    "dgd",
    update={theta: W * theta - eta * gradient(theta)},
    synonyms=("decentralized_gradient_descent", "consensus"),
    source="arXiv 2409.15267, eq. (4)",
    claims=(
        Claim(
            "Symmetric W: the flow is stable for every step size.",
            stability.flow_is_stable,
            "theory T3",
            (hypotheses.symmetric,),
        ),
        Claim(
            "Symmetric W: the iteration never spreads when η λ_max(Ψ) ≤ 1 + λ_min(W).",
            stability.never_spreads,
            "arXiv 1310.7063; theory T8",
            (hypotheses.symmetric, hypotheses.step_up_to(hypotheses.dgd_bound)),
        ),
        Claim(
            "Symmetric W ≻ −I: the iteration is stable if and only if η λ_max(J(𝓦 + I)⁻¹Jᵀ) ≤ 1.",
            stability.iteration_is_stable_iff(stability.below_exact_dgd_bound),
            "theory T8",
            (hypotheses.symmetric, hypotheses.primitive),
        ),
        Claim(
            "Symmetric W: it rests at a common minimiser of Σ f_q iff each f_q is stationary there.",
            limits.rests_at_a_minimiser_iff_shared,
            "theory T13",
            (hypotheses.symmetric,),
        ),
    ),
)
