"""Consensus-based distributed SGD; its deterministic part is the update of DGD.

It stands here under its own name for those who come from its paper, and as the member τ = 1 of i-CDSGD.
"""

from ..notation import W, eta, gradient, theta
from ._claims import Claim, hypotheses, limits, stability
from ._rule import Rule

RULE = Rule(
    "cdsgd",
    update={theta: W * theta - eta * gradient(theta)},
    synonyms=("consensus_based_distributed_sgd",),
    source="arXiv 1706.07880, algorithm CDSGD, the deterministic part",
    claims=(
        Claim(
            "Symmetric W: it is gradient descent on V(θ) = Σ f_q(θ_q) + ‖θ‖²_{I − 𝓦} / (2η).",
            limits.descends_on_lyapunov,
            "arXiv 1706.07880, its Lyapunov function; theory T10",
            (hypotheses.symmetric,),
        ),
        Claim(
            "Symmetric W: V never rises when η λ_max(Ψ) ≤ 1 + λ_min(W).",
            limits.lyapunov_never_rises,
            "gradient descent on a quadratic with step times curvature at most 2; theory T10",
            (hypotheses.symmetric, hypotheses.step_up_to(hypotheses.dgd_bound)),
        ),
        Claim(
            "Symmetric W: dim ker A = P − rank of the stacked Jacobian; A is Hurwitz if the data see every direction.",
            stability.forgets_what_data_see,
            "theory T3",
            (hypotheses.symmetric,),
        ),
    ),
)
