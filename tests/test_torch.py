"""The door to PyTorch, held against PyTorch's own autograd, optimisers and loss, and against the built-in network."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import ntkflow as nf

torch = pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ntkflow[torch]'")

from torch import nn  # noqa: E402
from torch.utils.data import Subset, TensorDataset  # noqa: E402
from torch_nets import Tangent, autograd_rows, batch, convolutional, filled, theta_of  # noqa: E402

from ntkflow.datasets import from_arrays  # noqa: E402
from ntkflow.interop.torch import TorchModel, dataset, linearize  # noqa: E402
from ntkflow.training import Batches  # noqa: E402

ACTIVATIONS = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "erf": torch.erf, "gelu": nn.functional.gelu,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images():
    """Seven 6 × 6 images with three targets each."""
    return batch((7, 1, 6, 6)), batch((7, 3), seed=2)


ALONE = np.zeros(7, dtype=int)  # one agent holds all seven, in their order


def moons(n_agents=4, n_samples=6):
    return nf.datasets.half_moons(n_agents=n_agents, n_samples=n_samples, noise=0.1, seed=0)


def pair(activation="gelu", widths=(2, 16, 8, 1), seed=0):
    """The same network twice: built in, and in PyTorch with the same numbers."""
    model = nf.models.MLP(list(widths), activation=activation)
    theta = model.init(seed=seed)
    return model, theta, filled(Tangent(widths, ACTIVATIONS[activation]), theta)


# --- the same network, built in and in PyTorch ---------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(2, 16, 1), (2, 12, 8, 3)], ids=str)
def test_jacobians_equal_the_built_in_ones(activation, widths):
    model, theta, net = pair(activation, widths)
    data = moons()
    mine, theirs = model.jacobian(theta, data.x), TorchModel(net, (2,)).jacobian(theta, data.x)
    assert type(theirs) is np.ndarray
    assert abs(mine - theirs).max() <= 1e-12 * abs(mine).max()


@pytest.mark.parametrize("rule", nf.algorithms.names())
def test_predictions_and_training_equal_the_built_in_ones(rule):
    model, theta, net = pair()
    graph = nf.algorithms.get(rule).uses_graph
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(4)) if graph else None
    study = nf.Study(W, model, theta, moons(), rule, step_size=0.05)
    other = study.using(model=net)
    a, b = study.predict(steps=30), other.predict(steps=30)
    assert abs(a.loss - b.loss).max() <= 1e-11 * a.loss.max()
    assert abs(a.deviation - b.deviation).max() <= 1e-11 * abs(a.deviation).max()
    a, b = study.train(steps=30), other.train(steps=30)
    assert abs(a.loss - b.loss).max() <= 1e-10 * a.loss.max()
    assert abs(a.deviation - b.deviation).max() <= 1e-10 * abs(a.deviation).max()


def test_the_start_is_the_modules_own(images):
    net = convolutional()
    x, y = images
    data = dataset(x, y, agents=2)
    study = nf.Study(
        nf.weights.metropolis_hastings(nf.graphs.path(2)), TorchModel(net, (1, 6, 6)), None, data, step_size=0.1
    )
    own = torch.cat([p.detach().reshape(-1) for p in net.parameters()]).numpy()
    assert (study.theta0 == own).all()
    assert not np.shares_memory(study.theta0, next(net.parameters()).detach().numpy())
    before = [p.detach().clone() for p in net.parameters()]
    study.train(steps=2)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)), (
        "training leaves the module be"
    )


# --- Jacobians against plain autograd ------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [None, "last", ["0"], ["2.weight", "5.bias"], "*.bias"], ids=str)
def test_chosen_parameters(images, params):
    net, (x, y) = convolutional(), images
    lin = linearize(net, x[:6].reshape(2, 3, 1, 6, 6), y[:6].reshape(2, 3, 3), params=params)
    names = {
        None: list(dict(net.named_parameters())),
        "last": ["5.weight", "5.bias"],
        "*.bias": ["0.bias", "2.bias", "5.bias"],
    }
    chosen = names[params] if params is None or isinstance(params, str) else [
        n for n in dict(net.named_parameters()) if n in params or n.split(".")[0] in params]  # fmt: skip
    expected = autograd_rows(net, chosen, x[:6]).reshape(2, 9, -1)
    assert abs(lin.jacobian - expected).max() <= 1e-13 * abs(expected).max()
    outputs = net(x[:6]).detach().numpy().reshape(2, 9)
    assert abs(lin.outputs - outputs).max() <= 1e-14
    assert abs(lin.residual - (outputs - y[:6].numpy().reshape(2, 9))).max() <= 1e-14


def test_frozen_parameters_are_left_out(images):
    net, (x, y) = convolutional(), images
    for p in net[0].parameters():
        p.requires_grad_(False)
    lin = linearize(net, x, y, agents=ALONE)
    expected = autograd_rows(net, [n for n, p in net.named_parameters() if p.requires_grad], x)
    assert abs(lin.jacobian[0] - expected).max() <= 1e-13


def test_a_function_of_parameters_and_inputs():
    params = {"a": batch((3, 2)), "b": batch((2,), 5)}

    def f(p, x):
        return torch.tanh(x @ p["a"]) * p["b"]

    x, y = batch((2, 4, 3), 6), batch((2, 4, 2), 7)
    lin = linearize(f, x, y, params=params)
    h = 1e-6
    theta = np.concatenate([params["a"].numpy().ravel(), params["b"].numpy()])

    def outputs(t):
        return np.tanh(x.numpy() @ t[:6].reshape(3, 2)) * t[6:]

    quotient = np.stack([(outputs(theta + h * e) - outputs(theta - h * e)) / (2 * h) for e in np.eye(8)], axis=-1)
    assert (
        abs(lin.jacobian - quotient.reshape(2, 8, 8)).max() <= 1e-8
    )  # h² of the quotient, and eps / h of its rounding


def test_buffers_normalisation_and_dropout_in_eval_mode(images):
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3)).double()
    net[2].running_mean.copy_(batch((5,), 3))
    net[2].running_var.copy_(batch((5,), 4) ** 2 + 0.1)
    net.eval()
    x, y = images
    expected = autograd_rows(net, list(dict(net.named_parameters())), x)
    assert abs(linearize(net, x, y, agents=ALONE).jacobian[0] - expected).max() <= 1e-13 * abs(expected).max()
    theta = theta_of(net)
    double = TorchModel(net.float(), (1, 6, 6)).jacobian(theta, x.reshape(1, 7, 36).numpy())
    assert double.dtype == np.float64, "in the dtype of the parameters it is asked at"
    rounded = 1e-6  # running statistics and their square roots were rounded to single precision by net.float()
    assert abs(double[0] - expected).max() <= rounded * abs(expected).max()


def test_tied_weights_are_one_parameter():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3).double(), nn.Linear(3, 3).double()
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(torch.tanh(self.a(x)))

    torch.manual_seed(0)
    net, x = Tied(), batch((4, 3))
    lin = linearize(net, x, batch((4, 3), 2), agents=ALONE[:4])
    assert lin.n_parameters == 9 + 3 + 3
    assert abs(lin.jacobian[0] - autograd_rows(net, ["a.weight", "a.bias", "b.bias"], x)).max() <= 1e-14


def test_whole_numbers_go_into_an_embedding():
    net = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 1)).double()
    x = torch.arange(15).reshape(5, 3) % 10
    lin = linearize(net, x, batch((5, 1)), agents=ALONE[:5])
    expected = autograd_rows(net, list(dict(net.named_parameters())), x)
    assert abs(lin.jacobian[0] - expected).max() <= 1e-14


@pytest.mark.parametrize("memory", [1.0, 1e-9])
def test_chunks_change_nothing(images, memory):
    net, (x, y) = convolutional(), images
    seen = []
    lin = linearize(net, x, y, agents=2, memory=memory, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (8, 8)
    assert len(seen) == (2 if memory == 1.0 else 8)
    whole = linearize(net, x, y, agents=2)
    assert abs(lin.jacobian - whole.jacobian).max() <= 1e-15


# --- the data, however they come -----------------------------------------------------------------------------------


def test_all_ways_to_say_whose_samples_they_are(images):
    net, (x, y) = convolutional(), images
    labels = torch.tensor([0, 1, 0, 1, 0, 0, 1])
    parts = [[0, 2, 4, 5], [1, 3, 6]]
    first = linearize(net, x, y, agents=labels)
    assert first.jacobian.shape == (2, 12, 3 * 9 + 3 + 4 * 27 + 4 + 16 * 3 + 3)
    assert first.n_samples.tolist() == [4, 3]
    assert (first.jacobian[1, 9:] == 0).all()
    ways = [
        linearize(net, x, y, agents=parts),
        linearize(net, x, y, agents=[np.asarray(p) for p in parts]),
        linearize(net, x.numpy(), y.numpy(), agents=labels.numpy()),
        linearize(net, [x[p] for p in parts], [y[p] for p in parts]),
        linearize(net, [Subset(TensorDataset(x, y), p) for p in parts]),
        linearize(
            nn.Sequential(nn.Unflatten(1, (1, 6, 6)), net),
            from_arrays(x.reshape(7, 36).numpy(), y.numpy(), labels.numpy()),
        ),
    ]
    for lin in ways:
        assert abs(lin.jacobian - first.jacobian).max() <= 1e-15
        assert abs(lin.residual - first.residual).max() <= 1e-15


def test_a_number_of_agents_deals_every_sample_once(images):
    x, y = images
    data = dataset(x, y, agents=3)
    held = np.concatenate([data.x[q, : data.n_samples[q]] for q in range(3)])
    assert sorted(map(tuple, held)) == sorted(map(tuple, x.reshape(7, 36).numpy()))


def test_torch_tensors_stay_torch_tensors(images):
    net, (x, y) = convolutional(), images
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    lin, as_numpy = (linearize(net, x, y, agents=2, library=name) for name in ("torch", "numpy"))
    assert isinstance(lin.jacobian, torch.Tensor)
    a = nf.LinearSystem("atc", W, lin, step_size=0.1).iterate(range(20))
    b = nf.LinearSystem("atc", W, as_numpy, step_size=0.1).iterate(range(20))
    assert isinstance(a.loss, torch.Tensor)
    assert abs(a.loss.numpy() - b.loss).max() <= 1e-14


def test_numpy_arrays_that_are_read_only_or_run_backwards(images):
    net, x = convolutional(), images[0]
    model, theta = TorchModel(net, (1, 6, 6)), theta_of(net)
    flat, shared = x.reshape(1, 7, 36).numpy(), np.broadcast_to(theta, (1, theta.size))
    expected = model.jacobian(theta, flat).reshape(7, 3, -1)
    found = model.jacobian(shared, np.flip(flat, axis=1)).reshape(7, 3, -1)
    assert abs(np.flip(found, axis=0) - expected).max() <= 1e-15


def test_test_inputs(images):
    net, (x, y) = convolutional(), images
    points = batch((5, 1, 6, 6), 9)
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    for matrix_free in (False, True):
        lin = linearize(net, x, y, agents=2, test_inputs=points, matrix_free=matrix_free)
        outputs = nf.LinearSystem("dgd", W, lin, step_size=0.1).iterate([0, 10]).test_outputs
        assert abs(outputs[0, 0] - net(points).detach().numpy().ravel()).max() <= 1e-12
        J = autograd_rows(net, list(dict(net.named_parameters())), points)
        moved = nf.LinearSystem("dgd", W, lin, step_size=0.1).iterate(10).deviation[0] @ J.T
        assert abs(outputs[1] - outputs[0] - moved).max() <= 1e-8 * abs(moved).max()  # the kernel route sees √eps


# --- training against PyTorch's own loss and optimisers ------------------------------------------------------------


def mixed(W, nets):
    """Every agent's mean over its neighbours, parameter by parameter."""
    same = list(zip(*(n.parameters() for n in nets), strict=True))
    return [[sum(float(w) * p.detach() for w, p in zip(row, ps, strict=True)) for ps in same] for row in W]


def adopt(nets, values):
    """Set every network's parameters."""
    for net, new in zip(nets, values, strict=True):
        for p, value in zip(net.parameters(), new, strict=True):
            p.data.copy_(value)


def step(net, optimiser, x, y):
    """One step of the optimiser on nn.MSELoss; what it adds to every parameter."""
    before = [p.detach().clone() for p in net.parameters()]
    optimiser.zero_grad()
    nn.MSELoss()(net(x), y).backward()
    optimiser.step()
    return [p.detach() - old for p, old in zip(net.parameters(), before, strict=True)]


@pytest.mark.parametrize("rule", ["dgd", "cta", "atc", "cdmsgd"])
def test_training_equals_a_loop_of_optimisers(rule):
    """DGD and CTA mix first and take gradients at the old or the mixed point; ATC mixes last; CDMSGD adds momentum.

    nn.MSELoss and torch.optim.SGD on one network an agent; 60 steps in double precision.
    """
    data, W, net = moons(), nf.weights.metropolis_hastings(nf.graphs.cycle(4)), pair()[2]
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    momentum = 0.9 if rule == "cdmsgd" else 0.0
    nets = [copy.deepcopy(net) for _ in range(4)]
    optimisers = [torch.optim.SGD(n.parameters(), lr=0.05, momentum=momentum) for n in nets]
    for _ in range(60):
        means = mixed(W, nets)
        if rule == "cta":
            adopt(nets, means)
        moves = [step(*each) for each in zip(nets, optimisers, x, y, strict=True)]
        if rule in ("dgd", "cdmsgd"):
            adopt(nets, [[m + v for m, v in zip(*both, strict=True)] for both in zip(means, moves, strict=True)])
        if rule == "atc":
            adopt(nets, mixed(W, nets))
    extra = {"momentum": momentum} if momentum else {}
    study = nf.Study(W, net, None, data, rule, step_size=0.05, normalization="torch_mse", **extra)
    ours, theirs = study.train(steps=60).deviation[-1], np.stack([theta_of(n) for n in nets]) - theta_of(net)
    assert abs(ours - theirs).max() <= 1e-10 * abs(theirs).max()


@pytest.mark.parametrize("rule", ["dgd", "diging"])
def test_minibatches_are_the_agents_own_loop_on_the_same_draws(rule):
    """A batch belongs to the point at which a gradient is asked: a tracker's new one is its old one a step later."""
    data = nf.datasets.half_moons(n_agents=3, n_samples=(5, 7, 4), noise=0.1, seed=0)
    W, net, eta, steps = nf.weights.metropolis_hastings(nf.graphs.path(3)), pair()[2], 0.05, 6
    study = nf.Study(W, net, None, data, rule, step_size=eta)
    observed = study.train(steps=steps, batch_size=2, seed=3)
    draws = Batches(study.network, 2, 3)

    def gradient(theta, rows):
        return np.stack([_gradient(net, theta[q], data.x[q], data.y[q], rows[q], data.n_samples[q]) for q in range(3)])

    x = np.stack([theta_of(net)] * 3)
    if rule == "dgd":
        for _ in range(steps):
            x = W @ x - eta * gradient(x, draws.draw())
    else:
        g = gradient(x, draws.draw())
        y = g
        for _ in range(steps):
            x = W @ x - eta * y
            new = gradient(x, draws.draw())
            y, g = W @ y + new - g, new
    assert abs(observed.deviation[-1] - (x - theta_of(net))).max() <= 1e-13
    assert study.train(steps=steps, batch_size=2, seed=4).loss[-1].tolist() != observed.loss[-1].tolist()
    assert study.train(steps=steps, batch_size=7).loss.tolist() == study.train(steps=steps).loss.tolist()


def _gradient(net, theta, x, y, rows, D):
    agent = filled(copy.deepcopy(net), theta)
    missed = agent(torch.from_numpy(x)) - torch.from_numpy(y)
    (torch.from_numpy(rows)[:, None] * missed**2).sum().mul(0.5 / D).backward()
    return torch.cat([p.grad.reshape(-1) for p in agent.parameters()]).numpy()


def test_batches_hold_as_many_samples_as_asked_and_are_right_on_average():
    data = nf.datasets.half_moons(n_agents=2, n_samples=(3, 5), noise=0.1, seed=0)
    study = nf.Study(None, nf.models.Affine(2), np.zeros(3), data, "gd", step_size=0.1)
    batches = Batches(study.network, size=2)
    draws = np.stack([batches.draw() for _ in range(4000)])
    assert set(np.unique(draws[:, 0, :3])) == {0.0, 1.5}
    assert set(np.unique(draws[:, 1])) == {0.0, 2.5}
    assert (np.count_nonzero(draws, axis=2) == 2).all()
    assert (draws[:, 0, 3:] == 0).all()
    # each of the 8 means has a standard deviation of at most (2.5 · 1.5 / 4000)^½ = 0.031; 5 of them: one in 2·10⁵ runs
    assert abs(draws.mean(axis=0)[0, :3] - 1).max() < 0.155
    assert abs(draws.mean(axis=0)[1] - 1).max() < 0.155


# --- without a Jacobian --------------------------------------------------------------------------------------------


def test_matrix_free_is_the_same_system(images):
    net, (x, y) = convolutional(), images
    data = dataset(x, y, agents=2)
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    study = nf.Study(W, TorchModel(net, (1, 6, 6)), None, data, "cdmsgd", step_size=0.05)
    free = study.using(model=TorchModel(net, (1, 6, 6), matrix_free=True, memory=1e-9))
    a, b = study.predict(times=[1, 10, 1000]), free.predict(times=[1, 10, 1000])
    assert (
        abs(a.loss - b.loss).max() <= 1e-9 * a.loss.max()
    )  # the kernel route: √(Qn eps) = 6e-8 of J, squared in losses
    gap = np.sqrt(((a.deviation - b.deviation) ** 2).sum(axis=(1, 2)))
    assert (gap <= a.error_bound + b.error_bound).all()
    theta = study.theta0
    jvp, vjp = free.model.products(theta, data.x)
    J, rng = study.model.jacobian(theta, data.x), np.random.default_rng(0)
    v, u = rng.normal(size=theta.size), rng.normal(size=J.shape[:2])
    assert abs(jvp(v) - J @ v).max() <= 1e-13 * abs(J @ v).max()
    assert abs(vjp(u) - np.einsum("qnp,qn->p", J, u)).max() <= 1e-13 * abs(J).max() * 20


# --- drawing parameters ---------------------------------------------------------------------------------------------


def test_init_draws_as_the_layers_do():
    net = convolutional()
    model = TorchModel(net, (1, 6, 6))
    state = torch.get_rng_state()
    a, b, many = model.init(seed=0), model.init(seed=0), model.init(seed=0, n_agents=3)
    assert torch.equal(state, torch.get_rng_state()), "PyTorch's own generator is left alone"
    assert (a == b).all()
    assert (many[0] == a).all()
    assert (many[0] != many[1]).any()
    bound = (1 / 9) ** 0.5  # nn.Conv2d draws from U(−k^½, k^½), k = 1 / (inputs · kernel size)
    assert 0.5 * bound < abs(a[:27]).max() <= bound
