"""From the flags of a command to a network of agents, their data, their model and their algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import ACTIVATIONS, GRAPHS, WEIGHTS, Algorithm, Folder, Normalization, Seed

if TYPE_CHECKING:
    from ..algorithms import Rule
    from ..datasets import Dataset
    from ..models import Model
    from ..study import Study

MODELS = ("affine", "mlp")


@dataclass(frozen=True)
class Design:
    """A set-up by names and numbers, as it is typed; its fields are options of the commands."""

    graph: Annotated[str, typer.Option(help=f"One of {GRAPHS}.")] = "cycle"
    agents: Annotated[int, typer.Option(help="How many.")] = 8
    weights: Annotated[str, typer.Option(help=f"One of {WEIGHTS}.")] = "metropolis-hastings"
    data: Annotated[str, typer.Option(help="half-moons, digits or mnist.")] = "half-moons"
    samples: Annotated[int | None, typer.Option(help="Of each agent; left out: 200, of digits all there are.")] = None
    data_folder: Folder = None
    model: Annotated[str, typer.Option(help="affine or mlp.")] = "mlp"
    width: Annotated[
        list[str] | None, typer.Option(metavar="UNITS", help="Hidden units; again, or 64,64, for more layers.  [256]")
    ] = None
    activation: Annotated[str, typer.Option(help=f"One of {ACTIVATIONS}.")] = "sigmoid"
    algorithm: Algorithm = "dgd"
    step_size: Annotated[float, typer.Option(help="η; 0.02 with per_agent is 1e-4 with sum and 200 samples.")] = 0.02
    normalization: Normalization = "per_agent"
    momentum: Annotated[float | None, typer.Option(help="Short for --parameter momentum=...")] = None
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the algorithm; again for more.")
    ] = None
    seed: Seed = 0

    @property
    def rule(self) -> Rule:
        """The algorithm's update rule; a rule of one's own may stand in its place."""
        from .. import algorithms

        return algorithms.get(self.algorithm)

    def network(self) -> Any:
        """The graph, its agents as nodes."""
        import inspect

        from .. import graphs
        from ..errors import plain_name

        builder = graphs.NAMES.get(plain_name(self.graph, "_ ", "-"))
        drawn = builder is not None and "seed" in inspect.signature(builder).parameters
        return graphs.named(self.graph, self.agents, **({"seed": self.seed} if drawn else {}))

    def mixing(self, network: Any) -> Any:
        """W on the network; None for algorithms without a graph."""
        from .. import weights

        return weights.named(self.weights, network) if self.rule.uses_graph else None

    def dataset(self) -> Dataset:
        """The data as it is dealt."""
        from .. import datasets
        from ..errors import plain_name, require

        source, folder = plain_name(self.data, "_ ", "-"), self.data_folder
        require(folder is None or source == "mnist", "data_folder", "none but for mnist", str(folder))
        count = 200 if self.samples is None and source != "digits" else self.samples
        return datasets.named(self.data, self.agents, count, self.seed, **({"folder": folder} if folder else {}))

    def architecture(self, data: Dataset) -> Model:
        """The model that every agent trains on such data."""
        from ..errors import plain_name, require, require_choice
        from ..models import MLP, Affine

        widths, (n_inputs, n_outputs) = self.width or [], (int(a.shape[2]) for a in (data.x, data.y))
        if require_choice("model", plain_name(self.model, "", ""), MODELS) == "affine":
            require(not widths, "width", "none for the affine model", ",".join(widths), "or choose --model mlp")
            return Affine(n_inputs, n_outputs)
        hidden = [_width(part) for text in widths for part in text.split(",")] or [256]
        return MLP([n_inputs, *hidden, n_outputs], plain_name(self.activation, "", ""))

    def numbers(self) -> dict[str, float]:
        """The algorithm's own parameters."""
        short = [] if self.momentum is None else [f"momentum={self.momentum}"]
        return numbers([*(self.parameter or []), *short])

    def study(self, network: Any, numbers: dict[str, float] | None = None) -> Study:
        """All of it as one object, on the network given; the algorithm's numbers may be others than those typed."""
        from ..study import Study

        chosen, data = self.numbers() if numbers is None else numbers, self.dataset()
        model = self.architecture(data)
        return Study(self.mixing(network), model, model.init(self.seed), data, self.rule,
                     self.step_size, self.normalization, **chosen)  # fmt: skip


def numbers(texts: list[str]) -> dict[str, float]:
    """``name=value`` texts as a dictionary."""
    from ..errors import refuse

    found: dict[str, float] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        name = name.replace("-", "_")
        if name in found:
            refuse("parameter", f"one value for {name}", "two")
        try:
            found[name] = float(value)
        except ValueError:
            refuse("parameter", "name=value with a number", repr(text), "for example momentum=0.9")
    return found


def _width(text: str) -> int:
    from ..errors import refuse

    try:
        return int(text)
    except ValueError:
        return refuse("width", "whole numbers such as 256 or 64,64", repr(text))
