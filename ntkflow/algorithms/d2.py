"""D²: exact diffusion with W in place of (I + W)/2, which keeps its rate however different the agents' data are.

It needs λ_min(W) > −1/3; lazy weights always have it.
"""

from ..notation import W, eta, gradient, p, psi, theta, theta0
from ._claims import Claim, hypotheses, limits, motion, stability
from ._claims.motion import before
from ._rule import Rule

RULE = Rule(
    "d2",
    update={theta: W * (p + theta - psi), psi: p},
    start={psi: theta0},
    lets={p: theta - eta * gradient(theta)},
    synonyms=("d²", "d_squared", "decentralized_training_over_decentralized_data"),
    source="arXiv 1803.07068, algorithm D²",
    claims=(
        Claim(
            "θ_{k+2} = W (2θ_{k+1} − θ_k − η (g(θ_{k+1}) − g(θ_k))).",
            motion.obeys(W * (2 * theta - before - eta * (gradient(theta) - gradient(before)))),
            "arXiv 1803.07068, its two-step form",
        ),
        Claim(
            "Symmetric W: without gradients it is bounded by its eigenvalues if and only if λ_min(W) ≥ −1/3.",
            stability.mixing_is_stable_iff(stability.above_minus_a_third),
            "arXiv 1803.07068, the assumption on W; z² = λ(2z − 1)",
            (hypotheses.symmetric,),
        ),
        Claim(
            "Doubly stochastic W: where it comes to rest, all agents agree on a minimiser of Σ f_q.",
            limits.rests_at_a_minimiser,
            "arXiv 1803.07068",
            (hypotheses.doubly_stochastic,),
        ),
        Claim(
            "Symmetric W ≻ 0, Σ f_q with one minimiser: the iteration finds it when η λ_max(Ψ) < 2.",
            limits.finds_the_minimiser,
            "arXiv 1704.07807, with 2W − I for W",
            (*hypotheses.soluble, hypotheses.positive_definite, hypotheses.step_below(hypotheses.two)),
        ),
    ),
)
