"""Nothing moves unasked: arrays of two libraries or on two devices are refused in one line, W alone is taken along.

``array_api_strict`` has devices that refuse to be combined and to become NumPy arrays, so that a silent hop to the CPU
fails here as it would between a GPU and its host.
"""

import array_api_strict as strict
import numpy as np
import pytest
from conftest import assert_one_clear_line, to_numpy

import ntkflow as nf
from ntkflow import _array, errors
from ntkflow.datasets import Dataset, from_arrays

NEAR, FAR = strict.Device("CPU_DEVICE"), strict.Device("device1")
J, E = np.random.default_rng(0).standard_normal((4, 3, 10)), np.ones((4, 3))
W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
MODEL = nf.models.MLP([2, 5, 1])


def near(array):
    return strict.asarray(array, device=NEAR)


def far(array):
    return strict.asarray(array, device=FAR)


def host(array):
    """By DLPack, which is the explicit way off a strict device."""
    return np.from_dlpack(array) if isinstance(array, type(strict.ones(1))) else to_numpy(array)


def data(place):
    table = nf.datasets.half_moons(4, 6, seed=0)
    return Dataset(place(table.x), place(table.y), table.n_samples)


def study(place, mixing=W, algorithm="dgd", **options):
    table = data(place)
    return nf.Study(mixing, MODEL, MODEL.init(0, other=table.x), table, algorithm, 0.1, **options)


def blocks(place, residual):
    return nf.LinearizedModel.from_blocks(lambda: [place(J)], residual)


def products(place):
    A = J.reshape(12, 10)
    return nf.LinearizedModel.from_products(
        lambda v: place((A @ host(v)).reshape(4, 3)), lambda u: place(A.T @ host(u).ravel()), far(E)
    )


MIXES = {
    "Jacobian and residual": (lambda: nf.LinearizedModel.from_jacobian(far(J), near(E)), "J on"),
    "outputs": (lambda: nf.LinearizedModel.from_jacobian(far(J), far(E), outputs=near(E)), "outputs on"),
    "start": (lambda: nf.LinearizedModel.from_jacobian(far(J), far(E), start=near(np.ones((4, 10)))), "start on"),
    "kernel": (lambda: nf.LinearizedModel.from_kernel(far(np.eye(12)), near(E)), "K on"),
    "blocks": (lambda: blocks(near, far(E)), "blocks: expected arrays on one device"),
    "blocks' residual and outputs": (
        lambda: nf.LinearizedModel.from_blocks(lambda: [far(J)], far(E), outputs=near(E)), "outputs on"),
    "products": (lambda: products(near), "vjp: expected arrays on one device"),
    "inputs and targets": (lambda: Dataset(far(np.ones((2, 3, 1))), near(np.ones((2, 3, 1))), (3, 3)), "x and y"),
    "a table": (lambda: from_arrays(far(np.ones((6, 1))), near(np.ones(6)), agents=2), "x and y"),
    "parameters and inputs": (lambda: MODEL(near(MODEL.init(0)), data(far).x), "theta and x"),
    "start of a study": (lambda: nf.Study(W, MODEL, near(MODEL.init(0)), data(far)), "theta0 and the data"),
    "test inputs": (lambda: study(far, test_inputs=near(np.ones((3, 2)))), "test_inputs and the data"),
}  # fmt: skip


@pytest.mark.parametrize("case", MIXES)
def test_two_devices_are_refused(case):
    call, named = MIXES[case]
    assert_one_clear_line(call, named)
    with pytest.raises(errors.InputError, match=r"one device, found .*CPU_DEVICE.*device1|device1.*CPU_DEVICE"):
        call()


@pytest.mark.parametrize("case", MIXES)
def test_on_one_device_the_same_is_taken(case, monkeypatch):
    """The refusals are about devices: with the near device in the far one's place nothing is wrong."""
    monkeypatch.setitem(globals(), "FAR", NEAR)
    MIXES[case][0]()


LIBRARIES = {
    "Jacobian": (lambda: nf.LinearizedModel.from_jacobian(near(J), E), "J array_api_strict Array, residual numpy"),
    "a list": (lambda: Dataset([[[1.0]]], np.ones((1, 1, 1)), (1,)), "x list, y numpy ndarray"),
    "nothing": (lambda: Dataset(np.ones((1, 1, 1)), None, (1,)), "y NoneType"),
    "a number": (lambda: MODEL(0.5, data(near).x), "theta: expected an array, found float"),
    "inputs and parameters": (lambda: MODEL(MODEL.init(0), data(near).x), "theta numpy ndarray, x array_api_strict"),
    "start of a study": (lambda: nf.Study(W, MODEL, MODEL.init(0), data(near)), "theta0 numpy ndarray, the data array"),
    "test inputs": (lambda: study(near, test_inputs=np.ones((3, 2))), "test_inputs numpy ndarray"),
}


@pytest.mark.parametrize("case", LIBRARIES)
def test_two_libraries_are_refused(case):
    call, named = LIBRARIES[case]
    assert_one_clear_line(call, named)


# --- the mixing matrix and the factors, which are taken to the model


PLACES = {"numpy": np.asarray, "strict": near, "strict, far": far}


@pytest.mark.parametrize("model", PLACES)
@pytest.mark.parametrize("mixing", PLACES)
def test_the_mixing_matrix_is_taken_to_the_model(mixing, model):
    place = PLACES[model]
    lin = nf.LinearizedModel.from_jacobian(place(J), place(E))
    factors = PLACES[mixing](np.arange(1.0, 5.0))
    system = nf.LinearSystem("atc", PLACES[mixing](W), lin, 0.05, factors)
    for array in (system.mixing, system.scale, system.iterate([0, 3]).loss):
        assert (type(array), _array.device(array)) == (type(lin.jacobian), _array.device(lin.jacobian))
    np.testing.assert_array_equal(host(system.mixing), W)
    np.testing.assert_array_equal(host(system.scale), [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize("mixing", PLACES)
def test_a_study_takes_it_along_too(mixing):
    expected = study(np.asarray).predict(5).loss
    found = study(far, PLACES[mixing](W)).predict(5).loss
    assert found.device == FAR
    np.testing.assert_allclose(host(found), expected, rtol=1e-13)


def test_a_coarser_mixing_matrix_still_keeps_the_mean():
    lin = nf.LinearizedModel.from_jacobian(J, E)
    system = nf.LinearSystem("dgd", strict.asarray(W, dtype=strict.float32, device=FAR), lin, 0.05)
    np.testing.assert_allclose(system.mixing.sum(axis=1), 1.0, atol=4 * 2.0**-53)  # float32 alone keeps 24 bits


# --- and the whole way, where nothing else may move


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("algorithm", nf.algorithms.names())
def test_prediction_stays_on_its_device(algorithm, flow):
    mixing = W if nf.algorithms.get(algorithm).uses_graph else None
    there, here = (study(place, mixing, algorithm) for place in (far, np.asarray))
    found, expected = there.predict(20, flow=flow), here.predict(20, flow=flow)
    for name in ("states", "loss", "outputs", "consensus_error", "error_bound"):
        assert getattr(found, name).device == FAR, name
    np.testing.assert_allclose(host(found.loss), expected.loss, rtol=1e-12)


def test_training_stays_on_its_device():
    found, expected = study(far).train(5), study(np.asarray).train(5)
    assert found.loss.device == found.deviation.device == FAR
    np.testing.assert_allclose(host(found.loss), expected.loss, rtol=1e-13)


@pytest.mark.parametrize("values", [[0, 0, 1, 1, 1, 0], 2])
def test_labels_are_looked_at_on_the_host(values):
    table = from_arrays(far(np.arange(12.0).reshape(6, 2)), far(np.arange(6.0) % 2), agents=values)
    assert table.x.device == FAR


def test_agents_may_be_on_a_device():
    agents = strict.asarray([0, 0, 1, 1, 1, 0], device=FAR)
    assert from_arrays(far(np.ones((6, 2))), far(np.ones(6)), agents=agents).n_samples.tolist() == [3, 3]
