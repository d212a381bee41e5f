"""Modules of every kind through the door to PyTorch, against plain autograd, and what the door leaves as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import ntkflow as nf

torch = pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ntkflow[torch]'")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402
from torch_nets import autograd_rows, batch, theta_of  # noqa: E402

from ntkflow.interop.torch import TorchModel, dataset, linearize  # noqa: E402


class Last(nn.Module):
    """A recurrent network, and a linear layer on its last state."""

    def __init__(self, kind):
        super().__init__()
        self.recurrent, self.head = kind(2, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.second(torch.tanh(self.first(x.flatten(1)))))


def twice():
    """One layer in two places."""
    layer = nn.Linear(6, 6)
    return nn.Sequential(nn.Flatten(), layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(6, 2))


def behind(*layers):
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6, 2))


MODULES = {
    "RNN": lambda: Last(nn.RNN),
    "LSTM": lambda: Last(nn.LSTM),
    "GRU": lambda: Last(nn.GRU),
    "attention": lambda: behind(nn.TransformerEncoderLayer(2, 1, 8, batch_first=True).eval()),
    "dropout of nothing": lambda: behind(nn.Dropout(0.0)),
    "LayerNorm": lambda: behind(nn.Linear(2, 2), nn.LayerNorm(2)),
    "in-place ReLU": lambda: behind(nn.Linear(2, 2), nn.ReLU(inplace=True)),
    "weight_norm": lambda: behind(parametrizations.weight_norm(nn.Linear(2, 2))),
    "tied weights": Tied,
    "a layer used twice": twice,
    "DataParallel": lambda: nn.DataParallel(behind()),
}


@pytest.fixture(params=MODULES)
def net(request):
    torch.manual_seed(0)
    return MODULES[request.param]().double()


@pytest.fixture
def data():
    """Four samples (3, 2) of two targets."""
    return batch((4, 3, 2)), batch((4, 2), seed=2)


def test_any_module_gives_the_jacobian_of_plain_autograd_and_stays_as_it_was(net, data):
    (x, y), names = data, list(dict(net.named_parameters()))
    objects, before = {n: id(p) for n, p in net.named_parameters()}, copy.deepcopy(net.state_dict())
    random, grad = torch.get_rng_state(), torch.is_grad_enabled()
    lin = linearize(net, x, y, agents=[0, 0, 1, 1])
    J = autograd_rows(net, names, x).reshape(2, 4, -1)
    assert abs(lin.jacobian - J).max() <= 1e-13 * abs(J).max()
    assert {n: id(p) for n, p in net.named_parameters()} == objects
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert torch.is_grad_enabled() is grad
    assert all(p.grad is None for p in net.parameters())
    model = TorchModel(net, (3, 2), matrix_free=True)
    jvp, vjp = model.products(theta_of(net), lin_inputs(x))
    v, u = np.random.default_rng(0).normal(size=J.shape[2]), np.random.default_rng(1).normal(size=J.shape[:2])
    assert abs(jvp(v) - J @ v).max() <= 1e-12 * abs(J @ v).max()
    expected = np.einsum("qnp,qn->p", J, u)
    assert abs(vjp(u) - expected).max() <= 1e-12 * abs(expected).max()


def lin_inputs(x):
    """The samples as two agents hold them, flat."""
    return x.reshape(2, 2, -1).numpy()


def test_any_module_trains_as_its_prediction_says_at_first(net, data):
    """After one step of DGD the parameters are exactly the predicted ones: W θ₀ − η ∇L(θ₀)."""
    x, y = data
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    study = nf.Study(W, TorchModel(net, (3, 2)), None, dataset(x, y, agents=[0, 0, 1, 1]), "dgd", step_size=0.1)
    predicted, observed = study.predict(times=[1]), study.train(steps=1)
    assert abs(predicted.deviation[0] - observed.deviation[1]).max() <= 1e-12 * abs(observed.deviation[1]).max()


@pytest.mark.parametrize("context", ["no_grad", "inference_mode", "autocast", "default dtype"])
def test_what_the_caller_has_switched_on_does_not_matter(data, context):
    torch.manual_seed(0)
    (x, y), net = data, behind(nn.Linear(2, 2), nn.Tanh()).double()
    J = autograd_rows(net, list(dict(net.named_parameters())), x).reshape(2, 4, -1)
    switch = {
        "no_grad": torch.no_grad,
        "inference_mode": torch.inference_mode,
        "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
        "default dtype": torch.enable_grad,
    }
    try:
        torch.set_default_dtype(torch.float32 if context != "default dtype" else torch.float64)
        with switch[context]():
            lin = linearize(net, x, y, agents=[0, 0, 1, 1])
    finally:
        torch.set_default_dtype(torch.float32)
    assert abs(lin.jacobian - J).max() <= 1e-13 * abs(J).max()


def test_a_model_is_a_snapshot(data):
    torch.manual_seed(0)
    (x, y), net = data, behind(nn.Linear(2, 2), nn.Tanh()).double()
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    study = nf.Study(W, TorchModel(net, (3, 2), "last"), None, dataset(x, y, agents=2), "dgd", step_size=0.1)
    before = study.train(steps=2).loss
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3.0)
    assert (study.train(steps=2).loss == before).all()
    assert abs(study.using(model=TorchModel(net, (3, 2), "last")).theta0 - 3.0 * study.theta0).max() <= 1e-15
    trained = study.theta0 + study.train(steps=2).deviation[-1, 1]
    put = study.model.with_parameters(trained)
    assert (theta_of(put)[-14:] == trained).all()
    assert (theta_of(put)[:-14] == theta_of(net)[:-14]).all()


def test_a_parallel_module_comes_back_as_the_module_itself():
    torch.manual_seed(0)
    net = behind().double()
    model = TorchModel(nn.DataParallel(net), (3, 2))
    assert (theta_of(model.with_parameters(2.0 * theta_of(net))) == 2.0 * theta_of(net)).all()
    assert model.init(seed=0).shape == theta_of(net).shape


def test_the_last_layer_by_its_own_name_for_it():
    shared = TorchModel(Tied(), (6,), "head")
    assert shared.n_parameters == 14
    normed = nn.Sequential(nn.Linear(6, 4), parametrizations.weight_norm(nn.Linear(4, 2)))
    assert TorchModel(normed, (6,), "last").n_parameters == 2 + 2 + 8  # bias, one size a row, directions
    assert TorchModel(Tied(), (6,), "second.weight").n_parameters == 36


def test_padding_never_reaches_the_network():
    """A network that divides by the size of its input has no value at zero; agents hold 4 and 2 samples."""

    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2).double()

        def forward(self, x):
            return self.linear(x / x.norm(dim=1, keepdim=True))

    torch.manual_seed(0)
    net, x, y = Unit(), batch((6, 3)), batch((6, 2), 2)
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    study = nf.Study(W, net, None, dataset(x, y, agents=[0, 0, 0, 0, 1, 1]), "dgd", step_size=0.1)
    predicted, observed = study.predict(steps=3), study.train(steps=3)
    assert abs(predicted.loss - observed.loss).max() <= 1e-12  # linear in its parameters
    assert np.isfinite(observed.global_loss).all()
    alone = ((net(x[4:]) - y[4:]) ** 2).sum().item() / 4
    assert abs(observed.loss[0, 1] - alone) <= 1e-14


@pytest.mark.parametrize("params", ["2.bias", "0.bias"])
def test_a_pass_that_autograd_keeps_nothing_of(data, params):
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Linear(4, 2)).double()
    name = {"0.bias": "1.bias", "2.bias": "2.bias"}[params]
    x, y = data
    J = autograd_rows(net, [name], x).reshape(1, 8, -1)
    assert abs(linearize(net, x, y, params=name, agents=[0, 0, 0, 0]).jacobian - J).max() <= 1e-14


def test_tokens_that_are_mixed_along_the_batch_are_found_out():
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(5, 4), nn.Linear(12, 1)

        def forward(self, x):
            h = self.embedding(x)
            return self.head((h + h.mean(0)).flatten(1))

    from conftest import assert_one_clear_line

    tokens = torch.arange(12).reshape(4, 3) % 5
    assert_one_clear_line(lambda: linearize(Mixing(), tokens, batch((4, 1)).float(), agents=2), "rest of the batch")
    assert_one_clear_line(lambda: TorchModel(Mixing(), (3,), input_dtype=torch.long), "rest of the batch")


def test_memory_sets_how_many_samples_are_taken_at_once():
    """A Jacobian's rows in double precision take 8 M P bytes a sample, and an outer product to begin with."""
    net = nn.Sequential(nn.Linear(100, 200), nn.Tanh(), nn.Linear(200, 10)).double()
    P = 100 * 200 + 200 + 2000 + 10
    for memory in (0.01, 0.1):
        chunks = TorchModel(net, (100,), memory=memory).chunks
        assert 1 <= chunks.rows <= memory * 2**30 / (8 * 10 * P)
        assert chunks.passes > 10 * chunks.rows
    assert TorchModel(net, (100,), memory=1e-9).chunks.rows == 1


def test_training_keeps_only_the_steps_asked_for(data):
    torch.manual_seed(0)
    (x, y), net = data, behind(nn.Linear(2, 2), nn.Tanh()).double()
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    study = nf.Study(W, TorchModel(net, (3, 2)), None, dataset(x, y, agents=2), "diging", step_size=0.1)
    whole, some = (study.train(steps=7, batch_size=1, seed=5, every=every) for every in (1, 3))
    assert some.times.tolist() == [0, 3, 6]
    assert (some.loss == whole.loss[::3]).all()
    assert "batches of 1" in some.label
    assert (some.deviation == whole.deviation[::3]).all()


def test_classes_become_rows_with_a_one():
    x, labels = batch((4, 6)), torch.tensor([2, 0, 1, 2])
    data = dataset(x, labels, agents=[0, 0, 1, 1], n_classes=3)
    assert data.y.reshape(4, 3).argmax(axis=1).tolist() == labels.tolist()
    assert data.y.sum() == 4.0
    assert data.y.dtype == np.float64


def test_jacobians_are_not_copied_on_their_way():
    """NumPy gets the tensor's own memory."""
    from ntkflow.interop.torch._tensors import array_like, tensor_of

    tensor = batch((3, 2))
    assert np.shares_memory(array_like(tensor, np.ones(1)), tensor.numpy())
    array = np.ones((3, 2))
    assert np.shares_memory(tensor_of(array).numpy(), array)
