# %% [markdown]
# # Which algorithm, which graph, which step size?
#
# Six agents classify handwritten digits, each with samples of its own. Before any of them trains, the linear system
# tells how fast each design learns and how fast its agents agree, how large its step may be, and where it ends. The
# model is affine, for which all of this is exact; for a wide network it is as good as the prediction.

# %%
import ntkflow as nf
from ntkflow.analysis.locus import root_locus
from ntkflow.reports import spectra

SIZES = {"small": 12, "full": 30}  # samples an agent
NUMBERS = ("margin", "consensus", "moving", "final_loss", "global_loss", "consensus_error")

# %% [markdown]
# ## Designs
#
# One study, and changed copies of it. The Jacobians are computed once and shared by all.


# %%
def designs(n_samples: int) -> dict[str, nf.Study]:
    """Four algorithms on a cycle, and DGD on two other graphs."""
    data = nf.datasets.digits(n_agents=6, n_samples=n_samples, classes=(3, 8), seed=0)
    model = nf.models.Affine(n_inputs=64)
    graphs = {"cycle": nf.graphs.cycle(6), "star": nf.graphs.star(6), "complete": nf.graphs.complete(6)}
    weights = {name: nf.weights.metropolis_hastings(graph) for name, graph in graphs.items()}
    study = nf.Study(weights["cycle"], model, model.init(seed=0), data, "dgd", step_size=0.02)
    algorithms = {f"{rule}, cycle": study.using(algorithm=rule) for rule in ("dgd", "atc", "extra", "cdmsgd")}
    return algorithms | {f"dgd, {name}": study.using(W=weights[name]) for name in ("star", "complete")}


# %% [markdown]
# ## Side by side
#
# A time constant is the number of iterations in which a mode falls to 1/e. The slowest mode is one that hardly anything
# depends on; all modes slower than the one in the column "moving" move the outputs by less than a tenth, together. DGD,
# ATC and momentum end beside the common minimiser: with a smaller loss on the own data, a larger one on everybody's.
#
# ## Modes
#
# Blue modes are moves that all agents make together, and the data decide how fast; red ones are disagreements, and
# mostly the graph decides. Open ones learn nothing.


# %%
def main(size: str = "small") -> dict[str, dict[str, float | str]]:
    """The numbers of the table, by design."""
    chosen = designs(SIZES[size])
    table = nf.compare(list(chosen.values()), labels=list(chosen), max_step_size=size == "full")
    print(table)

    figure, [[left, middle, right]] = nf.plots.figure(1, 3)
    nf.spectrum(chosen["extra, cycle"].system).plot(ax=left)
    spectra.rates(*(root_locus(chosen[f"{rule}, cycle"].system) for rule in ("dgd", "atc", "extra")), ax=middle)
    table.plot(ax=right)
    if size == "full":
        figure.savefig("04_compare_algorithms.png", dpi=150)
        print("figure: 04_compare_algorithms.png")

    return {row.label: {name: getattr(row, name) for name in NUMBERS} | {"end": row.end} for row in table.rows}


# %%
if __name__ == "__main__":
    main("full")
