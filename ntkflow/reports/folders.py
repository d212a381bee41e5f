"""Where results go: a new folder that is complete or not there at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError, refuse, require

__all__ = ["new_folder", "require_new_folder"]


def require_new_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder as a path, after making sure that results can be written there: it is new or empty.

    Raises
    ------
    OutputError
        When it is a file, holds something, or lies where nothing can be written.
    """
    if not isinstance(folder, str | os.PathLike) or not str(folder):
        refuse("output", "the path of a folder", repr(folder), "", OutputError)
    place = Path(folder).expanduser()
    try:
        if place.exists():
            require(place.is_dir(), "output", "a folder", f"a file at {place}", "choose another name", OutputError)
            held = sum(1 for _ in place.iterdir())
            found = f"{held} {'entry' if held == 1 else 'entries'} in {place}"
            require(held == 0, "output", "a new or empty folder", found, "choose another name", OutputError)
        home = next(parent for parent in (place, *place.absolute().parents) if parent.exists())
        require(home.is_dir(), "output", "a folder", f"a file at {home}", "choose another place", OutputError)
    except OSError as problem:
        raise OutputError(f"output: {place} cannot be used ({problem.strerror})") from problem
    allowed = os.access(home, os.W_OK | os.X_OK)
    require(allowed, "output", "a place that can be written", f"{home}, which cannot", "choose another", OutputError)
    return place


@contextmanager
def new_folder(folder: str | os.PathLike[str]) -> Iterator[tuple[Path, list[Path]]]:
    """A hidden folder to fill, moved to its place at the end, removed when anything goes wrong.

    Yields the hidden folder, and a list that holds the paths of the files when all is done.

    Raises
    ------
    OutputError
        As `require_new_folder`, and when writing fails.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as home:
    ...     with new_folder(Path(home, "results")) as (stage, written):
    ...         _ = (stage / "loss.csv").write_text("time,loss")
    ...     [path.name for path in written]
    ['loss.csv']
    """
    folder = require_new_folder(folder)
    there = folder.is_dir()
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]  # deepest first
    stage = (folder if there else folder.parent) / f".{folder.name}.{uuid.uuid4().hex[:8]}.unfinished"
    written: list[Path] = []
    try:
        stage.mkdir(parents=True)
        yield stage, written
        names = sorted(path.name for path in stage.iterdir())
        if there:  # perhaps somebody's current or mounted folder: filled, not replaced
            for name in names:
                if (folder / name).exists():
                    raise FileExistsError(0, f"{name} appeared there meanwhile")
                os.replace(stage / name, folder / name)
                written.append(folder / name)
            stage.rmdir()
        else:
            os.rename(stage, folder)
            written.extend(folder / name for name in names)
    except BaseException as problem:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):  # somebody else's by now
                parent.rmdir()
        for path in written:
            with suppress(OSError):
                path.unlink()
        if isinstance(problem, OSError):
            raise OutputError(f"output: {folder} cannot be written ({problem.strerror or problem})") from problem
        raise
