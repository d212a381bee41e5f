"""``ntkflow predict`` and ``ntkflow reproduce``: experiments that write a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._design import Design
from ._options import NORMALIZATIONS, Algorithm, Folder, Normalization, Output, Seed, Steps, sharing

if TYPE_CHECKING:
    from ..reproduce import Progress, Reproduction

figures = typer.Typer(rich_markup_mode=None)


@figures.callback(invoke_without_command=True)
def _list_figures(context: typer.Context) -> None:
    """Run an experiment of the paper, arXiv 2409.15267."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@figures.command(short_help="Affine models on handwritten digits, two normalizations.")
def fig1(
    output: Output = Path("fig1"),
    data_folder: Folder = None,
    normalization: Annotated[str | None, typer.Option(help=f"{NORMALIZATIONS}; left out: sum and per_agent.")] = None,
    algorithm: Algorithm = "dgd",
    seed: Seed = 0,
    steps: Steps = 200,
) -> None:
    """Affine models on MNIST's zeros and ones (or scikit-learn's digits), 8 agents, complete graph."""
    chosen: dict[str, Any] = {} if normalization is None else {"normalizations": (normalization,)}

    def experiment(progress: Progress) -> Reproduction:
        from .. import reproduce

        return reproduce.fig1(data_folder=data_folder, algorithm=algorithm, seed=seed, steps=steps, progress=progress,
                              **chosen)  # fmt: skip

    _carry_out(experiment, output)


@figures.command(short_help="Wide networks on half moons, three graphs.")
def fig2(
    output: Output = Path("fig2"),
    normalization: Normalization = "sum",
    algorithm: Algorithm = "dgd",
    seed: Seed = 0,
    steps: Steps = 200,
) -> None:
    """Wide networks on half moons, 8 agents on a cycle, a star and a complete graph."""

    def experiment(progress: Progress) -> Reproduction:
        from .. import reproduce

        return reproduce.fig2(normalization=normalization, algorithm=algorithm, seed=seed, steps=steps,
                              progress=progress)  # fmt: skip

    _carry_out(experiment, output)


@sharing(Design)
def predict(
    design: Design,
    output: Output = Path("prediction"),
    steps: Steps = 200,
    train: Annotated[bool, typer.Option("--train/--no-train", help="Train the real networks as well.")] = True,
) -> None:
    """Predict an experiment of your own, and train it."""

    def experiment(progress: Progress) -> Reproduction:
        from .. import reproduce

        network = design.network()
        study = design.study(network)
        seeds = {"data": design.seed, "parameters": design.seed}
        settings = {"graph": design.graph, "weights": design.weights, "seeds": seeds}
        title = f"{design.graph}, {design.weights} weights"
        return reproduce.run("prediction", {design.graph: (title, network, study)}, steps, settings, train=train,
                             progress=progress)  # fmt: skip

    _carry_out(experiment, output)


def _carry_out(experiment: Callable[[Progress], Reproduction], output: Path) -> None:
    """Check the folder, run with a progress bar, write, and print the table."""
    from ..reports.folders import require_new_folder
    from ..reproduce import write

    folder = require_new_folder(output)
    from ..reports.bars import bars

    with bars() as progress:
        result = experiment(progress)
    written = write(result, folder)
    from rich.console import Console

    console = Console(highlight=False)
    table = result.table()
    if table is not None:
        console.print(table)
    for note in result.notes:
        console.print(f"Note: {note}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"Written to {folder}: {', '.join(path.name for path in written)}", markup=False, soft_wrap=True)
