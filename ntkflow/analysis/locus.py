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
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import require
from ._arguments import numbers_of, system_of
from ._driven import Driven
from ._eigenmodes import Complex, Numbers, growth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..study import Study
    from ..systems import LinearSystem

POINTS = 80
FAINT = 1e-10  # a growth below this may be rounding
PRECISE = 1e-7  # relative, of where stability ends
SPAN = (0.02, 6.0)  # of the step sizes that are tried, in units of one over the largest curvature


def root_locus(system: LinearSystem | Study, step_sizes: Sequence[float] | None = None) -> Locus:
    r"""The eigenvalues that training moves and the outputs see, as functions of η, all else fixed.

    Parameters
    ----------
    system : LinearSystem or Study
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
    Computed and given in NumPy, on the host, whatever the system's library and device.
    Cost: K eigenvalue problems and some twenty to find where stability ends, symmetric where M has a symmetric factor
    (DGD, ATC, CTA).
    """
    system = system_of(system)
    driven = Driven(system.reduced).anywhere
    if step_sizes is None:
        unit = driven.unit if math.isfinite(driven.unit) else 1.0
        step_sizes = list(np.geomspace(*SPAN, POINTS) * unit)
    etas = numbers_of("step_sizes", step_sizes, 0.0, open_low=True)
    require(bool(etas), "step_sizes", "at least one", "none")
    rates = np.array([_rates(driven, eta) for eta in etas])
    found = Locus(system.rule.name, np.array(etas), rates)
    return replace(found, end=_end(driven, found))


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
    end : float or None
        Where stability ends: bisected between the first unstable one of the step sizes and the one before it. None
        where there are no such two.
    """

    rule: str
    step_sizes: Numbers = field(repr=False)
    rates: Complex = field(repr=False)
    end: float | None = None

    def __repr__(self) -> str:
        (K, N), etas = self.rates.shape, self.step_sizes
        return f"Locus of {self.rule}: {N} modes at {K} step sizes from {etas.min():.4g} to {etas.max():.4g}"

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


def _end(driven: Driven, found: Locus) -> float | None:
    order = np.argsort(found.step_sizes)
    etas, grows = found.step_sizes[order], found.rate[order] < -FAINT
    first = int(np.argmax(grows))
    if not grows.any() or first == 0:
        return None
    low, high = float(etas[first - 1]), float(etas[first])
    while high - low > PRECISE * high:
        middle = (low + high) / 2
        stable = float(growth(_rates(driven, middle)).max(initial=-np.inf)) <= FAINT
        low, high = (middle, high) if stable else (low, middle)
    return (low + high) / 2


def _rates(driven: Driven, step_size: float) -> Complex:
    """z − 1, slowest first."""
    symmetric = driven.similar(step_size)
    A = driven.map(step_size) if symmetric is None else symmetric
    A = A - np.eye(len(A))
    rates = (np.linalg.eigvals(A) if symmetric is None else np.linalg.eigvalsh(A)).astype(complex)
    return np.asarray(rates[np.argsort(-growth(rates), kind="stable")])
