"""Incremental CDSGD: several rounds of mixing for every gradient, as if the graph were denser."""

from ..notation import W, eta, gradient, theta
from ._claims import Claim, hypotheses, motion, stability
from ._rule import Rule, counted


@counted(tau=2)
def RULE(tau: int) -> Rule:
    """τ consensus steps, then one step along the own gradient."""
    return Rule(
        "icdsgd",
        update={theta: W**tau * theta - eta * gradient(theta)},
        synonyms=("i_cdsgd", "incremental_cdsgd"),
        source="arXiv 1805.12120, algorithm i-CDSGD, the deterministic part",
        claims=(
            Claim("It is DGD with W^τ for W.", motion.is_dgd_after_rounds, "theory T11"),
            Claim(
                "Symmetric W: the flow is stable for every step size.",
                stability.flow_is_stable,
                "theory T3 with W^τ for W",
                (hypotheses.symmetric,),
            ),
            Claim(
                "Symmetric W: the iteration never spreads when η λ_max(Ψ) ≤ 1 + λ_min(W^τ).",
                stability.never_spreads,
                "arXiv 1310.7063; theory T8 with W^τ for W",
                (hypotheses.symmetric, hypotheses.step_up_to(hypotheses.dgd_bound)),
            ),
        ),
    )
