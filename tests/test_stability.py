"""Verdicts against judges that share nothing with them: dense eigenvalues, and 60 digits near the boundary."""

import dataclasses
import math
import re

import judges
import mpmath
import networkx as nx
import numpy as np
import pytest
from conftest import to_numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from judges import DIGITS, MOMENTUM
from libraries import sampled
from scipy.optimize import bisect

import ntkflow as nf
from ntkflow.analysis._certificates import judge
from ntkflow.analysis._driven import Driven
from ntkflow.analysis._largest_step import largest_step
from ntkflow.analysis._reduction import reduction
from ntkflow.analysis.stability import _judged, stability, stability_region
from ntkflow.errors import NtkflowError

RULES = nf.algorithms.names()
GRAPHS = [nf.graphs.path(2), nf.graphs.path(3), nf.graphs.complete(3), nf.graphs.star(4), nf.graphs.cycle(4)]
TRACKERS = ("diging", "aug_dgm", "atc_tracking")
SYSTEMS = 60  # of each of the 17 rules: 1,020
NEAR = 1e-5  # margins below are judged in 60 digits: dense eigenvalues of these sizes are good to 1e-8 at the worst


def of(rule, graph, J, step_size, W=None, xp=np, **parameters):
    """The system, with c = 1."""
    Q, n, _ = J.shape
    lin = nf.LinearizedModel.from_jacobian(xp.asarray(J), xp.ones((Q, n)))
    W = judges.metropolis(graph) if W is None else W
    uses_graph = nf.algorithms.get(rule).uses_graph
    return nf.LinearSystem(rule, W if uses_graph else None, lin, step_size, "sum", **parameters)


def drawn(rng):
    """A graph and Jacobians: fewer, as many and more parameters than data, sometimes agents without data."""
    graph = GRAPHS[rng.integers(len(GRAPHS))]
    n, P = rng.integers(1, 3, 2)
    J = rng.standard_normal((len(graph), n, P)) * np.exp(rng.normal(0, 0.5, (len(graph), 1, 1)))
    if rng.random() < 0.1:
        J[0] = 0.0
    return graph, J


def near_a_crossing(driven, rng, flow):
    """A step size within 1e-6 of a crossing of the boundary; None where there is none."""

    def outside(x):
        return driven.excess(x, flow=flow)

    grid = driven.unit * np.geomspace(0.05, 30, 60)
    signs = np.sign([outside(x) for x in grid])
    found = np.flatnonzero(signs[1:] != signs[:-1])
    if not len(found):
        return None
    k = found[0]
    crossing = bisect(outside, grid[k], grid[k + 1], xtol=1e-13 * grid[k])
    return crossing * (1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-9, -6))


def truth(rule, graph, J, step_size, flow):
    """(stable, excess) of the driven and seen part; near the boundary the first is decided in 60 digits."""
    M = judges.part(*judges.system(rule, judges.metropolis(graph), J, step_size), 1e-9)
    excess = judges.abscissa(M) if flow else judges.radius(M) - 1
    if abs(excess) > NEAR:
        return excess < 0, excess
    with mpmath.workdps(DIGITS):
        exact = (judges.exact(J), mpmath.mpf(step_size), mpmath.mpf(MOMENTUM))
        M = judges.part(*judges.system(rule, judges.metropolis(graph, mpmath.mpf), *exact), mpmath.mpf(10) ** -30)
        return judges.is_hurwitz(M - np.eye(len(M), dtype=int)) if flow else judges.is_schur(M), excess


@pytest.mark.parametrize("rule", RULES)
def test_no_verdict_is_wrong(xp, rule):
    """A third of the systems within 1e-6 of the boundary, of the flow or of the iteration."""
    rng = np.random.default_rng(sum(map(ord, rule)))
    undecided, clear = [], 0
    for number in range(SYSTEMS if xp is np else 3):
        graph, J = drawn(rng)
        if not J.any():
            continue
        step_size = 10 ** rng.uniform(-2, 1) / np.linalg.norm(J, 2, axis=(1, 2)).max() ** 2
        if number % 3 == 0:
            driven = Driven(reduction(of(rule, graph, J, step_size, xp=xp)))
            close = [near_a_crossing(driven, rng, flow) for flow in (0, 1)]
            step_size = next((x for x in close[:: rng.choice([-1, 1])] if x), step_size)
        system = of(rule, graph, J, step_size, xp=xp)
        driven = Driven(reduction(system))
        for flow in (True, False):
            largest = largest_step(driven, flow=flow) if driven.form else None
            judged = _judged(driven, system.audit, largest, flow=flow)
            inside, excess = truth(rule, graph, J, step_size, flow)
            assert judged.verdict in (("stable" if inside else "unstable"), "undecided"), (number, flow, excess)
            assert math.isclose(judged.excess, excess, abs_tol=1e-7)
            clear += abs(excess) > 1e-8
            if judged.verdict == "undecided" and abs(excess) > 1e-8:
                undecided.append((number, flow, excess, judged.certificate))
    assert len(undecided) <= 0.01 * clear, undecided


@pytest.mark.parametrize("rule", ["dgd", "icdsgd", "atc", "cta", "gd"])
def test_the_enclosure_agrees_with_the_theorem(xp, rule):
    """Where a theorem gives the verdict, the eigenvalues alone must not contradict it."""
    rng = np.random.default_rng(7)
    for _ in range(20 if xp is np else 2):
        graph, J = drawn(rng)
        step_size = 10 ** rng.uniform(-2, 1) / max(np.linalg.norm(J, 2, axis=(1, 2)).max(), 0.1) ** 2
        system = of(rule, graph, J, step_size, xp=xp)
        driven, report = Driven(reduction(system)), stability(system)
        for flow, verdict in ((True, report.flow), (False, report.iteration)):
            assert driven.judge(flow=flow).verdict in (verdict.verdict, "undecided")
            assert verdict.bibo is {"stable": True, "unstable": False}.get(verdict.verdict)


@pytest.mark.parametrize("rule", RULES)
def test_raw_values_and_marginal_modes_are_those_of_the_dense_matrix(xp, rule):
    """P = 4 is more than the data see: multiplicity and Jordan index of z = 1 from ranks of powers of M − I."""
    J = np.random.default_rng(0).standard_normal((4, 1, 2)) @ np.random.default_rng(1).standard_normal((2, 4))
    system = of(rule, nf.graphs.star(4), J, 0.1, xp=xp)
    report = stability(system)
    A = to_numpy(system.dense()[0])
    ranks = [np.linalg.matrix_rank(np.linalg.matrix_power(A, k), tol=1e-9) for k in (1, 2, 3)]
    ones = [m for m in report.marginal_modes if m.value == 1]
    assert sum(m.multiplicity for m in ones) == len(A) - ranks[-1]
    assert max((m.jordan_index for m in ones), default=0) == next(
        k for k in (0, 1, 2) if [len(A), *ranks][k] == ranks[2]
    )
    values = np.linalg.eigvals(A)
    assert math.isclose(report.raw_spectral_abscissa, values.real.max(), abs_tol=1e-7)  # half the digits of a 2-block
    assert math.isclose(report.raw_spectral_radius, np.abs(values + 1).max(), abs_tol=1e-7)
    assert report.flow.whole is False
    assert report.iteration.whole is False


def test_the_whole_matrix_is_hurwitz_where_data_see_every_parameter():
    report = stability(of("dgd", nf.graphs.path(3), np.random.default_rng(0).standard_normal((3, 2, 3)), 0.05))
    assert report.flow.whole
    assert report.iteration.whole
    assert report.marginal_modes == ()
    assert report.raw_spectral_abscissa == report.spectral_abscissa < 0


def test_slow_modes_keep_their_margin(xp):
    """A mode that decays by 1e-24 a step: far below rounding, and the report knows it all the same."""
    J = np.zeros((3, 2, 2))
    J[:, 0, 0], J[:, 1, 1] = 1.0, 1e-12
    for rule in ("dgd", "atc", "cta"):
        system = of(rule, nf.graphs.complete(3), J, 0.5, xp=xp)
        tight = nf.LinearSystem(rule, system.mixing, system.model.compress(0.0), 0.5, "sum")
        report = stability(tight)
        assert report.flow.verdict == report.iteration.verdict == "stable"
        if tight.compact.model.jacobian.shape[2] == 2 and report.flow.margin < 1e-3:
            assert math.isclose(report.flow.margin, 0.5e-24, rel_tol=1e-3)


def test_the_flow_of_atc_can_be_unstable_where_that_of_dgd_is_not():
    """T7's example: abscissa 1.4."""
    W, J = np.array([[0.1, 0.9], [0.9, 0.1]]), np.full((2, 1, 1), 2.0)
    for rule in ("atc", "cta"):
        report = stability(of(rule, None, J, 1.0, W))
        assert report.flow.verdict == "unstable"
        assert math.isclose(report.spectral_abscissa, 1.4)
        assert math.isclose(report.max_step_size_flow, 2.25 / 4, rel_tol=1e-9)
        assert report.flow.bibo is False
    assert stability(of("dgd", None, J, 1.0, W)).flow.verdict == "stable"


def test_proposition_1_is_measured():
    report = stability(of("dgd", nf.graphs.star(6), np.random.default_rng(0).standard_normal((6, 2, 5)), 0.01))
    held = {p.name: (p.holds, p.value) for p in report.hypotheses}
    assert list(held) == ["doubly stochastic", "symmetric", "connected", "minimal"]
    assert held["minimal"] == (False, 20.0)  # T5's table: 20 of 30
    assert [held[name][0] for name in ("doubly stochastic", "symmetric", "connected")] == [True] * 3
    said = " ".join(report.conclusions)
    assert "not minimal" in said
    assert "5 of 5, so A is Hurwitz" in said  # T3: minimality is not necessary


@pytest.mark.parametrize(
    ("name", "W", "lost"),
    [
        ("directed", nf.weights.equal(nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)])), "not symmetric"),
        ("negative", np.array([[1.2, -0.4, 0.2], [-0.4, 0.9, 0.5], [0.2, 0.5, 0.3]]), "negative"),
        ("row-stochastic", np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.1, 0.0, 0.9]]), "columns"),
        ("in two parts", np.diag([1.0, 0, 0]) + np.pad(np.full((2, 2), 0.5), ((1, 0), (1, 0))), "not connected"),
    ],
)
def test_any_mixing_is_welcome(xp, name, W, lost):
    """What can be computed is: verdicts and the largest step size, against dense eigenvalues."""
    J = np.random.default_rng(3).standard_normal((3, 2, 2))
    for rule in ("dgd", "atc", "cdmsgd", "d2"):
        for step_size in (0.02, 0.7):
            report = stability(of(rule, None, J, step_size, xp.asarray(W), xp))
            M = judges.part(*judges.system(rule, W, J, step_size), 1e-9)
            assert report.iteration.verdict == ("stable" if judges.radius(M) < 1 else "unstable")
            assert report.flow.verdict == ("stable" if judges.abscissa(M) < 0 else "unstable")
            assert math.isclose(report.spectral_radius, judges.radius(M), abs_tol=1e-9)
            assert lost in " ".join(report.conclusions).lower()


def test_the_directed_flow_of_dgd_is_stable_by_a_theorem():
    W = nf.weights.equal(nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)]))
    report = stability(of("dgd", None, np.random.default_rng(0).standard_normal((3, 1, 2)), 5.0, W))
    assert report.flow.verdict == "stable"
    assert report.flow.certificate.startswith("T3")


def test_nothing_to_learn():
    report = stability(of("extra", nf.graphs.path(3), np.zeros((3, 1, 2)), 0.1))
    assert report.flow.verdict == report.iteration.verdict == "stable"
    assert report.flow.margin == report.iteration.margin == math.inf
    assert report.spectral_radius == 0.0
    assert report.max_step_size == math.inf
    assert "nothing is driven" in report.step_size_reason


def test_the_region_of_momentum(xp):
    rng = np.random.default_rng(5)
    J, graph = rng.standard_normal((3, 1, 2)), nf.graphs.path(3)
    etas, mus = np.geomspace(0.05, 3, 7), np.array([0.0, 0.3, 0.6, 0.95])
    for rule in ("cdmsgd", "cdmsgd_nesterov", "cdmsgd_published"):
        found = stability_region(of(rule, graph, J, 0.1, xp=xp), etas, mus)
        for i, eta in enumerate(etas):
            for j, mu in enumerate(mus):
                M = judges.part(*judges.system(rule, judges.metropolis(graph), J, eta, max(mu, 1e-6)), 1e-9)
                # at μ = 0 the velocity is a copy that decays at once; 1e-6 stands for it, so agreement is to 1e-5
                assert math.isclose(found[i, j], judges.radius(M), abs_tol=1e-4 if mu == 0 else 1e-8)
    with pytest.raises(NtkflowError, match="momentum"):
        stability_region(of("dgd", graph, J, 0.1), [0.1], [0.5])
    with pytest.raises(NtkflowError, match="step_sizes"):
        stability_region(of("cdmsgd", graph, J, 0.1), [0.0], [0.5])


@pytest.mark.parametrize("rule", ["dgd", "cta", "extra", "diging", "cdmsgd"])
def test_a_report_reads_well(rule):
    report = stability(of(rule, nf.graphs.cycle(4), np.random.default_rng(2).standard_normal((4, 2, 9)), 0.05))
    text, markdown, latex = str(report), report.markdown(), report.latex()
    for shown in (text, markdown, latex):
        assert "stable" in shown
        assert "hypothesis" in shown
    assert all(ord(c) < 128 for c in latex), sorted({c for c in latex if ord(c) > 127})
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 3
    assert max(len(line) for line in text.splitlines()) <= 160


class TestWhatAReportSaysFirst:
    J = np.random.default_rng(2).standard_normal((4, 2, 9))

    def report(self, rule="dgd", step_size=0.05, J=J):
        return stability(of(rule, nf.graphs.cycle(4), J, step_size))

    def test_room(self):
        report = self.report()
        times = report.max_step_size / 0.05
        wanted = f"Stable at η = 0.05; up to {report.max_step_size:.4g}, {times:.3g} times as much. The flow is stable."
        assert str(report).splitlines()[:2] == ["dgd: eta = 0.05", wanted]
        assert wanted in report.markdown()
        assert r"\textbf{dgd: $\eta = 0.05$}" in report.latex()
        assert r"Stable at $\eta$ = 0.05;" in report.latex()

    def test_too_large(self):
        largest = self.report().max_step_size
        assert self.report(step_size=10.0).headline.startswith(f"Unstable at η = 10; stable up to {largest:.4g}, 0.0")
        near = self.report(step_size=largest * 1.0001).headline
        assert f"stable up to {largest:.8g}, 0.01 % less" in near

    def test_none_and_undecided(self):
        flip = np.array([[0.0, 1.0], [1.0, 0.0]])
        never = stability(of("dgd", nf.graphs.path(2), self.J[:2], 0.05, W=flip))
        assert never.headline.startswith("Unstable at η = 0.05; the smallest step sizes are so too.")
        at = self.report("extra", self.report("extra").max_step_size)
        assert at.headline.startswith(f"Undecided at η = {at.step_size:.6g}: {at.iteration.certificate}.")

    def test_nothing_moves(self):
        report = self.report(J=0 * self.J)
        assert report.headline.startswith("No data move anything")
        assert "∞" in report.text()

    @pytest.mark.parametrize("rule", RULES)
    def test_no_minus_zero_and_no_proposition_about_others(self, rule):
        report = self.report(rule, 1e-3)
        for shown in (report.text(), report.markdown(), report.latex()):
            assert not re.search(r"-0(?![.\d])", shown)
            assert "says nothing of" not in shown
        assert (rule not in ("dgd", "cdsgd")) == any("says nothing of" in line for line in report.conclusions)

    def test_the_crossing_has_the_digits_that_tell_its_ends_apart(self):
        report = self.report("extra")
        [line] = [line for line in report.text().splitlines() if line.startswith("The crossing")]
        low, high = map(float, re.findall(r"\d\.\d+", line))
        assert low < high
        assert [low, high] == pytest.approx(report.step_size_bracket, rel=1e-9)
        same = dataclasses.replace(report, step_size_bracket=(0.5, 0.5))
        assert "crossing lies" not in same.text()


matrices = st.integers(1, 6).flatmap(
    lambda d: st.tuples(
        st.lists(st.floats(-1.5, 1.5), min_size=d, max_size=d), st.integers(0, 2**32 - 1), st.booleans()
    )
)


@settings(max_examples=150, deadline=None)
@example(([0.0, 0.0, 1.2472593377624621, 0.0, 1.2472593377624621, 0.0], 6, True))  # marginal ones beside it
@example(([0.0], 0, True))
@given(matrices)
def test_enclosures_hold_the_known_spectrum(case):
    """V diag(z) V⁻¹ in 60 digits, rounded once: the rounding is the uncertainty, the excess is known."""
    values, seed, flow = case
    d = len(values)
    V = np.random.default_rng(seed).standard_normal((d, d))
    with mpmath.workdps(DIGITS):
        frame = mpmath.matrix(V.tolist())
        product = frame * mpmath.diag(values) * mpmath.inverse(frame)
        M = np.array([[float(product[i, j]) for j in range(d)] for i in range(d)])
    true = max(values) if flow else max(abs(v) for v in values) - 1
    found = judge(M, d * np.finfo(float).eps * np.abs(M).max(), flow=flow)
    assert found.low <= true <= found.high
    assert found.verdict in ("undecided", "stable" if true < 0 else "unstable")
    if np.linalg.cond(V) < 1e3 and abs(true) > 1e-8:
        assert found.verdict != "undecided"


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2**32 - 1), st.floats(-0.1, 0.1))
def test_weyl_holds_the_spectrum_of_what_is_near(d, seed, shift):
    """A symmetric map moved by no more than the uncertainty."""
    rng = np.random.default_rng(seed)
    A, E = (X + X.T for X in rng.standard_normal((2, d, d)))
    A = A / np.linalg.norm(A, 2) * (1 + shift)
    uncertainty = 1e-3
    near = A + E / np.linalg.norm(E, 2) * uncertainty * 0.999
    found = judge(A, uncertainty, flow=False, symmetric=True)
    assert found.low <= np.abs(np.linalg.eigvalsh(near)).max() - 1 <= found.high


@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("z", [-0.1, -0.02, 0.02, 0.1])
def test_a_lyapunov_matrix_decides_defective_maps(flow, z):
    """One Jordan block of size 5, whose computed eigenvalues are blurred by eps^(1/5) and whose discs are useless."""
    block = np.eye(5) * (z if flow else 1 + z) + 0.2 * np.eye(5, k=1)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    found = judge(Q @ block @ Q.T, 1e-15, flow=flow)
    assert found.verdict == ("stable" if z < 0 else "unstable")


def test_too_close_to_tell_is_said():
    found = judge(np.diag([0.5, 1.0 - 1e-17]), 1e-15, flow=False)
    assert found.verdict == "undecided"
    assert "not told from 0" in found.certificate


def test_an_agent_without_a_gradient_moves_nothing_of_its_own():
    """c_q = 0: what only that agent's data see is seen and not driven, and plays no part in margin or radius."""
    W, J = judges.metropolis(nf.graphs.path(3)), np.random.default_rng(4).standard_normal((3, 1, 3))
    lin, c = nf.LinearizedModel.from_jacobian(J, np.ones((3, 1))), np.array([0.0, 1.0, 1.0])
    for rule in ("dgd", "atc", "cta"):
        report = stability(nf.LinearSystem(rule, W, lin, 0.05, c))
        M, D, C = judges.system(rule, W, J * c[:, None, None], 0.05)
        C = judges.system(rule, W, J, 0.05)[2]
        part = judges.part(M, D, C, 1e-9)
        assert math.isclose(report.spectral_radius, judges.radius(part), abs_tol=1e-12)
        assert report.flow.verdict == report.iteration.verdict == "stable"


@pytest.mark.parametrize("rule", RULES)
def test_units_change_nothing(rule):
    """J × u and η / u²: the very same system. An agent without data makes trackers rest in more than one way."""
    J = np.random.default_rng(0).normal(size=(5, 2, 3))
    J[0] = 0.0
    found, radius = [], stability(of(rule, nf.graphs.cycle(5), J, 0.05)).spectral_radius
    for unit in 10.0 ** np.arange(-6, 7, 2):
        system = of(rule, nf.graphs.cycle(5), unit * J, 0.05 / unit**2)
        report, order = stability(system), Driven(system.reduced).order
        found.append((order, report.flow.verdict, report.iteration.verdict, report.flow.whole, report.iteration.whole))
        assert report.iteration.verdict == "stable"
        assert math.isclose(report.spectral_radius, radius)
    assert len(set(found)) == 1
    assert found[0][0] == 27 or rule not in TRACKERS


@pytest.mark.parametrize("rule", RULES)
@sampled("Q", [3, 5], 2)
def test_what_a_directed_network_conserves_is_counted(xp, rule, Q):
    """Against ranks of the dense A; no rounded eigenvalue 1 may pass for one inside."""
    J = np.random.default_rng(Q).normal(size=(Q, 1, 2))
    W = 0.6 * np.eye(Q) + 0.4 * np.roll(np.eye(Q), 1, axis=1)
    W[0] = 1.0 / Q
    for step_size in (0.01, 0.1):
        system = of(rule, nf.graphs.cycle(Q), J, step_size, W, xp)
        report, A = stability(system), to_numpy(system.dense()[0])
        resting = len(A) - np.linalg.matrix_rank(A @ A, tol=1e-9)
        assert sum(mode.multiplicity for mode in report.marginal_modes if mode.value == 1) == resting
        if resting:
            assert (report.flow.whole, report.iteration.whole) == (False, False)
            assert report.raw_spectral_radius >= 1
        assert math.isclose(report.raw_spectral_abscissa, np.linalg.eigvals(A).real.max(), abs_tol=1e-7)


def test_the_kernel_of_the_mixing_matrix_is_part_of_the_whole():
    """ATC with W = 11ᵀ/2: the driven mode has the rate −1.5, differences between agents −1."""
    report = stability(of("atc", nf.graphs.path(2), np.ones((2, 1, 1)), 1.5, np.full((2, 2), 0.5)))
    assert (report.spectral_abscissa, report.raw_spectral_abscissa) == pytest.approx((-1.5, -1.0))
    assert report.raw_spectral_radius == pytest.approx(0.5)


def test_what_a_rank_decision_leaves_out_is_not_called_stable():
    """A chain of couplings of 1e-8 leads to a mode at −1.2; the second of them is below the threshold of its rank."""
    e, J = 1e-8, np.eye(4, 1)[:, None, :]
    W = np.array([[1 - e, e, 0, 0], [0.2, 0.5, e, 0.3 - e], [e, 0, -1.2, 2.2 - e], [0.2, 0.5, 0, 0.3]])
    report = stability(of("dgd", nf.graphs.path(4), J, 0.5, W))
    assert (report.iteration.verdict, report.iteration.bibo, report.iteration.whole) == ("undecided", None, False)
    assert "rank decisions without a clear gap" in report.iteration.certificate
    assert report.flow.verdict == "stable"  # at −1.2 the flow is inside
    W[:2], W[2:] = [[0.9, 0.1, 0, 0], [0.2, 0.8, 0, 0]], [[0, 0, -1.2, 2.2], [0, 0, 0.7, 0.3]]
    apart = stability(of("dgd", nf.graphs.path(4), J, 0.5, W)).iteration
    assert (apart.verdict, apart.whole) == ("stable", False)  # never driven, and no rank in doubt
