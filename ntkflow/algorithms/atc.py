"""Adapt-then-combine diffusion: step along the own gradient, then mix with the neighbours."""

from ..notation import W, eta, gradient, theta
from ._rule import Rule

RULE = Rule(
    "atc",
    update={theta: W * (theta - eta * gradient(theta))},
    synonyms=("adapt_then_combine",),
    source="arXiv 2409.15267, eq. (5)",
)
