"""Adapt-then-combine diffusion: step along the own gradient, then mix with the neighbours."""

from ..notation import W, eta, gradient, theta
from ._claims import Claim, hypotheses, limits, motion, stability
from ._rule import Rule

RULE = Rule(
    "atc",
    update={theta: W * (theta - eta * gradient(theta))},
    synonyms=("adapt_then_combine",),
    source="arXiv 2409.15267, eq. (5)",
    claims=(
        Claim(
            "A has the eigenvalues of CTA's.",
            motion.has_both_diffusions_spectrum,
            "theory T6",
        ),
        Claim(
            "Symmetric W: neither the iteration nor the flow spreads when η λ_max(Ψ) ≤ 2.",
            stability.never_spreads,
            "theory T8",
            (hypotheses.symmetric, hypotheses.step_up_to(hypotheses.two)),
        ),
        Claim(
            "Symmetric W ≻ 0: the flow is stable for every step size.",
            stability.flow_is_stable,
            "theory T7",
            (hypotheses.symmetric, hypotheses.positive_definite),
        ),
        Claim(
            "Symmetric, invertible W: it rests at a common minimiser of Σ f_q iff each f_q is stationary there.",
            limits.rests_at_a_minimiser_iff_shared,
            "theory T13",
            (hypotheses.symmetric, hypotheses.invertible),
        ),
    ),
)
