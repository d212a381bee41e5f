"""The paper's two experiments, and the folder that an experiment leaves behind."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import algorithms, datasets, graphs, weights
from ._version import __version__
from .errors import require, require_count
from .models import MLP, Affine, Model
from .reports import tables
from .reports.folders import new_folder, require_new_folder
from .reports.tables import Agreement, agreement, percent
from .results import Trajectory
from .study import Study

if TYPE_CHECKING:
    import networkx as nx
    from rich.table import Table

__all__ = ["Case", "Reproduction", "fig1", "fig2", "require_new_folder", "run", "write"]

Progress = Callable[[str, int, int], None]  # case, steps done, steps in all
MEANING = "Errors: |predicted − observed| / largest |loss(0) − loss| over all agents and steps."
GREW = 100.0  # of the first loss: what is larger diverges
HARDLY = 0.1  # relative movement below which a small error is no evidence


@dataclass(frozen=True, eq=False)
class Case:
    """One design: what was predicted for it and, unless it was not trained, what was observed."""

    name: str
    title: str
    graph: nx.Graph
    study: Study
    iteration: Trajectory
    flow: Trajectory
    observed: Trajectory | None

    @property
    def predicted(self) -> dict[str, Trajectory]:
        """Iteration and flow by name."""
        return {"iteration": self.iteration, "flow": self.flow}

    @property
    def runs(self) -> dict[str, Trajectory]:
        """The predictions and, when there is one, the training by name."""
        return self.predicted if self.observed is None else {**self.predicted, "training": self.observed}

    @cached_property
    def agreement(self) -> dict[str, list[Agreement]]:
        """For iteration and flow the rows of `tables.agreement`; nothing without an observation."""
        observed = self.observed
        return {} if observed is None else {kind: agreement(run, observed) for kind, run in self.predicted.items()}

    @property
    def moved(self) -> float:
        """The largest |loss(0) − loss| / loss(0) of any agent, observed or else predicted."""
        return max(row.moved for row in agreement(self.iteration, self.observed or self.iteration))

    @property
    def summary(self) -> str:
        """Movement and largest errors in one line."""
        worst = {kind: percent(max(row.max_error for row in rows)) for kind, rows in self.agreement.items()}
        errors = f"; error {worst['iteration']}, flow {worst['flow']}" if worst else " (predicted)"
        return f"loss moved {percent(self.moved)}{errors}"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """An experiment with its results; made by `fig1`, `fig2` and `run`, put on disk by `write`.

    ``name`` names the figure's files, ``settings`` is all that is needed to run it again, ``notes`` are what a
    reader must know beside the numbers.
    """

    name: str
    title: str
    subtitle: str
    settings: Mapping[str, Any]
    cases: tuple[Case, ...]
    notes: tuple[str, ...]

    @property
    def agreement(self) -> dict[str, dict[str, list[Agreement]]]:
        """Rows by case and prediction; empty without training."""
        return {case.name: case.agreement for case in self.cases if case.observed is not None}

    def table(self) -> Table | None:
        """Predicted against observed as a rich table; None without training."""
        return tables.agreement_table(self.agreement, MEANING) if self.agreement else None


def fig1(
    *,
    data_folder: str | os.PathLike[str] | None = None,
    normalizations: Sequence[str] = ("sum", "per_agent"),
    algorithm: str = "dgd",
    seed: int = 0,
    steps: int = 200,
    step_size: float = 1e-4,
    n_agents: int = 8,
    n_samples: int | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Affine models telling zeros from ones on a complete graph, where the linear system is exact.

    Parameters
    ----------
    data_folder : path, optional
        Where MNIST's IDX files are; None: what the environment variable ``NTKFLOW_DATA`` says; without either,
        scikit-learn's digits, and a note that says so.
    normalizations : sequence of str
        One panel each.
    algorithm, seed, steps, step_size, n_agents : str, int, int, float, int
        The seed deals the data and draws the start.
    n_samples : int, optional
        Samples of each agent; None: 200 of MNIST, of digits all there are (45 for 8 agents).
    progress : callable, optional
        Told ``(case, steps done, steps in all)`` while training.

    Returns
    -------
    Reproduction

    Raises
    ------
    NtkflowError
        On bad input, before anything is trained.

    References
    ----------
    arXiv 2409.15267, eq. (15) and Fig. 1.
    """
    steps = require_count("steps", steps)
    require(bool(normalizations), "normalizations", "at least one", "none")
    notes = []
    if data_folder is not None or os.environ.get("NTKFLOW_DATA"):
        data = datasets.mnist(n_agents, 200 if n_samples is None else n_samples, folder=data_folder, seed=seed)
    else:
        data = datasets.digits(n_agents, n_samples, seed=seed)
        notes.append("Data: scikit-learn's digits of 8 × 8 pixels; for MNIST name a folder with its IDX files.")
    graph, model = graphs.complete(n_agents), Affine(data.x.shape[2])
    W = _mixing(algorithm, graph)
    first = Study(W, model, model.init(seed), data, algorithm, step_size, normalizations[0])
    designs = {n: (f"normalization “{n}”", graph, first.using(normalization=n)) for n in normalizations}
    return run("fig1", designs, steps, {"seeds": {"data": seed, "parameters": seed}}, notes=notes, progress=progress)


def fig2(
    *,
    normalization: str = "sum",
    algorithm: str = "dgd",
    seed: int = 0,
    steps: int = 200,
    step_size: float = 1e-4,
    n_agents: int = 8,
    n_samples: int = 200,
    width: int = 256,
    topologies: Sequence[str] = ("cycle", "star", "complete"),
    progress: Progress | None = None,
) -> Reproduction:
    """Wide networks on half moons, with Metropolis-Hastings weights on a cycle, a star and a complete graph.

    Parameters
    ----------
    normalization, algorithm, seed, steps, step_size, n_agents, n_samples, width
        The seed draws the data and the start; ``width`` sigmoid units with weight_std 1 and bias_std 0.1.
    topologies : sequence of str
        Names of `graphs.named`, one panel each.
    progress : callable, optional
        Told ``(case, steps done, steps in all)`` while training.

    Returns
    -------
    Reproduction

    Raises
    ------
    NtkflowError
        On bad input, before anything is trained.

    References
    ----------
    arXiv 2409.15267, Fig. 2.
    """
    steps = require_count("steps", steps)
    networks = {name: graphs.named(name, n_agents) for name in topologies}
    require(bool(networks), "topologies", "at least one", "none")
    data = datasets.half_moons(n_agents, n_samples, noise=0.1, seed=seed)
    model = MLP([2, width, 1], "sigmoid", weight_std=1.0, bias_std=0.1)
    mixing = {name: _mixing(algorithm, graph) for name, graph in networks.items()}
    first = Study(next(iter(mixing.values())), model, model.init(seed), data, algorithm, step_size, normalization)
    designs = {name: (name, graph, first.using(W=mixing[name])) for name, graph in networks.items()}
    settings = {"seeds": {"data": seed, "parameters": seed}, "noise": 0.1}
    return run("fig2", designs, steps, settings, progress=progress)


def run(
    name: str,
    designs: Mapping[str, tuple[str, nx.Graph, Study]],
    steps: int,
    settings: Mapping[str, Any] | None = None,
    *,
    notes: Sequence[str] = (),
    train: bool = True,
    progress: Progress | None = None,
) -> Reproduction:
    """Predict every design at k = 0 … ``steps``, by iteration and flow, and train it.

    Parameters
    ----------
    name : str
        Names the figure's files.
    designs : mapping
        ``{case: (title, graph, study)}``; the graph is drawn beside the losses.
    steps : int
        At least 1.
    settings : mapping, optional
        What the studies themselves do not know, such as seeds.
    notes : sequence of str
        Shown below the figure and the table.
    train : bool
        False: predict only.
    progress : callable, optional
        Told ``(case, steps done, steps in all)``.

    Returns
    -------
    Reproduction
    """
    steps = require_count("steps", steps)
    tell: Progress = progress or (lambda case, done, total: None)
    cases = []
    for key, (title, graph, study) in designs.items():
        tell(key, 0, steps)
        iteration, flow = study.predict(steps), study.predict(steps, flow=True)
        observed = study.train(steps, partial(_told, tell, key, steps)) if train else None
        cases.append(Case(key, title, graph, study, iteration, flow, observed))
    require(bool(cases), "designs", "at least one", "none")
    study = cases[0].study
    title = f"Predicted {'and observed ' if train else ''}loss of {study.data.n_agents} agents"
    known = _settings([case.study for case in cases]) | {"steps": steps, **(settings or {})}
    notes = (*notes, *_cautions(cases))
    return Reproduction(name, title, _subtitle(known), known, tuple(cases), notes)


@np.errstate(over="ignore", invalid="ignore")
def write(result: Reproduction, folder: str | os.PathLike[str]) -> list[Path]:
    """Put figures, tables and numbers into a new folder; an interrupted call leaves nothing behind.

    Parameters
    ----------
    result : Reproduction
        From `fig1`, `fig2` or `run`.
    folder : path
        Must not exist yet, or be empty.

    Returns
    -------
    list of Path
        ``<name>.png`` and ``.svg``, ``consensus.png`` and ``.svg``, ``agreement.csv`` (errors an agent),
        ``loss.csv`` and ``consensus.csv`` (every step), ``result.json`` (settings, versions, errors, error bounds).

    Raises
    ------
    OutputError
        When the folder is not empty or cannot be written.
    """
    with new_folder(folder) as (stage, written):
        _draw(result, stage)
        lines = [(case.name, case.predicted, case.observed) for case in result.cases]
        agreed = chain.from_iterable(tables.agreement_rows(*entry) for entry in result.agreement.items())
        tables.write_csv(stage / "agreement.csv", tables.AGREEMENT_HEADER, agreed)
        losses = chain.from_iterable(tables.loss_rows(*line) for line in lines)
        tables.write_csv(stage / "loss.csv", tables.LOSS_HEADER, losses)
        apart = chain.from_iterable(tables.consensus_rows(*line) for line in lines)
        tables.write_csv(stage / "consensus.csv", tables.CONSENSUS_HEADER, apart)
        tables.write_json(stage / "result.json", _record(result))
    return written


# ------------------------------------------------------------------------------------------------ designs


def _told(tell: Progress, case: str, steps: int, done: int) -> None:
    tell(case, done, steps)


def _mixing(algorithm: str | algorithms.Rule, graph: nx.Graph) -> Any:
    return weights.metropolis_hastings(graph) if algorithms.get(algorithm).uses_graph else None


def _settings(studies: Sequence[Study]) -> dict[str, Any]:
    """What the studies know of themselves; their normalizations, the rest is shared."""
    study = studies[0]
    return {
        "algorithm": study.algorithm.name,
        "parameters": dict(study.rule.counts)
        | {str(symbol): number for symbol, number in study.numbers.items() if str(symbol) != "eta"},
        "step_size": study.step_size,
        "normalization": list(dict.fromkeys(str(s.normalization) for s in studies)),
        "data": study.data.name,
        "n_agents": study.data.n_agents,
        "n_samples": study.data.n_samples,
        "model": _described(study.model),
        "n_parameters": study.model.n_parameters,
    }


def _described(model: Model) -> str:
    if isinstance(model, MLP):
        return f"MLP {'–'.join(map(str, model.widths))}, {model.activation}"
    return f"{type(model).__name__.lower()} model, {model.n_inputs} inputs"


def _subtitle(settings: Mapping[str, Any]) -> str:
    low, high = min(settings["n_samples"]), max(settings["n_samples"])
    samples = f"{low}" if low == high else f"{low} to {high}"
    seeds = {str(seed) for seed in settings.get("seeds", {}).values()}
    parameters = [f"{name} {value:g}" for name, value in settings["parameters"].items()]
    items = [
        settings["algorithm"].upper(), *parameters, f"step size {settings['step_size']:g}",
        "normalization " + ", ".join(f"“{n}”" for n in settings["normalization"]),
        f"{settings['data']}, {samples} samples an agent", settings["model"],
        *([f"seed {' and '.join(sorted(seeds))}"] if seeds else []),
    ]  # fmt: skip
    return " · ".join(item.replace(" ", "\u00a0") for item in items)  # lines break between items only


def _cautions(cases: Sequence[Case]) -> Iterator[str]:
    for case in cases:
        wild = [kind for kind, run in case.runs.items() if not run.loss.max() < GREW * run.loss[0].max()]
        if wild:
            yield f"{case.name}: the loss grew {GREW:g}-fold and more ({', '.join(wild)}); the step size is too large."
    still = {case.name: case.moved for case in cases if case.moved < HARDLY}
    if still:
        names, most = ", ".join(still), percent(max(still.values()))
        yield f"{names}: the loss moved by no more than {most}; a small error beside so small a movement proves little."


# ------------------------------------------------------------------------------------------------- the folder


def _draw(result: Reproduction, stage: Path) -> None:
    from .reports import pages, plots

    columns = [
        pages.Panel(case.title, case.graph, case.study.W, list(case.predicted.values()), case.observed, case.summary)
        for case in result.cases
    ]
    checked = result.cases[0].observed is not None
    note = "\n".join([*([MEANING] if checked else []), *result.notes])
    plots.save(pages.panels(columns, result.title, result.subtitle, note), stage / result.name)
    runs = [
        replace(run, label=f"{case.name} ({run.mode})")
        for case in result.cases
        for run in (case.iteration, case.observed)
        if run is not None
    ]
    drawn, axes = plots.figure()
    plots.consensus(*runs, ax=axes[0, 0])
    plots.save(drawn, stage / "consensus")


def _record(result: Reproduction) -> dict[str, Any]:
    """What result.json says."""
    versions = {"ntkflow": __version__, "numpy": np.__version__, "python": platform.python_version()}
    return {
        "name": result.name,
        "title": result.title,
        "versions": versions,
        "settings": dict(result.settings),
        "notes": list(result.notes),
        "cases": {case.name: _case_record(case) for case in result.cases},
    }


def _case_record(case: Case) -> dict[str, Any]:
    return {
        "normalization": str(case.study.normalization),
        "edges": case.graph.number_of_edges(),
        "loss_movement": None if case.observed is None else tables.movement(case.observed),
        "relative_movement": case.moved,
        "predictions": {
            kind: tables.prediction_record(run, case.agreement.get(kind, [])) for kind, run in case.predicted.items()
        },
    }
