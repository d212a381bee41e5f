"""What a GPU answers is what the CPU answers, and nothing comes down in between.

By CuPy, on the paper's network, where there is a GPU (``pytest -m gpu``); on a smaller one on a stand-in for it
everywhere (see `places`). The NumPy side runs on the same data, drawn once on the host.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_one_clear_line
from places import PLACES

import ntkflow as nf
from ntkflow._array import device, eps, to_numpy
from ntkflow.linearize._whole import DEFAULT_TOL

STEPS, STEP = 60, 1e-4
W = nf.weights.metropolis_hastings(nf.graphs.cycle(8))
RULES = ["gd", "dgd", "atc", "cta", "cdmsgd", "extra", "diging", "fedavg"]
ENGINES = ["auto", "spectral", "lanczos", "krylov", "stepping", "dense"]


@pytest.fixture(scope="module", params=PLACES)
def place(request):
    """Somewhere that is not the host."""
    return request.param()


def study(place, rule="dgd", dtype="float64", *, here=False, normalization="sum"):
    """The paper's half-moon experiment on the cycle, on the device or on the host."""
    up = (lambda a: np.asarray(a, dtype=dtype)) if here else (lambda a: place.up(a, dtype))
    table = nf.datasets.half_moons(n_agents=8, n_samples=place.samples, noise=0.1, seed=0)
    data = nf.datasets.Dataset(up(table.x), up(table.y), table.n_samples)
    model = nf.models.MLP([2, place.width, 1])
    mixing = W if nf.algorithms.get(rule).uses_graph else None
    return nf.Study(mixing, model, model.init(seed=0, other=data.x), data, rule, STEP, normalization)


def predicted(design, method, *, flow=False):
    """The prediction, or a skip where the engine does not do this rule."""
    try:
        return design.predict(STEPS, flow=flow, method=method)
    except nf.errors.NtkflowError as why:
        if "no engine" in str(why) or "expected an engine" in str(why):
            pytest.skip(f"{method} does not do {design.rule.name}")
        raise


def relative(found, expected):
    """The largest difference beside the largest number."""
    expected = to_numpy(expected)
    return float(abs(to_numpy(found) - expected).max() / abs(expected).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_jacobians(place, dtype):
    found, expected = (study(place, dtype=dtype, here=here).linearized.jacobian for here in (False, True))
    assert device(found) == place.device
    # entries are products of a few activations and weights: each a few roundings, whoever does them
    assert relative(found, expected) <= 32 * eps(found)


@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("rule", RULES)
def test_prediction_is_that_of_the_cpu(place, rule, method, flow):
    there, here = (predicted(study(place, rule, here=h), method, flow=flow) for h in (False, True))
    assert there.method == here.method or method == "auto"  # which chooses by cost
    for name in ("states", "loss", "outputs", "consensus_error", "error_bound", "deviation"):
        assert device(getattr(there, name)) == place.device, name
    # each side promises its distance from the exact deviation: together they may be that far apart
    apart = np.sqrt(((to_numpy(there.deviation) - here.deviation) ** 2).sum(axis=(1, 2)))
    assert np.all(apart <= to_numpy(there.error_bound) + here.error_bound)
    # a loss adds up to 200 squares of residuals after 60 steps: some hundred roundings, a thousand are allowed
    assert relative(there.loss, here.loss) <= 1e3 * eps(there.loss)


@pytest.mark.parametrize("flow", [False, True], ids=["iteration", "flow"])
@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("rule", ["dgd", "atc", "cdmsgd", "extra"])
def test_single_precision_beside_double(place, rule, method, flow, record_property):
    """Stated against float64 on the CPU; the bound of the float32 prediction begins with float32 Jacobians."""
    single = predicted(study(place, rule, "float32"), method, flow=flow)
    double = predicted(study(place, rule, here=True), method, flow=flow)
    assert single.loss.dtype == place.xp.float32
    error = relative(single.loss, double.loss)
    record_property("relative error of the loss in float32", error)
    assert eps(single.loss) / 100 < error  # else it was not computed in float32
    assert error <= 1e3 * eps(single.loss)


def test_long_times_and_the_limit(place):
    for rule in ("dgd", "atc"):
        there, here = (study(place, rule, here=h).system.flow([0.0, 1e3, 1e6, float("inf")]) for h in (False, True))
        assert relative(there.loss[:3, ...], here.loss[:3, ...]) <= 1e3 * eps(there.loss)
        # in the limit every kept direction is learnt to the end, the weakest one being where rounding lets it point
        angle = eps(there.loss) / DEFAULT_TOL
        assert relative(there.loss[3, ...], here.loss[3, ...]) <= 10 * angle
        assert float(there.error_bound[3]) == here.error_bound[3] == float("inf")


@pytest.mark.parametrize("method", ENGINES)
@pytest.mark.parametrize("rule", ["dgd", "atc", "cdmsgd", "extra"])
def test_no_array_comes_down_in_a_prediction(place, rule, method):
    """But for vectors of one number a time, which bounds are made of, and single numbers: branches need them.

    Each read waits for the device, some ten microseconds on a GPU. The spectral and the dense engine read a few dozen
    times, however many times are asked for; stepping once a step (does it overflow?); the Krylov engines three times a
    vector, Arnoldi's as often again for the small matrix.
    """
    design = study(place, rule)
    with place.guarded(most=STEPS + 1) as reads:
        found = predicted(design, method)
        _ = found.loss, found.consensus_error, found.outputs, found.error_bound, found.deviation
    most = {"spectral": 150, "dense": 150, "stepping": 150 + STEPS, "lanczos": 150 + 4 * STEPS,
            "krylov": 150 + 10 * STEPS}  # fmt: skip
    assert 0 < reads.count <= most[found.method]


def test_the_guard_would_notice(place):
    vector = place.up(np.ones(7))
    for copy in (to_numpy, lambda a: float(a[0])):
        with place.guarded(most=7) as reads:
            copy(vector)
        assert reads.count >= 1
    with pytest.raises(pytest.fail.Exception, match=r"shape \(7,\)"), place.guarded(most=6):
        to_numpy(vector)


@pytest.mark.parametrize("rule", RULES)
def test_training_is_that_of_the_cpu(place, rule):
    with place.guarded(most=1):
        there = study(place, rule).train(STEPS)
        loss = there.loss
    here = study(place, rule, here=True).train(STEPS)
    assert device(there.deviation) == device(loss) == place.device
    assert relative(loss, here.loss) <= 1e3 * eps(loss)
    # what θ has moved by is small beside θ, which the steps round
    size = float(np.abs(here.landscape.start).max())
    assert abs(to_numpy(there.deviation) - here.deviation).max() <= 1e3 * eps(loss) * size


def test_from_blocks_and_kernels(place):
    lin = study(place, here=True).linearized
    J, e = lin.jacobian, lin.residual
    flat = J.reshape(-1, J.shape[2])
    K = flat @ flat.T
    expected = nf.LinearSystem("dgd", W, lin, STEP, "sum").iterate([0, STEPS]).loss
    up = place.up
    models = [
        nf.LinearizedModel.from_blocks(lambda: (up(J[:, :, a : a + 50]) for a in range(0, J.shape[2], 50)), up(e)),
        nf.LinearizedModel.from_kernel(up(K), up(e)),
    ]
    for model in models:
        found = nf.LinearSystem("dgd", W, model, STEP, "sum").iterate([0, STEPS])
        assert device(found.loss) == place.device
        assert relative(found.loss, expected) <= 1e3 * eps(expected)  # what a kernel leaves out has not moved by then


def test_verdicts_are_those_of_the_cpu(place):
    there, here = (nf.stability(study(place, "atc", here=h).system) for h in (False, True))
    assert there.iteration.verdict == here.iteration.verdict
    assert there.max_step_size == pytest.approx(here.max_step_size, rel=1e-9)


def test_host_and_device_do_not_mix(place):
    up, lin = place.up, study(place, here=True).linearized
    assert_one_clear_line(lambda: nf.LinearizedModel.from_jacobian(up(lin.jacobian), lin.residual), "one library")
    there = nf.LinearizedModel.from_jacobian(up(lin.jacobian), up(lin.residual))
    for mixing in (W, up(W)):
        system = nf.LinearSystem("dgd", mixing, there, STEP, "sum")
        assert device(system.mixing) == place.device
    assert isinstance(nf.LinearSystem("dgd", up(W), lin, STEP, "sum").mixing, np.ndarray)


def test_the_benchmark_runs_on_any_machine(tmp_path):
    script = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
    words = ["--library", "numpy", "--small", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (tmp_path / "gpu.md").read_text() in done.stdout
    for case in found["cases"].values():
        double, single = (case["found"]["numpy"][dtype] for dtype in ("float64", "float32"))
        assert all(row["seconds"] > 0 for one in (double, single) for row in one["rows"].values())
        assert double["errors"] == {"loss": 0.0, "trained": 0.0}
        assert all(1e-9 < error < 1e-4 for error in single["errors"].values())  # it did compute in single precision
