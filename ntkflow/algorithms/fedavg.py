"""Federated averaging: every agent takes some steps on its own, then all are replaced by their mean.

One update is a round of E local steps with full batches and every agent taking part; the mean is the plain one, as in
the paper for equal amounts of data.  E = 1 is gradient descent on the mean loss.
"""

from itertools import pairwise

from ..notation import average, eta, gradient, iterates, theta
from ._claims import Claim, hypotheses, motion, stability
from ._rule import Rule, counted


@counted(E=2)
def RULE(E: int) -> Rule:
    """E local steps a round, each point evaluated once."""
    points = (theta, *iterates(E))
    return Rule(
        "fedavg",
        update={theta: average * points[-1]},
        lets={after: before - eta * gradient(before) for before, after in pairwise(points)},
        synonyms=("federated_averaging", "local_gradient_descent", "local_sgd"),
        source="arXiv 1602.05629, algorithm FederatedAveraging, with full batches and all clients",
        claims=(
            Claim("After the first round all agents agree, wherever they start.", motion.agrees_at_once, "its update"),
            Claim(
                "One local step, or agents that share Ψ: a round is E steps of gradient descent on the mean loss.",
                motion.is_gradient_descent_per_round,
                "the local maps have one linear part, and averaging commutes with it",
                (hypotheses.alike_or_one_local_step,),
            ),
            Claim(
                "Neither the iteration nor the flow spreads when η λ_max(Ψ) ≤ 2.",
                stability.never_spreads,
                "no local step and no average spreads",
                (hypotheses.step_up_to(hypotheses.two),),
            ),
        ),
    )
