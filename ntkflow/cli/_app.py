"""The application: its name, its version, and one line on stderr for everything that is wrong."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._version import __version__

OPTIONS = {name: f"--{name.replace('_', '-')}" for name in (
    "activation", "algorithm", "data_folder", "format", "graph", "model", "normalization", "npz", "output", "parameter",
    "rule", "seed", "step_size", "steps", "weights", "width",
)} | {"dataset": "--data", "mnist": "--data mnist", "n_agents": "--agents", "n_samples": "--samples",
      "path": "--output", "widths": "--width"}  # fmt: skip
REMEDIES = {
    "pass folder=..., set NTKFLOW_DATA, pass download=True without a folder, or use digits()":
        "give --data-folder, set NTKFLOW_DATA, or choose --data digits",
}  # fmt: skip
BUG = 70  # sysexits.h: an internal error


class OneLineErrors(TyperGroup):
    """Commands whose failures are one line on stderr: exit code 2, 70 for a bug, 130 for Ctrl-C; never 1."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command and exit."""
        options["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):
            if getattr(stream, "errors", "") == "strict":  # a terminal that has no η gets a question mark
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        try:
            with warnings.catch_warnings():
                if not sys.warnoptions:  # the reports say what overflows, NumPy would quote our source
                    warnings.simplefilter("ignore", RuntimeWarning)
                code = super().main(*args, **options)
            if sys.stdout is not None:  # closed by whoever started us
                sys.stdout.flush()
        except KeyboardInterrupt:
            code = 130
        except SystemExit:  # click and rich leave like this, and with 1, when whoever reads the output has gone
            code = _fail("output: nobody reads it any more (broken pipe)", 2)
        except Exception as problem:
            message = _message(problem)
            code = _fail(message, 2) if message is not None else _fail(_bug(problem), BUG)
        if code == 130:
            _fail("interrupted, nothing was written", code)
        sys.exit(code if isinstance(code, int) else 0)


def _message(problem: Exception) -> str | None:
    """What to tell the user; None for a bug."""
    usage = getattr(problem, "format_message", None)  # typer's own errors have it, in all its versions
    if usage is not None:
        return str(usage())
    if isinstance(problem, MemoryError):
        return f"not enough memory for this set-up ({problem or 'nothing more is known'})"
    if type(problem).__name__ == "LinAlgError":  # NumPy's, which --help does not load
        return f"numbers too large or too small for double precision ({problem}); try another step size or other data"
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    from ..errors import NtkflowError

    return _in_options(str(problem)) if isinstance(problem, NtkflowError | OSError) else None


def _in_options(message: str) -> str:
    """What the library says of an argument, said of the option that it came from."""
    name, colon, rest = message.partition(": ")
    for asked, typed in REMEDIES.items():
        rest = rest.replace(asked, typed)
    return f"{OPTIONS.get(name, name)}{colon}{rest}"


def _bug(problem: Exception) -> str:
    """One line for what should not have happened, below the traceback where that was asked for."""
    if os.environ.get("NTKFLOW_DEBUG"):
        traceback.print_exception(problem)
    where = "NTKFLOW_DEBUG=1 shows where"
    return f"{type(problem).__name__}: {problem}; this is a bug in ntkflow, please report it ({where})"


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
