"""The largest stable step size of every rule on twelve graphs, judged by dense eigenvalues of hand-written maps."""

import math

import judges
import numpy as np
import pytest
from libraries import few

import ntkflow as nf
from ntkflow.analysis._driven import Driven
from ntkflow.analysis._largest_step import largest_step
from ntkflow.analysis._reduction import reduction
from ntkflow.analysis.stability import stability, stability_region

RULES = nf.algorithms.names()
GRAPHS = {
    "path 2": nf.graphs.path(2),
    "path 4": nf.graphs.path(4),
    "cycle 4": nf.graphs.cycle(4),
    "cycle 5": nf.graphs.cycle(5),
    "star 4": nf.graphs.star(4),
    "star 6": nf.graphs.star(6),
    "complete 4": nf.graphs.complete(4),
    "grid 2x3": nf.graphs.grid(2, 3),
    "hypercube 3": nf.graphs.hypercube(3),
    "bipartite 2,3": nf.graphs.complete_bipartite(2, 3),
    "erdos-renyi 6": nf.graphs.erdos_renyi(6, 0.5, seed=1),
    "geometric 6": nf.graphs.random_geometric(6, seed=2),
}
SHARES = [*np.arange(0.05, 0.96, 0.05), 0.999]
ROUNDING = 1e-9  # of dense eigenvalues that are nearly double


def of(rule, W, J, step_size=0.1, xp=np, **parameters):
    """The system, with c = 1."""
    lin = nf.LinearizedModel.from_jacobian(xp.asarray(J), xp.ones(J.shape[:2]))
    return nf.LinearSystem(rule, W if nf.algorithms.get(rule).uses_graph else None, lin, step_size, "sum", **parameters)


def data(graph, seed=0, n=1, P=2):
    """Random Jacobians of unequal sizes."""
    rng = np.random.default_rng([seed, len(graph)])
    return rng.standard_normal((len(graph), n, P)) * np.exp(rng.normal(0, 0.3, (len(graph), 1, 1)))


def judged(rule, W, J, unit):
    """η ↦ spectral radius and abscissa of the driven and seen part; its subspaces do not depend on η."""
    V, U = judges.frames(*judges.system(rule, W, J, 0.1 * unit), 1e-9)

    def values(eta):
        M = judges.system(rule, W, J, eta)[0]
        return judges.radius(U.T @ V.T @ M @ V @ U), judges.abscissa(U.T @ V.T @ M @ V @ U)

    return values


def unit(J):
    """1/λ_max(Ψ)."""
    return 1 / np.linalg.norm(J, 2, axis=(1, 2)).max() ** 2


@pytest.mark.parametrize("rule", RULES)
def test_stable_up_to_it_and_not_beyond(xp, rule):
    for name, graph in few(xp, GRAPHS.items(), 9, len(rule)):
        W, J = judges.metropolis(graph), data(graph)
        driven = Driven(reduction(of(rule, W, J, xp=xp)))
        at = judged(rule, W, J, unit(J))
        for flow in (False, True):
            found = largest_step(driven, flow=flow)
            if math.isinf(found.value):
                shares = np.geomspace(1e-3, 1e3, 25) * unit(J)
                assert flow
                assert all(at(eta)[1] <= ROUNDING * max(1, eta / unit(J)) for eta in shares)
                continue
            if found.value == 0:
                assert rule == "d2"  # λ_min < −1/3 (T11), on the hypercube
                assert name == "hypercube 3"
                assert at(1e-3 * unit(J))[0] > 1
                continue
            excess = [at(share * found.value)[1] if flow else at(share * found.value)[0] - 1 for share in SHARES]
            assert max(excess) <= ROUNDING
            beyond = at(1.001 * found.value)
            assert (beyond[1] if flow else beyond[0] - 1) > ROUNDING
            if found.bracket:
                assert found.bracket[0] <= found.value <= found.bracket[1]


def test_dgd_is_exact_in_kernel_form(xp):
    """T8 (a), with the kernel and the entrywise product: no parameter appears."""
    for graph in GRAPHS.values():
        W, J = judges.metropolis(graph), data(graph, 1, 2, 3)
        rows = J.reshape(-1, 3)
        kernel = rows @ rows.T * np.kron(np.linalg.inv(W + np.eye(len(W))), np.ones((2, 2)))
        report = stability(of("dgd", W, J, xp=xp))
        assert math.isclose(report.max_step_size, 1 / np.linalg.eigvalsh(kernel)[-1], rel_tol=1e-12)
        assert report.step_size_bracket is None
        assert report.classical_step_size <= report.max_step_size * (1 + 1e-12)
        assert math.isclose(report.classical_step_size, (1 + np.linalg.eigvalsh(W)[0]) * unit(J), rel_tol=1e-9)


def test_equal_agents_meet_the_closed_form():
    """Where all agents share Ψ the bound of T9 is exact: the classical step is the largest one."""
    graph = nf.graphs.cycle(4)
    W, J = judges.metropolis(graph), np.repeat(data(graph)[:1], 4, axis=0)
    for rule in ("dgd", "atc", "cta", "extra", "exact_diffusion", "nids", "diging", "cdmsgd", "gd", "icdsgd"):
        report = stability(of(rule, W, J))
        assert report.classical_step_size is not None
        assert math.isclose(report.max_step_size, report.classical_step_size, rel_tol=1e-8), rule


def test_the_first_of_several_crossings():
    """T8 (g): a complex pair leaves at 2.37, comes back at 8.89 and leaves for good at 9.02, in units of 1/λ_max."""
    W, J = np.array([[0.037, 0.963], [0.963, 0.037]]), np.array([[[0.2, 0.2]], [[-0.2, -0.8]]])
    for rule in ("atc", "cta"):
        report = stability(of(rule, W, J))
        assert math.isclose(report.max_step_size / unit(J), 2.371686035, rel_tol=1e-8)
        low, high = report.step_size_bracket
        assert low < high < low * (1 + 1e-8)
        between = stability(of(rule, W, J, 8.95 * unit(J)))
        assert between.iteration.verdict == "stable"  # the stable set is no interval, and the verdict knows it


@pytest.mark.parametrize(
    ("name", "rule", "W", "reason"),
    [
        ("λ_min = −1", "dgd", nf.weights.max_degree(nf.graphs.cycle(4)), "eigenvalue −1"),
        ("λ_min = −1, momentum", "cdmsgd", nf.weights.max_degree(nf.graphs.cycle(4)), "smallest"),
        ("D² below −1/3", "d2", nf.weights.laplacian(nf.graphs.cycle(4), 0.4), "smallest"),
        ("D² at λ_min = −1/2", "d2", nf.weights.metropolis_hastings(nf.graphs.hypercube(3)), "smallest"),
    ],
)
def test_no_step_size_is_stable(name, rule, W, reason):
    J = data(W)
    report = stability(of(rule, W, J, 1e-3 * unit(J)))
    assert report.max_step_size == 0.0
    assert reason in report.step_size_reason
    assert report.iteration.verdict == "unstable"
    assert report.best_step_size is None
    assert all(judged(rule, W, J, unit(J))(eta * unit(J))[0] > 1 for eta in (1e-4, 1e-2, 1))


def test_every_step_size_is_stable():
    assert stability(of("dgd", judges.metropolis(GRAPHS["path 4"]), np.zeros((4, 1, 2)))).max_step_size == math.inf
    report = stability(of("dgd", judges.metropolis(GRAPHS["path 4"]), data(GRAPHS["path 4"])))
    assert report.max_step_size_flow == math.inf
    assert "T3" in report.flow_reason


@pytest.mark.parametrize("rule", ["dgd", "atc", "gd", "extra", "cdmsgd", "diging"])
def test_no_step_size_is_better_than_the_best(rule):
    W, J = judges.metropolis(GRAPHS["path 4"]), data(GRAPHS["path 4"], 3)
    report, at = stability(of(rule, W, J)), judged(rule, W, J, unit(J))
    assert math.isclose(at(report.best_step_size)[0], report.best_spectral_radius, abs_tol=1e-8)
    tried = [at(share * report.max_step_size)[0] for share in np.linspace(0.005, 1, 400)]
    assert report.best_spectral_radius <= min(tried) + 1e-9


def test_the_largest_step_belongs_to_the_normalization():
    """η is in the units of step_size: c_q goes into Ψ."""
    W, J = judges.metropolis(GRAPHS["path 4"]), data(GRAPHS["path 4"], n=3)
    lin = nf.LinearizedModel.from_jacobian(J, np.ones(J.shape[:2]))
    steps = {c: stability(nf.LinearSystem("dgd", W, lin, 0.1, c)).max_step_size for c in ("sum", "per_agent", "global")}
    assert math.isclose(steps["per_agent"], 3 * steps["sum"], rel_tol=1e-12)
    assert math.isclose(steps["global"], 12 * steps["sum"], rel_tol=1e-12)


class TestTheStepSizeOfTheSystemPlaysNoPart:
    """A rank that falls by accident, or out of sight, at the system's own step size must not decide the largest one."""

    J = np.random.default_rng(0).normal(size=(4, 2, 6))
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))

    @pytest.mark.parametrize("rule", ["cdmsgd", "cdmsgd_nesterov", "diging", "aug_dgm", "nids", "extra", "d2"])
    def test_over_fourteen_decades(self, rule):
        steps = [
            stability(of(rule, self.W, self.J, share * unit(self.J))).max_step_size for share in (1e-9, 1e-3, 0.1, 1e5)
        ]
        assert max(steps) == pytest.approx(min(steps), rel=1e-9)
        at = judged(rule, self.W, self.J, unit(self.J))
        assert at(0.999 * steps[0])[0] < 1 < at(1.001 * steps[0])[0]

    def test_a_rank_that_falls_by_accident(self):
        J = np.array([[[1.0, 0]], [[0, 1]], [[1, 1]], [[0.5, 0.2]]])
        steps = [stability(of("cdmsgd_nesterov", self.W, J, eta)).max_step_size for eta in (0.1, 0.5, 1.0)]
        assert max(steps) == pytest.approx(min(steps), rel=1e-9)
        shifted = 0.3 * np.eye(4) + 0.7 * np.roll(np.eye(4), 1, axis=1)
        steps = [stability(of("cta", shifted, J, eta)).max_step_size for eta in (0.1, 0.5, 1.0)]
        assert max(steps) == pytest.approx(min(steps), rel=1e-9)

    def test_a_region_has_no_momentum_of_its_own(self):
        regions = [stability_region(of("cdmsgd", self.W, self.J, eta, momentum=mu), [0.01, 0.1], [0.0, 0.3, 0.9])
                   for eta, mu in ((0.1, 0.9), (0.1, 0.0), (1e6, 0.5))]  # fmt: skip
        np.testing.assert_allclose(regions[1:], regions[:1] * 2, atol=1e-10)
        for i, eta in enumerate((0.01, 0.1)):
            for j, mu in enumerate((0.0, 0.3, 0.9)):
                A, _, _, _ = of("cdmsgd", self.W, self.J, eta, momentum=mu).dense()
                raw = np.abs(np.linalg.eigvals(A + np.eye(len(A))))
                assert np.abs(raw - regions[0][i, j]).min() < 1e-9  # one of the whole map's, marginal ones aside


def test_weights_that_amplify_leave_no_step_size():
    """W has the eigenvalue 2: however small the step, what disagrees grows."""
    W = np.array([[1.5, -0.5], [-0.5, 1.5]])
    for rule in ("dgd", "atc", "cta"):
        report = stability(of(rule, W, np.random.default_rng(0).normal(size=(2, 2, 5)), 0.01))
        assert report.max_step_size == 0.0
        assert report.iteration.verdict == "unstable"


def test_an_excursion_at_the_first_look_is_no_instability_from_the_start():
    """The abscissa of this flow is clearly negative until 400 in units of 1/λ_max, and the crossing is a real one."""
    J = np.array([0.18, 1.07, 1.8, 0.11, 3.23]).reshape(5, 1, 1)
    W = 0.3 * np.eye(5) + 0.7 * np.roll(np.eye(5), 1, axis=1)
    report, at = stability(of("cta", W, J, 0.01)), judged("cta", W, J, unit(J))
    assert 400 < report.max_step_size_flow / unit(J) < 450
    assert at(0.999 * report.max_step_size_flow)[1] < 0 < at(1.001 * report.max_step_size_flow)[1]


def test_a_crossing_below_the_first_step_size_of_the_scan():
    d = 1e-7  # of λ_min from −1
    W, J = np.array([[d / 2, 1 - d / 2], [1 - d / 2, d / 2]]), np.random.default_rng(0).normal(size=(2, 2, 3))
    report, at = stability(of("cdmsgd", W, J, 1e-9)), judged("cdmsgd", W, J, unit(J))
    assert report.classical_step_size < report.max_step_size < 1e-6
    assert at(0.99 * report.max_step_size)[0] < 1 < at(1.01 * report.max_step_size)[0]


@pytest.mark.parametrize("share", [1e-4, 1e-2])
def test_rounding_of_near_defective_modes_is_no_crossing(share):
    """DIGing's flow on a long path is stable for every step size; in 50 digits the abscissa at 2,586 is −4e-6."""
    W, J = judges.metropolis(nf.graphs.path(10)), np.random.default_rng(0).normal(size=(10, 1, 3))
    report = stability(of("diging", W, J, share * unit(J)))
    assert report.max_step_size_flow == math.inf
    nearly_apart = (1 - 1e-6) * np.eye(5) + 1e-6 * judges.metropolis(nf.graphs.cycle(5))
    J = np.random.default_rng(0).normal(size=(5, 2, 3))
    assert stability(of("diging", nearly_apart, J, share * unit(J))).max_step_size / unit(J) > 1.9


def test_eigenvalues_that_a_polynomial_in_W_makes_equal():
    """W² has one eigenvalue where W has two: the driven part is smaller than R, and nothing of it stays."""
    shift = np.roll(np.eye(4), 1, axis=1)
    W, J = 0.5 * (shift + shift.T), np.random.default_rng(0).normal(size=(4, 2, 9))
    system = of("icdsgd", W, J, 0.05, consensus_steps=2)
    A, B, _, _ = system.dense()
    M = A + np.eye(36)
    reached = np.linalg.qr(np.hstack([B, M @ B, M @ M @ B]))[0][:, :16]
    report = stability(system)
    assert report.iteration.verdict == "stable"
    assert report.spectral_radius == pytest.approx(judges.radius(reached.T @ M @ reached), abs=1e-9)
    assert report.spectral_radius < 1


def test_what_compression_leaves_out_can_be_unstable():
    """A faint Jacobian on a mode at −1 + 1e-7 is enough; after compression nobody can tell."""
    d = 1e-7
    W = np.eye(3)
    W[1:, 1:] = [[d / 2, 1 - d / 2], [1 - d / 2, d / 2]]
    whole = nf.LinearizedModel.from_jacobian(np.array([[[1.0, 0]], [[0, 5e-4]], [[0, 5e-4]]]), np.ones((3, 1)))
    known, faint = (nf.LinearSystem("dgd", W, model, 1.0, "sum") for model in (whole, whole.compress(1e-3)))
    assert stability(known).iteration.verdict == "unstable"
    assert stability(faint).iteration.verdict == "undecided"
    assert stability(faint).max_step_size <= stability(known).max_step_size
    amplifies = np.zeros((4, 4))
    amplifies[:2, :2], amplifies[2:, 2:] = 0.5, [[1.5, -0.5], [-0.5, 1.5]]
    J = np.random.default_rng(0).normal(size=(4, 2, 4)) * np.array([1, 1, 1e-12, 1e-12])[:, None, None]
    assert stability(of("dgd", amplifies, J, 0.01)).iteration.verdict != "stable"
