"""The command line: ``ntkflow reproduce fig1``, ``ntkflow reproduce fig2``, ``ntkflow predict``.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ._version import __version__

if TYPE_CHECKING:
    from .datasets import Dataset
    from .models import Model
    from .reproduce import Progress, Reproduction
    from .study import Study

# what --help says; the catalogues are not imported for it, a test holds these texts against them
ALGORITHMS = sorted(
    m.name for m in pkgutil.iter_modules([str(Path(__file__).parent / "algorithms")]) if m.name[0] != "_"
)
GRAPHS = (
    "cycle, star, complete, path, grid, torus, hypercube, complete-bipartite, erdos-renyi, random-regular, "
    "random-geometric, small-world, static-exponential"
)
WEIGHTS = "metropolis-hastings, max-degree, laplacian, equal, lazy"
NORMALIZATIONS = "sum, per_agent, global, torch_mse"
ACTIVATIONS = "sigmoid, tanh, relu, erf, gelu"
MODELS = ("affine", "mlp")
FORMATS = ("text", "latex", "pdf")


class OneLineErrors(TyperGroup):
    """Commands whose failures are one line on stderr: exit code 2 for bad input, 130 for Ctrl-C."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command and exit."""
        options["standalone_mode"] = False
        try:
            code = super().main(*args, **options)
        except KeyboardInterrupt:
            code = 130
        except Exception as problem:
            message = _message(problem)
            if message is None:
                raise
            code = _fail(message, 2)
        if code == 130:
            _fail("interrupted, nothing was written", code)
        sys.exit(code if isinstance(code, int) else 0)


def _message(problem: Exception) -> str | None:
    """What to tell the user; None for a bug."""
    usage = getattr(problem, "format_message", None)  # typer's own errors have it, in all its versions
    if usage is not None:
        return str(usage())
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    from .errors import NtkflowError

    return str(problem) if isinstance(problem, NtkflowError | OSError) else None


def _fail(message: str, code: int) -> int:
    print(f"ntkflow: {' '.join(message.split())}", file=sys.stderr)
    return code


app = typer.Typer(
    cls=OneLineErrors, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Predict how every agent's loss falls in decentralised learning, and hold it against real training.",
)  # fmt: skip
figures = typer.Typer(rich_markup_mode=None)
app.add_typer(figures, name="reproduce")


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"ntkflow {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@figures.callback(invoke_without_command=True)
def _list_figures(context: typer.Context) -> None:
    """Run an experiment of the paper, arXiv 2409.15267."""
    if context.invoked_subcommand is None:
        print(context.get_help())


Output = Annotated[Path, typer.Option("--output", "-o", help="A folder that is new or empty.")]
Folder = Annotated[Path | None, typer.Option(help="Where MNIST's IDX files are; else NTKFLOW_DATA.")]
Normalization = Annotated[str, typer.Option(help=f"The gradient's factor: {NORMALIZATIONS}.")]
Algorithm = Annotated[str, typer.Option(help=f"One of {', '.join(ALGORITHMS)}.")]
Seed = Annotated[int, typer.Option(help="Of data and start.")]
Steps = Annotated[int, typer.Option(help="Updates to predict and to train.")]


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
        from . import reproduce

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
        from . import reproduce

        return reproduce.fig2(normalization=normalization, algorithm=algorithm, seed=seed, steps=steps,
                              progress=progress)  # fmt: skip

    _carry_out(experiment, output)


@app.command()
def predict(
    output: Output = Path("prediction"),
    graph: Annotated[str, typer.Option(help=f"One of {GRAPHS}.")] = "cycle",
    agents: Annotated[int, typer.Option(help="How many.")] = 8,
    weights: Annotated[str, typer.Option(help=f"One of {WEIGHTS}.")] = "metropolis-hastings",
    data: Annotated[str, typer.Option(help="half-moons, digits or mnist.")] = "half-moons",
    samples: Annotated[int | None, typer.Option(help="Of each agent; left out: 200, of digits all there are.")] = None,
    data_folder: Folder = None,
    model: Annotated[str, typer.Option(help="affine or mlp.")] = "mlp",
    width: Annotated[
        list[str] | None, typer.Option(metavar="UNITS", help="Hidden units; again, or 64,64, for more layers.  [256]")
    ] = None,
    activation: Annotated[str, typer.Option(help=f"One of {ACTIVATIONS}.")] = "sigmoid",
    algorithm: Algorithm = "dgd",
    step_size: Annotated[float, typer.Option(help="η; 0.02 with per_agent is 1e-4 with sum and 200 samples.")] = 0.02,
    normalization: Normalization = "per_agent",
    momentum: Annotated[float | None, typer.Option(help="Short for --parameter momentum=...")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the algorithm; again for more.")
    ] = None,
    steps: Steps = 200,
    seed: Seed = 0,
    train: Annotated[bool, typer.Option("--train/--no-train", help="Train the real networks as well.")] = True,
) -> None:
    """Predict an experiment of your own, and train it."""

    def experiment(progress: Progress) -> Reproduction:
        from . import datasets, reproduce
        from . import graphs as topologies
        from .errors import plain_name, require

        network = topologies.named(graph, agents, **_seeded(topologies.NAMES, graph, seed))
        numbers = _numbers([*(parameter or []), *([f"momentum={momentum}"] if momentum is not None else [])])
        source = plain_name(data, "_ ", "-")
        require(data_folder is None or source == "mnist", "data_folder", "none but for mnist", str(data_folder))
        count = 200 if samples is None and source != "digits" else samples
        dealt = datasets.named(data, agents, count, seed, **({"folder": data_folder} if data_folder else {}))
        net = _model(model, width or [], activation, dealt)
        study = _study(network, weights, net, dealt, seed, algorithm, step_size, normalization, numbers)
        settings = {"graph": graph, "weights": weights, "seeds": {"data": seed, "parameters": seed}}
        title = f"{graph}, {weights} weights"
        return reproduce.run("prediction", {graph: (title, network, study)}, steps, settings, train=train,
                             progress=progress)  # fmt: skip

    _carry_out(experiment, output)


@app.command()
def derive(
    algorithm: Annotated[str | None, typer.Argument(help=f"One of {', '.join(ALGORITHMS)}.")] = None,
    rule: Annotated[str | None, typer.Option(help='A rule of your own: "theta\' = W*theta - eta*grad(theta)".')] = None,
    format: Annotated[str, typer.Option(help="text, latex or pdf.")] = "text",
    normalization: Normalization = "per_agent",
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A count of the algorithm: tau=3, local_steps=5.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; left out: the terminal, or NAME.pdf.")
    ] = None,
) -> None:
    """Derive an algorithm's linear system from its update rule, every step checked."""
    from . import algorithms
    from .derivation import Derivation
    from .errors import refuse, require, require_choice

    require_choice("format", format, FORMATS)
    if (algorithm is None) == (rule is None):
        refuse("derive", "a name or --rule", "neither" if rule is None else "both", "for example: ntkflow derive atc")
    chosen = algorithms.get(algorithm) if algorithm is not None else algorithms.Rule.parse(str(rule))
    counts = _numbers(parameter or [])
    stray = [name for name in counts if chosen.parameter_names.get(name) not in chosen.counts]
    require(
        not stray,
        "parameter",
        f"counts of {chosen.name!r}: {', '.join(chosen.counts) or 'it has none'}",
        ", ".join(stray),
    )
    derivation = Derivation(chosen, normalization, counts)
    if format == "pdf":
        written = derivation.write_pdf(output or Path(f"{chosen.name}.pdf"))
        print(f"Written to {written}")
        return
    source = derivation.text() if format == "text" else derivation.document()
    if output is None:
        print(source)
    else:
        from ._files import write_file

        print(f"Written to {write_file(output, source.encode())}")


def main() -> None:
    """Entry point of the ``ntkflow`` command."""
    app(prog_name="ntkflow")


def _carry_out(experiment: Callable[[Progress], Reproduction], output: Path) -> None:
    """Check the folder, run with a progress bar, write, and print the table."""
    from .reports.folders import require_new_folder
    from .reproduce import write

    folder = require_new_folder(output)
    with _progress() as progress:
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


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar a case on the terminal's stderr, gone when all is done; nothing where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def tell(case: str, done: int, total: int) -> None:
            if case not in tasks:
                tasks[case] = bars.add_task(case, total=total)
            bars.update(tasks[case], completed=done)

        yield tell


# ------------------------------------------------------------------------------------------- flags to objects


def _seeded(catalogue: Any, name: str, seed: int) -> dict[str, int]:
    """The seed, for graphs that are drawn at random."""
    import inspect

    from .errors import plain_name

    builder = catalogue.get(plain_name(name, "_ ", "-"))
    return {"seed": seed} if builder is not None and "seed" in inspect.signature(builder).parameters else {}


def _model(name: str, widths: list[str], activation: str, data: Dataset) -> Model:
    from .errors import plain_name, require, require_choice
    from .models import MLP, Affine

    n_inputs, n_outputs = int(data.x.shape[2]), int(data.y.shape[2])
    if require_choice("model", plain_name(name, "", ""), MODELS) == "affine":
        require(not widths, "width", "none for the affine model", ",".join(widths), "or choose --model mlp")
        return Affine(n_inputs, n_outputs)
    hidden = [_width(part) for text in widths for part in text.split(",")] or [256]
    return MLP([n_inputs, *hidden, n_outputs], plain_name(activation, "", ""))


def _width(text: str) -> int:
    from .errors import refuse

    try:
        return int(text)
    except ValueError:
        return refuse("width", "whole numbers such as 256 or 64,64", repr(text))


def _numbers(texts: list[str]) -> dict[str, float]:
    """``name=value`` texts as a dictionary."""
    from .errors import refuse

    numbers: dict[str, float] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        name = name.replace("-", "_")
        if name in numbers:
            refuse("parameter", f"one value for {name}", "two")
        try:
            numbers[name] = float(value)
        except ValueError:
            refuse("parameter", "name=value with a number", repr(text), "for example momentum=0.9")
    return numbers


def _study(network: Any, weights: str, model: Model, data: Dataset, seed: int, algorithm: str, step_size: float,
           normalization: str, numbers: dict[str, float]) -> Study:  # fmt: skip
    from . import algorithms
    from . import weights as mixing
    from .study import Study

    rule = algorithms.get(algorithm)
    W = mixing.named(weights, network) if rule.uses_graph else None
    return Study(W, model, model.init(seed), data, rule, step_size, normalization, **numbers)
