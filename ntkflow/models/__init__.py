"""Networks that ntkflow can draw, linearise and train by itself; one a file."""

from ._base import Model
from .affine import Affine
from .mlp import MLP

__all__ = ["MLP", "Affine", "Model"]
