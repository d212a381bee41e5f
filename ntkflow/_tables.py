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
import unicodedata
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
    "′": "$'$", "‖": r"$\Vert$", "⊗": r"$\otimes$",
    "Ψ": r"$\Psi$", "∇": r"$\nabla$", "𝓦": r"$\mathcal{W}$", "ᵀ": r"$^\top$", "⪰": r"$\succeq$", "→": r"$\to$",
    "…": r"\ldots{}", "×": r"$\times$", "ß": "ß", "æ": "æ", "ø": "ø", "œ": "œ", "Æ": "Æ", "Ø": "Ø", "Œ": "Œ",
}  # fmt: skip


_SPECIAL |= {"ϑ": r"$\vartheta$", "ο": "o"} | {
    letter: rf"$\{name}$" for letter, name in {
        "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
        "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho",
        "ς": "varsigma", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
    }.items()
}  # fmt: skip
_ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u030c"  # what TeX's first fonts can put on a letter
_FORMULA = re.compile(
    r"((?<![\w.])[-−]?\d+(?:\.\d+)?e[-+]\d+(?!\w)|(?<![\w.)^])[-−]\d+(?:\.\d+)?(?!\w)|\b[A-Z]\^(?:T|\d+)\b|λ_(?:max|min))"
)


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


def latex_table(header: Row, rows: Sequence[Row], first: str = "") -> str:
    r"""A ``tabular`` that needs no package; ``first`` may say how to set the first column, such as ``p{4cm}``.

    >>> print(latex_table(["rule", r"$\rho$"], [["atc_tracking", 1.5e-7]]))
    \begin{tabular}{@{}lr@{}}
    \hline
    rule & $\rho$ \\
    \hline
    atc\_tracking & $1.5 \cdot 10^{-7}$ \\
    \hline
    \end{tabular}
    """
    sides = ["r" if r else "l" for r in _right(header, rows)]
    cells = [list(map(latex_cell, row)) for row in [list(header), *rows]]
    if first:
        sides[0] = first
        cells = [[rf"\raggedright {row[0]}", *row[1:]] for row in cells]
    head, *body = (rf"{' & '.join(row)} \\" for row in cells)
    begin = rf"\begin{{tabular}}{{@{{}}{''.join(sides)}@{{}}}}"
    return "\n".join([begin, r"\hline", head, r"\hline", *body, r"\hline", r"\end{tabular}"])


def narrow(*tables: str) -> str:
    """Tables in small type with little between columns, one below the other."""
    head = r"\begingroup\small\setlength{\tabcolsep}{4pt}\noindent"
    return "\n".join([head, "\n\\par\\medskip\\noindent\n".join(tables), r"\par\endgroup"])


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
    parts = _FORMULA.split(unicodedata.normalize("NFC", words))
    return "".join(_formula(part) if i % 2 else "".join(map(_character, part)) for i, part in enumerate(parts))


def _formula(piece: str) -> str:
    """What is mathematics among words: 1e-07, -1, W^T, λ_max."""
    if piece[0] == "λ":
        return rf"$\lambda_{{\{piece[2:]}}}$"
    if "^" in piece:
        return rf"${piece[0]}^{{{piece[2:]}}}$".replace("{T}", r"\top")
    return f"${_power(piece.replace('−', '-'))}$"


def _character(c: str) -> str:
    """One that pdflatex can print without further packages: itself, its mathematics, or the nearest in ASCII."""
    if c in _SPECIAL or c.isascii():
        return _SPECIAL.get(c, c)
    kind, _, code = unicodedata.decomposition(c).partition(" ")
    if kind in ("<sub>", "<super>") and " " not in code:
        base = _character(chr(int(code, 16))).replace("$", "")
        return f"${'_' if kind == '<sub>' else '^'}{{{base}}}$"
    plain = unicodedata.normalize("NFKD", c)
    accented = len(plain) == 2 and plain[0].isascii() and plain[1] in _ACCENTS and c < "\u0180"
    return c if accented else plain.encode("ascii", "ignore").decode() or "?"


def _real(value: float) -> str:
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    return f"{value + 0.0:.{DIGITS}g}"  # no -0


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
