# %% [markdown]
# # Networks from PyTorch
#
# Eight agents, thrown at random onto a square and talking to those nearby, learn handwritten digits; each knows some
# digits much better than others (Dirichlet 0.5). They train a convolutional network in PyTorch. How does every agent's
# loss fall under four algorithms? Then a network that has learnt some of the digits is fine-tuned on the others, its
# last layer only.
#
# The module goes into the `Study` as it is: its Jacobians come from `torch.func`, and the training runs the module
# itself. PyTorch is an extra: `pip install 'ntkflow[torch]'`.

# %%
import numpy as np
import torch
from torch import nn

import ntkflow as nf
from ntkflow.interop.torch import TorchModel

SIZES = {
    "small": {"n_samples": 6, "channels": 4, "steps": 40, "epochs": 15},
    "full": {"n_samples": 20, "channels": 16, "steps": 150, "epochs": 40},
}
SHARES = {"dgd": 1.0, "atc": 1.0, "cta": 1.0, "cdmsgd": 0.1}  # of the step size: momentum 0.9 goes ten times as far

# %% [markdown]
# ## The network and its data
#
# Two convolutions with GELU, with PyTorch's own initialisation, in double precision. The data hold an image as a row of
# 64 numbers; (1, 8, 8) says how the module takes it.


# %%
def network(channels: int) -> nn.Sequential:
    """About 10⁴ parameters with 16 channels."""
    torch.manual_seed(0)
    first = nn.Conv2d(1, channels, kernel_size=3, padding=1)
    second = nn.Conv2d(channels, 2 * channels, kernel_size=3, stride=2, padding=1)
    layers = nn.Sequential(first, nn.GELU(), second, nn.GELU(), nn.Flatten(), nn.Linear(32 * channels, 10))
    return layers.double()


def digits(n_samples: int, classes: range) -> nf.datasets.Dataset:
    """Eight agents' digits, one-hot among all ten."""
    dealt = nf.datasets.digits(n_agents=8, n_samples=n_samples, classes=classes, deal="dirichlet", beta=0.5)
    missing = 10 - len(classes)
    y = nn.functional.pad(torch.from_numpy(dealt.y), (classes[0], missing - classes[0])).numpy()
    return nf.datasets.Dataset(dealt.x, y, dealt.n_samples, dealt.name)


# %% [markdown]
# ## Fine-tuning
#
# The same network learns the digits 0 to 4 in a plain PyTorch loop, with a loader of its own, and gets a new last
# layer. Then `params="last"` makes a model of that layer alone, for the digits 5 to 9. Such a model is linear in what
# it trains: the prediction is the training, up to rounding. How large the step size may be, the Jacobians tell: DGD is
# stable while every agent has $\eta\, c_q \lambda_{\max}(J_q^\top J_q) \le 1 + \lambda_{\min}(W)$. Half of that is
# taken.


# %%
def pretrained(channels: int, epochs: int) -> nn.Sequential:
    """The network after some epochs on the digits 0 to 4, all in one place, with a last layer of zeros."""
    net, data = network(channels), nf.datasets.digits(n_agents=1, classes=range(5))
    table = torch.utils.data.TensorDataset(
        torch.from_numpy(data.x[0]).reshape(-1, 1, 8, 8), torch.from_numpy(data.y[0])
    )
    loader = torch.utils.data.DataLoader(table, batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(epochs):
        for x, y in loader:
            optimiser.zero_grad()
            nn.functional.mse_loss(net(x)[:, :5], y).backward()
            optimiser.step()
    for p in net[-1].parameters():
        nn.init.zeros_(p)
    return net


def half_of_the_largest_step(study: nf.Study) -> float:
    """Of DGD, by the condition above."""
    sharpest = (study.scale * study.linearized.sharpness).max()
    return float(0.5 * (1.0 + np.linalg.eigvalsh(study.mixing)[0]) / sharpest)


# %% [markdown]
# ## Predicted against observed
#
# The error is the largest difference between the two losses, over all agents and steps, relative to the largest fall of
# a loss. `normalization="torch_mse"` makes the gradient that of `nn.MSELoss`.


# %%
def relative_error(predicted: nf.Trajectory, observed: nf.Trajectory) -> float:
    """The largest |predicted - observed| over the largest |loss(0) - loss|."""
    return float(abs(predicted.loss - observed.loss).max() / abs(observed.loss[0] - observed.loss).max())


def main(size: str = "small") -> dict[str, dict[str, float]]:
    """The error of the prediction and where the mean loss ends, for every algorithm, network and fine-tuning."""
    torch.set_num_threads(1)  # the networks are small
    chosen = SIZES[size]
    W = nf.weights.metropolis_hastings(nf.graphs.random_geometric(8, seed=1))
    whole = TorchModel(network(chosen["channels"]), (1, 8, 8))
    last = TorchModel(pretrained(chosen["channels"], chosen["epochs"]), (1, 8, 8), "last")
    figure, axes = nf.plots.figure(2, 4, size=(15, 7.5))
    results = {}
    for row, model, classes in zip(axes, (whole, last), (range(10), range(5, 10)), strict=True):
        name = "all layers" if model is whole else "last layer"
        data = digits(chosen["n_samples"], classes)
        study = nf.Study(W, model, None, data, "dgd", step_size=0.05, normalization="torch_mse")
        if model is last:
            study = study.using(step_size=half_of_the_largest_step(study))
        for ax, (algorithm, share) in zip(row, SHARES.items(), strict=True):
            design = study.using(algorithm=algorithm, step_size=share * study.step_size)
            predicted, observed = design.predict(steps=chosen["steps"]), design.train(steps=chosen["steps"])
            nf.plots.loss(predicted, observed, ax=ax)
            ax.set_title(f"{name}, {algorithm}")
            results[f"{name}, {algorithm}"] = {
                "step size": design.step_size,
                "error": relative_error(predicted, observed),
                "first loss": float(observed.loss[0].mean()),
                "last loss": float(observed.loss[-1].mean()),
            }
    for name, numbers in results.items():
        print(f"{name:20}", "  ".join(f"{key} {value:.3g}" for key, value in numbers.items()))
    if size == "full":
        figure.savefig("05_networks_from_pytorch.png", dpi=150)
        print("figure: 05_networks_from_pytorch.png")
    return results


# %% [markdown]
# A network of 16 channels is not wide, yet its losses are predicted to within a few per cent of what they change; the
# last layer's to rounding.

# %%
if __name__ == "__main__":
    main("full")
