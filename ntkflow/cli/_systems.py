"""From designs to linear systems: of the networks that the flags name, or of the arrays in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ._design import Design

if TYPE_CHECKING:
    from ..systems import LinearSystem

SETTLED = ("data", "samples", "data_folder", "model", "width", "activation")  # by a file of arrays
WIRED = ("graph", "weights")  # by a mixing matrix


def systems(designs: Sequence[Design], context: typer.Context, npz: Path | None) -> dict[str, LinearSystem]:
    """Title and system of every design; they share their data and their linearised network."""
    found = _of_studies(designs) if npz is None else _of_arrays(designs, _given(context), npz)
    return {_title(design, designs, npz): system for design, system in zip(designs, found, strict=True)}


def _of_studies(designs: Sequence[Design]) -> list[LinearSystem]:
    from .. import algorithms

    first = designs[0]
    study = first.study(first.network(), _numbers(first, designs))
    return [
        study.using(W=d.mixing(d.network()), algorithm=algorithms.get(d.algorithm), step_size=d.step_size,
                    **_numbers(d, designs)).system
        for d in designs
    ]  # fmt: skip


def _of_arrays(designs: Sequence[Design], given: set[str], npz: Path) -> list[LinearSystem]:
    from .. import algorithms
    from ..interop.npz import load_npz
    from ..systems import LinearSystem

    stored = load_npz(npz)
    agents = stored.model.n_agents
    _require_free(given, npz, stored.mixing is not None, designs[0].agents == agents, agents)

    def mixing(design: Design) -> Any:
        design = replace(design, agents=agents)
        if stored.mixing is None:
            return design.mixing(design.network())
        return stored.mixing if algorithms.get(design.algorithm).uses_graph else None

    return [
        LinearSystem(d.algorithm, mixing(d), stored.model, d.step_size, d.normalization, **_numbers(d, designs))
        for d in designs
    ]


def _require_free(given: set[str], npz: Path, wired: bool, fits: bool, agents: int) -> None:
    """Nothing may be typed that the file has settled; but as many agents as it has."""
    from ..errors import require

    stray = sorted(given & {*SETTLED, *(WIRED if wired else ())})
    held = "model and data" + (" and the mixing matrix" if wired else "")
    require(not stray, _flags(stray), f"nothing, as {npz} holds {held}", "a value")
    require(fits or "agents" not in given, "--agents", f"{agents}, as in {npz}", "another number", "or leave it out")


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _numbers(design: Design, designs: Sequence[Design]) -> dict[str, float]:
    """The numbers that are the design's own, among those given for all of them."""
    from .. import algorithms

    numbers, own = design.numbers(), algorithms.get(design.algorithm).parameter_names
    others = {name for d in designs if d is not design for name in algorithms.get(d.algorithm).parameter_names}
    return {name: value for name, value in numbers.items() if name in own or name not in others}


def _given(context: typer.Context) -> set[str]:
    """The options that were typed."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def _title(design: Design, designs: Sequence[Design], npz: Path | None) -> str:
    """What the designs differ in; for a single one, all of it."""
    names = ("algorithm", "graph", "step_size")
    values = {name: getattr(design, name) for name in names}
    differing = [name for name in names if any(getattr(d, name) != values[name] for d in designs)]
    if len(designs) > 1:
        said = {**values, "step_size": f"step size {design.step_size:g}"}
        return ", ".join(said[name] for name in differing or names[:1])
    place = f"{design.graph} of {design.agents} agents, {design.weights}" if npz is None else str(npz)
    return f"{design.algorithm}, step size {design.step_size:g}, {design.normalization}; {place}"
