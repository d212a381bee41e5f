"""``ntkflow derive``: from an update rule to its linear system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._design import numbers
from ._options import ALGORITHMS, Normalization
from ._show import show

FORMATS = ("text", "latex", "pdf")
ENDINGS = {".txt": "text", ".tex": "latex", ".pdf": "pdf"}


def derive(
    algorithm: Annotated[str | None, typer.Argument(help=f"One of {', '.join(ALGORITHMS)}.")] = None,
    rule: Annotated[str | None, typer.Option(help='A rule of your own: "theta\' = W*theta - eta*grad(theta)".')] = None,
    format: Annotated[
        str | None, typer.Option(help="text, latex or pdf; left out: what the output's ending says, else text.")
    ] = None,
    normalization: Normalization = "per_agent",
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A count of the algorithm: tau=3, local_steps=5.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; left out: the terminal, or NAME.pdf.")
    ] = None,
) -> None:
    """Derive an algorithm's linear system from its update rule, every step checked."""
    from .. import algorithms
    from ..derivation import Derivation
    from ..errors import refuse, require

    chosen_format = _format(format, output)
    if (algorithm is None) == (rule is None):
        refuse("derive", "a name or --rule", "neither" if rule is None else "both", "for example: ntkflow derive atc")
    chosen = algorithms.get(algorithm) if algorithm is not None else algorithms.Rule.parse(str(rule))
    counts = numbers(parameter or [])
    stray = [name for name in counts if chosen.parameter_names.get(name) not in chosen.counts]
    known = f"counts of {chosen.name!r}: {', '.join(chosen.counts) or 'it has none'}"
    symbols = all(name in chosen.parameter_names for name in stray)
    remedy = "parameters stay symbols in a derivation" if symbols else ""
    require(not stray, "parameter", known, ", ".join(stray), remedy)
    derivation = Derivation(chosen, normalization, counts)
    if chosen_format == "pdf":
        written = derivation.write_pdf(output or Path(f"{chosen.name}.pdf"))
        print(f"Written to {written}")
        return
    show(derivation.text() if chosen_format == "text" else derivation.document(), output)


def _format(asked: str | None, output: Path | None) -> str:
    """The format asked for, or that of the file's ending; not two different ones."""
    from ..errors import require, require_choice

    meant = ENDINGS.get(output.suffix.lower()) if output else None
    format = require_choice("format", asked, FORMATS) if asked is not None else meant or "text"
    require(meant in (None, format), "output", f"a name for --format {format}", str(output),
            f"choose --format {meant}, or another ending")  # fmt: skip
    return format
