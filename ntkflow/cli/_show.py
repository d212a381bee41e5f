"""Reports as text, Markdown, LaTeX or JSON, on the terminal or in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

FORMATS = ("text", "markdown", "latex", "json")
STYLES = {
    r"^.*:? eta = .*$": "bold",
    r"^-+(  -+)*$": "dim",
    r"\bstable\b": "green",
    r"\bunstable\b": "bold red",
    r"\bundecided\b": "yellow",
}


def shown(title: str, reports: Mapping[str, Any], format: str) -> str:
    """The reports in one of the FORMATS, one below the other."""
    if format == "json":
        from ..reports.tables import plain

        content = {"title": title, **{name: _record(report) for name, report in reports.items()}}
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    parts = [getattr(report, format)() for report in reports.values()]
    heading = {"text": title, "markdown": f"# {title}", "latex": f"% {title}"}[format]
    return "\n\n".join([heading, *parts])


def show(source: str, output: Path | None) -> None:
    """Print a text, in colour on a terminal, or write it to a file and say so."""
    if output is None:
        from rich.console import Console
        from rich.text import Text

        text = Text(source)
        for pattern, style in STYLES.items():
            text.highlight_regex(f"(?m){pattern}", style)
        Console().print(text, soft_wrap=True)
    else:
        from .._files import write_file

        print(f"Written to {write_file(output, source.encode())}")


def _prints(value: Any) -> bool:
    plain: Any = object.__repr__
    return type(value).__repr__ is not plain


def _record(value: Any) -> Any:
    """A report as dictionaries, lists, numbers and texts; a complex number as its two parts.

    What is only there to compute with, and would be printed as an address, is left out.
    """
    if is_dataclass(value):
        public = [f.name for f in fields(value) if not f.name.startswith("_")]
        held = {name: getattr(value, name) for name in public}
        return {name: _record(item) for name, item in held.items() if _prints(item)}
    if isinstance(value, Mapping):
        return {str(key): _record(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _record(value.tolist())
    if isinstance(value, list | tuple):
        return [_record(item) for item in value]
    return [value.real, value.imag] if isinstance(value, complex) else value
