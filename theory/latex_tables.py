r"""Tables that fit on a page, whatever is in them.

>>> print(table([["graph", "$Q$"], ["star", "6"]], ["l", "r"]))
\begin{center}\small
\begin{tabular}{@{}lr@{}}\toprule
graph & $Q$ \\\midrule
star & 6 \\\bottomrule
\end{tabular}
\end{center}
"""

import math
import re
from collections.abc import Iterator, Sequence

from ntkflow.printing import width

LINE, GAP = 90, 3  # glyphs on a line of a table; of the space between two columns
NARROW = 16  # glyphs of a column that is not worth breaking
FEW = 5  # columns of a table that is broken within its cells; one with more is given in pieces
NAME = re.compile(r"\\(cos|sin|min|max)\b")
FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
GROUP = re.compile(r"(?<!\\frac)(?<!\})\{([^{}]*)\}")  # braces that are not those of a fraction

Row = Sequence[str]


def table(rows: Sequence[Row], sides: Row) -> str:
    """Cells of LaTeX, the head first, with the side that each column keeps to, l, c or r."""
    widths = [max(map(glyphs, column)) for column in zip(*rows, strict=True)]
    pieces = _pieces(widths) if len(widths) > FEW else [list(range(len(widths)))]
    bodies = [_piece(*([row[k] for k in piece] for row in (widths, sides, *rows))) for piece in pieces]
    return "\n".join([r"\begin{center}\small", "\n\\par\\bigskip\n".join(bodies), r"\end{center}"])


def glyphs(cell: str) -> int:
    r"""About how many glyphs wide a cell is; a fraction is as wide as the longer of its parts.

    >>> glyphs(r"$\frac{ab_{12}}{c}$")
    4
    """
    cell = NAME.sub(r"\1", cell.replace("$", ""))
    flat = FRACTION.sub(lambda parts: max(parts.groups(), key=width), GROUP.sub(r"\1", cell))
    return width(flat) if flat == cell else glyphs(flat)


def _pieces(widths: Sequence[int]) -> Iterator[list[int]]:
    """The columns in groups that fit on a line, the first one in each."""
    piece = [0]
    for k in range(1, len(widths)):
        if len(piece) > 1 and not _fits([widths[j] for j in [*piece, k]]):
            yield piece
            piece = [0]
        piece.append(k)
    yield piece


def _fits(widths: Sequence[int]) -> bool:
    return sum(widths) + GAP * (len(widths) - 1) <= LINE


def _piece(widths: Sequence[int], sides: Row, head: Row, *body: Row) -> str:
    fits = _fits(widths)
    begin, end = _plain(sides) if fits else _broken(widths, sides)
    fractions = any(r"\frac" in cell for row in body for cell in row)
    space = r"\addlinespace[2pt]" if fractions or not fits else ""
    lines = f" \\\\{space}\n".join(" & ".join(row) for row in body)
    return f"{begin}\\toprule\n{' & '.join(head)} \\\\\\midrule\n{lines} \\\\\\bottomrule\n{end}"


def _plain(sides: Row) -> tuple[str, str]:
    """Begin and end of a table with room to spare."""
    return rf"\begin{{tabular}}{{@{{}}{''.join(sides)}@{{}}}}", r"\end{tabular}"


def _broken(widths: Sequence[int], sides: Row) -> tuple[str, str]:
    """Begin and end of a table that fills the line: its wide columns share what the narrow ones leave.

    The shares go with the root of the widths, so that one long cell does not starve the others.
    """
    wide = [math.sqrt(w) for w in widths if w > NARROW]
    shares = [len(wide) * math.sqrt(w) / sum(wide) for w in widths]
    columns = "".join(
        rf">{{\hsize={share:.3f}\hsize\raggedright\arraybackslash}}X" if w > NARROW else side
        for w, share, side in zip(widths, shares, sides, strict=True)
    )
    return rf"\begin{{tabularx}}{{\textwidth}}{{@{{}}{columns}@{{}}}}", r"\end{tabularx}"
