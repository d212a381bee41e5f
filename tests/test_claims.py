"""What the catalogue claims about its rules, where the hypotheses are met, and that every claim can fail."""

from functools import cache

import numpy as np
import pytest
import scipy.linalg
from market import TOPOLOGIES, problem

import ntkflow as nf
from ntkflow.algorithms._claims import hypotheses, limits, measures, motion, stability

GRAPHLESS = {"gd", "fedavg"}
CLAIMS = [(name, i) for name in nf.algorithms.names() for i in range(len(nf.algorithms.get(name).claims))]
every_claim = pytest.mark.parametrize(("name", "i"), CLAIMS, ids=[f"{n}-{i}" for n, i in CLAIMS])
STEPS = (0.05, 0.45, 0.95, 1.3, 1.95, 2.6, 6.0)  # eta times the largest curvature: on both sides of every bound
EXTRAS = {
    "icdsgd": [{"tau": 1}, {"tau": 2}, {"tau": 3}],
    "fedavg": [{"E": 1}, {"E": 2}, {"E": 4}],
    "cdmsgd": [{"mu": 0.9}, {"mu": 0.3}],
    "cdmsgd_nesterov": [{"mu": 0.9}, {"mu": 0.3}],
    "cdmsgd_published": [{"mu": 0.9}, {"mu": 0.3}],
}


def mixings():
    """Symmetric with lambda_min positive, negative, below -1/3 and at -1; doubly stochastic on a directed ring."""
    cycle, star = nf.graphs.cycle(4), nf.graphs.star(4)
    shift = np.roll(np.eye(4), 1, axis=1)
    return {
        "lazy cycle": nf.weights.lazy(nf.weights.metropolis_hastings(cycle)),
        "lazy star": nf.weights.lazy(nf.weights.metropolis_hastings(star)),
        "cycle": nf.weights.metropolis_hastings(cycle),
        "path": nf.weights.metropolis_hastings(TOPOLOGIES["path"]),
        "nearly a swap": 0.2 * np.eye(4) + 0.4 * (shift + shift.T),
        "a swap": nf.weights.max_degree(cycle),
        "directed ring": 0.6 * np.eye(4) + 0.4 * shift,
        "complete": nf.weights.metropolis_hastings(TOPOLOGIES["complete"]),
    }


MIXINGS = mixings()


def problems():
    """Data that conflict and determine the parameters, that leave some free, and agents that share Psi."""
    yield "conflict", problem(4, n_samples=2, n_parameters=3, apart=True, unequal=True, seed=1)
    yield "free", problem(4, n_samples=1, n_parameters=6, apart=True, seed=2)
    yield "blind", problem(4, n_samples=2, n_parameters=3, seed=3)
    yield "alike", problem(4, n_samples=4, n_parameters=2, apart=True, seed=4)


PROBLEMS = dict(problems())


def model(kind):
    """The problem as a model; "blind" data never see the last parameter, and yet conflict in the others."""
    case = PROBLEMS[kind]
    J = case.J.copy()
    if kind == "alike":
        J[:] = J[0]
    if kind == "blind":
        J[:, :, -1] = 0.0
    return nf.LinearizedModel.from_jacobian(J, case.residual, n_samples=case.n_samples, start=case.start)


MODELS = {kind: model(kind) for kind in PROBLEMS}


@cache
def systems(name):
    """Every system that the claims of a rule are tried on, with what it is made of."""
    found = []
    for W_name, W in MIXINGS.items() if name not in GRAPHLESS else [("none", None)]:
        for kind, lin in MODELS.items():
            for step in STEPS:
                for extra in EXTRAS.get(name, [{}]):
                    top = nf.LinearSystem(name, W, lin, 1.0, **extra).full.top
                    system = nf.LinearSystem(name, W, lin, step / top, **extra)
                    found.append((f"{W_name}, {kind}, {step}, {extra}", system))
    return found


def claim_of(name, i):
    return nf.algorithms.get(name).claims[i]


@pytest.mark.parametrize("name", nf.algorithms.names())
def test_every_rule_claims_something_and_says_whence(name):
    claims = nf.algorithms.get(name).claims
    assert 1 <= len(claims) <= 4
    for claim in claims:
        assert claim.statement.endswith(".")
        assert claim.source


@every_claim
def test_claim_holds_wherever_it_applies(name, i):
    verdicts = {label: claim_of(name, i).holds(system) for label, system in systems(name)}
    wrong = [label for label, verdict in verdicts.items() if verdict is False]
    assert not wrong, claim_of(name, i).statement
    assert sum(verdict is True for verdict in verdicts.values()) >= 6  # and not only for want of a system to try


@every_claim
def test_a_claim_is_judged_alike_in_every_library(xp, name, i):
    """The operators are asked where they live, and what they answer is judged on the host."""
    for label, system in systems(name)[len(claim_of(name, i).statement) % 13 :: 29]:
        given, W = system.model, system.mixing if system.rule.uses_graph else None
        J, residual, start = (xp.asarray(a) for a in (given.jacobian, given.residual, given.start))
        there = nf.LinearizedModel.from_jacobian(J, residual, n_samples=given.n_samples, start=start)
        moved = nf.LinearSystem(name, W, there, system.step_size, system.normalization, **system.parameters)
        assert claim_of(name, i).holds(moved) is claim_of(name, i).holds(system), label


@every_claim
def test_claim_can_fail(name, i):
    # for another rule that meets the hypotheses, or for its own rule where they are not met
    claim = claim_of(name, i)
    others = (system for other in nf.algorithms.names() if other != name for _, system in systems(other))
    beyond = (system for _, system in systems(name) if not claim.applies(system))
    fails = any(claim.holds(system) is False for system in others)
    assert fails or any(not claim.predicate(system) for system in beyond), claim.statement


def satisfying(predicate):
    """The rules that satisfy a predicate for agents whose data conflict, on every W; E and tau > 1."""
    kept = set()
    for name in nf.algorithms.names():
        asked = [s for label, s in systems(name) if "conflict" in label and 1 not in s.rule.counts.values()]
        if all(predicate(system) for system in asked):
            kept.add(name)
    return kept


TRACKERS = {"diging", "aug_dgm", "atc_tracking"}
EXACT = {"extra", "exact_diffusion", "d2", "nids"} | TRACKERS


@pytest.mark.parametrize(
    ("predicate", "rules"),
    [
        (limits.rests_at_a_minimiser, EXACT | {"gd"}),
        (motion.tracks_the_mean_gradient, TRACKERS),
        (motion.agrees_at_once, {"gd", "fedavg"}),
        (motion.mean_follows_mean_gradient, EXACT | {"gd", "dgd", "cdsgd", "icdsgd", "atc"}),
        (limits.descends_on_lyapunov, set()),  # a directed ring has no such function
    ],
)
def test_a_predicate_tells_the_rules_apart(predicate, rules):
    assert satisfying(predicate) == rules


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("dgd", hypotheses.dgd_bound),
        ("icdsgd", hypotheses.dgd_bound),
        ("cdmsgd", hypotheses.heavy_ball_bound),
        ("cdmsgd_published", hypotheses.published_bound),
    ],
)
def test_bounds_are_sharp_for_agents_that_share_their_hessian(name, bound):
    # W's eigenvector of lambda_min times the top eigenvector of Psi leaves the unit circle exactly there
    extra = EXTRAS.get(name, [{}])[-1]
    unit = nf.LinearSystem(name, MIXINGS["nearly a swap"], MODELS["alike"], 1.0, **extra)
    for factor, expected in ((0.999, True), (1.001, False)):
        step_size = factor * bound(unit) / unit.full.top
        system = nf.LinearSystem(name, MIXINGS["nearly a swap"], MODELS["alike"], step_size, **extra)
        assert stability.iteration_is_stable(system) is expected


def test_measures_are_what_they_say():
    # by loops over agents and samples, normalization "sum"
    J, e, W = PROBLEMS["free"].J, PROBLEMS["free"].residual, MIXINGS["path"]
    start, eta = PROBLEMS["free"].start, 0.3
    system = nf.LinearSystem("dgd", W, MODELS["free"], eta, "sum")
    place = np.random.default_rng(1).standard_normal(start.shape)
    r = [e[q] + J[q] @ (place[q] - start[q]) for q in range(4)]
    g = [J[q].T @ r[q] for q in range(4)]
    new = [sum(W[q, j] * place[j] for j in range(4)) - eta * g[q] for q in range(4)]
    assert np.allclose(measures.gradient(system, place), g, rtol=1e-13, atol=1e-13)
    assert np.allclose(measures.update(system, place[None])[0], new, rtol=1e-13, atol=1e-13)
    assert np.isclose(measures.objective(system, place), sum(r_q @ r_q for r_q in r) / 2, rtol=1e-13)
    blocks = [J[q].T @ J[q] for q in range(4)]
    assert np.allclose(measures.hessian(system), scipy.linalg.block_diag(*blocks), rtol=1e-13, atol=1e-13)
    assert np.isclose(measures.curvature(system), eta * max(np.linalg.eigvalsh(b)[-1] for b in blocks), rtol=1e-12)
    assert measures.data_rank(system) == 4  # four samples, six parameters


def test_a_claim_is_silent_where_its_hypotheses_fail():
    claim = nf.algorithms.get("dgd").claims[0]
    system = nf.LinearSystem("dgd", MIXINGS["directed ring"], MODELS["free"], 0.1)
    assert not claim.applies(system)
    assert claim.holds(system) is None
    assert claim.holds(nf.LinearSystem("dgd", MIXINGS["path"], MODELS["free"], 0.1)) is True


@cache
def study(name, lazy):
    """A real network whose stacked Jacobian has singular values from 4.3 to 1.2e-8, without a gap."""
    data = nf.datasets.half_moons(n_agents=9, n_samples=8, noise=0.1, seed=0)
    network = nf.models.MLP([2, 6, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.grid(3, 3))
    W = None if name in GRAPHLESS else nf.weights.lazy(W) if lazy else W
    return nf.Study(W, network, network.init(seed=0), data, name, step_size=1e-3, normalization="sum")


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name", nf.algorithms.names())
def test_no_theorem_is_false_on_ill_conditioned_data(name, lazy):
    claims = nf.algorithms.get(name).claims
    applicable = [claim for claim in claims if claim.applies(study(name, lazy))]
    verdicts = {claim.statement: claim.holds(study(name, lazy)) for claim in applicable}
    assert False not in verdicts.values(), verdicts
    assert list(verdicts.values()).count(True) >= len(applicable) - 1, verdicts


@pytest.mark.parametrize("name", sorted(EXACT | {"gd"}))
@pytest.mark.parametrize("faintest", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("step", [1e-4, 0.1])
def test_resting_points_of_faintly_seen_directions(name, faintest, step):
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.standard_normal((12, 6)))[0] * np.logspace(0, np.log10(faintest), 6)
    lin = nf.LinearizedModel.from_jacobian(basis.reshape(4, 3, 6), rng.standard_normal((4, 3)))
    for W in [None] if name == "gd" else [MIXINGS["lazy cycle"], MIXINGS["lazy star"]]:
        system = nf.LinearSystem(name, W, lin, step, "sum")
        assert limits.rests_at_a_minimiser(system) is True
        assert limits.finds_the_minimiser(system) is not False


@pytest.mark.parametrize("name", ["dgd", "cta", "cdmsgd"])
def test_an_approximate_method_is_never_taken_for_an_exact_one(name):
    """Where nothing is faint it is told apart; where much is, the question stays open at worst."""
    clear = nf.LinearSystem(name, MIXINGS["lazy cycle"], MODELS["conflict"], 0.1, "sum")
    assert limits.rests_at_a_minimiser(clear) is False
    assert limits.rests_at_a_minimiser(study(name, False).system) is None


def test_faint_data_that_all_agents_can_fit_refute_nothing():
    # fewer samples than parameters: DGD rests at the common minimiser, which its matrix hides in the rounding
    data = nf.datasets.half_moons(n_agents=9, n_samples=3, noise=0.1, seed=0)
    network = nf.models.MLP([2, 20, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.grid(3, 3))
    wide = nf.Study(W, network, network.init(seed=0), data, "dgd", step_size=0.01, normalization="sum")
    assert limits._shares_a_minimiser(wide.system) is True
    assert [claim.holds(wide) for claim in wide.rule.claims] == [True, True, True, None]


def test_a_claim_takes_a_study_and_refuses_anything_else():
    claim = nf.algorithms.get("dgd").claims[0]
    assert claim.holds(study("dgd", False)) is claim.holds(study("dgd", False).system) is True
    for other in ("dgd", None, np.eye(3)):
        with pytest.raises(nf.errors.InputError, match="a LinearSystem or a Study") as caught:
            claim.holds(other)
        assert "\n" not in str(caught.value)
