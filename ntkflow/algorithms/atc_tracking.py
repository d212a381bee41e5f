"""ATC tracking: gradient tracking in which only the parameters are combined after they are adapted.

Between DIGing, where neither block is, and Aug-DGM, where both are.
"""

from ..notation import W, eta, gradient, theta, theta0, x_next, y
from ._claims import Claim, hypotheses, limits, motion
from ._claims.motion import before
from ._rule import Rule

RULE = Rule(
    "atc_tracking",
    update={theta: x_next, y: W * y + gradient(x_next) - gradient(theta)},
    start={y: gradient(theta0)},
    lets={x_next: W * (theta - eta * y)},
    synonyms=("atc_gradient_tracking", "semi_atc_tracking", "next"),
    source="arXiv 1602.00591, algorithm NEXT with linear surrogates and a constant step size",
    claims=(
        Claim(
            "Doubly stochastic W: the mean of y is the mean of the agents' gradients at all times.",
            motion.tracks_the_mean_gradient,
            "theory T11",
            (hypotheses.doubly_stochastic,),
        ),
        Claim(
            "θ_{k+2} = 2W θ_{k+1} − W² θ_k − η W (g(θ_{k+1}) − g(θ_k)).",
            motion.obeys(2 * W * theta - W**2 * before - eta * W * (gradient(theta) - gradient(before))),
            "its update without y",
        ),
        Claim(
            "Doubly stochastic W: where it comes to rest, all agents agree on a minimiser of Σ f_q.",
            limits.rests_at_a_minimiser,
            "y vanishes at rest, and its mean is the mean gradient",
            (hypotheses.doubly_stochastic,),
        ),
    ),
)
