"""What is installed, which devices are usable, and what each extra would add.

>>> from ntkflow import doctor
>>> findings = doctor.examine()
>>> findings.ready, findings.devices[0].name
(True, 'CPU')
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _packages
from ._packages import Extra, Package
from ._tables import latex_table, markdown_table, text_table
from ._version import __version__

if TYPE_CHECKING:
    from ._devices import Device

__all__ = ["LIBRARIES", "Findings", "examine", "place"]

LIBRARIES = ("numpy", "cupy", "torch")
Table = Callable[[Sequence[Any], Sequence[Sequence[Any]]], str]


@dataclass(frozen=True)
class Findings:
    """What `examine` found.

    Attributes
    ----------
    ntkflow : str
        Its version.
    python : str
        The interpreter's version.
    machine : str
        System and processor.
    packages : tuple of Package
        What the package's own metadata ask for, and what is installed.
    extras : tuple of Extra
        The same of each optional group.
    devices : tuple of Device
        Each tried out; empty where a required package is missing.
    ready : bool
        Whether every required package is there and new enough, and NumPy computes.
    trouble : str
        Why it is not, in one line.
    """

    ntkflow: str
    python: str
    machine: str
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    devices: tuple[Device, ...]
    ready: bool
    trouble: str

    def text(self) -> str:
        """Three tables for the terminal."""
        return self._laid_out(text_table)

    def markdown(self) -> str:
        """The same as Markdown, for a report of a bug."""
        return self._laid_out(markdown_table)

    def latex(self) -> str:
        """The same as LaTeX."""
        return self._laid_out(latex_table)

    def _laid_out(self, table: Table) -> str:
        packages = [(p.name, p.needed or "any", p.found, not p.trouble) for p in self.packages]
        extras = [(e.name, e.adds, not e.trouble, e.trouble) for e in self.extras]
        devices = [(d.library, d.name, d.usable, d.says) for d in self.devices]
        parts = [
            table(("package", "needed", "found", "fits"), packages),
            table(("extra", "adds", "there", "lacks"), extras),
            table(("library", "device", "usable", ""), devices) if devices else "Devices: not tried",
            "An extra is added by pip install 'ntkflow[NAME]'.",
        ]
        return "\n\n".join(parts)


def examine() -> Findings:
    """Look at what is installed and try every device out.

    Returns
    -------
    Findings

    Notes
    -----
    Imports CuPy and PyTorch where they are installed: seconds, once.
    """
    try:
        packages, extras = _packages.requirements()
    except importlib.metadata.PackageNotFoundError:
        packages, extras = (), ()
        trouble = "ntkflow is not installed, only its folder is used: pip install ."
    else:
        trouble = _packages.troubles(packages)
    devices: tuple[Device, ...] = ()
    try:
        devices = () if trouble else _devices()
    except ImportError as problem:  # there, but broken
        trouble = f"a required package does not load: {' '.join(str(problem).split())}"
    if devices and not devices[0].usable:
        trouble = f"NumPy does not compute: {devices[0].says}"
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}"
    python = platform.python_version()
    return Findings(__version__, python, machine, packages, extras, devices, not trouble, trouble)


def _devices() -> tuple[Device, ...]:
    from ._devices import cpu, gpus
    from .interop import _torch_devices as torch

    return (cpu(), *gpus(), *torch.devices())


def place(library: str) -> tuple[Any, Any]:
    """The namespace and the device that a name stands for: the CPU for NumPy, the first GPU for the others.

    For scripts that let their user choose; in ntkflow itself arrays bring both along.

    Parameters
    ----------
    library : str
        "numpy", "cupy" or "torch".

    Returns
    -------
    tuple of namespace and device
        Of the array standard: ``xp.asarray(values, device=device)`` moves what is to be computed with.

    Raises
    ------
    UnknownNameError, InputError
        A name that is none of these; a library that is not installed or has no usable GPU, with the driver's words.

    Examples
    --------
    >>> import ntkflow as nf
    >>> xp, device = place("numpy")
    >>> data = nf.datasets.half_moons(n_agents=4, n_samples=10)
    >>> there = nf.datasets.from_arrays(xp.asarray(data.x, device=device), xp.asarray(data.y, device=device))
    """
    from ._devices import cpu_place, gpu_place, gpus
    from .errors import plain_name, refuse, require_choice
    from .interop import _torch_devices as torch

    name = require_choice("library", plain_name(library, "", ""), LIBRARIES)
    if name == "numpy":
        return cpu_place()
    found, chosen = (gpus(), gpu_place) if name == "cupy" else (torch.devices()[-1:], torch.place)
    if not found[0].usable:
        refuse("library", f"{name} with a GPU that it can use", found[0].says, "see `ntkflow doctor`")
    return chosen()
