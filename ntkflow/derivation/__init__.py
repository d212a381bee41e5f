r"""From an update rule to its linear system, step by step, each step checked in exact arithmetic.

>>> import ntkflow as nf
>>> from ntkflow.printing import text
>>> derivation = nf.Derivation("atc", normalization="global")
>>> print(text(derivation.A, operator=True))
W - I - eta/(D*Q)*W*Psi
>>> derivation.holds
True
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import sympy

from ..algorithms import Rule, get
from ..errors import NtkflowError, require, require_choice
from ..normalization import NAMES
from ..printing import latex
from . import letters
from ._author import Author
from ._document import CHECKED, document, escaped, notation_table, references
from ._names import check_names
from ._pdf import write_pdf
from ._steps import Equation, Step
from ._system import SymbolicSystem
from ._write import display, step_latex, step_text

__all__ = ["Derivation", "Equation", "Step", "letters"]


@dataclass(frozen=True, eq=False)
class Derivation:
    r"""The linear system of an update rule, derived: ϑ⁺ = U(ϑ) becomes ϑ̇ = A ϑ + u, outputs f₀ + C x.

    Update rule → gradient flow → chain rule for the squared loss → linearisation → substitution → collection →
    A, u, B, C and the closed form.

    Parameters
    ----------
    rule : str or Rule
        A catalogue name or a rule of your own, of any number of blocks.
    normalization : str or None
        The factor of the gradient, see `ntkflow.normalization`: ``"per_agent"`` is the paper's eqs. (4)–(6),
        ``"global"`` its (7)–(12), which differ by Q (theory T2).  None: factors c_q that differ between agents.
    counts : dict
        Whole numbers that shape the rule, ``{"local_steps": 4}``.

    Raises
    ------
    UnknownNameError, RuleError
        Of the rule, also for names in it that the derivation has for something else; of the normalization.

    Notes
    -----
    Every step holds its equations, the reason, and a check: each left side is *measured* on three small explicit
    networks, agent by agent, in fractions, with derivatives that SymPy takes; each right side is
    evaluated with matrices.  Cost: some milliseconds to derive, a few tenths of a second to check.

    References
    ----------
    arXiv 2409.15267, eqs. (4)–(14); theory T1, T2, T11.

    Examples
    --------
    >>> import ntkflow as nf
    >>> derivation = nf.Derivation("dgd", normalization="global")
    >>> [step.name for step in derivation.steps][:4]
    ['rule', 'flow', 'gradient', 'linearisation']
    >>> all(step.check() for step in derivation.steps)
    True
    >>> derivation.A
    -1 + W - eta*Psi/(D*Q)
    """

    rule: Rule
    normalization: str | None = "per_agent"
    counts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named, shown = isinstance(self.counts, Mapping), repr(self.counts)[:60]
        require(named, "counts", "a dictionary such as {'local_steps': 4}", shown, "leave it out for none")
        object.__setattr__(self, "rule", get(self.rule).shaped(self.counts))
        check_names(self.rule)
        if self.normalization is not None:
            plain = str(self.normalization).lower().replace("-", "_")
            object.__setattr__(self, "normalization", require_choice("normalization", plain, NAMES))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps, each with ``.equations``, ``.reason`` and ``.check()``."""
        return Author(self.system).steps()

    @cached_property
    def system(self) -> SymbolicSystem:
        """All operators as block matrices, whatever the number of blocks."""
        return SymbolicSystem(self.rule, self.normalization)

    @cached_property
    def holds(self) -> bool:
        """Whether every step passes its check."""
        return all(step.check() for step in self.steps)

    @property
    def M(self) -> Any:
        """The iteration's operator, s⁺ = M s + b: an expression for one block, a matrix of them for several."""
        return _plain(self.system.M)

    @property
    def b(self) -> Any:
        """The iteration's constant; it equals ``u``."""
        return _plain(self.system.b)

    @property
    def A(self) -> Any:
        """The flow's state operator M − I (eqs. 12a–c); an expression for one block, a matrix for several."""
        return _plain(self.system.A)

    @property
    def u(self) -> Any:
        """The flow's constant input for ϑ itself, −α[J₀ᵀe₀ − Ψ₀ϑ₀] for DGD (eqs. 12a–c)."""
        return _plain(self.system.b)

    @property
    def B(self) -> Any:
        """From the residuals e₀ to the input of the deviation's system, as `LinearSystem.B`."""
        return _plain(self.system.B)

    @property
    def C(self) -> Any:
        """From the state to the outputs, as `LinearSystem.C`."""
        return _plain(self.system.C)

    def latex(self) -> str:
        r"""The steps as LaTeX paragraphs with labelled equations (``eq:atc:system:A``); needs amsmath.

        Each ends in ``\checked{...}``, what the step was held against; your own definition of it goes before this one.

        Raises
        ------
        NtkflowError
            When a step fails its check.
        """
        if not self.holds:
            failed = [step.title for step in self.steps if not step.check()]
            raise NtkflowError(
                f"derivation of {self.rule.name!r}: {', '.join(failed)} failed its check; report this rule"
            )
        steps = enumerate(self.steps, 1)
        return "\n".join([CHECKED, self._convention(), *(step_latex(s, i, self.rule.name) for i, s in steps)])

    def document(self) -> str:
        """A whole LaTeX document: the result, the notation, the steps, the references."""
        body = self.latex()
        parts = [
            r"\section*{Result}", self._result(), r"\section*{Notation}", notation_table(body + self._result()),
            r"\section*{Derivation}", body,
        ]  # fmt: skip
        title = ", ".join([f"The linear system of {escaped(self.rule.name)}", *self._counts(latex, "${} = {}$")])
        return document(title, "\n".join(parts), references(self.rule))

    def write_pdf(self, path: str | os.PathLike[str]) -> Path:
        """The document as PDF, by pdflatex, lualatex, xelatex or tectonic, whichever is installed.

        Raises
        ------
        OutputError
            Without a LaTeX engine, when it fails, and where nothing can be written.  What was at ``path`` stays then.
        """
        return write_pdf(self.document(), path)

    def text(self) -> str:
        """The steps as plain text."""
        checked = "every step holds in exact arithmetic" if self.holds else "a step FAILS its check"
        name = ", ".join([self.rule.name, *self._counts(str, "{} = {}")])
        head = f"{name} ({self.normalization or 'factors c'}): {checked}"
        return "\n\n".join([head, *(step_text(step, i) for i, step in enumerate(self.steps, 1))])

    def __str__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return rf"$$\begin{{aligned}}{self._rows}\end{{aligned}}$$"

    @property
    def _rows(self) -> str:
        """A and u as rows of an aligned display."""
        return r" \\ ".join([display("A", self.system.A, True), display("u", self.system.b, False)])

    def _result(self) -> str:
        blocks = self.rule.blocks
        state, start = (sympy.Matrix([values]).T for values in (blocks, [self.system.start[b] for b in blocks]))
        rows = r" \\ ".join([display("s", state, False), display("s_0", start, False), self._rows])
        return (
            "In the neural-tangent-kernel regime the training follows a linear system, the flow "
            r"$\dot{s} = A\,s + u$ and the iteration $s^{+} = s + A\,s + u$, both from $s_0$, with" + "\n"
            rf"\begin{{align*}}{rows}\end{{align*}}"
        )

    def _counts(self, printed: Callable[[sympy.Symbol], str], form: str) -> list[str]:
        """The whole numbers that shape the rule, as titles give them."""
        return [form.format(printed(sympy.Symbol(name)), number) for name, number in self.rule.counts.items()]

    def _convention(self) -> str:
        """Which of the paper's two step sizes this is (T2)."""
        if self.normalization is None:
            return "Every agent's gradient has a factor $c_q$ of its own; $c$ has them on its diagonal.\n"
        size, name = {n: latex(SymbolicSystem(self.rule, n).alpha) for n in NAMES}, escaped(self.normalization)
        return (
            rf"The step size enters as ${size[self.normalization]}$ (normalization \texttt{{{name}}}). The "
            rf"paper's eqs.~(4)--(6) differentiate the agent's own loss, which gives ${size['per_agent']}$; its "
            rf"eqs.~(7)--(12) differentiate the mean over all, which gives ${size['global']}$: they differ by $Q$."
            "\n"
        )


def _plain(matrix: sympy.MatrixBase) -> Any:
    """The one entry of a rule with one block, else the matrix."""
    return matrix[0, 0] if matrix.shape == (1, 1) else matrix
