"""Combine-then-adapt diffusion: mix with the neighbours, then step along the gradient found there."""

from ..notation import W, eta, gradient, theta
from ._claims import Claim, hypotheses, limits, motion, stability
from ._rule import Rule

RULE = Rule(
    "cta",
    update={theta: W * theta - eta * gradient(W * theta)},
    synonyms=("combine_then_adapt",),
    source="arXiv 2409.15267, eq. (6)",
    claims=(
        Claim("If θ moves by CTA, then 𝓦θ moves by ATC.", motion.mixes_into_atc, "theory T6"),
        Claim(
            "Symmetric W: all eigenvalues are real when η λ_max(Ψ) ≤ 1.",
            stability.has_real_spectrum,
            "theory T6",
            (hypotheses.symmetric, hypotheses.step_up_to(hypotheses.one)),
        ),
        Claim(
            "Symmetric W with λ_min(W) < 0, agents that share Ψ: the flow is stable if and only if "
            "η λ_max(Ψ) ≤ 1 + 1/|λ_min(W)|.",
            stability.flow_is_stable_iff(stability.below_diffusion_flow_bound),
            "theory T7",
            (hypotheses.symmetric, hypotheses.indefinite, hypotheses.alike),
        ),
        Claim(
            "Symmetric W: it rests at a common minimiser of Σ f_q iff each f_q is stationary there.",
            limits.rests_at_a_minimiser_iff_shared,
            "theory T13",
            (hypotheses.symmetric,),
        ),
    ),
)
