"""``ntkflow derive``: from an update rule to its linear system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._design import numbers
from ._options import ALGORITHMS, Normalization
from ._show import show

FORMATS = ("text", "latex", "pdf")


def derive(
    algorithm: Annotated[str | None, typer.Argument(help=f"One of {', '.join(ALGORITHMS)}.")] = None,
    rule: Annotated[str | None, typer.Option(help='A rule of your own: "theta\' = W*theta - eta*grad(theta)".')] = None,
    format: Annotated[str, typer.Option(help="text, latex or pdf.")] = "text",
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
    from ..errors import refuse, require, require_choice

    require_choice("format", format, FORMATS)
    if (algorithm is None) == (rule is None):
        refuse("derive", "a name or --rule", "neither" if rule is None else "both", "for example: ntkflow derive atc")
    chosen = algorithms.get(algorithm) if algorithm is not None else algorithms.Rule.parse(str(rule))
    counts = numbers(parameter or [])
    stray = [name for name in counts if chosen.parameter_names.get(name) not in chosen.counts]
    require(
        not stray,
        "parameter",
        f"counts of {chosen.name!r}: {', '.join(chosen.counts) or 'it has none'}",
        ", ".join(stray),
    )
    derivation = Derivation(chosen, normalization, counts)
    if format == "pdf":
        written = derivation.write_pdf(output or Path(f"{chosen.name}.pdf"))
        print(f"Written to {written}")
        return
    show(derivation.text() if format == "text" else derivation.document(), output)
