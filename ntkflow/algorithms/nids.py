"""NIDS: a primal-dual method whose largest step size does not depend on the network.

d collects what the agents disagree about; in θ alone it is exact diffusion with its own first step, θ₀ − η g(θ₀).
"""

from ..notation import W, d, eta, gradient, theta, x_next
from ._claims import Claim, hypotheses, limits, motion
from ._claims.motion import before
from ._rule import Rule

RULE = Rule(
    "nids",
    update={theta: x_next, d: (1 - W) / 2 * (x_next - eta * gradient(x_next)) + (1 + W) / 2 * d},
    start={d: 0},
    lets={x_next: theta - eta * gradient(theta) - d},
    synonyms=("network_independent_step_size",),
    source="arXiv 1704.07807, algorithm NIDS without the non-smooth term, equal step sizes, W̃ = (I + W)/2",
    claims=(
        Claim(
            "θ_{k+2} = (I + W)/2 (2θ_{k+1} − θ_k − η (g(θ_{k+1}) − g(θ_k))).",
            motion.obeys((1 + W) / 2 * (2 * theta - before - eta * (gradient(theta) - gradient(before)))),
            "arXiv 1704.07807, its two-step form",
        ),
        Claim(
            "Doubly stochastic W: where it comes to rest, all agents agree on a minimiser of Σ f_q.",
            limits.rests_at_a_minimiser,
            "arXiv 1704.07807, its fixed points",
            (hypotheses.doubly_stochastic,),
        ),
        Claim(
            "Symmetric W ≻ −I, Σ f_q with one minimiser: the iteration finds it when η λ_max(Ψ) < 2.",
            limits.finds_the_minimiser,
            "arXiv 1704.07807, network-independent step sizes",
            (*hypotheses.soluble, hypotheses.primitive, hypotheses.step_below(hypotheses.two)),
        ),
    ),
)
