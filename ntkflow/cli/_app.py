"""The application: its name, its version, and one line on stderr for everything that is wrong."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._version import __version__


class OneLineErrors(TyperGroup):
    """Commands whose failures are one line on stderr: exit code 2 for bad input, 130 for Ctrl-C."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command and exit."""
        options["standalone_mode"] = False
        try:
            code = super().main(*args, **options)
        except KeyboardInterrupt:
            code = 130
        except Exception as problem:
            message = _message(problem)
            if message is None:
                raise
            code = _fail(message, 2)
        if code == 130:
            _fail("interrupted, nothing was written", code)
        sys.exit(code if isinstance(code, int) else 0)


def _message(problem: Exception) -> str | None:
    """What to tell the user; None for a bug."""
    usage = getattr(problem, "format_message", None)  # typer's own errors have it, in all its versions
    if usage is not None:
        return str(usage())
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    from ..errors import NtkflowError

    return str(problem) if isinstance(problem, NtkflowError | OSError) else None


def _fail(message: str, code: int) -> int:
    print(f"ntkflow: {' '.join(message.split())}", file=sys.stderr)
    return code


app = typer.Typer(
    cls=OneLineErrors, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Predict how every agent's loss falls in decentralised learning, verify that it does, and hold it against"
    " real training.",
)  # fmt: skip


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"ntkflow {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Entry point of the ``ntkflow`` command."""
    app(prog_name="ntkflow")
