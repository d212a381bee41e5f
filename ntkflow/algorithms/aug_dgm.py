"""Aug-DGM: gradient tracking in which both the parameters and the tracker are combined after they are adapted."""

from ..notation import W, eta, gradient, theta, theta0, x_next, y
from ._claims import Claim, hypotheses, limits, motion
from ._claims.motion import before
from ._rule import Rule

RULE = Rule(
    "aug_dgm",
    update={theta: x_next, y: W * (y + gradient(x_next) - gradient(theta))},
    start={y: gradient(theta0)},
    lets={x_next: W * (theta - eta * y)},
    synonyms=("augmented_distributed_gradient_method", "atc_diging"),
    source="J. Xu, S. Zhu, Y. C. Soh, L. Xie, Augmented distributed gradient methods, CDC 2015; equal step sizes",
    claims=(
        Claim(
            "Doubly stochastic W: the mean of y is the mean of the agents' gradients at all times.",
            motion.tracks_the_mean_gradient,
            "J. Xu, S. Zhu, Y. C. Soh, L. Xie, CDC 2015",
            (hypotheses.doubly_stochastic,),
        ),
        Claim(
            "θ_{k+2} = 2W θ_{k+1} − W² θ_k − η W² (g(θ_{k+1}) − g(θ_k)).",
            motion.obeys(2 * W * theta - W**2 * before - eta * W**2 * (gradient(theta) - gradient(before))),
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
