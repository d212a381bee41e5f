"""``ntkflow verify``, ``spectrum`` and ``compare``: what the theory says of a set-up, without training it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from ._design import Design
from ._options import ALGORITHMS, GRAPHS, sharing
from ._show import FORMATS, show, shown
from ._systems import rule_of, systems, with_rule

File = Annotated[
    Path | None,
    typer.Option("--npz", help="Jacobians or a kernel, with residuals, in place of data and model; see the manual."),
]
Own = Annotated[
    str | None,
    typer.Option("--rule", metavar="TEXT", help="A rule of your own for the algorithm's, statements parted by ';'."),
]
Format = Annotated[str, typer.Option(help="text, markdown, latex or json.")]
Target = Annotated[Path | None, typer.Option("--output", "-o", help="A file; left out: the terminal.")]


@sharing(Design)
def verify(
    design: Design,
    context: typer.Context,
    rule: Own = None,
    npz: File = None,
    flow: Annotated[bool, typer.Option("--flow", help="The exit code is for the flow, not for the iteration.")] = False,
    format: Format = "text",
    output: Target = None,
) -> None:
    """Say whether a set-up is stable, how large its step size may be, and whether it is minimal.

    Exit code 0: stable; 1: unstable or undecided; 2: bad input; 70: a bug.
    """
    from ..analysis.minimality import minimality
    from ..analysis.stability import stability

    _require_format(format)
    ((title, system),) = systems([with_rule(design, context, rule)], context, npz).items()
    report = stability(system)
    show(shown(title, {"stability": report, "minimality": minimality(system)}, format), output)
    verdict = (report.flow if flow else report.iteration).verdict
    raise typer.Exit(0 if verdict == "stable" else 1)


@sharing(Design)
def spectrum(
    design: Design,
    context: typer.Context,
    rule: Own = None,
    npz: File = None,
    format: Format = "text",
    output: Target = None,
) -> None:
    """List the modes of a set-up by their rate, with what they mean."""
    from ..analysis.spectrum import spectrum as spectrum_of

    _require_format(format)
    ((title, system),) = systems([with_rule(design, context, rule)], context, npz).items()
    show(shown(title, {"spectrum": spectrum_of(system)}, format), output)


@sharing(Design)
def compare(
    design: Design,
    context: typer.Context,
    graph: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Again for more; of {GRAPHS}.  [cycle]")
    ] = None,
    algorithm: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Again for more; of {', '.join(ALGORITHMS)}.  [dgd]")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A rule of your own beside them; again for more.")
    ] = None,
    step_size: Annotated[list[float] | None, typer.Option(metavar="NUMBER", help="Again for more.  [0.02]")] = None,
    npz: File = None,
    format: Annotated[str, typer.Option(help="text, markdown, latex, json or csv.")] = "text",
    output: Target = None,
) -> None:
    """Set algorithms, graphs and step sizes side by side: every combination of those given is a row."""
    from ..analysis.compare import compare as comparison_of

    _require_format(format, "csv")
    own = [rule_of(text, f"rule {i}" if len(rule or []) > 1 else "rule") for i, text in enumerate(rule or [], start=1)]
    algorithms: list[Any] = [*(algorithm or []), *own] or [design.algorithm]
    choices = product(graph or [design.graph], algorithms, step_size or [design.step_size])
    designs = [replace(design, graph=g, algorithm=a, step_size=h) for g, a, h in choices]
    rows = systems(designs, context, npz, side_by_side=True)
    found = comparison_of(list(rows.values()), list(rows))
    numbers = format == "csv"
    show(found.csv()[:-1] if numbers else shown("Comparison", {"comparison": found}, format), output)


def _require_format(format: str, *more: str) -> None:
    from ..errors import require_choice

    require_choice("format", format, (*FORMATS, *more))
