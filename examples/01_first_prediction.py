# %% [markdown]
# # A first prediction
#
# Eight agents hold 200 half-moon points each and train one network together, by decentralised gradient descent
# (DGD): every agent averages its parameters with those of its neighbours, then steps along its own gradient. How does
# every agent's loss fall, and what does the graph have to do with it?
#
# ntkflow answers before any training: the network is linearised where it starts, the update rule becomes a linear
# system, and the system is solved in closed form. Then the real network is trained, and both are drawn together.

# %%
import ntkflow as nf

SIZES = {
    "small": {"n_samples": 40, "width": 128, "steps": 40, "step_size": 2e-3},
    "full": {"n_samples": 200, "width": 256, "steps": 200, "step_size": 1e-4},
}
GRAPHS = ("cycle", "star", "complete")

# %% [markdown]
# ## The experiment
#
# Graph, mixing matrix, data, network, start: a `Study` holds them together with the algorithm. The normalization
# `"sum"` means that an agent's gradient is that of half its sum of squares, not divided by the number of samples.


# %%
def first_study(n_samples: int, width: int, step_size: float) -> nf.Study:
    """The design on the cycle; the others differ by their mixing matrix alone."""
    data = nf.datasets.half_moons(n_agents=8, n_samples=n_samples, noise=0.1, seed=0)
    model = nf.models.MLP([2, width, 1], activation="sigmoid", weight_std=1.0, bias_std=0.1)
    return nf.Study(
        W=nf.weights.metropolis_hastings(nf.graphs.cycle(8)),
        model=model,
        theta0=model.init(seed=0),
        data=data,
        algorithm="dgd",
        step_size=step_size,
        normalization="sum",
    )


# %% [markdown]
# ## Predicted against observed
#
# An honest error is measured against what the training changed: the largest difference between the two losses, over
# all agents and steps, divided by the largest fall of a loss. `using` changes the mixing matrix and keeps everything
# that does not depend on it, the Jacobians above all.


# %%
def relative_error(predicted: nf.Trajectory, observed: nf.Trajectory) -> float:
    """The largest |predicted - observed| over the largest |loss(0) - loss|."""
    return float(abs(predicted.loss - observed.loss).max() / abs(observed.loss[0] - observed.loss).max())


def main(size: str = "small") -> dict[str, dict[str, float]]:
    """The error of the prediction and where the loss ends, for every graph."""
    chosen = dict(SIZES[size])
    steps = chosen.pop("steps")
    study = first_study(**chosen)
    figure, axes = nf.plots.figure(2, len(GRAPHS), size=(12, 7))
    results = {}
    for (above, below), name in zip(axes.T, GRAPHS, strict=True):
        graph = nf.graphs.named(name, 8)
        design = study.using(W=nf.weights.metropolis_hastings(graph))
        predicted, observed = design.predict(steps=steps), design.train(steps=steps)
        nf.plots.graph(graph, design.W, ax=above)
        nf.plots.loss(predicted, observed, ax=below)
        above.set_title(name)
        results[name] = {
            "error": relative_error(predicted, observed),
            "first loss": float(observed.loss[0].mean()),
            "last loss": float(observed.loss[-1].mean()),
            "consensus error": float(observed.consensus_error[-1]),
        }
        print(f"{name:9}", "  ".join(f"{key} {value:.3g}" for key, value in results[name].items()))
    if size == "full":
        figure.savefig("01_first_prediction.png", dpi=150)
        print("figure: 01_first_prediction.png")
    return results


# %% [markdown]
# The prediction stays within about one per cent of the change. The three graphs give nearly the same losses, as the
# agents' data are alike; what differs is how far they are from agreeing, least on the complete graph.

# %%
if __name__ == "__main__":
    main("full")
