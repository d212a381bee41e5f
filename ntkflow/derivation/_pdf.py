"""LaTeX to PDF, with whatever engine is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .._files import write_file
from ..errors import OutputError, refuse, require, require_path

ENGINES = ("pdflatex", "lualatex", "xelatex", "tectonic")
SECONDS = 120


def engine() -> str | None:
    """The LaTeX engine that would be used, or None."""
    return next((found for name in ENGINES if (found := shutil.which(name))), None)


def write_pdf(source: str, path: str | os.PathLike[str]) -> Path:
    """Compile a document and put the PDF at ``path``, replacing what is there; nothing is left of a failure.

    Raises
    ------
    OutputError
        Without a LaTeX engine, when the document does not compile, or where nothing can be written.
    """
    place = require_path("path", path)
    require(place.suffix.lower() == ".pdf", "path", "a name that ends in .pdf", repr(str(place)), error=OutputError)
    found = engine()
    if found is None:
        refuse("LaTeX", f"one of {', '.join(ENGINES)} on the PATH", "none",
               "install TeX Live, or write the .tex with document()", OutputError)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "document.tex").write_text(source, encoding="utf-8")
        for _ in range(2):  # the second run knows the references' numbers
            _compile(found, folder)
        return write_file(place, Path(folder, "document.pdf").read_bytes())


def _compile(found: str, folder: str) -> None:
    quiet = [] if Path(found).name == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
    try:
        done = subprocess.run(
            [found, *quiet, "document.tex"], cwd=folder, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise OutputError(f"LaTeX: {found} did not finish ({type(problem).__name__})") from problem
    if done.returncode:
        lines = done.stdout.decode(errors="replace").splitlines()
        complaint = next((line for line in lines if line.startswith("!")), "no reason given")
        refuse("LaTeX", "a document that compiles", complaint, f"engine {found}", OutputError)
