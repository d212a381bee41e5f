"""One file, written whole or not at all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from .errors import OutputError, require, require_path


def write_file(path: str | os.PathLike[str], content: bytes) -> Path:
    """Put ``content`` at ``path``, replacing a file that is there, by way of a hidden one beside it.

    A file that is replaced keeps its permissions, and a symbolic link leads to the file that is written. A pipe or a
    device is written into, as there is nothing to replace.

    Raises
    ------
    OutputError
        When its folder does not exist or cannot be written; what was at ``path`` is then still there.
    """
    place = require_path("path", path)
    try:
        _write(place, content)
    except OSError as problem:
        raise OutputError(f"path: {place} cannot be written ({problem.strerror or problem})") from problem
    return place


def _write(place: Path, content: bytes) -> None:
    require(not place.is_dir(), "path", "a file", f"the folder {place}", "add a name", OutputError)
    if place.exists() and not place.is_file():  # renaming over a pipe or a device would destroy it
        place.write_bytes(content)
        return
    target = Path(os.path.realpath(place))
    require(not target.is_symlink(), "path", "a file", f"{place}, a link that leads nowhere", "", OutputError)
    there = target.parent.is_dir()
    require(there, "path", "a file in an existing folder", str(place), "create it first", OutputError)
    stage = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        stage.write_bytes(content)
        if target.exists():
            stage.chmod(target.stat().st_mode & 0o7777)
        os.replace(stage, target)
    except BaseException:
        with suppress(OSError):
            stage.unlink(missing_ok=True)
        raise
