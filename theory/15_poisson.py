"""T15 checked: Poisson-weighted iterates against the flow, engines that know nothing of the identity on both sides."""

import numpy as np
from scipy.stats import poisson

import ntkflow as nf

Q, n, P = 5, 3, 7


def check_identity():
    """Every rule of the catalogue, starts apart, several times."""
    rng = np.random.default_rng(4)
    W = nf.weights.metropolis_hastings(nf.graphs.star(Q))
    J = rng.standard_normal((Q, n, P))
    lin = nf.LinearizedModel.from_jacobian(J, rng.standard_normal((Q, n)), start=rng.standard_normal((Q, P)))
    for name in nf.algorithms.names():
        system = nf.LinearSystem(name, W if nf.algorithms.get(name).uses_graph else None, lin, 0.02)
        iterates = system.iterate(range(200), method="dense").states
        for t in (0.0, 0.3, 4.0, 60.0):
            average = np.tensordot(poisson.pmf(np.arange(200), t), iterates, axes=1)
            flow = system.flow(t, method="dense").states[0]
            # 200 terms of positive weight: no cancellation, so a few hundred roundings at most
            assert np.abs(average - flow).max() <= 1e-13 * np.abs(iterates).max(), (name, t)


def check_tail():
    """The probability beyond t + 10√t + 40 is below 1e-20."""
    for t in (0.0, 1.0, 10.0, 1e3, 1e5):
        assert poisson.sf(t + 10 * t**0.5 + 40, t) < 1e-20


check_identity()
check_tail()
