"""Consensus-based distributed momentum gradient descent, with Polyak's heavy ball."""

from ..notation import W, eta, gradient, mu, theta, v
from ._rule import Rule

_step = mu * v - eta * gradient(theta)

RULE = Rule(
    "cdmsgd",
    update={theta: W * theta + _step, v: _step},
    parameters={mu: 0.9},
    synonyms=("cdmsgd_polyak", "heavy_ball"),
    source="arXiv 1706.07880, Algorithm 2, the deterministic part with Polyak's momentum",
)
