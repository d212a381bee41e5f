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


def systems(
    designs: Sequence[Design], context: typer.Context, npz: Path | None, *, side_by_side: bool = False
) -> dict[str, LinearSystem]:
    """Title and system of every design; they share their data and their linearised network.

    Designs side by side are called by what they differ in.
    """
    from ..errors import require

    if npz is None:
        found, place = _of_studies(designs)
    else:
        found, place = _of_arrays(designs, _given(context), npz)
    titles = [_label(design, designs) if side_by_side else _title(design, place) for design in designs]
    twice = sorted({title for title in titles if titles.count(title) > 1})
    require(not twice, "compare", "every set-up once", f"{twice[0]!r} again" if twice else "", "leave one out")
    return dict(zip(titles, found, strict=True))


def with_rule(design: Design, context: typer.Context, text: str | None) -> Design:
    """The design with a rule of one's own in the algorithm's place."""
    from ..errors import require

    if text is None:
        return design
    require("algorithm" not in _given(context), "--algorithm", "nothing beside --rule", repr(str(design.algorithm)))
    return replace(design, algorithm=rule_of(text))


def rule_of(text: str, name: str = "rule") -> Any:
    """A rule read from text."""
    from ..algorithms import Rule

    return Rule.parse(text, name)


def _of_studies(designs: Sequence[Design]) -> tuple[list[LinearSystem], str]:
    """The systems, and where they are in words."""
    from ..errors import plain_name

    first = designs[0]
    study = first.study(first.network(), _numbers(first, designs))
    found = [
        study.using(W=d.mixing(d.network()), algorithm=d.rule, step_size=d.step_size, **_numbers(d, designs)).system
        for d in designs
    ]
    layers = "-".join(map(str, getattr(study.model, "widths", ())))  # inputs, hidden units, outputs
    model = f"{first.model} {layers}".strip()
    count = int(study.data.n_samples.max())
    where = f"{_network(first)}; {plain_name(first.data, '_ ', '-')}, {count} samples each, {model}"
    return found, where


def _of_arrays(designs: Sequence[Design], given: set[str], npz: Path) -> tuple[list[LinearSystem], str]:
    from ..errors import MixingError
    from ..interop.npz import load_npz
    from ..systems import LinearSystem

    stored = load_npz(npz)
    agents = stored.model.n_agents
    _require_free(given, npz, stored.mixing is not None, designs[0].agents == agents, agents)

    def mixing(design: Design) -> Any:
        if stored.mixing is None:
            return design.mixing(design.network())
        return stored.mixing if design.rule.uses_graph else None

    designs = [replace(design, agents=agents) for design in designs]
    try:
        found = [
            LinearSystem(d.rule, mixing(d), stored.model, d.step_size, d.normalization, **_numbers(d, designs))
            for d in designs
        ]
    except MixingError as why:
        about_file = stored.mixing is not None and str(why).startswith("W: ")
        raise MixingError(f"{npz.name}: mixing{str(why)[1:]}") from None if about_file else why
    own = stored.mixing is not None and designs[0].rule.uses_graph
    return found, f"{npz}: {f'{agents} agents, W of the file' if own else _network(designs[0])}"


def _network(design: Design) -> str:
    """The graph and its weights, where the rule has them."""
    from ..errors import plain_name

    wired = f"{plain_name(design.graph, '_ ', '-')} of {design.agents} agents, {design.weights}"
    return wired if design.rule.uses_graph else f"{design.agents} agents, averaging without a graph"


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
    numbers, own = design.numbers(), design.rule.parameter_names
    others = {name for d in designs if d is not design for name in d.rule.parameter_names}
    return {name: value for name, value in numbers.items() if name in own or name not in others}


def _given(context: typer.Context) -> set[str]:
    """The options that were typed."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def _title(design: Design, place: str) -> str:
    said = _said(design)
    return f"{said['algorithm']}, {said['step size']}, {design.normalization}; {place}"


def _label(design: Design, designs: Sequence[Design]) -> str:
    said = _said(design)
    differing = [name for name in said if any(_said(d)[name] != said[name] for d in designs)]
    return ", ".join(said[name] for name in differing or ["algorithm"])


def _said(design: Design) -> dict[str, str]:
    step = design.step_size
    digits = f"{step:g}" if float(f"{step:g}") == step else repr(step)
    return {"algorithm": design.rule.name, "graph": design.graph, "step size": f"step size {digits}"}
