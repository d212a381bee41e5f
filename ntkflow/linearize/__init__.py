"""A network near its start: residual and Jacobian of every agent, compressed to what they span."""

from ._model import DEFAULT_TOL, LinearizedModel

__all__ = ["DEFAULT_TOL", "LinearizedModel"]
