"""Combine-then-adapt diffusion: mix with the neighbours, then step along the gradient found there."""

from ..notation import W, eta, gradient, theta
from ._rule import Rule

RULE = Rule(
    "cta",
    update={theta: W * theta - eta * gradient(W * theta)},
    synonyms=("combine_then_adapt",),
    source="arXiv 2409.15267, eq. (6)",
)
