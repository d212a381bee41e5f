"""``ntkflow doctor``: what is installed, which devices are usable, what each extra would add."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ._show import FORMATS, show, shown
from ._verify import Format, Target

Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]


def doctor(format: Format = "text", as_json: Json = False, output: Target = None) -> None:
    """Say what is installed, which devices are usable, and what each extra would add.

    Every device is tried: products, decompositions, exponentials. Exit code 0: the core works; 1: a required package
    is missing or too old, or NumPy does not compute; 2: bad input; 70: a bug.
    """
    from ..doctor import examine

    if format not in FORMATS:
        from ..errors import require_choice  # which needs NumPy, and NumPy may be what is missing

        require_choice("format", format, FORMATS)
    found = examine()
    title = f"ntkflow {found.ntkflow}, Python {found.python}, {found.machine}: {found.trouble or 'ready'}"
    if as_json or format == "json":
        report = json.dumps({"title": title, "doctor": asdict(found)}, indent=2, ensure_ascii=False)
    else:
        report = shown(title, {"doctor": found}, format)
    if found.ready or output is not None:
        show(report, output)
    else:
        print(report)  # without rich, which may be missing too
    raise typer.Exit(0 if found.ready else 1)
