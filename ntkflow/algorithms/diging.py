"""DIGing: every agent tracks the average gradient, so the bias of DGD is gone."""

from ..notation import W, eta, gradient, theta, theta0, x_next, y
from ._rule import Rule

RULE = Rule(
    "diging",
    update={theta: x_next, y: W * y + gradient(x_next) - gradient(theta)},
    start={y: gradient(theta0)},
    lets={x_next: W * theta - eta * y},
    synonyms=("gradient_tracking",),
    source="arXiv 1607.03218, eq. (3)",
)
