"""What the functions on systems take: a LinearSystem or a Study; one line for everything else."""

from __future__ import annotations

import numpy as np
import pytest

import ntkflow as nf
from ntkflow.errors import InputError
from ntkflow.interop.control import to_control
from ntkflow.interop.matrices import matrices

QUESTIONS = {
    "stability": nf.stability,
    "minimality": nf.minimality,
    "spectrum": nf.spectrum,
    "limit": nf.limit,
    "root_locus": lambda system: nf.root_locus(system, [0.1]),
    "stability_region": lambda system: nf.stability_region(system, [0.1], [0.5]),
    "compare": lambda system: nf.compare([system]),
}


@pytest.fixture(scope="module")
def study():
    data, model = nf.datasets.half_moons(4, 5, seed=0), nf.models.MLP([2, 6, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    return nf.Study(W, model, model.init(0), data, "cdmsgd", 0.1, momentum=0.5)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_study_answers_as_its_system_does(name, study):
    found, wanted = QUESTIONS[name](study), QUESTIONS[name](study.system)
    if name == "stability_region":
        assert np.array_equal(found, wanted)
    elif name == "root_locus":
        assert np.array_equal(found.rates, wanted.rates)
    else:
        assert found.text() == wanted.text()


@pytest.mark.parametrize("wrong", ["dgd", None, 3, np.eye(3), nf.LinearSystem, nf.Study])
@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_else(name, wrong, study):
    with pytest.raises(InputError, match="expected a LinearSystem or a Study, found"):
        QUESTIONS[name](wrong)
    with pytest.raises(InputError, match="found LinearizedModel"):
        QUESTIONS[name](study.linearized)


def test_the_limit_of_a_study(study):
    assert study.limit().text() == nf.limit(study.system).text()
    assert study.limit(flow=True).flow


@pytest.mark.parametrize("wrong", [["a"], "a", 0.1, [None], [0.0], [np.nan], [[0.1]]])
def test_step_sizes(wrong, study):
    with pytest.raises(InputError, match=r"^step_sizes: expected"):
        nf.root_locus(study, wrong)
    with pytest.raises(InputError, match=r"^step_sizes: expected"):
        nf.stability_region(study, wrong, [0.5])


def test_step_sizes_of_any_library(study):
    assert nf.root_locus(study, np.array([1, 2])).step_sizes.tolist() == [1.0, 2.0]
    assert nf.root_locus(study, (np.float32(0.5), np.array(1.0), 2)).step_sizes.tolist() == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("dt", [np.array([0, 1]), "iteration", 0.5, None, [True]])
def test_sampling_times(dt, study):
    pytest.importorskip("control")
    with pytest.raises(InputError, match=r"^dt: expected 0"):
        to_control(study.system, dt)


def test_what_a_prompt_shows(study):
    whole = matrices(study.system)
    assert repr(study) == "Study of cdmsgd (eta = 0.1, mu = 0.5): 4 agents, MLP of 25 parameters"
    assert repr(whole) == "MatrixSystem: 200 states, 20 inputs, 20 outputs"
    assert repr(whole.gains(flow=True)) == "Gains of the flow: 200 states, 20 inputs, 20 outputs"
    assert repr(nf.root_locus(study, [0.1, 0.25])).endswith(" modes at 2 step sizes from 0.1 to 0.25")
