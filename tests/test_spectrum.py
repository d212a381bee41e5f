"""Spectra against dense eigenvalues, against a few cases done by hand, and against what long runs show."""

import math
from fractions import Fraction

import matplotlib.pyplot as plt
import mpmath
import numpy as np
import pytest
from conftest import to_numpy
from libraries import few, sampled
from market import CATALOGUE, RULES, TOPOLOGIES, linearized, mixing_of, problem
from scipy.optimize import linear_sum_assignment

import ntkflow as nf
from ntkflow.analysis.locus import root_locus
from ntkflow.analysis.spectrum import KINDS, Spectrum, spectrum
from ntkflow.analysis.stability import stability
from ntkflow.reports import spectra

plt.switch_backend("Agg")
FEW = ("cycle", "star", "complete", "hypercube")
STEP = 0.02
PRIME = 2**61 - 1


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def system(rule, topology="cycle", step_size=STEP, xp=np, **options):
    graph = TOPOLOGIES[topology]
    case = problem(len(graph), **{"n_samples": 2, "n_parameters": 9, **options})
    W = mixing_of(rule, nf.weights.metropolis_hastings(graph))
    return nf.LinearSystem(rule, W, linearized(case, xp), step_size, "sum")


def dense_eigenvalues(of):
    A = to_numpy(of.dense()[0])
    return np.linalg.eigvals(A + np.eye(len(A)))


def distance(found, wanted):
    """The largest distance in the best one-to-one matching."""
    assert found.shape == wanted.shape
    apart = abs(found[:, None] - wanted[None, :])
    return apart[linear_sum_assignment(apart)].max()


def expanded(found):
    return np.repeat(found.eigenvalues, found.multiplicity)


def directed(Q, seed=0):
    rng = np.random.default_rng(seed)
    W = np.roll(np.eye(Q), 1, axis=1) + 2 * np.eye(Q) + rng.random((Q, Q)) * (rng.random((Q, Q)) < 0.4)
    return W / W.sum(axis=1, keepdims=True)


def test_the_abscissa_of_modes_beyond_minus_one():
    """z = 1 − η = −0.5: the flow's rate is −1.5. Where nothing is seen there is none, and −1 stands for it."""
    one = nf.LinearizedModel.from_jacobian(np.array([[[1.0, 0.0]]]), np.ones((1, 1)))
    of = nf.LinearSystem("gd", None, one, 1.5, "sum")
    assert spectrum(of).abscissa == pytest.approx(-1.5)
    assert spectrum(of).abscissa == pytest.approx(stability(of).spectral_abscissa)
    nothing = nf.LinearizedModel.from_jacobian(np.zeros((1, 1, 2)), np.ones((1, 1)))
    assert spectrum(nf.LinearSystem("gd", None, nothing, 1.5, "sum")).abscissa == -1.0


def test_a_mode_that_is_averaged_away_has_agents():
    """W = 1 ⊕ 11ᵀ/2 is a projection: what it takes to zero is a mode of ATC, the difference of agents 2 and 3."""
    W = np.array([[1.0, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]])
    alike = nf.LinearizedModel.from_jacobian(np.full((3, 1, 1), 0.9), np.ones((3, 1)))
    found = spectrum(nf.LinearSystem("atc", W, alike, 2.0, "sum"))
    assert found.participation[list(found.kinds).index("hidden")] == pytest.approx([0, 0.5, 0.5], abs=1e-12)
    assert np.isfinite(found.agreement).all()


class TestEigenvalues:
    @sampled("topology", FEW, 3)
    @pytest.mark.parametrize("rule", CATALOGUE)
    def test_all_of_them_with_their_multiplicities(self, xp, rule, topology):
        for P in few(xp, (3, 9, 24), 3, len(rule)):  # fewer parameters than rows, some more, many more
            of = system(rule, topology, n_parameters=P, seed=P, unequal=P == 9, xp=xp)
            found = spectrum(of)
            wanted = dense_eigenvalues(of)
            # an eigenvalue in a Jordan block of size 2 is known to the dense solver up to the root of its rounding
            assert distance(expanded(found), wanted) < 20 * math.sqrt(np.finfo(float).eps * len(wanted))

    @pytest.mark.parametrize("topology", ["star", "cycle"])
    @pytest.mark.parametrize("rule", CATALOGUE)
    def test_as_many_are_seen_as_exact_arithmetic_says(self, rule, topology):
        graph = TOPOLOGIES[topology]
        J = np.random.default_rng(3).integers(-2, 3, (len(graph), 2, 3)).astype(float)
        lin = nf.LinearizedModel.from_jacobian(J, np.ones(J.shape[:2]))
        W = mixing_of(rule, nf.weights.metropolis_hastings(graph))
        parameters = {"momentum": 0.5} if "mu" in nf.algorithms.get(rule).parameter_names else {}
        of = nf.LinearSystem(rule, W, lin, 1 / 16, "sum", **parameters)
        assert spectrum(of).seen.sum() == order(of)

    def test_of_a_symmetric_map_to_rounding(self):
        for topology in TOPOLOGIES:
            of = system("dgd", topology)
            assert distance(expanded(spectrum(of)), dense_eigenvalues(of)) < 1e-12

    @pytest.mark.parametrize("rule", ["extra", "diging", "atc"])
    def test_in_thirty_digits(self, xp, rule):
        of = system(rule, "complete", n_samples=1, n_parameters=3, xp=xp)
        A = to_numpy(of.dense()[0])
        with mpmath.workdps(60):  # twice the digits, for defective eigenvalues
            exact = mpmath.eig(mpmath.matrix((A + np.eye(len(A))).tolist()), left=False, right=False)
        found = spectrum(of)
        for z in found.eigenvalues[found.seen]:
            assert min(abs(complex(w) - z) for w in exact) < 1e-11

    @pytest.mark.parametrize("rule", ["dgd", "cta", "cdmsgd", "extra"])
    def test_of_directed_graphs(self, xp, rule):
        lin = linearized(problem(5, n_samples=1, n_parameters=9), xp)
        of = nf.LinearSystem(rule, directed(5), lin, STEP, "sum")
        found, wanted = spectrum(of), dense_eigenvalues(of)
        assert distance(expanded(found), wanted) < 20 * math.sqrt(np.finfo(float).eps * len(wanted))

    @pytest.mark.parametrize("rule", ["dgd", "atc", "extra"])
    def test_of_agents_that_start_apart(self, xp, rule):
        of = system(rule, "star", apart=True, n_parameters=24, xp=xp)
        found, wanted = spectrum(of), dense_eigenvalues(of)
        assert distance(expanded(found), wanted) < 20 * math.sqrt(np.finfo(float).eps * len(wanted))

    def test_of_a_kernel_there_are_rank_many_parameters(self):
        J = np.random.default_rng(0).normal(size=(8, 50))
        lin = nf.LinearizedModel.from_kernel(J @ J.T, np.ones((4, 2)))
        W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        found = spectrum(nf.LinearSystem("dgd", W, lin, 1e-3))
        assert found.multiplicity.sum() == 4 * 8

    def test_momentum_of_its_own(self):
        """A momentum of zero is DGD; the number passed by name is the one that counts."""
        lin, W = linearized(problem(4)), nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        plain = spectrum(nf.LinearSystem("dgd", W, lin, STEP))
        for mu in (0.0, 0.3):
            of = nf.LinearSystem("cdmsgd", W, lin, STEP, momentum=mu)
            found = spectrum(of)
            assert distance(expanded(found), dense_eigenvalues(of)) < 1e-7
            assert (abs(found.radius - plain.radius) < 1e-12) == (mu == 0.0)


def order(of):
    """States that the first update reaches and the outputs see: the rank of C Mⁱ Mʲ w over all i, j, modulo a prime.

    Of systems with small rational entries. Random combinations of rows and columns have the same rank but with a
    probability near 1e-17.
    """
    A, B, C, _ = (residues(matrix) for matrix in of.dense())
    X = residues(np.stack([start_of(of, e) for e in np.eye(B.shape[1])], axis=1))
    N, rng = len(A), np.random.default_rng(0)
    columns, rows = [(B + A @ X) % PRIME], [C]
    while len(rows) < N:
        columns.append((columns[-1] + A @ columns[-1]) % PRIME)
        rows.append((rows[-1] + rows[-1] @ A) % PRIME)
    reached, seen = np.hstack(columns), np.vstack(rows)
    left = residues(rng.integers(1, 10**6, (N, len(seen)))) @ seen % PRIME
    right = reached @ residues(rng.integers(1, 10**6, (reached.shape[1], N))) % PRIME
    return rank(left @ right % PRIME)


def residues(matrix):
    """Rational numbers of small denominators modulo the prime, as whole numbers of Python."""
    exact = [[Fraction(float(x)).limit_denominator(10**4) for x in row] for row in matrix]
    return np.array([[x.numerator * pow(x.denominator, -1, PRIME) % PRIME for x in row] for row in exact], dtype=object)


def rank(matrix):
    """Modulo the prime, by elimination."""
    rows, found = [list(row) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(found, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        inverse = pow(rows[found][column], -1, PRIME)
        for i in range(found + 1, len(rows)):
            factor = rows[i][column] * inverse % PRIME
            rows[i] = [(a - factor * b) % PRIME for a, b in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def start_of(of, residual):
    """X e: the start of the auxiliary blocks for residuals e, flat."""
    operator = of.full
    blocks = operator.program.start(
        np.zeros((*operator.shape[1:], 1)), operator.mix,
        operator.affine_gradient(residual.reshape(of.model.residual.shape), 0.0),
    )  # fmt: skip
    return np.stack(blocks).ravel()


class TestKinds:
    def test_of_equal_agents_on_a_complete_graph(self):
        """W = 11'/Q and one Ψ: the common modes are 1 − ηκ, the others −ηκ, and all agents take an equal part."""
        Q, P = 4, 6
        J1 = np.random.default_rng(1).normal(size=(3, P))
        kappa = np.sort(np.linalg.svd(J1, compute_uv=False) ** 2)
        lin = nf.LinearizedModel.from_jacobian(np.tile(J1, (Q, 1, 1)), np.ones((Q, 3)))
        found = spectrum(nf.LinearSystem("dgd", np.full((Q, Q), 1 / Q), lin, STEP, "sum"))
        learning, consensus = (found.kinds == kind for kind in KINDS[:2])
        np.testing.assert_allclose(found.rates[learning].real, -STEP * kappa, rtol=1e-12)
        np.testing.assert_allclose(found.agreement[learning], 1.0)
        np.testing.assert_allclose(found.participation[learning], 1 / Q, rtol=1e-12)
        wanted = np.sort(np.repeat(-STEP * kappa, Q - 1))
        np.testing.assert_allclose(np.sort(found.eigenvalues[consensus].real), wanted, atol=1e-14)
        np.testing.assert_allclose(found.agreement[consensus], 0.0, atol=1e-14)
        mixing = {round(z.real, 12): n for z, n in zip(found.eigenvalues, found.multiplicity, strict=True) if n > 1}
        assert mixing == {1.0: P - 3, 0.0: (Q - 1) * (P - 3)}

    def test_of_agents_without_any_neighbour(self):
        """W = I: every mode is an eigenvector of one agent's Ψ, and nobody else takes part."""
        case = problem(3, n_samples=2, n_parameters=7)
        found = spectrum(nf.LinearSystem("dgd", np.eye(3), linearized(case), STEP, "sum"))
        kappa = np.linalg.svd(case.J, compute_uv=False) ** 2
        for q in range(3):
            own = found.participation[:, q] > 0.5
            np.testing.assert_allclose(found.participation[own & found.seen, q], 1.0)
            np.testing.assert_allclose(
                np.sort(-found.rates[own & found.seen].real), np.sort(STEP * kappa[q]), rtol=1e-10
            )

    def test_participation_sums_to_one(self, xp):
        for rule in CATALOGUE:
            np.testing.assert_allclose(spectrum(system(rule, xp=xp)).participation.sum(axis=1), 1.0)

    def test_what_extra_conserves_is_hidden(self):
        """Σ (z − θ): one number for each common direction that is seen, eigenvalue 1 exactly."""
        found = spectrum(system("extra", "complete", n_parameters=5))
        hidden = found.kinds == "hidden"
        assert found.multiplicity[hidden].sum() == 5
        assert np.all(found.rates[hidden] == 0)
        assert found.radius < 1

    def test_momentum_without_a_gradient_is_hidden(self):
        """Directions in which no agent has a gradient: the momentum decays by μ, unmoved by anything.

        On the cycle of 5 (multiplicities 1, 2, 2) one row an agent and P = 3 give 3 + 5 + 5 learning dimensions, of
        which the agents' gradients span 5.
        """
        of = system("cdmsgd", "cycle", n_samples=1, n_parameters=3)
        found = spectrum(of)
        hidden = found.eigenvalues[found.kinds == "hidden"]
        mu = dict(zip(map(str, of.numbers), of.numbers.values(), strict=True))["mu"]
        assert np.sum(abs(hidden - mu) < 1e-9) == 3 + 5 + 5 - 5

    def test_radius_and_abscissa_are_those_of_the_stability_report(self):
        for rule in RULES:
            of = system(rule)
            found, report = spectrum(of), stability(of)
            assert found.radius == pytest.approx(report.spectral_radius, abs=1e-8)
            assert found.abscissa == pytest.approx(report.spectral_abscissa, abs=1e-8)


class TestRates:
    @pytest.mark.parametrize("rule", CATALOGUE)
    def test_the_slowest_mode_is_what_a_long_run_shows(self, xp, rule):
        of = system(rule, "star", n_parameters=4, xp=xp)
        found = spectrum(of)
        A, _, C, _ = map(to_numpy, of.dense())
        M, moved = A + np.eye(len(A)), to_numpy(of.full.drive).ravel()
        late = np.linalg.matrix_power(M, 2000) @ moved
        later = np.linalg.matrix_power(M, 2000) @ late
        seen = math.log(np.linalg.norm(C @ later) / np.linalg.norm(C @ late)) / 2000
        assert seen == pytest.approx(math.log(found.radius), rel=2e-2)  # the second slowest has not quite gone
        assert found.slowest.time_constant == pytest.approx(-1 / math.log(found.radius))
        assert found.margin == pytest.approx(1 - found.radius, abs=1e-12)

    def test_time_constants(self):
        rates = np.array([0.2, 0.0, -0.5, -1.0, -1.5, -0.5 + 0.5j])
        ones = np.ones(6)
        found = Spectrum(
            "", 1.0, rates.astype(complex), ones.astype(int), np.full(6, "learning"), ones[:, None], ones, ones
        )
        wanted = [-1 / math.log(1.2), math.inf, 1 / math.log(2), 0.0, 1 / math.log(2), 2 / math.log(2)]
        np.testing.assert_allclose(found.time_constants, wanted)
        np.testing.assert_allclose(found.flow_time_constants, [-5, math.inf, 2, 1, 1 / 1.5, 2])

    @pytest.mark.parametrize("rule", ["dgd", "atc", "cta"])
    def test_slow_modes_keep_their_digits(self, xp, rule):
        """A rate of 1e-16 beside one of 1e-2: lost in 1 − eigenvalue, not in the factor."""
        J = xp.asarray([[[1.0, 0.0], [0.0, 1e-7]]] * 3)
        lin = nf.LinearizedModel.from_jacobian(J, xp.ones((3, 2)))
        found = spectrum(nf.LinearSystem(rule, nf.weights.metropolis_hastings(nf.graphs.path(3)), lin, 0.01, "sum"))
        slowest = found.slowest
        assert slowest.time_constant == pytest.approx(1e16, rel=1e-9)
        assert found.margin == pytest.approx(1e-16, rel=1e-9)
        assert slowest.kind == "learning"

    @pytest.mark.parametrize("rule", ["gd", "extra", "cta"])
    def test_movement_of_one_agent(self, rule):
        """Alone, every rule moves along the left singular vectors of J: by what the residual has of each."""
        case = problem(1, n_samples=3, n_parameters=8, seed=4)
        W = mixing_of(rule, np.ones((1, 1)))
        found = spectrum(nf.LinearSystem(rule, W, linearized(case), STEP, "sum"))
        U, s, _ = np.linalg.svd(case.J[0], full_matrices=False)
        shares = abs(U.T @ case.residual[0]) / np.linalg.norm(case.residual)
        moving = found.movement > 1e-9
        slow = np.argsort(-(s**2))  # slowest last
        np.testing.assert_allclose(found.movement[moving], shares[slow][::-1], rtol=1e-7)
        slowest_first = shares[slow][::-1]
        for share in (0.05, 0.3, 0.9):
            wanted = slowest_first[np.sqrt(np.cumsum(slowest_first**2)) >= share]
            moving = found.slowest_moving(share)
            assert (moving.movement if moving else None) == (pytest.approx(wanted[0]) if len(wanted) else None)
        assert found.slowest_moving(2.0) is None


class TestPaper:
    def test_the_papers_network_takes_seconds(self):
        data = nf.datasets.half_moons(n_agents=8, n_samples=200, noise=0.1, seed=0)
        model = nf.models.MLP([2, 256, 1])
        W = nf.weights.metropolis_hastings(nf.graphs.cycle(8))
        study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-4, normalization="sum")
        found = spectrum(study.system)
        assert found.multiplicity.sum() == 8 * 1025
        assert 0 < found.margin < 1e-6


class TestReports:
    def test_tables(self):
        found = spectrum(system("extra"))
        for text in (found.text(), str(found), found.markdown(), found.latex()):
            for kind in set(found.kinds):
                assert kind in text
        frame = found.to_pandas()
        assert len(frame) == len(found)
        assert list(frame["agent 1"]) == list(found.participation[:, 0])
        assert found[0].multiplicity == found.multiplicity[0]

    def test_slowest_of_a_kind(self):
        found = spectrum(system("dgd"))
        assert found.slowest_of("consensus").agreement < 0.5 < found.slowest_of("learning").agreement
        assert found.slowest_of("hidden") is None
        with pytest.raises(nf.errors.UnknownNameError, match="kind"):
            found.slowest_of("lerning")

    def test_unstable_designs_are_said_to_be_so(self):
        stable, unstable = (spectrum(system("dgd", step_size=step)) for step in (0.01, 10.0))
        assert (stable.verdict, unstable.verdict) == ("stable", "unstable")
        assert "; unstable, what learns has spectral radius 1 + " in unstable.text()
        assert "unstable" not in stable.text()

    def test_nothing_to_learn(self):
        lin = nf.LinearizedModel.from_jacobian(np.zeros((3, 1, 2)), np.ones((3, 1)))
        found = spectrum(nf.LinearSystem("dgd", np.full((3, 3), 1 / 3), lin, 0.1))
        assert found.slowest is None
        assert (found.radius, found.abscissa) == (0.0, -1.0)
        assert found.multiplicity.sum() == 6
        assert found.text().startswith("dgd, step size 0.1: 6 modes; no data move any of them\n")


class TestLocus:
    def test_rows_are_spectra(self, xp):
        for rule in ("dgd", "cta", "diging"):
            etas = [0.001, 0.02, 0.3]
            found = root_locus(system(rule, xp=xp), etas)
            for eta, z in zip(etas, found.eigenvalues, strict=True):
                other = spectrum(system(rule, step_size=eta))
                assert distance(z, other.eigenvalues[other.seen]) < 1e-6  # conserved and slow ones may trade places
            np.testing.assert_allclose(found.rate, -np.log(found.radius), rtol=1e-6)

    def test_the_best_step_of_gradient_descent(self):
        """2/(κ_min + κ_max), between the two grid points around it."""
        case = problem(1, n_samples=3, n_parameters=3)
        kappa = np.linalg.svd(case.J[0], compute_uv=False) ** 2
        found = root_locus(nf.LinearSystem("gd", None, linearized(case), 1.0, "sum"))
        ratio = found.step_sizes[1] / found.step_sizes[0]
        best = 2 / (kappa.min() + kappa.max())
        assert best / ratio < found.best < best * ratio

    def test_bad_step_sizes(self):
        for bad in ([], [0.0], [math.nan], [-1.0]):
            with pytest.raises(nf.errors.InputError, match="step_sizes"):
                root_locus(system("dgd"), bad)


class TestFigures:
    def test_eigenvalues(self):
        found = spectrum(system("extra", n_parameters=24))
        ax = found.plot()
        kinds = [kind for kind in KINDS if np.any(found.kinds == kind)]
        assert len(ax.collections) == len(kinds) == 4
        for kind, points in zip(kinds, ax.collections, strict=True):
            np.testing.assert_allclose(points.get_offsets()[:, 0], found.eigenvalues[found.kinds == kind].real)
        [disc] = ax.patches
        assert disc.get_radius() == 1.0
        counts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert sum(int(text.split("(")[1][:-1]) for text in counts) == found.multiplicity.sum()

    def test_locus(self):
        found = root_locus(system("cdmsgd"))
        fig, ax = plt.subplots()
        assert found.plot(ax=ax) is ax
        everything, best = ax.collections
        assert len(everything.get_offsets()) == (abs(found.eigenvalues) < 2.2).sum()
        np.testing.assert_allclose(best.get_offsets()[:, 0], found.eigenvalues[np.argmax(found.rate)].real)
        assert len(fig.axes) == 2  # and a colour bar

    def test_rates(self):
        loci = [root_locus(system(rule)) for rule in ("dgd", "atc", "extra")]
        ax = spectra.rates(*loci)
        curves = [line for line in ax.lines if line.get_linestyle() == "-"]
        assert [line.get_label() for line in curves] == ["dgd", "atc", "extra"]
        assert ax.get_xscale() == ax.get_yscale() == "log"
        for curve, found, dot in zip(curves, loci, ax.collections, strict=True):
            assert np.nanmax(curve.get_ydata()) == found.rate.max()
            np.testing.assert_allclose(dot.get_offsets()[0], [found.best, found.rate.max()])

    @pytest.mark.parametrize("rule", ["dgd", "atc", "extra"])
    def test_the_dotted_line_is_where_stability_ends(self, rule):
        """On a coarse grid too: it is no grid point."""
        end = nf.stability(system(rule)).max_step_size
        found = root_locus(system(rule), np.geomspace(end / 30, 8 * end, 5))
        [dotted] = [line for line in spectra.rates(found).lines if line.get_linestyle() == ":"]
        assert found.end == pytest.approx(end, rel=1e-5)
        assert set(dotted.get_xdata()) == {found.end}

    def test_no_dotted_line_where_no_end_was_seen(self):
        end = nf.stability(system("dgd")).max_step_size
        for etas in ([end / 3, end / 2], [2 * end, 3 * end]):
            found = root_locus(system("dgd"), etas)
            assert found.end is None
            assert not [line for line in spectra.rates(found).lines if line.get_linestyle() == ":"]

    def test_nobody_elses_style_changes(self):
        before = dict(plt.rcParams)
        spectrum(system("dgd")).plot()
        assert dict(plt.rcParams) == before
