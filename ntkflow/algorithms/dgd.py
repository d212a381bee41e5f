"""Distributed gradient descent: mix with the neighbours, then step along the own gradient."""

from ..notation import W, eta, gradient, theta
from ._rule import Rule

RULE = Rule(
    "dgd",
    update={theta: W * theta - eta * gradient(theta)},
    synonyms=("decentralized_gradient_descent", "consensus"),
    source="arXiv 2409.15267, eq. (4)",
)
