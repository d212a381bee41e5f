"""What ntkflow asks of its surroundings, read from its own metadata, and what is there.

Nothing but the standard library is imported, so that this answers where everything else is missing.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from dataclasses import dataclass

NAME = "ntkflow"
ADDS = {  # a test holds these against the metadata
    "cuda12": "arrays on NVIDIA GPUs through CuPy, for CUDA 12",
    "cuda13": "arrays on NVIDIA GPUs through CuPy, for CUDA 13",
    "torch": "networks of PyTorch: their Jacobians, and tensors as arrays",
    "slycot": "control theory's SLICOT routines for python-control",
    "test": "what the tests need",
    "dev": "formatting, linting and types for working on ntkflow",
    "docs": "building the manual",
}
_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


@dataclass(frozen=True)
class Package:
    """A requirement: the versions ``needed``, the one ``found`` (None: not installed), what is wrong if anything is."""

    name: str
    needed: str
    found: str | None
    trouble: str

    @classmethod
    def looked_up(cls, name: str, needed: str) -> Package:
        """With what is installed."""
        found = version(name)
        if found is None:
            return cls(name, needed, found, f"{name} is missing")
        return cls(name, needed, found, "" if fits(found, needed) else f"{name} {found} is not {needed}")


@dataclass(frozen=True)
class Extra:
    """An optional group of packages, what it would add in one phrase, what it lacks if it lacks anything."""

    name: str
    adds: str
    packages: tuple[Package, ...]
    trouble: str


def requirements() -> tuple[tuple[Package, ...], tuple[Extra, ...]]:
    """The packages that ntkflow cannot do without, and its extras in the order of the metadata.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        When ntkflow runs from a folder without having been installed: then nothing says what it needs.
    """
    metadata = importlib.metadata.metadata(NAME)
    groups: dict[str, list[Package]] = {"": [], **{extra: [] for extra in metadata.get_all("Provides-Extra") or ()}}
    for line in importlib.metadata.requires(NAME) or ():
        package, extra = _read(line)
        groups.setdefault(extra, []).append(package)
    core = tuple(groups.pop(""))
    return core, tuple(
        Extra(name, ADDS.get(name, "more packages"), tuple(held), troubles(held)) for name, held in groups.items()
    )


def troubles(packages: Iterable[Package]) -> str:
    """What is wrong with some of them, in one line; nothing where all is well."""
    return ", ".join(package.trouble for package in packages if package.trouble)


def _read(line: str) -> tuple[Package, str]:
    """``'slycot>=0.6; extra == "slycot"'`` as a package and the extra's name, ``""`` for the core."""
    name, needed, marker = _REQUIREMENT.fullmatch(line).groups()  # type: ignore[union-attr]
    extra = _EXTRA.search(marker or "")
    return Package.looked_up(name, needed.replace(" ", "")), extra[1] if extra else ""


def version(name: str) -> str | None:
    """The version that is installed, None where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(found: str, needed: str) -> bool:
    """Whether a version is new enough for clauses such as ``>=1.2``; those of any other kind are pip's to judge.

    >>> fits("2.10.1", ">=2.9"), fits("2.0rc1", ">=2.0"), fits("3.0+cpu", ">=3,<4"), fits("1.0", "")
    (True, False, True, True)
    """
    return all(_key(found) >= _key(clause[2:]) for clause in needed.split(",") if clause.startswith(">="))


def _key(version: str) -> tuple[tuple[int, ...], bool]:
    """Release numbers without zeros at the end, and whether it is a release."""
    release, rest = re.fullmatch(r"v?(?:\d+!)?(\d+(?:\.\d+)*)?(.*)", version.strip()).groups()  # type: ignore[union-attr]
    numbers = [int(part) for part in (release or "0").split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), re.match(r"[._-]?(?:a|b|c|rc|alpha|beta|pre|dev)", rest) is None
