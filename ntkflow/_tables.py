r"""Small tables as text, Markdown and LaTeX: one header, rows of numbers and words, the same digits in all three.

Numbers are shown with four significant digits; columns of numbers stand right, columns of words left. In LaTeX a word
between dollar signs is mathematics and passes as it is, everything else is escaped.

>>> print(text_table(["rule", "radius"], [["dgd", 0.91234567], ["atc", 1e-7]]))
rule  radius
----  ------
dgd   0.9123
atc    1e-07
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Sequence
from typing import Any

Row = Sequence[Any]
DIGITS = 4
ESCAPES = {c: rf"\{c}" for c in "&%#_{}$"} | {  # of what is typed on any keyboard
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
_SPECIAL = ESCAPES | {
    "|": "$|$", "<": "$<$", ">": "$>$", "–": "--", "—": "---", "’": "'", "²": r"\textsuperscript{2}",
    "∞": r"$\infty$", "±": r"$\pm$", "≤": r"$\le$", "≥": r"$\ge$", "·": r"$\cdot$", "√": r"$\surd$", "−": "$-$",
    "′": "$'$", "‖": r"$\Vert$", "⊗": r"$\otimes$", "λ": r"$\lambda$", "η": r"$\eta$", "θ": r"$\theta$",
    "κ": r"$\kappa$", "μ": r"$\mu$", "ρ": r"$\rho$", "σ": r"$\sigma$", "Ψ": r"$\Psi$",
}  # fmt: skip


def cell(value: Any) -> str:
    """A value for human eyes: None is a dash, a truth value yes or no, a number has four digits.

    >>> [cell(v) for v in (None, True, 3, 0.123456, float("inf"), 0.5 - 0.25j, "dgd")]
    ['–', 'yes', '3', '0.1235', '∞', '0.5 - 0.25i', 'dgd']
    """
    if value is None or isinstance(value, str):
        return "–" if value is None else value
    if hasattr(value, "dtype"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return str(value)
    if isinstance(value, numbers.Real):
        return _real(float(value))
    if isinstance(value, numbers.Complex):
        z = complex(value)
        sign = "-" if z.imag < 0 else "+"
        return _real(z.real) if z.imag == 0 else f"{_real(z.real)} {sign} {_real(abs(z.imag))}i"
    return str(value)


def text_table(header: Row, rows: Sequence[Row]) -> str:
    """Columns padded with blanks, a line of dashes below the header."""
    cells, right = _cells(header, rows), _right(header, rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *body = ([_padded(c, w, r) for c, w, r in zip(row, widths, right, strict=True)] for row in cells)
    return "\n".join("  ".join(row).rstrip() for row in [head, ["-" * w for w in widths], *body])


def markdown_table(header: Row, rows: Sequence[Row]) -> str:
    """A pipe table, as GitHub and MyST read it.

    >>> print(markdown_table(["rule", "radius"], [["dgd", 0.5]]))
    | rule | radius |
    | --- | ---: |
    | dgd | 0.5 |
    """
    cells, right = _cells(header, rows), _right(header, rows)
    rule = ["---:" if r else "---" for r in right]
    escaped = ([c.replace("|", r"\|").replace("\n", " ") for c in row] for row in cells)
    head, *body = (f"| {' | '.join(row)} |" for row in escaped)
    return "\n".join([head, f"| {' | '.join(rule)} |", *body])


def latex_table(header: Row, rows: Sequence[Row]) -> str:
    r"""A ``tabular`` that needs no package.

    >>> print(latex_table(["rule", r"$\rho$"], [["atc_tracking", 1.5e-7]]))
    \begin{tabular}{@{}lr@{}}
    \hline
    rule & $\rho$ \\
    \hline
    atc\_tracking & $1.5 \cdot 10^{-7}$ \\
    \hline
    \end{tabular}
    """
    sides = "".join("r" if r else "l" for r in _right(header, rows))
    head, *body = (rf"{' & '.join(map(latex_cell, row))} \\" for row in [list(header), *rows])
    lines = [rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}", r"\hline", head, r"\hline", *body, r"\hline", r"\end{tabular}"]
    return "\n".join(lines)


def latex_cell(value: Any) -> str:
    r"""The LaTeX of `cell`: numbers as mathematics, words escaped unless they stand between dollar signs.

    >>> latex_cell(1e-7), latex_cell("50 %"), latex_cell("$x^2$")
    ('$10^{-7}$', '50 \\%', '$x^2$')
    """
    if isinstance(value, str):
        mathematics = len(value) > 2 and value[0] == value[-1] == "$" and value.count("$") == 2
        return value if mathematics else latex_text(value)
    shown = cell(value)
    return f"${_power(shown)}$" if _is_number(value) and shown != "–" else latex_text(shown)


def latex_text(words: str) -> str:
    r"""Words with the characters escaped that mean something in LaTeX.

    >>> latex_text("aug_dgm & 5 %")
    'aug\\_dgm \\& 5 \\%'
    """
    return "".join(_SPECIAL.get(c, c) for c in words)


def _real(value: float) -> str:
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    return f"{value:.{DIGITS}g}"


def _power(shown: str) -> str:
    """1.5e-07 as 1.5 · 10⁻⁷."""
    shown = re.sub(r"e([+-])0*(\d+)", lambda m: rf" \cdot 10^{{{m[1].replace('+', '')}{m[2]}}}", shown)
    shown = re.sub(r"(?<![\d.])1 \\cdot ", "", shown)
    return shown.replace("∞", r"\infty")


def _cells(header: Row, rows: Sequence[Row]) -> list[list[str]]:
    return [[cell(value) for value in row] for row in [list(header), *rows]]


def _right(header: Row, rows: Sequence[Row]) -> list[bool]:
    """Whether a column holds numbers, and nothing else but gaps."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return [any(map(_is_number, c)) and all(_is_number(v) or v is None for v in c) for c in columns]


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Complex) and not isinstance(value, bool)


def _padded(shown: str, width: int, right: bool) -> str:
    return shown.rjust(width) if right else shown.ljust(width)
