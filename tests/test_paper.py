"""The paper's two experiments at their own size: what the project promises on its first page."""

from pathlib import Path

import numpy as np
import pytest
from conftest import to_numpy
from libraries import assert_at_home
from market import CATALOGUE, mixing_of

import ntkflow as nf

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


def miss(predicted, observed):
    """Against how far the loss moved."""
    return np.abs(predicted.loss - observed.loss).max() / np.abs(observed.loss[0] - observed.loss).max()


@pytest.mark.parametrize("graph", ["cycle", "star", "complete"])
def test_fig2(graph):
    """Q=8, D=200, 256 sigmoids, eta=1e-4, 200 steps, the sum of squares: within 1 %, and the loss really moves."""
    data = nf.datasets.half_moons(n_agents=8, n_samples=200, noise=0.1, seed=0)
    model = nf.models.MLP([2, 256, 1], activation="sigmoid", weight_std=1.0, bias_std=0.1)
    W = nf.weights.metropolis_hastings(nf.graphs.named(graph, 8))
    study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-4, normalization="sum")
    predicted, observed = study.predict(steps=200), study.train(steps=200)
    assert predicted.states.shape[3] < 150 < model.n_parameters == 1025
    assert observed.loss[-1].max() < 0.7 * observed.loss[0].max()
    assert miss(predicted, observed) <= 0.01
    assert miss(study.predict(steps=200, flow=True), observed) <= 0.01


def sets():
    yield pytest.param(lambda: nf.datasets.digits(8), 45, id="digits")
    known = MNIST.exists()
    reason = "no MNIST beside the repository"
    yield pytest.param(lambda: nf.datasets.mnist(8, 200, folder=MNIST), 200, id="MNIST",
                       marks=pytest.mark.skipif(not known, reason=reason))  # fmt: skip


@pytest.mark.parametrize("normalization", ["sum", "per_agent"])
@pytest.mark.parametrize(("data", "size"), list(sets()))
def test_fig1(data, size, normalization):
    """Eq. 15 on zeros and ones: the model is linear, so the iteration's closed form *is* the training run."""
    data = data()
    assert data.x.shape[1] == size
    assert 0.0 <= data.x.min() < data.x.max() <= 1.0
    model = nf.models.Affine(data.x.shape[2])
    W = nf.weights.metropolis_hastings(nf.graphs.complete(8))
    study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-4, normalization=normalization)
    observed = study.train(steps=200)
    for method in ("auto", "spectral"):
        predicted = study.predict(steps=200, method=method)
        assert np.abs(predicted.loss - observed.loss).max() <= 1e-10 * observed.loss.max()


@pytest.mark.parametrize("rule", CATALOGUE)
def test_a_study_stays_in_its_library(xp, rule):
    """Data, prediction and training under every array library, against NumPy."""
    plain = nf.datasets.half_moons(n_agents=3, n_samples=6, seed=1)
    model = nf.models.MLP([2, 5, 1], "erf")
    mixing = mixing_of(rule, nf.weights.metropolis_hastings(nf.graphs.path(3)))
    losses = []
    for lib in (np, xp):
        data = nf.datasets.from_arrays(lib.asarray(plain.x), lib.asarray(plain.y))
        theta0 = model.init(seed=2, n_agents=3, other=data.x)
        study = nf.Study(mixing, model, theta0, data, rule, step_size=0.01, test_inputs=data.x[0, :2, :])
        runs = [study.predict(20), study.predict(20, flow=True), study.train(20)]
        for run in runs:
            assert_at_home(run, lib)
        losses.append([to_numpy(run.loss) for run in runs] + [to_numpy(runs[0].test_outputs)])
    for found, expected in zip(losses[1], losses[0], strict=True):
        # a test output may nearly vanish: then a rounding of outputs of order one, 1e-14, is what remains
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)
