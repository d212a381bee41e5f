"""What a user of ntkflow writes from given Jacobians, for the benchmarks that stand beside `rivals`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fig2 import STEP_SIZE
from rivals import Question

import ntkflow as nf

TIMES = np.arange(0.0, 201.0, 2.0)


def question(design: nf.Study, times: np.ndarray = TIMES) -> Question:
    """What the rivals are asked."""
    given = design.linearized
    return Question(given.jacobian, given.residual, design.W, STEP_SIZE, times)


def warm(asked: Question) -> None:
    """Imports and first calls, on a few samples and parameters."""
    first(replace(asked, J=asked.J[:, :5, :7].copy(), residual=asked.residual[:, :5].copy()), flow=False)


def first(asked: Question, *, flow: bool) -> nf.Trajectory:
    """From Jacobians: compression included."""
    model = nf.LinearizedModel.from_jacobian(asked.J, asked.residual)
    return further(model, asked, flow=flow)


def further(model: nf.LinearizedModel, asked: Question, *, flow: bool) -> nf.Trajectory:
    """Another design on a model whose compression is there already."""
    system = nf.LinearSystem("dgd", asked.W, model, asked.step, "sum")
    found = system.flow(asked.times) if flow else system.iterate(asked.times)
    _ = found.loss
    return found
