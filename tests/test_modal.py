"""The symbolic modes against rules that are run, roots that are computed and optima that are searched for."""

import time

import numpy as np
import pytest
import sympy
from conftest import to_numpy
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from modes import GRID, first_failure, margin, matrices
from scipy.optimize import minimize, minimize_scalar

import ntkflow as nf
from ntkflow.analysis._conditions import hurwitz, jury, without_ones
from ntkflow.analysis.modal import Bound, Conditions, Implicit, kappa, kappa_max, kappa_min, lam, lam_min, modal, z
from ntkflow.errors import InputError
from ntkflow.notation import W, average, beta, eta, gamma, gradient, mu, theta, v, y

every_rule = pytest.mark.parametrize("name", nf.algorithms.names())
m = eta * kappa


def defaults(rule):
    return dict.fromkeys(rule.parameters, 0.35)


def evaluated(expr, **numbers):
    """A symbolic matrix or expression at numbers."""
    values = {"lambda": lam, "kappa": kappa, "eta": eta, "mu": mu}
    return expr.subs({values[name]: sympy.Float(number, 30) for name, number in numbers.items()})


# --- the matrix ---------------------------------------------------------------------------------------------------


@every_rule
@pytest.mark.parametrize("consensus", [False, True])
def test_the_matrix_is_what_one_update_does(name, consensus):
    rule = nf.algorithms.get(name)
    symbolic = modal(name).consensus_matrix if consensus else modal(name).matrix
    eigenvalue = 1.0 if consensus else -0.37
    for curvature in (0.0, 0.8, 2.7):
        found = evaluated(symbolic, **{"lambda": eigenvalue, "eta": 1, "kappa": curvature, "mu": 0.35})
        wanted = matrices(rule, eigenvalue, curvature, defaults(rule), consensus)[0]
        np.testing.assert_allclose(np.array(found, dtype=float), wanted, atol=1e-14)


@every_rule
def test_the_modes_together_are_the_whole_system(xp, name, rng):
    """Power sums tr Mᵏ determine a spectrum; unlike defective eigenvalues, they are computed well."""
    rule = nf.algorithms.get(name)
    J = rng.standard_normal((3, 2)) / 2
    lin = nf.LinearizedModel.from_jacobian(xp.asarray(np.stack([J] * 5)), xp.ones((5, 3)))
    mixing = nf.weights.metropolis_hastings(nf.graphs.cycle(5)) if rule.uses_graph else None
    system = nf.LinearSystem(name, mixing, lin, step_size=0.3, normalization="sum")
    A = to_numpy(system.dense()[0])
    M = A + np.eye(len(A))
    spectrum = [1.0] * (mixing is None) + [0.0] * 4 if mixing is None else list(np.linalg.eigvalsh(mixing))
    blocks = [
        np.array(evaluated(matrix, **{"lambda": eigenvalue, "kappa": curvature, "eta": 0.3, "mu": 0.9}), dtype=float)
        for eigenvalue in spectrum
        for curvature in np.linalg.eigvalsh(J.T @ J)
        for matrix in [modal(name).consensus_matrix if eigenvalue > 1 - 1e-9 else modal(name).matrix]
    ]
    assert sum(block.shape[0] for block in blocks) == M.shape[0]
    for power in range(1, M.shape[0] + 1):
        wanted = np.trace(np.linalg.matrix_power(M, power))
        found = sum(np.trace(np.linalg.matrix_power(block, power)) for block in blocks)
        assert found == pytest.approx(wanted, abs=1e-11 * M.shape[0])  # |z| is below 1.1 here


def test_the_polynomials_of_the_literature():
    w = (1 + lam) / 2
    known = {
        "dgd": z - lam + m,
        "atc": z - lam * (1 - m),
        "cta": z - lam * (1 - m),
        "extra": z**2 + (m - lam - 1) * z + w - m,
        "exact_diffusion": z**2 - w * (2 - m) * z + w * (1 - m),
        "nids": z**2 - w * (2 - m) * z + w * (1 - m),
        "d2": z**2 - lam * (2 - m) * z + lam * (1 - m),
        "diging": z**2 + (m - 2 * lam) * z + lam**2 - m,
        "cdmsgd": z**2 - (lam + mu - m) * z + lam * mu,
    }
    for name, polynomial in known.items():
        assert sympy.expand(modal(name).characteristic_polynomial - polynomial) == 0, name


@every_rule
def test_structural_roots(name):
    """Counted by rank, at fractions: the dimension on which M − I is nilpotent."""
    cases = {"lambda = 1": (1, sympy.Rational(3, 7)), "kappa = 0": (None, 0), "lambda = 1, kappa = 0": (1, 0)}
    for case, (eigenvalue, curvature) in cases.items():
        matrix = modal(name).consensus_matrix if eigenvalue == 1 else modal(name).matrix
        point = {lam: sympy.Rational(2, 9), kappa: curvature, eta: sympy.Rational(1, 5), mu: sympy.Rational(1, 3)}
        A = matrix.subs(point) - sympy.eye(matrix.rows)
        assert modal(name).structural_roots[case] == matrix.rows - (A**matrix.rows).rank(), case


# --- the criteria -------------------------------------------------------------------------------------------------


twentieths = st.integers(-26, 26).map(lambda k: sympy.Rational(k, 20))


@given(st.lists(st.tuples(twentieths, twentieths), max_size=2), st.lists(twentieths, max_size=2))
@settings(deadline=None, max_examples=60)
def test_criteria_against_roots(pairs, reals):
    """Exact roots, on the boundary too: a ± b i and the real ones."""
    product = sympy.prod([z**2 - 2 * a * z + a**2 + b**2 for a, b in pairs] + [z - a for a in reals])
    polynomial = sympy.Poly(product, z)
    inside = all(a**2 + b**2 < 1 for a, b in pairs) and all(abs(a) < 1 for a in reals)
    left = all(a < 0 for a, _ in pairs) and all(a < 0 for a in reals)
    assert all(c > 0 for c in jury(polynomial)) == inside
    assert all(c > 0 for c in hurwitz(polynomial)) == left


def test_roots_at_one_are_divided_out():
    polynomial, count = without_ones(sympy.Poly((z - 1) ** 2 * (z - lam + m), z))
    assert count == 2
    assert sympy.expand(polynomial.as_expr() - (z - lam + m)) == 0
    assert without_ones(sympy.Poly(z - 1, z))[0].degree() == 0


@every_rule
@pytest.mark.parametrize("flow", [False, True])
def test_conditions_hold_exactly_where_a_mode_is_stable(name, flow, rng):
    rule, modes = nf.algorithms.get(name), modal(name)
    conditions = modes.flow_conditions if flow else modes.iteration_conditions
    verdicts = set()
    for _ in range(25):
        eigenvalue, step = rng.uniform(-0.95, 0.95), rng.uniform(0.01, 4.0)
        outside = margin(rule, [eigenvalue], step, defaults(rule), flow)[0]
        point = {"lambda": eigenvalue, "eta": 1, "kappa": step, "mu": 0.35}
        holds = all(evaluated(c, **point) > 0 for c in conditions.disagreement)
        assert holds == (outside < 0)
        verdicts.add(holds)
    never_fails = modes.max_step_size_flow if flow else modes.max_step_size
    assert verdicts == {True, False} or never_fails == sympy.oo or flow or not rule.uses_graph


# --- step sizes ---------------------------------------------------------------------------------------------------


@every_rule
@pytest.mark.parametrize("flow", [False, True])
def test_the_largest_step_size_of_a_mode(name, flow):
    """Without a graph there is no λ: the disagreements, which the average takes away, and the consensus at once."""
    rule, modes = nf.algorithms.get(name), modal(name)
    limit = modes.max_step_size_flow if flow else modes.max_step_size
    for eigenvalue in (-0.83, -0.52, -0.4, -0.2, 0.0, 0.3, 0.77, 1.0):
        exact = sympy.Rational(str(eigenvalue))
        found = float(sympy.S(limit).subs({lam: exact, kappa: 1, mu: sympy.Rational("0.35")}))
        spectrum = [eigenvalue] if rule.uses_graph else [eigenvalue, 1.0]
        wanted = first_failure(rule, spectrum, defaults(rule), flow)
        assert min(found, 12.9) == pytest.approx(min(wanted, 12.9), abs=1e-9), eigenvalue


def test_the_consensus_has_a_case_of_its_own_where_the_formula_does_not_go_on():
    """W(θ − ηg) + (average − W)(θ − 2ηg) is λ m on the disagreements, and 1 − m on the consensus."""
    half = theta - eta * gradient(theta)
    full = theta - 2 * eta * gradient(theta)
    limit = modal(nf.Rule("own", update={theta: W * half + (average - W) * full})).max_step_size
    assert limit.subs(lam, 1) == 2 / kappa
    assert limit.subs(lam, sympy.Rational(4, 5)) == sympy.Rational(5, 4) / kappa


def test_any_mixing_matrix(rng):
    """Random graphs and weights, for rules with and without parameters, against eigenvalues."""
    for name in ("dgd", "icdsgd", "diging", "atc_tracking", "cdmsgd"):
        rule = nf.algorithms.get(name)
        given = {"momentum": 0.35} if rule.parameters else {}
        for graph in (nf.graphs.erdos_renyi(7, 0.5, seed=3), nf.graphs.cycle(5), nf.graphs.grid(2, 3)):
            metropolis = nf.weights.metropolis_hastings(graph)
            for mixing in (metropolis, nf.weights.laplacian(graph), nf.weights.lazy(metropolis)):
                wanted = first_failure(rule, np.linalg.eigvalsh(mixing), defaults(rule))
                bound = modal(name, **given).step_size_bound(mixing)
                # eigenvalues to twelve digits, and the limits have slopes of a few
                assert float(bound.value.subs(kappa_max, 1)) == pytest.approx(wanted, abs=1e-10)
                assert bound.exact
            by_graph = modal(name, **given).step_size_bound(graph)
            by_matrix = modal(name, **given).step_size_bound(metropolis)
            assert (by_graph.value, by_graph.smallest) == (by_matrix.value, by_matrix.smallest)


def test_a_matrix_with_known_eigenvalues_has_the_closed_form(xp):
    W = xp.asarray(nf.weights.metropolis_hastings(nf.graphs.cycle(8)))
    for name in ("dgd", "extra", "diging"):
        assert modal(name).step_size_bound(W).value == modal(name).step_size_bound("cycle", 8).value
    assert str(modal("cdmsgd").step_size_bound(W)) == "eta <= 2*(mu + 1)/(3*kappa_max)"
    assert str(modal("dgd").step_size_bound(nf.weights.max_degree(nf.graphs.cycle(4)))) == "no step size"
    numbers = modal("dgd").step_size_bound(nf.graphs.path(8)).value.atoms(sympy.Number)
    assert any(abs(number - (4 - 2 * np.cos(np.pi / 8)) / 3) < 1e-11 for number in numbers)


@pytest.mark.parametrize(
    "given",
    [5, [[1.0]], np.ones((2, 3)), np.array([[0.9, 0.1], [0.5, 0.5]]), np.eye(3), np.array([[-2.0, 3.0], [3.0, -2.0]]),
     np.full((2, 2), np.nan), b"cycle", object()],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_what_is_no_mixing_matrix_is_refused_in_one_line(given):
    with pytest.raises(InputError) as caught:
        modal("dgd").step_size_bound(given)
    assert "\n" not in str(caught.value)


def test_sides_belong_to_a_name():
    for topology in (None, np.full((2, 2), 0.5), nf.graphs.cycle(4)):
        with pytest.raises(InputError, match="sides"):
            modal("dgd").step_size_bound(topology, 4)


@pytest.mark.parametrize(
    ("momentum", "answer"), [(-0.5, "eta <= (lambda_min + 1)/(2*kappa_max)"), (1.5, "no step size")]
)
def test_a_momentum_beyond_its_range_is_taken_as_it_is(momentum, answer):
    """With |μ| > 1 the product of the roots, μ on the consensus, is outside the circle."""
    assert str(modal("cdmsgd", momentum=momentum).step_size_bound()) == answer


numbers = st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0])


@given(st.lists(numbers, min_size=9, max_size=9), st.integers(-95, 95), st.booleans())
@settings(deadline=None, max_examples=15, phases=[Phase.explicit, Phase.generate])
@example([0.0, -1.0, -1.0, -1.0, 0.0, -1.0, 0.0, -1.0, 0.25], 0, False)  # a coefficient vanishes at an edge
@example([-0.5, 0.25, 1.0, 1.0, 1.0, -1.0, -0.25, -1.0, 0.0], 70, True)  # never unstable there
def test_the_largest_step_size_of_random_rules(c, percent, flow):
    """Two blocks, words up to length two: solved in closed form, or left implicit, and never wrong."""
    update = {
        theta: c[0] * theta + c[1] * W * theta + c[2] * v - eta * gradient(theta + c[3] * W * theta),
        v: c[4] * v + c[5] * W * v + c[6] * theta - c[7] * eta * gradient(theta) - c[8] * eta * W * gradient(v),
    }
    rule = nf.Rule("random", update=update)
    limit = modal(rule).max_step_size_flow if flow else modal(rule).max_step_size
    if not isinstance(limit, Implicit):
        found = float(limit.subs({lam: sympy.Rational(percent, 100), kappa: 1}))
        if found > GRID[0]:
            wanted = first_failure(rule, [percent / 100], flow=flow)
            # a pair of roots that meet on the boundary is computed to the square root of rounding only
            assert min(found, GRID[-1]) == pytest.approx(min(wanted, GRID[-1]), abs=1e-7)
        else:
            assert margin(rule, [percent / 100], found + 1e-6, flow=flow)[0] > -1e-9


def test_a_step_size_with_a_root_in_it():
    """Two gradient steps in one: λ(1 − m)² leaves the disc where m = 1 + 1/√λ."""
    twice = gradient(theta) + gradient(theta - eta * gradient(theta))
    rule = nf.Rule("twice", update={theta: W * (theta - eta * twice)})
    limit = modal(rule).max_step_size
    assert sympy.simplify(limit.subs(lam, sympy.Rational(1, 4)) - 3 / kappa) == 0
    assert isinstance(modal(rule).step_size_bound(), Implicit)


def decay():
    update = {theta: W * theta - eta * gradient(theta) - eta * gamma * theta}
    return nf.Rule("decay", update=update, parameters={gamma: 0.1})


def test_curvature_that_enters_on_its_own():
    rule = nf.Rule(
        "decay", update={theta: W * theta - eta * gradient(theta) - eta * gamma * theta}, parameters={gamma: 0.1}
    )
    assert sympy.simplify(modal(rule).max_step_size - (1 + lam) / (kappa + gamma)) == 0
    bound = modal(rule).step_size_bound()
    assert isinstance(bound, Implicit)
    assert "kappa" in str(bound)


def test_parameters_are_exact_numbers():
    exact = sympy.Rational(11, 10) * (1 + lam) / kappa
    assert sympy.expand(modal("cdmsgd", momentum=0.1).max_step_size - exact) == 0
    assert modal("fedavg", local_steps=3).consensus_polynomial == modal("fedavg", E=3).consensus_polynomial
    assert sympy.expand(modal("fedavg", E=3).consensus_polynomial - z + (1 - m) ** 3) == 0


def test_atc_and_cta_have_one_spectrum_and_the_flow_of_theorem_7():
    assert modal("atc").characteristic_polynomial == modal("cta").characteristic_polynomial
    bound = modal("atc").step_size_bound(flow=True).value.subs(kappa_max, 1)
    assert bound.subs(lam_min, sympy.Rational(-1, 4)) == 1 + 4
    assert bound.subs(lam_min, sympy.Rational(1, 4)) == sympy.oo


# --- the best step size and momentum ------------------------------------------------------------------------------


def rate(rule, numbers, step, low, high):
    """The largest |z| over the consensus modes, a root at one left out; negative step sizes are worthless."""
    curvatures = np.linspace(low, high, 201)
    return 1 + margin(rule, [1.0], step * curvatures, numbers).max() if step > 0 else 2.0


@pytest.mark.parametrize("name", ["gd", "dgd", "atc", "extra", "nids", "d2", "diging", "aug_dgm", "fedavg", "cdmsgd"])
@pytest.mark.parametrize("high", [3.0, 20.0])
def test_no_step_size_does_better(name, high):
    rule = nf.algorithms.get(name)
    given = {"momentum": 0.3} if rule.parameters else {}
    best = modal(name, **given)
    point = {kappa_min: 1, kappa_max: high}
    step = float(best.best_step_size.subs(point))
    own = rate(rule, dict.fromkeys(rule.parameters, 0.3), step, 1, high)
    search = minimize_scalar(
        lambda s: rate(rule, dict.fromkeys(rule.parameters, 0.3), s, 1, high), bounds=(1e-3, 4 / high + 1e-3)
    )
    # bounded Brent stops within about 1e-5 of the minimum
    assert own <= search.fun + 1e-9
    assert own == pytest.approx(search.fun, abs=1e-3)
    if best.best_rate is not None:
        assert float(best.best_rate.subs(point)) == pytest.approx(own, abs=1e-12)


@pytest.mark.parametrize("name", ["cdmsgd", "cdmsgd_nesterov", "cdmsgd_published"])
@pytest.mark.parametrize("high", [4.0, 30.0])
def test_no_momentum_does_better(name, high):
    rule, best = nf.algorithms.get(name), modal(name)
    point = {kappa_min: 1, kappa_max: high}
    step, momentum, predicted = (
        float(x.subs(point)) for x in (best.best_step_size, best.best_momentum, best.best_rate)
    )
    # a double root is computed to the square root of rounding
    assert rate(rule, {mu: momentum}, step, 1, high) == pytest.approx(predicted, abs=1e-6)
    for start in ([step, momentum], [0.7 * step, 0.5 * momentum], [1.2 * step, 1.1 * momentum]):
        found = minimize(
            lambda x: rate(rule, {mu: x[1]}, x[0], 1, high), start, method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 400},
        )  # fmt: skip
        assert found.fun >= predicted - 1e-6


def test_the_textbook_optima():
    root = sympy.sqrt
    gd, polyak, nesterov = modal("gd"), modal("cdmsgd"), modal("cdmsgd_nesterov")
    assert sympy.simplify(gd.best_step_size - 2 / (kappa_min + kappa_max)) == 0
    ratio = (root(kappa_max) - root(kappa_min)) / (root(kappa_max) + root(kappa_min))
    assert sympy.simplify(polyak.best_momentum - ratio**2) == 0
    assert sympy.simplify(polyak.best_step_size - 4 / (root(kappa_max) + root(kappa_min)) ** 2) == 0
    k = kappa_max / kappa_min  # Lessard, Recht, Packard, doi:10.1137/15M1009597, Prop. 1
    wanted = (root(3 * k + 1) - 2) / (root(3 * k + 1) + 2)
    assert sympy.simplify((nesterov.best_momentum - wanted).subs({kappa_min: 3, kappa_max: 7})) == 0
    assert sympy.simplify(nesterov.best_step_size - 4 / (3 * kappa_max + kappa_min)) == 0


# --- what cannot be solved ----------------------------------------------------------------------------------------


def three_blocks():
    update = {
        theta: W * theta + v + y,
        v: mu * v - eta * gradient(theta + v) + beta * y,
        y: gamma * y + W * v - eta * gradient(y),
    }
    return nf.Rule("three", update=update, parameters={mu: 0.9, beta: 0.1, gamma: 0.2})


def six_blocks():
    blocks = [theta, *sympy.symbols("b1:6", commutative=False)]
    update = {
        block: sum((i + 2 * j + 1) * mu * W * b - (i + 1) * eta * gradient((W + j) * b) for j, b in enumerate(blocks))
        for i, block in enumerate(blocks)
    }
    return nf.Rule("six", update=update, parameters={mu: 0.9})


HARD = {
    "three blocks": three_blocks,
    "powers of W": lambda: nf.Rule("powers", update={theta: W**40 * theta - eta * gradient(W**20 * theta)}),
    "a hundred local steps": lambda: nf.algorithms.get("fedavg").shaped({"E": 100}),
    "a hundred mixings": lambda: nf.algorithms.get("icdsgd").shaped({"tau": 100}),
    "six blocks": six_blocks,
}


@pytest.mark.parametrize("title", HARD)
def test_nothing_hangs(title):
    rule = HARD[title]()
    began = time.perf_counter()
    modes = modal(rule)
    answers = [
        modes.max_step_size, modes.max_step_size_flow, modes.step_size_bound(), modes.step_size_bound("torus", 3, 4),
        modes.step_size_bound(flow=True), modes.best_step_size, modes.best_momentum,
    ]  # fmt: skip
    assert any(isinstance(answer, Implicit) for answer in answers)
    assert all(str(a).startswith("left implicit, as ") for a in answers if isinstance(a, Implicit))
    str(modes), modes.latex()
    assert time.perf_counter() - began < 15  # a few seconds on a quiet machine


def test_what_is_left_implicit_keeps_its_inequalities():
    rule = nf.Rule(
        "decay", update={theta: W * theta - eta * gradient(theta) - eta * gamma * theta}, parameters={gamma: 0.1}
    )
    bound = modal(rule).step_size_bound()
    assert bound.conditions == modal(rule).iteration_conditions
    assert "> 0" in str(bound)
    assert "> 0" in bound.latex()


def test_rules_at_the_edge():
    """No gradient at all; no mixing at all; a coefficient that is not polynomial in its parameter."""
    still = modal(nf.Rule("still", update={theta: W * theta}))
    assert still.max_step_size == sympy.oo
    assert still.step_size_bound().value == sympy.oo
    assert isinstance(still.best_step_size, Implicit)
    alone = modal(nf.Rule("alone", update={theta: theta - eta * gradient(theta)}))
    assert alone.step_size_bound("star", 4).value == 2 / kappa_max
    update = {theta: W * theta - eta * gradient(theta) + sympy.sqrt(mu) * v, v: v / (2 + mu) - eta * gradient(theta)}
    rooted = modal(nf.Rule("rooted", update=update, parameters={mu: 0.5}))
    assert isinstance(rooted.max_step_size, Implicit)
    assert "not a polynomial" in str(rooted.max_step_size)
    for modes in (still, alone, rooted):
        str(modes), modes.latex()


@pytest.mark.parametrize(
    ("rule", "parameters"),
    [("dgdd", {}), ("dgd", {"momentum": 0.9}), ("cdmsgd", {"momentum": float("nan")}), ("fedavg", {"E": 2.5}), (3, {})],
)
def test_refusals(rule, parameters):
    with pytest.raises(InputError) as caught:
        modal(rule, **parameters)
    assert "\n" not in str(caught.value)


# --- how it reads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (modal("extra").step_size_bound("cycle", 8), "eta <= 1/kappa_max"),
        (modal("dgd").step_size_bound("path", 4), "eta <= (4 - sqrt(2))/(3*kappa_max)"),
        (modal("dgd").step_size_bound(flow=True), "every step size"),
        (modal("d2").step_size_bound(), "no step size if lambda_min < -1/3, else eta <= 2/kappa_max"),
        (modal("d2").step_size_bound("hypercube"), "no step size if d > 2, else eta <= 2/kappa_max"),
        (modal("icdsgd").step_size_bound("path"), "eta <= 1/kappa_max if cos(pi/Q) > 1/2, else "),
        (modal("gd").max_step_size, "2/kappa"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bounds_read_as_a_person_would_write_them(found, text):
    assert str(found).startswith(text)


def test_bounds_in_latex():
    assert modal("dgd").step_size_bound(flow=True).latex() == r"\text{every step size}"
    assert modal("d2").step_size_bound("torus", 4, 4).latex() == r"\text{no step size}"
    assert modal("dgd").step_size_bound("star").latex() == r"\eta \le \frac{1}{\kappa_{\max}}"


@every_rule
def test_what_is_printed_has_neither_piecewise_nor_infinity(name):
    written = str(modal(name))
    assert "Piecewise" not in written
    assert "oo" not in written.replace("roots", "")


@every_rule
def test_every_rule_can_be_read(name):
    modes = modal(name)
    assert isinstance(modes.iteration_conditions, Conditions)
    assert isinstance(modes.step_size_bound(), Bound)
    assert str(modes).count("\n") == 9
    written = modes._repr_latex_()
    assert written.startswith("$$")
    assert written.count(r"\begin") == written.count(r"\end")
    assert written.count("{") == written.count("}")
