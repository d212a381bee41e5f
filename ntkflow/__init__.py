"""ntkflow: the analysis of decentralised learning, from one line of algebra to the prediction.

>>> import ntkflow as nf
>>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(8))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import algorithms, datasets, graphs, models, notation, weights
    from .algorithms import Rule
    from .analysis.compare import compare
    from .analysis.limits import limit
    from .analysis.locus import root_locus
    from .analysis.minimality import minimality
    from .analysis.modal import modal
    from .analysis.spectrum import spectrum
    from .analysis.stability import stability, stability_region
    from .derivation import Derivation
    from .linearize import LinearizedModel
    from .reports import plots
    from .results import Trajectory
    from .study import Study
    from .systems import LinearSystem

# name -> the module that has it, or the module itself; loaded when first asked for
_MODULES = {
    "algorithms": "algorithms", "datasets": "datasets", "errors": "errors", "graphs": "graphs",
    "models": "models", "notation": "notation", "plots": "reports.plots", "weights": "weights",
}  # fmt: skip
_NAMES = {
    "Derivation": "derivation", "LinearSystem": "systems", "LinearizedModel": "linearize", "Rule": "algorithms",
    "Study": "study", "Trajectory": "results", "compare": "analysis.compare", "limit": "analysis.limits",
    "minimality": "analysis.minimality", "modal": "analysis.modal", "root_locus": "analysis.locus",
    "spectrum": "analysis.spectrum", "stability": "analysis.stability", "stability_region": "analysis.stability",
}  # fmt: skip

__all__ = [
    "Derivation", "LinearSystem", "LinearizedModel", "Rule", "Study", "Trajectory", "__version__",
    "algorithms", "compare", "datasets", "errors", "graphs", "limit", "minimality", "modal", "models", "notation",
    "plots", "root_locus", "spectrum", "stability", "stability_region", "weights",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{_MODULES[name]}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'ntkflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
