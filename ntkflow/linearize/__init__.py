"""A network near its start: residual and Jacobian of every agent, compressed to what they span."""

from ._model import LinearizedModel
from ._whole import DEFAULT_TOL

__all__ = ["DEFAULT_TOL", "LinearizedModel"]
