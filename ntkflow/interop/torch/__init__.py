r"""PyTorch as a partner: any ``nn.Module``, linearised where it stands and trained by every rule.

>>> import torch, ntkflow as nf
>>> from ntkflow.interop.torch import linearize
>>> _ = torch.manual_seed(0)
>>> net = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.GELU(), torch.nn.Linear(64, 1)).double()
>>> x = torch.randn(40, 2, dtype=torch.float64)
>>> lin = linearize(net, x, x[:, :1] * x[:, 1:], agents=4)
>>> W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
>>> nf.LinearSystem("dgd", W, lin, step_size=0.1).iterate(range(101)).loss.shape
(101, 4)

A ``Study`` takes the module itself: ``nf.Study(W, net, None, data, "atc", step_size=0.1)`` starts from the module's own
parameters, predicts and trains.
"""

from __future__ import annotations

import importlib.util

from ...errors import MissingError

if importlib.util.find_spec("torch") is None:
    raise MissingError("torch: expected PyTorch, found none installed; pip install 'ntkflow[torch]'")

from ._checkpoint import load_checkpoint
from ._data import dataset
from ._linearize import linearize, taking_flat_samples
from ._model import TorchModel

__all__ = ["TorchModel", "dataset", "linearize", "load_checkpoint", "taking_flat_samples"]
