"""Bars for long work on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["bar", "bars"]


@contextmanager
def bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """A function ``tell(case, done, total)`` with a bar a case on stderr, gone when all is done.

    Nothing is shown where stderr is no terminal; a total of None is not known.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:

        def tell(case: str, done: int, total: int | None) -> None:
            if case not in tasks:
                tasks[case] = shown.add_task(case, total=total)
            shown.update(tasks[case], completed=done, total=total)

        yield tell


@contextmanager
def bar(case: str) -> Iterator[Callable[[int, int | None], None]]:
    """A function ``tell(done, total)`` with a single bar.

    Examples
    --------
    >>> with bar("Jacobian") as tell:
    ...     tell(1, 2)
    """
    with bars() as tell:
        yield lambda done, total: tell(case, done, total)
