"""What --help says of the options, and how commands share them."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

# the catalogues are not imported for --help; a test holds these texts against them
ALGORITHMS = sorted(
    m.name for m in pkgutil.iter_modules([str(Path(__file__).parents[1] / "algorithms")]) if m.name[0] != "_"
)
GRAPHS = (
    "cycle, star, complete, path, grid, torus, hypercube, complete-bipartite, erdos-renyi, random-regular, "
    "random-geometric, small-world, static-exponential"
)
WEIGHTS = "metropolis-hastings, max-degree, laplacian, equal, lazy"
NORMALIZATIONS = "sum, per_agent, global, torch_mse"
ACTIVATIONS = "sigmoid, tanh, relu, erf, gelu"

Output = Annotated[Path, typer.Option("--output", "-o", help="A folder that is new or empty.")]
Folder = Annotated[Path | None, typer.Option(help="Where MNIST's IDX files are; else NTKFLOW_DATA.")]
Normalization = Annotated[str, typer.Option(help=f"The gradient's factor: {NORMALIZATIONS}.")]
Algorithm = Annotated[str, typer.Option(help=f"One of {', '.join(ALGORITHMS)}.")]
Seed = Annotated[int, typer.Option(help="Of data and start.")]
Steps = Annotated[int, typer.Option(help="Updates to predict and to train.")]


def sharing(options: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command that has the fields of a dataclass among its options and takes them as one object, its first argument.

    An option of the command's own replaces the field of the same name.
    """

    def share(command: Callable[..., Any]) -> Callable[..., Any]:
        (_, *own), fields = _parameters(command), _parameters(options)
        named = {p.name: p for p in (*fields, *own)}

        @wraps(command)
        def run(**given: Any) -> Any:
            kept = {name: given.pop(name) for name in list(given) if name not in {p.name for p in own}}
            return command(options(**kept), **given)

        run.__signature__ = inspect.Signature(list(named.values()))  # type: ignore[attr-defined]
        run.__annotations__ = {name: parameter.annotation for name, parameter in named.items()}
        return run

    return share


def _parameters(of: Any) -> list[inspect.Parameter]:
    """The parameters of a function or a dataclass, by name only, with their annotations as objects."""
    hints = get_type_hints(of, include_extras=True)
    by_name = inspect.Parameter.KEYWORD_ONLY
    return [p.replace(annotation=hints[p.name], kind=by_name) for p in inspect.signature(of).parameters.values()]
