"""Predicted against observed in numbers: rows an agent, a table for the terminal, CSV and JSON files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._array import to_numpy
from ..errors import ShapeError, refuse, require
from ..results import Trajectory

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "AGREEMENT_HEADER", "CONSENSUS_HEADER", "LOSS_HEADER", "Agreement", "agreement", "agreement_rows",
    "agreement_table", "consensus_rows", "loss_rows", "movement", "percent", "plain", "prediction_record",
    "relative_gaps", "write_csv", "write_json",
]  # fmt: skip


@dataclass(frozen=True)
class Agreement:
    """How far the predicted loss of one agent is from the observed one.

    Attributes
    ----------
    agent : int
        From 1 to Q.
    max_error, final_error : float
        |predicted − observed|, largest and at the last time, in units of `movement`: the largest
        |loss(0) − loss| over all agents and times.
    max_error_of_loss, final_error_of_loss : float
        The same in units of this agent's observed loss at that time.
    moved : float
        The agent's own largest |loss(0) − loss| / loss(0).  Where it is small, a small error proves little (T14).
    """

    agent: int
    max_error: float
    final_error: float
    max_error_of_loss: float
    final_error_of_loss: float
    moved: float


_RUNS = ["observed", "predicted_iteration", "predicted_flow"]
AGREEMENT_HEADER = ["case", "prediction", *(f.name for f in fields(Agreement))]
LOSS_HEADER = ["case", "time", "agent", *_RUNS]
CONSENSUS_HEADER = ["case", "time", *_RUNS, "error_bound_iteration", "error_bound_flow"]


def agreement(predicted: Trajectory, observed: Trajectory) -> list[Agreement]:
    """One row an agent; a time at which either loss overflowed counts as an infinite error.

    Parameters
    ----------
    predicted, observed : Trajectory
        At the same times, the first of which is 0.

    Returns
    -------
    list of Q Agreement

    Raises
    ------
    InputError, ShapeError
        When there is something else than trajectories, or their times or numbers of agents differ.

    Examples
    --------
    >>> import numpy as np, ntkflow as nf
    >>> J = np.random.default_rng(0).normal(size=(4, 3, 10))
    >>> lin = nf.LinearizedModel.from_jacobian(J, np.ones((4, 3)))
    >>> system = nf.LinearSystem("dgd", np.full((4, 4), 0.25), lin, step_size=0.01)
    >>> rows = agreement(system.flow(range(9)), system.iterate(range(9)))
    >>> [row.agent for row in rows], rows[0].max_error < 0.1
    ([1, 2, 3, 4], True)
    """
    gap, truth = _gap(predicted, observed)
    last = int(np.argmax(to_numpy(observed.times)))
    error, of_loss = _ratio(gap, movement(observed)), _ratio(gap, truth)
    moved = _ratio(_distances(truth), truth[0])
    return [
        Agreement(q + 1, *map(float, (error[:, q].max(), error[last, q], of_loss[:, q].max(), of_loss[last, q],
                                      moved[:, q].max())))
        for q in range(truth.shape[1])
    ]  # fmt: skip


def relative_gaps(predicted: Trajectory, observed: Trajectory) -> np.ndarray:
    """|predicted − observed| in units of `movement`, (T, Q); raises as `agreement` does."""
    return _ratio(_gap(predicted, observed)[0], movement(observed))


def movement(observed: Trajectory) -> float:
    """The largest |loss(0) − loss| over all agents and times, as far as the loss is finite."""
    distances = _distances(to_numpy(observed.loss))
    return float(distances[np.isfinite(distances)].max(initial=0.0))


def percent(value: float) -> str:
    """A fraction for human eyes: 0.0123 is 1.2 %, 1e-15 is 1e-13 %.

    >>> percent(0.01234), percent(3e-15), percent(0.0), percent(math.inf)
    ('1.2 %', '3e-13 %', '0 %', '∞')
    """
    if not math.isfinite(value):
        return "∞" if value == math.inf else "–"
    if value != 0 and not 1e-5 <= abs(value) < 1e4:
        return f"{100 * value:.0e} %"
    return f"{100 * value:.0f} %" if value == 0 or abs(value) >= 0.0995 else f"{100 * value:#.2g} %"


def agreement_table(cases: Mapping[str, Mapping[str, Sequence[Agreement]]], caption: str = "") -> Table:
    """A rich table: for every case and prediction, the rows of `agreement`, and the worst agent below them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    kinds = list(next(iter(cases.values())))
    table = Table(caption=caption, box=SIMPLE_HEAD, caption_justify="left", pad_edge=False)
    table.add_column("case", style="bold")
    table.add_column("agent", justify="right")
    table.add_column("loss\nmoved", justify="right", style="dim")
    for heading in (f"{kind}\n{when}" for kind in kinds for when in ("max", "final")):
        table.add_column(heading, justify="right")
    for case, predictions in cases.items():
        table.add_section()
        for i, rows in enumerate(zip(*predictions.values(), strict=True)):
            cells = [cell for row in rows for cell in (percent(row.max_error), percent(row.final_error))]
            table.add_row(case if i == 0 else "", str(rows[0].agent), percent(rows[0].moved), *cells)
        least = percent(min(row.moved for row in predictions[kinds[0]]))
        worst = [max(getattr(row, name) for row in rows) for rows in predictions.values() for name in _SHOWN]
        table.add_row("", "worst", least, *map(percent, worst), style="bold")
    return table


def agreement_rows(case: str, predictions: Mapping[str, Sequence[Agreement]]) -> list[list[Any]]:
    """Lines of a CSV file below `AGREEMENT_HEADER`."""
    return [[case, kind, *asdict(row).values()] for kind, rows in predictions.items() for row in rows]


def loss_rows(case: str, predicted: Mapping[str, Trajectory], observed: Trajectory | None) -> Iterator[list[Any]]:
    """Lines of a CSV file below `LOSS_HEADER`: every time, every agent; observed is empty without training."""
    known = None if observed is None else to_numpy(observed.loss)
    losses = [to_numpy(run.loss) for run in predicted.values()]
    for k, time in enumerate(to_numpy(next(iter(predicted.values())).times)):
        for q in range(losses[0].shape[1]):
            yield [case, float(time), q + 1, None if known is None else known[k, q], *(loss[k, q] for loss in losses)]


def consensus_rows(case: str, predicted: Mapping[str, Trajectory], observed: Trajectory | None) -> Iterator[list[Any]]:
    """Lines of a CSV file below `CONSENSUS_HEADER`: every time; what is not known is empty."""
    apart = [None if run is None else run.consensus_error for run in (observed, *predicted.values())]
    columns = [*apart, *(run.error_bound for run in predicted.values())]
    known = [None if column is None else to_numpy(column) for column in columns]
    for k, time in enumerate(to_numpy(next(iter(predicted.values())).times)):
        yield [case, float(time), *(None if column is None else column[k] for column in known)]


def prediction_record(predicted: Trajectory, rows: Sequence[Agreement]) -> dict[str, Any]:
    """Method, error bounds and errors of one prediction, for `write_json`."""
    errors = [f.name for f in fields(Agreement) if f.name.endswith(("error", "of_loss"))]
    bound = None if predicted.error_bound is None else to_numpy(predicted.error_bound)
    limits = None if bound is None else {"kind": predicted.bound_kind, "max": bound.max(), "final": bound[-1]}
    return {
        "method": predicted.method,
        "error_bound": limits,
        "worst": {name: max(getattr(row, name) for row in rows) for name in errors} if rows else None,
        "agents": [asdict(row) for row in rows],
    }


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file with one header line; numbers with all their digits, inf as ``inf``, None as nothing."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)


def write_json(path: str | Path, content: Any) -> None:
    """A JSON file that every parser reads: no NaN or Infinity literals, see `plain`."""
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """The same content as dictionaries, lists and Python numbers; inf and NaN become text, since JSON has neither.

    >>> import numpy as np
    >>> plain({"sizes": np.asarray([2, 3]), "bound": np.inf})
    {'sizes': [2, 3], 'bound': 'inf'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


_SHOWN = ("max_error", "final_error")


def _gap(predicted: Trajectory, observed: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """|predicted − observed| and observed, (T, Q)."""
    for name, run in (("predicted", predicted), ("observed", observed)):
        if not isinstance(run, Trajectory):
            refuse(name, "a Trajectory", type(run).__name__, "from predict, train, flow or iterate")
    times = to_numpy(observed.times)
    same = np.array_equal(to_numpy(predicted.times), times)
    found = f"{predicted.times.shape[0]} and {observed.times.shape[0]} different ones"
    require(same, "predicted and observed", "the same times", found, "ask both for the same steps")
    require(times[0] == 0, "observed", "a first time of 0", times[0], "errors are relative to what moved since then")
    guess, truth = to_numpy(predicted.loss), to_numpy(observed.loss)
    found = f"{guess.shape[1]} and {truth.shape[1]}"
    require(guess.shape == truth.shape, "predicted and observed", "the same agents", found, "", ShapeError)
    gap = np.full(truth.shape, np.inf)
    known = np.isfinite(guess) & np.isfinite(truth)
    gap[known] = np.abs(guess[known] - truth[known])
    return gap, truth


def _distances(losses: np.ndarray) -> np.ndarray:
    return np.abs(losses[0] - losses)


def _ratio(part: np.ndarray, whole: Any) -> np.ndarray:
    """Part / whole where nothing by nothing is nothing, and something by nothing is infinite."""
    whole = np.broadcast_to(whole, part.shape)
    result = np.where(part == 0, 0.0, np.inf)
    usable = np.isfinite(part) & (whole > 0)
    result[usable] = part[usable] / whole[usable]
    return result


def _cell(value: Any) -> Any:
    return repr(float(value)) if isinstance(value, float | np.floating) else value
