"""What the door to PyTorch refuses, each in one clear line, and files of parameters that do not run code."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_one_clear_line

import ntkflow as nf

torch = pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ntkflow[torch]'")

from torch import nn  # noqa: E402
from torch.utils.data import Subset, TensorDataset  # noqa: E402
from torch_nets import batch, convolutional, theta_of  # noqa: E402

from ntkflow.interop.torch import TorchModel, dataset, linearize, load_checkpoint  # noqa: E402


@pytest.fixture
def images():
    """Seven 6 × 6 images with three targets each."""
    return batch((7, 1, 6, 6)), batch((7, 3), seed=2)


def test_checkpoints(tmp_path):
    net, other = convolutional(0), convolutional(1)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, tmp_path / "wrapped.pt")
    torch.save(nn.DataParallel(net).state_dict(), tmp_path / "parallel.pt")
    for name in ("net.pt", "wrapped.pt", "parallel.pt"):
        assert load_checkpoint(other := convolutional(1), tmp_path / name) is other
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a checkpoint ran')",))


def test_a_checkpoint_that_does_not_match_changes_nothing(tmp_path):
    net = convolutional()
    short = {name: t for name, t in net.state_dict().items() if name != "5.bias"}
    wide = {**net.state_dict(), "5.weight": batch((3, 17))}
    more = {**net.state_dict(), "6.bias": batch((1,))}
    states = {
        "short": (short, "5.bias"),
        "wide": (wide, "shape (3, 16)"),
        "more": (more, "6.bias"),
        "complex": ({**net.state_dict(), "5.bias": batch((3,)) + 0j}, "complex"),
        "evil": ({"a": Evil()}, "checkpoint"),
        "list": ([1, 2], "list"),
    }
    for name, (state, named) in states.items():
        torch.save(state, tmp_path / name)
        other = convolutional(1)
        before = [p.detach().clone() for p in other.parameters()]
        assert_one_clear_line(lambda name=name, other=other: load_checkpoint(other, tmp_path / name), named)
        assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
    (tmp_path / "text").write_text("not a checkpoint")
    assert_one_clear_line(lambda: load_checkpoint(net, tmp_path / "text"), "text")
    assert_one_clear_line(lambda: load_checkpoint(net, tmp_path / "none"), "none at")
    assert_one_clear_line(lambda: load_checkpoint(tmp_path / "list", net), "load_checkpoint(module, path)")
    torch.save(net, tmp_path / "whole.pt")
    assert_one_clear_line(lambda: load_checkpoint(net, tmp_path / "whole.pt"), "save module.state_dict()")
    torch.save({"net": net.state_dict()}, tmp_path / "named.pt")
    assert_one_clear_line(lambda: load_checkpoint(net, tmp_path / "named.pt"), "keys net")


# --- modules and arguments ------------------------------------------------------------------------------------------


class Through(nn.Module):
    """x ↦ what(linear(x))."""

    def __init__(self, what):
        super().__init__()
        self.linear, self.what = nn.Linear(36, 3).double(), what
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        return self.what(self, self.linear(x.flatten(1)))


def counted(self, h):
    self.count += 1
    return h


def behind(layer):
    """A layer behind nn.Flatten and before nn.Linear, in training mode."""
    return nn.Sequential(nn.Flatten(), layer, nn.Linear(36, 3)).double()


UNFIT = {
    "batch-norm in training mode": (lambda: behind(nn.BatchNorm1d(36)), "BatchNorm1d '1'"),
    "batch-norm without statistics": (
        lambda: behind(nn.BatchNorm1d(36, track_running_stats=False)).eval(),
        "without running statistics",
    ),
    "dropout in training mode": (lambda: behind(nn.Dropout(0.5)), "draws at random"),
    "noise": (lambda: Through(lambda self, h: h + torch.randn_like(h)), "two passes that differ"),
    "a mean over the batch": (lambda: Through(lambda self, h: h - h.mean(0)), "rest of the batch"),
    "detached": (lambda: Through(lambda self, h: h.detach()), "differentiably"),
    "argmax": (lambda: Through(lambda self, h: h.argmax(1)), "int64"),
    "a tuple": (lambda: Through(lambda self, h: (h, h)), "tuple"),
    "a counter": (lambda: Through(counted), "count"),
    "half precision": (lambda: convolutional(dtype=torch.float16), "float16"),
    "bfloat16": (lambda: convolutional(dtype=torch.bfloat16), "bfloat16"),
    "two dtypes": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.Linear(3, 3).double()), "one dtype"),
    "nothing to train": (lambda: nn.Flatten(), "at least one parameter"),
    "all frozen": (lambda: convolutional().requires_grad_(False), "at least one parameter"),
    "a little of the batch's mean": (lambda: Through(lambda self, h: h + 1e-9 * h.mean(0)), "rest of the batch"),
    "NaN": (lambda: Through(lambda self, h: h * torch.nan), "finite outputs"),
    "an in-place change of its parameters": (
        lambda: Through(lambda self, h: h + self.linear.bias.data.mul_(1.1)),
        "linear.bias",
    ),
    "another shape": (lambda: nn.Linear(36, 3).double(), "RuntimeError"),
    "NaN in a parameter": (
        lambda: nn.Linear(36, 3).double().apply(lambda m: nn.init.constant_(m.bias, torch.nan)),
        "'bias'",
    ),
    "no module": (lambda: 3, "nn.Module"),
    "a function without parameters": (lambda: lambda p, x: x, "dict of tensors"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_modules_that_no_linearisation_describes(case, images):
    make, named = UNFIT[case]
    x, y = images
    assert_one_clear_line(lambda: linearize(make(), x, y, agents=2), named)


def test_arguments_that_do_not_fit(images):
    net, (x, y) = convolutional(), images
    W = nf.weights.metropolis_hastings(nf.graphs.path(2))
    data = dataset(x, y, agents=2)
    refused = [
        (lambda: linearize(net, x, y), "agents"),
        (lambda: linearize(net, x, y[:5], agents=2), "same number of samples"),
        (lambda: linearize(net, x, torch.zeros(7, dtype=torch.long), agents=2), "n_classes"),
        (lambda: linearize(net, x.float(), y, agents=2), "one floating dtype"),
        (lambda: linearize(net, x.float(), y.float(), agents=2), "dtype=torch.float32"),
        (lambda: linearize(net, x, y, agents=9), "agents"),
        (lambda: linearize(net, x, y, agents=[[0, 1], [9]]), "agents[1]"),
        (lambda: linearize(net, x, y, agents=[0, 1]), "shape (7,)"),
        (lambda: linearize(net, x, y, params=["5.wieght"], agents=2), "5.weight"),
        (lambda: linearize(net, x, y, params=[], agents=2), "at least one parameter"),
        (lambda: linearize(net, x, y, params=3, agents=2), "names of parameters"),
        (lambda: linearize(net, x, y, agents=2, dtype=torch.float16), "torch.float32 or torch.float64"),
        (lambda: linearize(net, x, y, agents=2, library="jax"), "library"),
        (lambda: linearize(net, x, y, agents=2, memory=0), "memory"),
        (lambda: linearize(net, x, y, agents=2, theta0=np.zeros(3)), "theta0"),
        (lambda: linearize(net, x, y, agents=2, test_inputs=x[:, :, :5]), "test_inputs"),
        (lambda: linearize(net, [x], [y, y]), "a list of 1"),
        (lambda: linearize(net, [x, x[:, :, :5]], [y, y]), "one dtype, shape"),
        (lambda: linearize(net, [TensorDataset(x)]), "pairs"),
        (lambda: linearize(net, data, y), "the data have targets"),
        (lambda: linearize(net, "images", y), "a tensor"),
        (lambda: TorchModel(net, 36), "input_shape"),
        (lambda: nf.Study(W, nf.models.MLP([36, 3]), None, data), "model.init"),
        (lambda: nf.Study(W, net, None, data), "TorchModel(module, input_shape="),
        (lambda: nf.Study(W, net, None, [TensorDataset(x, y)] * 2), "interop.torch.dataset"),
        (lambda: linearize(net, x, y[:, :1]), "several samples an agent"),  # grey images whose agents were forgotten
        (lambda: linearize(net, x.half(), y.half(), agents=2), "float32 or float64"),
        (lambda: dataset(x.half(), y.half(), agents=2), "float32 or float64"),
        (lambda: dataset(x, torch.arange(7), agents=2, n_classes=3), "from 0 to 2"),
        (lambda: dataset(x, y, agents=2, n_classes=3), "one class number a sample"),
        (lambda: linearize(net, x, y, agents=2, params=[net[5].weight]), "names of parameters"),
        (lambda: linearize(net, x, y, agents=2, progress=3), "progress"),
        (lambda: TorchModel(net, (1, 6, 6), progress=True), "progress"),
        (lambda: dataset([TensorDataset(x, y), Subset(TensorDataset(x, y), [])]), "no sample"),
        (lambda: dataset(TensorDataset(x, y), agents=2), "wrap it in a list"),
        (lambda: linearize(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)).double(), x, y, agents=2), "not seen a batch"),
        (lambda: nf.Study(W, object(), None, data), "torch.nn.Module"),
        (lambda: nf.Study(W, TorchModel(net, (1, 6, 6)), None, data).train(steps=2, batch_size=0), "batch_size"),
    ]  # fmt: skip
    for call, named in refused:
        assert_one_clear_line(call, named)


def test_matrix_free_needs_a_common_start(images):
    net, (x, y) = convolutional(), images
    apart = np.stack([theta_of(net), theta_of(convolutional(1))])
    assert_one_clear_line(lambda: linearize(net, x, y, agents=2, theta0=apart, matrix_free=True), "theta0")
    assert linearize(net, x, y, agents=2, theta0=apart).start.shape == apart.shape
