"""One file, written whole or not at all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from .errors import OutputError, require, require_path


def write_file(path: str | os.PathLike[str], content: bytes) -> Path:
    """Put ``content`` at ``path``, replacing a file that is there, by way of a hidden one beside it.

    Raises
    ------
    OutputError
        When its folder does not exist or cannot be written; what was at ``path`` is then still there.
    """
    place = require_path("path", path)
    there = place.parent.is_dir()
    require(there, "path", "a file in an existing folder", str(place), "create it first", OutputError)
    require(not place.is_dir(), "path", "a file", f"the folder {place}", "add a name", OutputError)
    stage = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    try:
        stage.write_bytes(content)
        os.replace(stage, place)
    except BaseException as problem:
        with suppress(OSError):
            stage.unlink(missing_ok=True)
        if isinstance(problem, OSError):
            raise OutputError(f"path: {place} cannot be written ({problem.strerror or problem})") from problem
        raise
    return place
