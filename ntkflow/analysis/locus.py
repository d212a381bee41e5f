r"""How the spectrum moves with the step size: a root locus, and the rate of the slowest mode.

>>> import numpy as np, ntkflow as nf
>>> lin = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 1)), np.ones((2, 1)))
>>> found = root_locus(nf.LinearSystem("dgd", np.full((2, 2), 0.5), lin, 0.1), [0.2, 0.5, 0.8, 1.2])
>>> found.radius.round(12).tolist(), found.best
([0.8, 0.5, 0.8, 1.2], 0.5)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import require, require_number
from ._driven import Driven
from ._eigenmodes import Complex, Numbers, growth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..systems import LinearSystem

POINTS = 80
SPAN = (0.02, 6.0)  # of the step sizes that are tried, in units of one over the largest curvature


def root_locus(system: LinearSystem, step_sizes: Sequence[float] | None = None) -> Locus:
    r"""The eigenvalues that training moves and the outputs see, as functions of η, all else fixed.

    Parameters
    ----------
    system : LinearSystem
        Of any rule.
    step_sizes : (K,) positive numbers, optional
        Left out, 80 of them from 0.02 to 6 over the largest curvature λ_max(Ψ) of any agent, evenly on a logarithmic
        scale.

    Returns
    -------
    Locus

    Raises
    ------
    InputError
        Step sizes that are no positive finite numbers, or none at all.

    Notes
    -----
    Cost: K eigenvalue problems, symmetric where M has a symmetric factor (DGD, ATC, CTA).
    """
    driven = Driven(system.reduced)
    if step_sizes is None:
        unit = driven.unit if math.isfinite(driven.unit) else 1.0
        step_sizes = list(np.geomspace(*SPAN, POINTS) * unit)
    etas = [require_number("step_sizes", float(x), 0.0, open_low=True) for x in step_sizes]
    require(bool(etas), "step_sizes", "at least one", "none")
    rates = np.array([_rates(driven, eta) for eta in etas])
    return Locus(system.rule.name, np.array(etas), rates)


@dataclass(frozen=True, eq=False)
class Locus:
    """The spectrum at several step sizes; made by `root_locus`.

    Attributes
    ----------
    rule : str
        Of the system.
    step_sizes : (K,)
        In the order given.
    rates : (K, N)
        z − 1 of every mode that training moves and the outputs see, for every step size slowest first.
    """

    rule: str
    step_sizes: Numbers = field(repr=False)
    rates: Complex = field(repr=False)

    @property
    def eigenvalues(self) -> Complex:
        """z, (K, N)."""
        return np.asarray(1.0 + self.rates)

    @property
    def radius(self) -> Numbers:
        """The largest |z|, (K,)."""
        return np.asarray(abs(self.eigenvalues).max(axis=1, initial=0.0))

    @property
    def rate(self) -> Numbers:
        """−log |z| of the slowest mode, (K,), per iteration; negative where it grows."""
        return np.asarray(-growth(self.rates).max(axis=1, initial=-np.inf))

    @property
    def best(self) -> float:
        """The step size of the fastest rate among those tried."""
        return float(self.step_sizes[np.argmax(self.rate)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """The eigenvalues in the complex plane, coloured by step size."""
        from ..reports import spectra

        return spectra.locus(self, ax=ax)


def _rates(driven: Driven, step_size: float) -> Complex:
    """z − 1, slowest first."""
    symmetric = driven.similar(step_size)
    A = driven.map(step_size) if symmetric is None else symmetric
    A = A - np.eye(len(A))
    rates = (np.linalg.eigvals(A) if symmetric is None else np.linalg.eigvalsh(A)).astype(complex)
    return np.asarray(rates[np.argsort(-growth(rates), kind="stable")])
