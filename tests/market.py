"""The named small cases that the catalogue tests loop over: topologies and problems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import ntkflow as nf

TOPOLOGIES = {
    "cycle": nf.graphs.cycle(5),
    "star": nf.graphs.star(5),
    "complete": nf.graphs.complete(4),
    "path": nf.graphs.path(4),
    "grid": nf.graphs.grid(2, 3),
    "torus": nf.graphs.torus(3, 3),
    "hypercube": nf.graphs.hypercube(3),
    "bipartite": nf.graphs.complete_bipartite(2, 3),
    "erdos-renyi": nf.graphs.erdos_renyi(6, 0.5, seed=1),
    "geometric": nf.graphs.random_geometric(6, seed=2),
}

CATALOGUE = nf.algorithms.names()

# one rule of every structure (symmetric, W on the left, W on the right, momentum, a gradient at the new point): what is
# looped over topologies, engines and normalizations stays affordable while the catalogue grows
RULES = ("dgd", "atc", "cta", "cdmsgd", "diging")


@dataclass(frozen=True)
class Problem:
    """Jacobians, residuals and starts of a random linearised network."""

    J: np.ndarray
    residual: np.ndarray
    n_samples: np.ndarray
    n_outputs: int
    start: np.ndarray | None


def problem(n_agents, *, n_samples=3, n_outputs=1, n_parameters=5, apart=False, unequal=False, seed=0, scale=1.0):
    """A random problem; ``apart`` starts the agents apart, ``unequal`` gives them unequal amounts of data."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, n_samples + 1, n_agents) if unequal else np.full(n_agents, n_samples)
    sizes[rng.integers(n_agents)] = n_samples
    real = np.arange(n_samples * n_outputs)[None, :] < (sizes * n_outputs)[:, None]
    J = scale * rng.standard_normal((n_agents, n_samples * n_outputs, n_parameters)) * real[:, :, None]
    residual = rng.standard_normal((n_agents, n_samples * n_outputs)) * real
    start = rng.standard_normal((n_agents, n_parameters)) if apart else None
    return Problem(J, residual, sizes, n_outputs, start)


def graded(n_agents, n, n_parameters, smallest, *, apart=False, seed=3):
    """Jacobians whose stack has singular values from 1 down to ``smallest``."""
    rng = np.random.default_rng(seed)
    rank = min(n_agents * n, n_parameters)
    U = np.linalg.qr(rng.standard_normal((n_agents * n, rank)))[0]
    V = np.linalg.qr(rng.standard_normal((n_parameters, rank)))[0]
    J = (U * np.geomspace(1.0, smallest, rank)) @ V.T
    start = rng.standard_normal((n_agents, n_parameters)) if apart else None
    residual = rng.standard_normal((n_agents, n))
    return Problem(J.reshape(n_agents, n, n_parameters), residual, np.full(n_agents, n), 1, start)


def linearized(case, xp=np, lib=nf):
    """The case as a LinearizedModel of the given library."""
    start = None if case.start is None else xp.asarray(case.start)
    return lib.LinearizedModel.from_jacobian(
        xp.asarray(case.J), xp.asarray(case.residual), case.n_outputs, n_samples=case.n_samples, start=start
    )


def mixing_of(name, W):
    """The mixing matrix where the rule takes one; None where it averages over all agents by itself."""
    return W if nf.algorithms.get(name).uses_graph else None
