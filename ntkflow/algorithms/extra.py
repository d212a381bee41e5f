"""EXTRA: the difference of two DGD steps with different mixing, so that DGD's bias cancels at a constant step size.

z holds what the next update takes back, (I + W)/2 θ − η g(θ); with z₀ = θ₀ the first update is DGD's.
"""

from ..notation import W, eta, gradient, theta, theta0, z
from ._claims import Claim, hypotheses, limits, motion
from ._claims.motion import before
from ._rule import Rule

RULE = Rule(
    "extra",
    update={
        theta: (1 + W) * theta - eta * gradient(theta) - z,
        z: (1 + W) / 2 * theta - eta * gradient(theta),
    },
    start={z: theta0},
    synonyms=("exact_first_order_algorithm",),
    source="arXiv 1404.6264, algorithm EXTRA with W̃ = (I + W)/2",
    claims=(
        Claim(
            "θ_{k+2} = (I + W) θ_{k+1} − (I + W)/2 θ_k − η (g(θ_{k+1}) − g(θ_k)).",
            motion.obeys((1 + W) * theta - (1 + W) / 2 * before - eta * (gradient(theta) - gradient(before))),
            "arXiv 1404.6264, its two-step form",
        ),
        Claim(
            "Doubly stochastic W: where it comes to rest, all agents agree on a minimiser of Σ f_q.",
            limits.rests_at_a_minimiser,
            "arXiv 1404.6264, its fixed points",
            (hypotheses.doubly_stochastic,),
        ),
        Claim(
            "Symmetric W, Σ f_q with one minimiser: the iteration finds it when η λ_max(Ψ) < 1 + λ_min(W).",
            limits.finds_the_minimiser,
            "arXiv 1404.6264, the convergence theorem",
            (*hypotheses.soluble, hypotheses.step_below(hypotheses.dgd_bound)),
        ),
    ),
)
