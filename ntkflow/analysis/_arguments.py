"""What the public functions take: a system, or the study that has one, and sequences of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import refuse, require_number

if TYPE_CHECKING:
    from ..systems import LinearSystem


def system_of(design: Any, name: str = "system") -> LinearSystem:
    """A LinearSystem, or that of a Study."""
    system: Any = design if hasattr(type(design), "reduced") else getattr(design, "system", None)
    if not hasattr(type(system), "reduced"):  # asked of the type: the attribute itself is costly
        refuse(name, "a LinearSystem or a Study", type(design).__name__)
    return system


def numbers_of(name: str, values: Any, low: float = -math.inf, *, open_low: bool = False) -> list[float]:
    """Finite numbers above ``low``, as Python's."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        refuse(name, "a sequence of numbers", repr(values)[:40], f"pass {name}=[...]")
    plain = (x.item() if hasattr(x, "item") and getattr(x, "ndim", 1) == 0 else x for x in values)
    return [require_number(name, x, low, open_low=open_low) for x in plain]
