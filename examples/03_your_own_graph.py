# %% [markdown]
# # Your own graph, weights and algorithm
#
# Five laboratories classify handwritten digits. Who hears whom is not symmetric, some are trusted more than others,
# they hold different amounts of data, and their algorithm is in no catalogue. Nothing of this needs a change to
# ntkflow: graph, weights and rule are arguments.

# %%
import networkx as nx
import numpy as np

import ntkflow as nf
from ntkflow.notation import W, eta, gamma, gradient, mu, theta, v

SIZES = {"small": {"width": 64, "steps": 30}, "full": {"width": 512, "steps": 200}}

# %% [markdown]
# ## A graph
#
# Any strongly connected `networkx.DiGraph`; an edge i → j carries i's parameters to j. Agents are numbered in the order
# of `list(graph.nodes)`.


# %%
def laboratories() -> nx.DiGraph:
    """Oslo hears everybody, the others their neighbours."""
    graph = nx.DiGraph()
    graph.add_nodes_from(["Oslo", "Bern", "Graz", "Lyon", "Porto"])
    nx.add_cycle(graph, ["Bern", "Graz", "Lyon", "Porto"])
    graph.add_edges_from((city, "Oslo") for city in ("Bern", "Graz", "Lyon", "Porto"))
    graph.add_edges_from([("Oslo", "Bern"), ("Oslo", "Lyon")])
    return graph


# %% [markdown]
# ## Weights
#
# Entry (i, j) is the weight that agent i gives to agent j. Here everybody keeps a half and gives the other half to
# those it hears, Oslo counting double. Rows sum to 1, columns do not, as the audit shows: the agents agree on a
# weighted mean instead of the plain one.


# %%
def weights(graph: nx.DiGraph) -> np.ndarray:
    """A row-stochastic matrix on the graph."""
    cities = list(graph.nodes)
    mixing = 0.5 * np.eye(len(cities))
    for i, city in enumerate(cities):
        heard = {other: 2.0 if other == "Oslo" else 1.0 for other in graph.predecessors(city)}
        for other, trust in heard.items():
            mixing[i, cities.index(other)] = 0.5 * trust / sum(heard.values())
    return mixing


# %% [markdown]
# ## An algorithm
#
# Nesterov's look-ahead momentum with weight decay, on a graph. The rule is two expressions; the same two are linearised
# for the prediction and run on the real network. `mu` and `gamma` are parameters with defaults; `momentum` is another
# name of `mu`.

# %%
step = mu * v - eta * gradient(theta + mu * v)
RULE = nf.Rule(
    "look_ahead_with_decay",
    update={theta: W * theta + step - eta * gamma * theta, v: step},
    parameters={mu: 0.8, gamma: 1e-3},
)

# %% [markdown]
# ## Predicted and trained
#
# What is not linear would have been refused when the rule was made, with the term that offends.


# %%
def main(size: str = "small") -> dict[str, float]:
    """What the audit measured, and how well the prediction did, for the rule and for DGD."""
    width, steps = SIZES[size]["width"], SIZES[size]["steps"]
    graph = laboratories()
    mixing = weights(graph)
    audit = nf.weights.audit(mixing, graph)
    print(audit)

    data = nf.datasets.digits(n_agents=5, n_samples=(60, 20, 35, 10, 50), classes=(3, 8), seed=0)
    model = nf.models.MLP([64, width, 1], activation="tanh")
    study = nf.Study(mixing, model, model.init(seed=0), data, RULE, step_size=5e-3, momentum=0.7)

    predicted, observed = study.predict(steps=steps), study.train(steps=steps)
    plain = study.using(algorithm="dgd").predict(steps=steps)

    figure, [[left, right]] = nf.plots.figure(1, 2)
    nf.plots.graph(graph, mixing, ax=left)
    nf.plots.loss(predicted, observed, ax=right)
    if size == "full":
        figure.savefig("03_your_own_graph.png", dpi=150)
        print("figure: 03_your_own_graph.png")

    results = {
        "largest |column sum - 1|": audit["column_stochastic"].value,
        "spectral gap": audit.spectral_gap,
        "error": float(abs(predicted.loss - observed.loss).max() / abs(observed.loss[0] - observed.loss).max()),
        "first loss": float(observed.loss[0].mean()),
        "last loss": float(observed.loss[-1].mean()),
        "last loss of DGD": float(plain.loss[-1].mean()),
    }
    for name, value in results.items():
        print(f"{name:25} {value:.3g}")
    return results


# %%
if __name__ == "__main__":
    main("full")
