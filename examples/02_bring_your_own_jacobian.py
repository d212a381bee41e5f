# %% [markdown]
# # Bring your own Jacobian
#
# You have a model of your own, in PyTorch, in JAX, or here in twenty lines of NumPy. ntkflow needs no model: residuals
# and Jacobians where the agents start are enough. This example has several outputs, unequal amounts of data, and a
# file between the program that makes the Jacobians and the one that uses them.

# %%
import tempfile
from pathlib import Path

import numpy as np

import ntkflow as nf

SIZES = {"small": {"n_samples": (7, 3, 5, 4), "hidden": 4}, "full": {"n_samples": (70, 30, 50, 40), "hidden": 32}}
N_INPUTS, N_OUTPUTS = 3, 2

# %% [markdown]
# ## The model
#
# $f_m(x) = h^{-1/2} \sum_k v_{km} \tanh(w_k^\top x + b_k)$ with $\theta = (w, b, v)$. Its Jacobian is written out; a
# central difference says whether the pencil was right.


# %%
def outputs(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(n,) outputs at the points x (D, N), sample-major with the output index fastest."""
    w, b, v = _parts(theta)
    return (np.tanh(x @ w + b) @ v / np.sqrt(b.size)).ravel()


def jacobian(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(n, P), rows as in the outputs."""
    w, b, v = _parts(theta)
    z = np.tanh(x @ w + b)
    slope = (1 - z**2)[:, None, :] * v.T[None, :, :]  # df_m / d(preactivation k), (D, M, h)
    by_w = x[:, None, :, None] * slope[:, :, None, :]  # (D, M, N, h)
    by_v = z[:, None, :, None] * np.eye(N_OUTPUTS)[None, :, None, :]  # (D, M, h, M)
    rows = [part.reshape(x.shape[0] * N_OUTPUTS, -1) for part in (by_w, slope, by_v)]
    return np.concatenate(rows, axis=1) / np.sqrt(b.size)


def _parts(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    h = theta.size // (N_INPUTS + 1 + N_OUTPUTS)
    w, b, v = np.split(theta, [N_INPUTS * h, (N_INPUTS + 1) * h])
    return w.reshape(N_INPUTS, h), b, v.reshape(h, N_OUTPUTS)


def difference_quotient(theta: np.ndarray, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The Jacobian again, by central differences."""
    shifts = step * np.eye(theta.size)
    return np.stack([(outputs(theta + s, x) - outputs(theta - s, x)) / (2 * step) for s in shifts], axis=1)


# %% [markdown]
# ## Jacobians in a file
#
# One block an agent, padded to the largest with rows of zeros; `n_samples` holds the true sizes. The file is a plain
# `.npz` without pickled objects, so that reading it runs no code.


# %%
def write(path: Path, theta: np.ndarray, points: list[np.ndarray], targets: list[np.ndarray]) -> None:
    """What one program knows: Jacobians, outputs, residuals, sizes."""
    sizes = [len(x) for x in points]
    n = max(sizes) * N_OUTPUTS
    J, f, r = np.zeros((len(points), n, theta.size)), np.zeros((len(points), n)), np.zeros((len(points), n))
    for q, (x, y) in enumerate(zip(points, targets, strict=True)):
        rows = slice(0, len(x) * N_OUTPUTS)
        J[q, rows], f[q, rows] = jacobian(theta, x), outputs(theta, x)
        r[q, rows] = f[q, rows] - y.ravel()
    np.savez(path, J=J, outputs=f, residual=r, n_samples=np.asarray(sizes))


def read(path: Path) -> nf.LinearizedModel:
    """What the other program needs."""
    with np.load(path, allow_pickle=False) as file:
        return nf.LinearizedModel.from_jacobian(
            file["J"], file["residual"], n_outputs=N_OUTPUTS, n_samples=file["n_samples"], outputs=file["outputs"]
        )


# %% [markdown]
# ## From here on, one line a question
#
# The flow at any time, infinity included: where does training end? `error_bound` says how far the answer can be from
# the exact linear system; `deviation` lifts it back to the parameters, so that the real model can be asked there.
# Where its outputs part from the predicted ones, the linearisation has had its day.


# %%
def main(size: str = "small") -> dict[str, float]:
    """Checks of the answer that owe nothing to ntkflow."""
    chosen = SIZES[size]
    rng = np.random.default_rng(0)
    theta0 = rng.normal(size=chosen["hidden"] * (N_INPUTS + 1 + N_OUTPUTS))
    points = [rng.normal(size=(D, N_INPUTS)) for D in chosen["n_samples"]]
    targets = [np.sin(x[:, :N_OUTPUTS]) + 0.3 * rng.normal(size=(len(x), N_OUTPUTS)) for x in points]
    slip = max(abs(jacobian(theta0, x) - difference_quotient(theta0, x)).max() for x in points)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        write(path, theta0, points, targets)
        model = read(path)

    W = nf.weights.metropolis_hastings(nf.graphs.path(4))
    eta = 0.05
    system = nf.LinearSystem("dgd", W, model, step_size=eta)
    flow = system.flow([0, 10, 1e3, 1e6, np.inf])
    print(f"answered by {flow.method}, error bound ({flow.bound_kind}) at each time:", flow.error_bound)

    # At infinity DGD rests: what mixing does and what the gradients do cancel.
    end = flow.deviation[-1]
    c = 1.0 / model.n_samples
    gradient = np.einsum("q,qnp,qn->qp", c, model.jacobian, flow.residual[-1])
    rest = np.linalg.norm(W @ end - end - eta * gradient) / np.linalg.norm(eta * gradient)

    # The iteration, agent by agent.
    x, steps = np.zeros_like(end), 200
    for _ in range(steps):
        r = model.residual + np.einsum("qnp,qp->qn", model.jacobian, x)
        x = W @ x - eta * np.einsum("q,qnp,qn->qp", c, model.jacobian, r)
    iteration = system.iterate(steps)
    loop = np.linalg.norm(iteration.deviation[0] - x)

    # The real model where the prediction says the parameters are after ten iterations.
    real = [outputs(theta0 + flow.deviation[1, q], x) for q, x in enumerate(points)]
    linear = [flow.outputs[1, q, : len(x) * N_OUTPUTS] for q, x in enumerate(points)]
    moved = max(abs(a - outputs(theta0, x)).max() for a, x in zip(linear, points, strict=True))
    parted = max(abs(a - b).max() for a, b in zip(real, linear, strict=True)) / moved

    results = {
        "Jacobian against difference quotient": float(slip),
        "rest at infinity": float(rest),
        "iteration against loop": float(loop),
        "error bound of the iteration": float(iteration.error_bound[0]),
        "model against linearisation at t = 10": float(parted),
        "mean loss at 0": float(flow.global_loss[0].mean()),
        "mean loss at infinity": float(flow.global_loss[-1].mean()),
        "consensus error at infinity": float(flow.consensus_error[-1]),
    }
    for name, value in results.items():
        print(f"{name:40} {value:.3g}")
    draw(system, size)
    return results


# %% [markdown]
# The agents do not end in agreement: DGD with a constant step comes to rest where mixing and gradients balance, a
# little off the common optimum. The wider the hidden layer, the longer the linearisation holds.


# %%
def draw(system: nf.LinearSystem, size: str) -> None:
    """Losses and disagreement along the flow."""
    figure, [[left, right]] = nf.plots.figure(1, 2)
    flow = system.flow(np.linspace(0, 400, 201))
    nf.plots.loss(flow, ax=left)
    nf.plots.consensus(flow, ax=right)
    if size == "full":
        figure.savefig("02_bring_your_own_jacobian.png", dpi=150)
        print("figure: 02_bring_your_own_jacobian.png")


# %%
if __name__ == "__main__":
    main("full")
