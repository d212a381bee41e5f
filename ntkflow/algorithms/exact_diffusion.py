"""Exact diffusion: adapt, correct by what the last adaptation moved, then combine; ATC without its bias."""

from ..notation import W, eta, gradient, p, psi, theta, theta0
from ._claims import Claim, hypotheses, limits, motion
from ._claims.motion import before
from ._rule import Rule

RULE = Rule(
    "exact_diffusion",
    update={theta: (1 + W) / 2 * (p + theta - psi), psi: p},
    start={psi: theta0},
    lets={p: theta - eta * gradient(theta)},
    synonyms=("ed",),
    source="arXiv 1702.05122, the exact diffusion strategy",
    claims=(
        Claim(
            "θ_{k+2} = (I + W)/2 (2θ_{k+1} − θ_k − η (g(θ_{k+1}) − g(θ_k))), as NIDS.",
            motion.obeys((1 + W) / 2 * (2 * theta - before - eta * (gradient(theta) - gradient(before)))),
            "arXiv 1704.07807; theory T11",
        ),
        Claim(
            "Doubly stochastic W: where it comes to rest, all agents agree on a minimiser of Σ f_q.",
            limits.rests_at_a_minimiser,
            "arXiv 1702.05122",
            (hypotheses.doubly_stochastic,),
        ),
        Claim(
            "Symmetric W ≻ −I, Σ f_q with one minimiser: the iteration finds it when η λ_max(Ψ) < 2.",
            limits.finds_the_minimiser,
            "arXiv 1704.07807, whose recursion it shares",
            (*hypotheses.soluble, hypotheses.primitive, hypotheses.step_below(hypotheses.two)),
        ),
    ),
)
