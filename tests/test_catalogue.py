"""Every algorithm of the catalogue against the loop that its agents run (loops.py), linear and on a real network.

Errors are relative to the largest deviation along the true trajectory.  1e-12 is what rounding allows in 50 steps: a
step commits some (Q + n + P) eps = 3e-15 of its size; the recursions that subtract x^{k-1} from 2 x^k have a double
root at 1 and add that error up k times; with random signs it comes to 3e-15 (sum of k^2)^(1/2) = 6e-13.  Methods that
differ by one term differ by more than 1e-3, see `test_no_two_loops_are_alike`.
"""

from functools import cache

import loops
import numpy as np
import pytest
from libraries import few, sampled
from market import TOPOLOGIES, linearized, problem

import ntkflow as nf

TOL = 1e-12
STEPS = 50
GRAPHLESS = {"gd", "fedavg"}
COUNTS = {"icdsgd": [{"consensus_steps": tau} for tau in (1, 2, 3)], "fedavg": [{"local_steps": E} for E in (1, 2, 5)]}
MOMENTA = [{"momentum": 0.9}, {"momentum": 0.5}]
NORMALIZATIONS = ["per_agent", "global", "sum", "torch_mse", "given"]
GIVEN = np.array([0.7, 1.9, 0.2, 1.1, 0.5, 1.4, 0.9, 0.3, 1.0])
# (apart, unequal data, n_outputs, directed W, normalization): every pair of the first four once, every normalization
VARIANTS = [
    (False, False, 1, False, "per_agent"),
    (True, False, 2, True, "sum"),
    (False, True, 2, False, "torch_mse"),
    (True, True, 1, True, "global"),
    (True, True, 2, False, "given"),
]

every_name = pytest.mark.parametrize("name", nf.algorithms.names())
every_topology = sampled("topology", TOPOLOGIES, 5)


def loop_of(name):
    if name not in loops.LOOPS:
        pytest.fail(f"algorithm {name!r} has no loop of its own: write one in tests/loops.py, from its paper")
    return name


def settings_of(name):
    """The parameters that a rule is tried with."""
    return COUNTS.get(name, MOMENTA if name.startswith("cdmsgd") else [{}])


@cache
def mixing(topology, directed=False):
    """Metropolis weights, or random row-stochastic ones on the same links: neither symmetric nor doubly stochastic."""
    W = nf.weights.metropolis_hastings(TOPOLOGIES[topology])
    if not directed:
        return W
    W = np.where(W > 0, np.random.default_rng(3).uniform(0.1, 1.0, W.shape), 0.0)
    return W / W.sum(axis=1, keepdims=True)


def factors(normalization, sizes, n_outputs):
    """c_q, from the loss that each normalization differentiates; "given" takes numbers out of the blue."""
    return {
        "per_agent": 1 / sizes,
        "global": 1 / (len(sizes) * sizes),
        "sum": np.ones(len(sizes)),
        "torch_mse": 2 / (sizes * n_outputs),
        "given": GIVEN[: len(sizes)],
    }[normalization]


def linear_gradient(case, start, c):
    """(q, x_q) -> c_q J_q^T (e_q + J_q (x_q - x_q(0)))."""
    return lambda q, x_q: c[q] * (case.J[q].T @ (case.residual[q] + case.J[q] @ (x_q - start[q])))


def setting(topology, variant, reach):
    """W, the problem, its start, its c_q, and the step size: eta times the largest curvature is ``reach``."""
    apart, unequal, n_outputs, directed, normalization = variant
    W = mixing(topology, directed)
    case = problem(len(W), n_samples=2, n_outputs=n_outputs, n_parameters=4, apart=apart, unequal=unequal, seed=len(W))
    c = factors(normalization, case.n_samples, n_outputs)
    step_size = reach / max(c_q * np.linalg.norm(J_q, 2) ** 2 for c_q, J_q in zip(c, case.J, strict=True))
    return W, case, np.zeros((len(W), 4)) if case.start is None else case.start, c, step_size


def walked(name, topology, variant, reach, parameters, steps=STEPS):
    """Deviations of the loop, (steps + 1, Q, P)."""
    W, case, start, c, step_size = setting(topology, variant, reach)
    gradient = linear_gradient(case, start, c)
    return loops.run(loop_of(name), W, start, gradient, step_size, steps, **parameters) - start


def predicted(name, topology, variant, reach, parameters, lib=nf):
    """Deviations of the linear system, (STEPS + 1, Q, P)."""
    W, case, _, c, step_size = setting(topology, variant, reach)
    normalization = c if variant[-1] == "given" else variant[-1]
    graph = None if name in GRAPHLESS else W
    system = lib.LinearSystem(name, graph, linearized(case, lib=lib), step_size, normalization, **parameters)
    return system.iterate(range(STEPS + 1)).deviation


def error(found, truth):
    assert found.shape == truth.shape
    scale = np.max(np.abs(truth))
    assert scale > 0
    return np.max(np.abs(found - truth)) / scale


# ------------------------------------------------------------------------------------------- the linear system


@every_topology
@every_name
def test_system_is_what_the_agents_do(lib, name, topology):
    tried = settings_of(loop_of(name))
    for i, variant in few(lib, enumerate(VARIANTS), 2):
        case = (name, topology, variant, 0.3, tried[i % len(tried)])
        assert error(predicted(*case, lib), walked(*case)) <= TOL, case


@pytest.mark.parametrize(("name", "parameters"), [(n, p) for n in nf.algorithms.names() for p in settings_of(n)])
def test_every_parameter_with_every_start(name, parameters):
    for variant in VARIANTS:
        case = (name, "path", variant, 0.2, parameters)
        assert error(predicted(*case), walked(*case)) <= TOL, variant


@every_name
def test_system_is_what_the_agents_do_where_they_diverge(name):
    # the first step size of a grid at which the loop's updates treble between steps 25 and 50, some 4 % a step
    parameters = settings_of(loop_of(name))[0]
    for reach in 0.05 * 1.15 ** np.arange(60):
        case = (name, "star", VARIANTS[2], reach, parameters)
        truth = walked(*case)
        updates = np.linalg.norm(np.diff(truth, axis=0), axis=(1, 2))
        if updates[49] > 3 * updates[24]:
            break
    else:
        pytest.fail("no step size diverges")
    assert updates[49] < 1e4 * updates[24]  # slightly
    assert error(predicted(*case), truth) <= TOL


def test_d2_at_the_edge_of_its_graphs():
    # Metropolis weights on the 8-cycle have the eigenvalue -1/3, where the recursion z^2 = lambda (2z - 1) has a root
    # -1: agents that start apart keep swinging, and the loop and the system must swing alike
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(8))
    assert np.isclose(np.linalg.eigvalsh(W)[0], -1 / 3)
    case = problem(8, n_samples=2, n_parameters=4, apart=True, seed=8)
    gradient = linear_gradient(case, case.start, np.ones(8))
    truth = loops.run("d2", W, case.start, gradient, 1e-3, STEPS) - case.start
    found = nf.LinearSystem("d2", W, linearized(case), 1e-3, "sum").iterate(range(STEPS + 1)).deviation
    assert error(found, truth) <= TOL
    swings = truth[1:] - truth[:-1]
    assert np.linalg.norm(swings[-1] + swings[-2]) < 0.1 * np.linalg.norm(swings[-1])


def test_no_two_loops_are_alike():
    # else a rule filed under a wrong name would pass; dgd and cdsgd are one method by two names
    ends = {name: walked(name, "path", VARIANTS[1], 0.2, settings_of(name)[-1], steps=4)[4] for name in loops.LOOPS}
    scale = np.max(np.abs(ends["dgd"]))
    alike = {(a, b) for a in ends for b in ends if a < b and np.max(np.abs(ends[a] - ends[b])) < 1e-3 * scale}
    assert alike == {("cdsgd", "dgd")}


def test_no_loop_is_left_over():
    assert set(loops.LOOPS) == set(nf.algorithms.names())


def test_a_loop_is_asked_for():
    with pytest.raises(pytest.fail.Exception, match="write one in"):
        loop_of("one that nobody wrote")


# ------------------------------------------------------------------------------------------- the real network


HIDDEN = 3


def network(x, sample):
    """One hidden layer of tanh in the NTK parameterisation (2409.15267, eq. 1), two inputs and one output."""
    omega, bias = x[..., : 2 * HIDDEN], x[..., 2 * HIDDEN : 3 * HIDDEN]
    z = np.tanh((sample[0] * omega[..., :HIDDEN] + sample[1] * omega[..., HIDDEN:]) / np.sqrt(2) + 0.1 * bias)
    return np.sum(z * x[..., 3 * HIDDEN : 4 * HIDDEN], axis=-1) / np.sqrt(HIDDEN) + 0.1 * x[..., 4 * HIDDEN]


def complex_step_gradient(samples, targets):
    """(q, x_q) -> the derivative of agent q's half mean square, by steps of 1e-30 i: no backward pass, no rounding."""

    def half_mean_square(q, x_q):
        missed = [network(x_q, s) - t for s, t in zip(samples[q], targets[q], strict=True)]
        return sum(r * r for r in missed) / (2 * len(missed))

    return lambda q, x_q: half_mean_square(q, x_q + 1e-30j * np.eye(len(x_q))).imag / 1e-30


@pytest.mark.parametrize("apart", [False, True])
@every_name
def test_training_is_what_the_agents_do(lib, name, apart):
    rng = np.random.default_rng(11)
    W = mixing("path", directed=apart)
    samples, targets = rng.standard_normal((len(W), 3, 2)), rng.standard_normal((len(W), 3, 1))
    model = nf.models.MLP([2, HIDDEN, 1], activation="tanh", weight_std=1.0, bias_std=0.1)
    start = rng.standard_normal((len(W) if apart else 1, model.n_parameters)) * np.ones((len(W), 1))
    gradient = complex_step_gradient(samples, targets[:, :, 0])
    for parameters in few(lib, settings_of(loop_of(name)), 2):
        truth = loops.run(name, W, start, gradient, 0.2, 5, **parameters) - start
        study = lib.Study(
            None if name in GRAPHLESS else W,
            model,
            start,
            lib.datasets.from_arrays(samples, targets),
            algorithm=name,
            step_size=0.2,
            **parameters,
        )
        assert error(study.train(steps=5).deviation, truth) <= TOL, parameters
