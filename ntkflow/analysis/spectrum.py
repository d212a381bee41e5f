r"""The modes of a system, the slowest first, and what each of them is.

The eigenvalues are those of the iteration's map M; the flow's A = M − I has z − 1 in the place of z. For a symmetric W
the state space splits into a part that learns and a part that only mixes (T5), and there are four *kinds* of modes:

* ``"learning"``: modes of the learning part whose parameters are mostly common to all agents;
* ``"consensus"``: modes of the learning part by which agents come to agree, mostly differences between them;
* ``"hidden"``: modes of the learning part that training does not move or no output sees, such as the sum Σ (z − θ) that
  EXTRA conserves (eigenvalue 1), or a momentum in directions without a gradient;
* ``"mixing"``: what lies outside of the learning part, where W alone decides. There are s Q P − s d of these, so each
  eigenvalue is given once, with its multiplicity.

Mostly means more than half of ‖θ‖², which is the sum of what is common and what is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._tables import latex_table, latex_text, markdown_table, narrow, text_table
from ..errors import refuse, require_choice
from ._arguments import system_of
from ._eigenmodes import Complex, Numbers, growth, learning_modes
from ._mixing import Mixing, mixing_modes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from ..study import Study
    from ..systems import LinearSystem

KINDS = ("learning", "consensus", "hidden", "mixing")
SHOWN = 8  # modes of each kind in a printed table


def spectrum(system: LinearSystem | Study) -> Spectrum:
    r"""The eigenvalues of a system, with their kinds, time constants and agents.

    Parameters
    ----------
    system : LinearSystem or Study
        Of any rule.

    Returns
    -------
    Spectrum

    Notes
    -----
    Computed on the compressed model and given in NumPy, on the host, whatever the system's library and device. Where
    the rule has a symmetric factor G (DGD, ATC, CTA; symmetric W), by the singular values of G on the learning part:
    every rate to full relative accuracy, O(Q n d²). Otherwise by a dense eigenvalue problem of size s·d, whose errors
    near a defective eigenvalue are roots of the rounding. Mixing modes come from the exact characteristic polynomial of
    M(λ, 0). For a W that is not symmetric nothing can be split off but what compression has left out; all else counts
    as learning part.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> J = np.random.default_rng(0).normal(size=(4, 2, 10))
    >>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 2)))
    >>> W = nf.weights.metropolis_hastings(nf.graphs.complete(4))
    >>> found = spectrum(nf.LinearSystem("dgd", W, lin, step_size=0.05))
    >>> {kind: int(found.multiplicity[found.kinds == kind].sum()) for kind in KINDS}
    {'learning': 8, 'consensus': 8, 'hidden': 0, 'mixing': 24}
    >>> int(found.multiplicity.sum()) == 4 * 10, found.radius < 1
    (True, True)
    """
    system = system_of(system)
    reduced = system.reduced
    learning, mixing = learning_modes(system, reduced), Mixing(system)
    kinds = np.where(learning.agreement > 0.5, "learning", "consensus").astype(object)
    kinds[learning.hidden] = "hidden"
    left_over = list(mixing_modes(mixing, reduced))
    parts = [learning, *(modes for modes, _ in left_over)]
    rates = np.concatenate([part.rates for part in parts])
    multiplicity = np.concatenate([np.ones(len(kinds), int), *(count for _, count in left_over)])
    order = np.argsort(-growth(rates), kind="stable")
    return Spectrum(
        rule=system.rule.name,
        step_size=float(system.step_size),
        rates=rates[order],
        multiplicity=multiplicity[order],
        kinds=np.append(kinds, ["mixing"] * (len(rates) - len(kinds)))[order].astype(str),
        participation=np.concatenate([part.agents for part in parts])[order],
        agreement=np.concatenate([part.agreement for part in parts])[order],
        movement=np.concatenate([part.movement for part in parts])[order],
        resolution=learning.resolution,
    )


@dataclass(frozen=True, eq=False)
class Mode:
    """One line of a `Spectrum`."""

    eigenvalue: complex
    kind: str
    multiplicity: int
    time_constant: float
    participation: Numbers
    agreement: float
    movement: float


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""All modes of a system, the slowest (or fastest growing) first; made by `spectrum`.

    Attributes
    ----------
    rule, step_size : str, float
        Of the system.
    rates : (N,)
        z − 1, the eigenvalues of A = M − I.
    multiplicity : (N,)
        1 but for mixing modes.
    kinds : (N,) of str
        "learning", "consensus", "hidden" or "mixing", see the module.
    participation : (N, Q)
        The share of every agent in ‖θ‖² of the mode; rows sum to 1.
    agreement : (N,)
        The share of what is common to all agents.
    movement : (N,)
        How far the mode moves all outputs between start and end, as a part of the residual's norm at the start; zero
        for modes that vanish in one step, or whose rate is below ``resolution``.
    resolution : float
        Rates of less are rounding, their time constants inf; zero where every rate has all its digits.
    """

    rule: str
    step_size: float
    rates: Complex = field(repr=False)
    multiplicity: npt.NDArray[np.int64] = field(repr=False)
    kinds: npt.NDArray[np.str_] = field(repr=False)
    participation: Numbers = field(repr=False)
    agreement: Numbers = field(repr=False)
    movement: Numbers = field(repr=False)
    resolution: float = 0.0

    @property
    def eigenvalues(self) -> Complex:
        """z, (N,), those of the iteration's map M."""
        return np.asarray(1.0 + self.rates)

    @property
    def time_constants(self) -> Numbers:
        """−1/log|z|, (N,), the iterations in which a mode falls to 1/e; inf where it stays, negative where it grows."""
        return _inverse(-growth(self.rates), self.resolution)

    @property
    def flow_time_constants(self) -> Numbers:
        """−1/Re(z − 1), (N,), the same for the flow."""
        return _inverse(-self.rates.real, self.resolution)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Which modes training moves and the outputs see, (N,), what stability is about."""
        return np.isin(self.kinds, ("learning", "consensus"))

    @property
    def radius(self) -> float:
        """The largest |z| of the modes that are `seen`; 0 where there are none."""
        return float(abs(self.eigenvalues[self.seen]).max(initial=0.0))

    @property
    def margin(self) -> float:
        """1 − ``radius`` with all its digits, however near to 1; positive where the iteration is stable."""
        return float(-np.expm1(growth(self.rates[self.seen]).max(initial=-np.inf)))

    @property
    def abscissa(self) -> float:
        """The largest Re(z − 1) of the modes that are `seen`, the flow's; −1 where there are none."""
        return float(self.rates[self.seen].real.max()) if np.any(self.seen) else -1.0

    @property
    def verdict(self) -> str:
        """What the computed eigenvalues say of the iteration: "stable", "unstable", "undecided" within ``resolution``.

        `stability` proves its verdicts, this one does not: where ``resolution`` is zero a margin is taken at its word.
        """
        if abs(self.margin) <= self.resolution:
            return "undecided"
        return "stable" if self.margin > 0 else "unstable"

    @property
    def slowest(self) -> Mode | None:
        """The slowest mode that is `seen`."""
        return self._first(self.seen)

    def slowest_of(self, kind: str) -> Mode | None:
        """The slowest mode of a kind; None where there is none."""
        return self._first(self.kinds == require_choice("kind", kind, KINDS))

    def slowest_moving(self, share: float = 0.1) -> Mode | None:
        """The mode with which the slowest ones begin to matter.

        All `seen` modes that are slower move the outputs by less than this part of the residual, together (as a root of
        squares). On a real network the slowest of all is one that hardly anything depends on.
        """
        moved = np.sqrt(np.cumsum(np.where(self.seen, self.movement, 0.0) ** 2))
        return self._first(self.seen & (moved >= share))

    def __len__(self) -> int:
        return len(self.rates)

    def __getitem__(self, index: int) -> Mode:
        return Mode(
            complex(self.eigenvalues[index]), str(self.kinds[index]), int(self.multiplicity[index]),
            float(self.time_constants[index]), self.participation[index], float(self.agreement[index]),
            float(self.movement[index]),
        )  # fmt: skip

    def plot(self, ax: Axes | None = None) -> Axes:
        """The eigenvalues in the complex plane, with the unit circle."""
        from ..reports import spectra

        return spectra.eigenvalues(self, ax=ax)

    def to_pandas(self) -> DataFrame:
        """One row a mode; the agents' shares in the columns agent 1, …, agent Q."""
        try:
            import pandas as pd
        except ImportError:
            refuse("to_pandas", "pandas", "none installed", "pip install pandas")
        agents = {f"agent {q + 1}": self.participation[:, q] for q in range(self.participation.shape[1])}
        return pd.DataFrame({
            "kind": self.kinds, "eigenvalue": self.eigenvalues, "multiplicity": self.multiplicity,
            "time_constant": self.time_constants, "flow_time_constant": self.flow_time_constants,
            "agreement": self.agreement, "movement": self.movement, **agents,
        })  # fmt: skip

    def text(self) -> str:
        """The extent of the spectrum, and the slowest modes of every kind."""
        return f"{self._sentence}\n{text_table(_HEADER, self._rows())}"

    def markdown(self) -> str:
        """The same in Markdown."""
        return f"{self._sentence}\n\n{markdown_table(_HEADER, self._rows())}"

    def latex(self) -> str:
        """The same in LaTeX, a tabular of the modes."""
        header = ["kind", "$z$", "multiplicity", r"$-1/\log|z|$", "in common", "movement"]
        return f"{latex_text(self._sentence)}\n\n{narrow(latex_table(header, self._rows()))}"

    def __str__(self) -> str:
        return self.text()

    @property
    def _sentence(self) -> str:
        distance = f"{'-' if self.margin >= 0 else '+'} {abs(self.margin):.4g}, abscissa {self.abscissa:.4g}"
        extent = "to within rounding" if abs(self.margin) <= self.resolution else distance
        counted = f"{self.rule}, step size {self.step_size:.4g}: {int(self.multiplicity.sum())} modes"
        if not self.seen.any():
            return f"{counted}; no data move any of them"
        verdict = "unstable, " if self.verdict == "unstable" else ""
        return f"{counted}; {verdict}what learns has spectral radius 1 {extent}"

    def _rows(self) -> list[list[Any]]:
        constants, rows = self.time_constants, []
        for kind in KINDS:
            for i in np.flatnonzero(self.kinds == kind)[:SHOWN]:
                z = complex(self.eigenvalues[i])
                rows.append([kind, z if z.imag else z.real, int(self.multiplicity[i]), float(constants[i]),
                             float(self.agreement[i]), float(self.movement[i])])  # fmt: skip
        return rows

    def _first(self, where: npt.NDArray[np.bool_]) -> Mode | None:
        found = np.flatnonzero(where)
        return self[int(found[0])] if len(found) else None


_HEADER = ["kind", "eigenvalue", "multiplicity", "time constant", "in common", "movement"]


def _inverse(decay: Numbers, resolution: float) -> Numbers:
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.where(abs(decay) <= resolution, 0.0, decay))
