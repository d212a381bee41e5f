"""PyTorch networks for the tests of the door to PyTorch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn


class Tangent(nn.Module):
    """The neural-tangent parameterisation (arXiv 2409.15267, eq. 1), written for PyTorch."""

    def __init__(self, widths, activation, weight_std=1.0, bias_std=0.1):
        super().__init__()
        self.activation, self.weight_std, self.bias_std = activation, weight_std, bias_std
        for i, (a, b) in enumerate(pairwise(widths)):
            self.register_parameter(f"omega{i}", nn.Parameter(torch.empty(a, b, dtype=torch.float64)))
            self.register_parameter(f"beta{i}", nn.Parameter(torch.empty(b, dtype=torch.float64)))
        self.depth = len(widths) - 1

    def forward(self, z):
        for i in range(self.depth):
            omega, beta = getattr(self, f"omega{i}"), getattr(self, f"beta{i}")
            h = self.weight_std / omega.shape[0] ** 0.5 * z @ omega + self.bias_std * beta
            z = h if i == self.depth - 1 else self.activation(h)
        return z


def filled(module, theta):
    """The module with the numbers θ (P,) in its parameters, in their order."""
    at = 0
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.as_tensor(np.asarray(theta[at : at + p.numel()])).reshape(p.shape))
            at += p.numel()
    return module


def convolutional(seed=0, dtype=torch.float64):
    """Two convolutions with GELU on 6 × 6 pixels, 3 outputs."""
    torch.manual_seed(seed)
    first, second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, stride=2)
    return nn.Sequential(first, nn.GELU(), second, nn.GELU(), nn.Flatten(), nn.Linear(16, 3)).to(dtype)


def batch(shape, seed=1, dtype=torch.float64):
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def theta_of(net):
    """All parameters, (P,)."""
    return torch.cat([p.detach().double().reshape(-1) for p in net.parameters()]).numpy()


def autograd_rows(module, names, x):
    """∂f_m/∂θ, one backward pass of plain autograd a row: (B M, P)."""
    own = dict(module.named_parameters())
    rows = []
    for out in module(x).reshape(-1):
        slopes = torch.autograd.grad(out, [own[n] for n in names], retain_graph=True, allow_unused=True)
        rows.append(torch.cat([torch.zeros(own[n].numel(), dtype=own[n].dtype) if g is None else g.reshape(-1)
                               for n, g in zip(names, slopes, strict=True)]))  # fmt: skip
    return torch.stack(rows).numpy()
