"""DIGing: every agent tracks the average gradient, so the bias of DGD is gone."""

from ..notation import W, eta, gradient, theta, theta0, x_next, y
from ._claims import Claim, hypotheses, limits, motion
from ._claims.motion import before
from ._rule import Rule

RULE = Rule(
    "diging",
    update={theta: x_next, y: W * y + gradient(x_next) - gradient(theta)},
    start={y: gradient(theta0)},
    lets={x_next: W * theta - eta * y},
    synonyms=("gradient_tracking",),
    source="arXiv 1607.03218, eq. (3)",
    claims=(
        Claim(
            "Doubly stochastic W: the mean of y is the mean of the agents' gradients at all times.",
            motion.tracks_the_mean_gradient,
            "arXiv 1607.03218",
            (hypotheses.doubly_stochastic,),
        ),
        Claim(
            "θ_{k+2} = 2W θ_{k+1} − W² θ_k − η (g(θ_{k+1}) − g(θ_k)).",
            motion.obeys(2 * W * theta - W**2 * before - eta * (gradient(theta) - gradient(before))),
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
