"""Rules: what they mean, what is refused, and the program that they compile to."""

import numpy as np
import pytest
import scipy.linalg
import sympy
from conftest import to_numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from market import CATALOGUE, RULES, linearized, problem

import ntkflow as nf
from ntkflow import algorithms
from ntkflow.analysis._words import numeric
from ntkflow.errors import InputError, RuleError, UnknownNameError
from ntkflow.notation import LONG_NAMES, H, W, average, eta, g0, gradient, mu, p, theta, theta0, v, x_next, y, z

a, b = sympy.symbols("a b")
stranger = sympy.Symbol("stranger", commutative=False)
ONE = sympy.S.One


def rule(update, **more):
    return nf.Rule("mine", update={theta: update} if not isinstance(update, dict) else update, **more)


def system(update, *, step_size=0.1, model=None, given=None, **more):
    model = linearized(problem(3, apart=True)) if model is None else model
    return nf.LinearSystem(rule(update, **more), np.full((3, 3), 1 / 3), model, step_size, **(given or {}))


# --- what a rule means


@pytest.mark.parametrize(
    ("name", "moves", "drive"),
    [
        ("dgd", {("W",): ONE, ("H",): -eta}, {(): -eta}),
        ("atc", {("W",): ONE, ("W", "H"): -eta}, {("W",): -eta}),
        ("cta", {("W",): ONE, ("H", "W"): -eta}, {(): -eta}),
    ],
)
def test_words_are_the_papers_polynomial(name, moves, drive):
    # eqs. 12a-c: M = A + I in the words, u = -eta (W) [c J^T e0 - H theta0] in the constants
    words = algorithms.get(name).words[theta]
    assert words[theta] == moves
    assert words[g0] == drive
    assert words[theta0] == {(*word, "H"): -c for word, c in drive.items()}


def test_words_of_rules_with_memory():
    cdmsgd, diging = algorithms.get("cdmsgd"), algorithms.get("diging")
    assert cdmsgd.words[theta] | {} == {
        theta: {("W",): ONE, ("H",): -eta}, v: {(): mu}, theta0: {("H",): eta}, g0: {(): -eta},
    }  # fmt: skip
    assert cdmsgd.words[v][theta] == {("H",): -eta}
    assert diging.words[y] == {y: {("W",): ONE, ("H",): -eta}, theta: {("H", "W"): ONE, ("H",): -ONE}}  # b = 0
    assert diging.start_words[y] == {g0: {(): ONE}}  # H theta0 cancels


def test_the_average_is_a_letter_of_its_own():
    both = average * (W * theta - eta * gradient(average**2 * theta))
    found = rule(both).words[theta][theta]
    assert found == {("average", "W"): ONE, ("average", "H", "average", "average"): -eta}
    assert rule(both).uses_graph
    assert rule(both).averages
    assert rule(theta - eta * gradient(theta)).words == rule(theta - eta * gradient(theta + W * 0)).words
    for name in ("gd", "fedavg"):
        assert algorithms.get(name).averages
        assert not algorithms.get(name).uses_graph
    assert not algorithms.get("atc").averages


def test_one_local_step_is_gradient_descent():
    federated, plain = algorithms.get("fedavg").shaped({"E": 1}), algorithms.get("gd")
    assert federated.words == plain.words
    in_w = {tuple("W" if a == "average" else a for a in word): c for word, c in plain.words[theta][theta].items()}
    assert in_w == algorithms.get("atc").words[theta][theta]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_local_steps_are_a_binomial(steps):
    # E steps of theta - eta H theta, then the mean: average (1 - eta H)^E
    words = algorithms.get("fedavg").shaped({"local_steps": steps}).words[theta][theta]
    powers = {("average", *"H" * k): sympy.binomial(steps, k) * (-eta) ** k for k in range(steps + 1)}
    assert words == powers


def blocks(name, mixing, psi, step, momentum):
    """M as T1, T10 and T11 print it."""
    one = np.eye(len(psi))
    return {
        "dgd": [[mixing - step * psi]],
        "atc": [[mixing - step * mixing @ psi]],
        "cta": [[mixing - step * psi @ mixing]],
        "cdmsgd": [[mixing - step * psi, momentum * one], [-step * psi, momentum * one]],
        "diging": [[mixing, -step * one], [psi @ (mixing - one), mixing - step * psi]],
    }[name]


@pytest.mark.parametrize("name", RULES)
def test_state_matrix_is_the_one_of_the_theory(name, rng):
    case, step = problem(4, n_parameters=3), 0.3
    mixing = rng.dirichlet(np.ones(4), 4)  # row-stochastic, not symmetric: the order of the words shows
    given = {"mu": 0.7} if name == "cdmsgd" else {}
    A, B, C, D = nf.LinearSystem(name, mixing, linearized(case), step, "sum", **given).dense()
    J = scipy.linalg.block_diag(*case.J)
    M = np.block(blocks(name, np.kron(mixing, np.eye(3)), J.T @ J, step, 0.7))
    np.testing.assert_allclose(A, M - np.eye(len(M)), atol=1e-14)
    into = {
        "dgd": [-step * J.T],
        "atc": [-step * np.kron(mixing, np.eye(3)) @ J.T],
        "cta": [-step * J.T],
        "cdmsgd": [-step * J.T, -step * J.T],
        "diging": [0 * J.T, 0 * J.T],  # drives by its start alone
    }[name]
    np.testing.assert_allclose(B, np.vstack(into), atol=1e-14)
    np.testing.assert_array_equal(C, np.hstack([J, np.zeros((J.shape[0], A.shape[0] - J.shape[1]))]))
    assert not D.any()


# --- what is refused, with the term that offends

NOT_LINEAR = {
    "square": (theta**2, "theta**2"),
    "square of a sum": ((theta + v) ** 2, "(theta + v)**2"),
    "product of blocks": (W * theta + theta * v, "theta*v"),
    "square of the gradient": (theta + gradient(theta) ** 2, "gradient(theta)**2"),
    "gradient times block": (gradient(theta) * theta, "gradient(theta)"),
    "inside a gradient": (W * theta - eta * gradient(theta**2), "theta**2"),
    "sine": (sympy.sin(theta), "sin(theta)"),
    "exponential": (sympy.exp(theta), "exp(theta)"),
    "modulus": (sympy.Abs(theta), "Abs(theta)"),
    "inverse of a block": (1 / theta, "theta**(-1)"),
    "inverse of a gradient": (1 / gradient(theta), "gradient(theta)**(-1)"),
    "piecewise": (sympy.Piecewise((theta, eta > 1), (0, True)), "Piecewise"),
    "unknown function": (sympy.Function("f")(theta), "f(theta)"),
    "W on the right": (theta * W, "theta*W"),
    "W right of a gradient": (gradient(theta) * W, "gradient(theta)*W"),
    "W right inside a gradient": (gradient(theta * W), "theta*W"),
    "average on the right": (theta * average, "theta*average"),
    "average alone": (average, "average: an operator is not a state"),
    "average added": (theta + W * average, "W*average"),
    "average inverted": (average**-1 * theta, "average**(-1)"),
    "a number added": (theta + 1, "1"),
    "a number alone": (5, "5"),
    "a number in a gradient": (gradient(theta + 1), "1"),
    "W inverted": (W**-1 * theta, "W**(-1)"),
    "root of W": (sympy.sqrt(W) * theta, "sqrt(W)"),
    "W to the step size": (W**eta * theta, "W**eta"),
    "W alone": (W, "W"),
    "W added": (W * theta + W, "W"),
    "scaled W": (eta * W, "eta*W"),
    "gradient of W": (gradient(W), "W"),
    "unknown scalar": (a * theta, "unknown symbol a;"),
    "two unknown scalars": (a * b * theta, "unknown symbol a, b;"),
    "undeclared parameter": (mu * theta, "unknown symbol mu;"),
    "unknown operator": (stranger * theta, "stranger: unknown symbol"),
    "unknown state": (theta + stranger, "stranger: unknown symbol"),
    "a letter without update": (theta + y, "y: unknown symbol"),
    "start in update": (theta0, "theta0: has a meaning in start only"),
    "start subtracted": (theta - theta0, "theta0"),
    "H typed": (H * theta, "H: belongs to the linearised rule"),
    "g0 typed": (g0, "g0: belongs to the linearised rule"),
    "g0 scaled": (theta - eta * g0, "g0"),
    "text": ("W*theta", "a sympy expression, found 'W*theta'"),
    "none": (None, "a sympy expression, found None"),
    "truth": (True, "a sympy expression, found True"),
    "matrix": (sympy.eye(2), "a sympy expression"),
    "list": ([theta], "a sympy expression"),
    "equation": (sympy.Eq(theta, 1), "a sympy expression"),
    "complex": (sympy.I * theta, "coefficient I is not a finite real"),
    "complex by a root": (sympy.sqrt(-eta) * theta, "I*sqrt(eta)"),
    "infinite": (sympy.oo * theta, "coefficient oo"),
    "negative infinite": (-sympy.oo * W * theta, "coefficient -oo"),
    "zoo": (sympy.zoo * W * theta, "zoo"),
    "nan": (sympy.nan, "nan"),
    "float nan": (float("nan"), "nan"),
    "float inf": (float("inf"), "oo"),
}


@pytest.mark.parametrize(("update", "shown"), NOT_LINEAR.values(), ids=NOT_LINEAR.keys())
def test_what_is_not_linear_is_refused_by_its_term(update, shown):
    with pytest.raises(RuleError) as caught:
        rule({theta: update, v: v})
    assert shown in str(caught.value)
    assert "\n" not in str(caught.value)


twin_v, twin_eta = sympy.Symbol("v", commutative=False, hermitian=True), sympy.Symbol("eta")
MALFORMED = {
    "no theta": ({"update": {v: v}}, "an entry for theta"),
    "nothing": ({"update": {}}, "an entry for theta"),
    "a list": ({"update": [theta]}, "a dictionary"),
    "text as block": ({"update": {"theta": theta}}, "symbols as keys"),
    "expression as block": ({"update": {theta: theta, W * v: v}}, "symbols as keys"),
    "commutative block": ({"update": {theta: theta, a: theta}}, "non-commutative symbols, found a"),
    "commutative theta": ({"update": {sympy.Symbol("theta"): theta}}, "an entry for theta"),
    "commutative let": ({"lets": {a: theta}}, "non-commutative symbols, found a"),
    "W as block": ({"update": {theta: theta, W: theta}}, "found W"),
    "average as block": ({"update": {theta: theta, average: theta}}, "found average"),
    "average as parameter": ({"parameters": {sympy.Symbol("average"): 1}}, "found average"),
    "counts without a family": ({"counts": {"tau": 2}}, "use algorithms.counted"),
    "theta0 as block": ({"update": {theta: theta, theta0: theta}}, "found theta0"),
    "H as let": ({"lets": {H: theta}}, "found H"),
    "block twice as let": (
        {"update": {theta: v, v: v}, "lets": {v: theta}},
        "each name once among blocks, lets and parameters, found v",
    ),
    "let that is not linear": ({"lets": {p: theta**2}}, "theta**2"),
    "let before its let": ({"lets": {p: x_next, x_next: theta}}, "x_next: unknown symbol"),
    "let of itself": ({"lets": {p: p}}, "p: unknown symbol"),
    "start of theta": ({"start": {theta: theta0}}, "theta starts at theta0"),
    "start of no block": ({"start": {v: theta0}}, "blocks that update has, found v"),
    "start by a let": ({"update": {theta: v, v: v}, "lets": {p: v}, "start": {v: p}}, "p: unknown symbol"),
    "start with g0": ({"update": {theta: v, v: v}, "start": {v: g0}}, "g0: belongs"),
    "start as a number": ({"update": {theta: v, v: v}, "start": {v: 1}}, "1: a number is not a state"),
    "eta as parameter": ({"parameters": {eta: 1}}, "found eta"),
    "state as parameter": ({"parameters": {v: 1}}, "commutative symbols, found v"),
    "text as parameter": ({"parameters": {"mu": 1}}, "symbols as keys"),
    "no name": ({"name": ""}, "a text, found ''"),
    "number as name": ({"name": 3}, "a text, found 3"),
    # two symbols that print alike: names are all that a user, a message or Trajectory.block(name) has
    "two blocks of one name": ({"update": {theta: theta, v: v, twin_v: theta}}, "v"),
    "parameter of a reserved name": ({"update": {theta: twin_eta * W * theta}, "parameters": {twin_eta: 1}}, "eta"),
}


@pytest.mark.parametrize(("parts", "shown"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_rules_are_refused(parts, shown):
    with pytest.raises(RuleError) as caught:
        nf.Rule(**{"name": "mine", "update": {theta: W * theta}, **parts})
    assert shown in str(caught.value)


def test_block_in_start_is_told_what_stands_there():
    # theta *is* a block, so "unknown symbol; it is neither a block ..." would send the reader astray
    with pytest.raises(RuleError, match="theta0"):
        rule({theta: v, v: v}, start={v: theta})


@pytest.mark.parametrize("default", ["0.5", "no(", float("nan"), float("inf"), 1j, True, [1.0], np.ones(2), mu])
def test_defaults_that_are_no_numbers_are_refused(default):
    with pytest.raises(InputError, match="mu"):
        system(mu * W * theta, parameters={mu: default}).iterate(1)


def test_text_is_never_evaluated(tmp_path):
    touched = tmp_path / "touched"
    with pytest.raises(InputError):
        system(mu * W * theta, parameters={mu: f"__import__('pathlib').Path({str(touched)!r}).touch()"}).iterate(1)
    assert not touched.exists()


def test_coefficients_that_only_the_numbers_spoil_are_refused_when_bound():
    risky = {"update": W * theta - eta / (1 - mu) * gradient(theta) + sympy.sqrt(mu) * (W - 1) * theta}
    assert system(**risky, parameters={mu: 0.5}).iterate(1).loss.shape == (1, 3)
    for value in (1.0, -0.5):
        with pytest.raises(RuleError, match="the coefficient"):
            system(**risky, parameters={mu: value}).iterate(1)


# --- parameters by name


@pytest.mark.parametrize("given", [{"mu": 0.3}, {"momentum": 0.3}])
def test_short_and_long_names(given):
    assert algorithms.get("cdmsgd").numbers(0.1, given) == {eta: 0.1, mu: 0.3}
    assert algorithms.get("cdmsgd").numbers(0.1, {}) == {eta: 0.1, mu: 0.9}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("cdmsgd", {"momentun": 0.3}, "momentun.*did you mean 'momentum'"),
        ("cdmsgd", {"beta": 0.3}, "'beta' of rule 'cdmsgd'"),
        ("dgd", {"momentum": 0.3}, "rule 'dgd' has none"),
        ("cdmsgd", {"mu": "0.3"}, "mu: expected a finite number"),
        ("cdmsgd", {"mu": float("nan")}, "mu: expected a finite number"),
        ("cdmsgd", {"mu": True}, "mu: expected a finite number"),
        ("cdmsgd", {"mu": 0.3, "momentum": 0.4}, "momentum"),  # which one?
    ],
)
def test_parameters_that_cannot_be_used(name, given, message):
    with pytest.raises(InputError, match=message):
        nf.LinearSystem(name, np.full((3, 3), 1 / 3), linearized(problem(3)), 0.1, **given)


def test_missing_parameter_is_named():
    with pytest.raises(InputError, match=r"a value for mu, a.*pass it by name"):
        system(W * theta - a * mu * gradient(theta), parameters={mu: None, a: None, b: 1.0})
    ready = system(
        W * theta - a * mu * gradient(theta), parameters={mu: None, a: None}, given={"a": 2, "momentum": 0.5}
    )
    assert ready.parameters == {"a": 2, "momentum": 0.5}


# --- counts: whole numbers that shape a rule


@algorithms.counted(tau=2, k=1)
def patient(tau, k):
    mixed = W**tau * (theta - eta * mu * gradient(theta))
    return nf.Rule("patient", update={theta: mixed * k}, parameters={mu: 0.5}, synonyms=("slow",))


def test_a_counted_rule_is_a_rule():
    assert isinstance(patient, nf.Rule)
    assert patient.counts == {"tau": 2, "k": 1}
    assert patient.words[theta][theta] == {("W", "W"): ONE, ("W", "W", "H"): -eta * mu}
    assert set(patient.parameter_names) == {"mu", "momentum", "tau", "consensus_steps", "k"}
    assert patient.numbers(0.1, {"tau": 2, "momentum": 0.7}) == {eta: 0.1, mu: 0.7}


def test_shaped_gives_the_member_of_the_family():
    three = patient.shaped({"consensus_steps": 3, "mu": 0.7})
    assert three.counts == {"tau": 3, "k": 1}
    assert three.words[theta][theta] == {("W",) * 3: ONE, ("W", "W", "W", "H"): -eta * mu}
    assert (three.name, three.synonyms, three.parameters) == (patient.name, patient.synonyms, patient.parameters)
    assert three.shaped({"k": 2}).counts == {"tau": 3, "k": 2}  # from here on, not from the defaults
    assert patient.counts == {"tau": 2, "k": 1}


@pytest.mark.parametrize("given", [{}, {"tau": 2}, {"tau": 2.0}, {"tau": np.int64(2)}, {"mu": 0.1, "k": np.float64(1)}])
def test_shaped_is_the_rule_itself_where_nothing_changes(given):
    assert patient.shaped(given) is patient
    assert algorithms.get("dgd").shaped({}) is algorithms.get("dgd")


NO_COUNTS = [2.5, 0, -1, True, "3", 10**6, 101, None, float("nan"), float("inf"), 1j, [2], np.ones(2)]


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
@pytest.mark.parametrize("name", ["tau", "consensus_steps"])
def test_counts_are_small_whole_numbers(name, value):
    for call in (patient.shaped, lambda given: patient.numbers(0.1, given)):
        with pytest.raises(InputError, match=rf"^{name}: expected a .* (1, 100\]|\[1, 100\]|1 to 100)") as caught:
            call({name: value})
        assert "\n" not in str(caught.value)


def test_counts_are_named_like_parameters():
    with pytest.raises(InputError, match="did you mean 'tau'"):
        patient.shaped({"taus": 3})
    with pytest.raises(InputError, match=r"consensus_steps.*by two names"):
        patient.shaped({"tau": 3, "consensus_steps": 3})
    with pytest.raises(InputError, match=r"take rule\.shaped"):  # numbers of another shape would be silently wrong
        patient.numbers(0.1, {"tau": 3})
    with pytest.raises(RuleError, match="each name once"):
        algorithms.counted(mu=2)(lambda mu: patient)
    with pytest.raises(RuleError, match="names of your own"):
        algorithms.counted(theta=2)(lambda theta: patient)
    with pytest.raises(InputError, match="tau"):
        algorithms.counted(tau=0)


def test_a_hundred_local_steps_are_affordable():
    program = algorithms.get("fedavg").shaped({"E": 100}).bind({eta: 0.01})
    (found,) = program.update((np.array([[1.0], [3.0]]),), None, lambda x: x)
    np.testing.assert_allclose(found, 2 * 0.99**100 * np.ones((2, 1)), rtol=1e-13)


# --- the compiled program


@pytest.mark.parametrize("name", RULES)
def test_program_against_the_rule_by_hand(xp, name, rng):
    mixing, hess = rng.dirichlet(np.ones(4), 4), rng.standard_normal((4, 3))
    state = rng.standard_normal((2, 4, 3))
    mixing_xp, hess_xp = xp.asarray(mixing), xp.asarray(hess)

    def g(x):
        return hess * x + 1.0

    x, w = state
    after = mixing @ x - 0.1 * w  # DIGing's x_next
    step = 0.7 * w - 0.1 * g(x)
    expected = {
        "dgd": [mixing @ x - 0.1 * g(x)],
        "atc": [mixing @ (x - 0.1 * g(x))],
        "cta": [mixing @ x - 0.1 * g(mixing @ x)],
        "cdmsgd": [mixing @ x + step, step],
        "diging": [after, mixing @ w + g(after) - g(x)],
    }[name]
    the_rule = algorithms.get(name)
    program = the_rule.bind(the_rule.numbers(0.1, {"mu": 0.7} if name == "cdmsgd" else {}))
    given = tuple(xp.asarray(s) for s in state[: len(expected)])
    found = program.update(given, lambda s: mixing_xp @ s, lambda s: hess_xp * s + 1.0)
    for have, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(to_numpy(have), want, atol=1e-14)
    first = program.start(given[0], lambda s: mixing_xp @ s, lambda s: hess_xp * s + 1.0)
    later = {"cdmsgd": [0 * x], "diging": [g(x)]}.get(name, [])
    for have, want in zip(first, [x, *later], strict=True):
        np.testing.assert_allclose(to_numpy(have), want, atol=1e-14)


local = {p: theta - eta * gradient(theta), x_next: p - eta * gradient(p)}
SHARED = {
    "momentum": ({theta: W * theta + v - gradient(theta), v: v - gradient(theta)}, {}, 1, 1),
    "tracking": ({theta: x_next, y: W * y + gradient(x_next) - gradient(theta)}, {x_next: W * theta - y}, 2, 2),
    "local steps": ({theta: W * x_next, v: x_next - p, z: gradient(p) + gradient(theta)}, local, 2, 1),
    "one let three times": ({theta: p, v: p + W * p, z: 2 * p}, {p: W**2 * theta}, 0, 3),
    "unused let": ({theta: W * theta}, {p: gradient(theta)}, 0, 1),
}


@pytest.mark.parametrize(("update", "lets", "gradients", "mixes"), SHARED.values(), ids=SHARED.keys())
def test_lets_and_gradients_are_evaluated_once(update, lets, gradients, mixes):
    program = rule(update, lets=lets).bind({eta: 0.1})
    counts = {"gradient": 0, "mix": 0}

    def counted(what):
        def call(x):
            counts[what] += 1
            return 0.5 * x

        return call

    for _ in range(2):  # a second pass starts anew
        counts.update(gradient=0, mix=0)
        program.update(tuple(np.ones((2, 1)) for _ in program.blocks), counted("mix"), counted("gradient"))
        assert counts == {"gradient": gradients, "mix": mixes}


def test_right_hand_sides_read_old_values():
    program = rule({v: theta, theta: v}).bind({eta: 0.1})  # a swap; theta comes first whatever the order typed
    assert program.blocks == (theta, v)
    assert program.update((1.0, 2.0), None, None) == (2.0, 1.0)


ZEROS = {
    "block": ({theta: W * theta, v: 0}, {}),
    "let": ({theta: W * theta, v: p}, {p: 0}),
    "let in a sum": ({theta: W * theta + p, v: v}, {p: 0}),
    "gradient of zero": ({theta: W * theta - eta * gradient(0), v: v}, {}),
    "gradient of a let of zero": ({theta: W * theta - eta * gradient(p), v: v}, {p: theta - theta}),
}


@pytest.mark.parametrize(("update", "lets"), ZEROS.values(), ids=ZEROS.keys())
def test_zero_is_a_state_everywhere(xp, update, lets):
    case = problem(3, apart=True)
    mixing = np.full((3, 3), 1 / 3)
    made = nf.LinearSystem(rule(update, lets=lets), mixing, linearized(case, xp), 0.1, "sum")
    found = to_numpy(made.iterate([0, 1, 2], "stepping").deviation)
    at_zero = np.einsum("qnp,qn->qp", case.J, case.residual - np.einsum("qnp,qp->qn", case.J, case.start))
    step = 0.1 * at_zero if update[theta].has(gradient) else 0.0
    first = mixing @ case.start - step
    np.testing.assert_allclose(found[1], first - case.start, atol=1e-12)
    np.testing.assert_allclose(found[2], mixing @ first - step - case.start, atol=1e-12)


# --- random rules: the words and the program are two readings of one expression

HALVES = st.integers(-4, 4).map(lambda k: sympy.Rational(k, 2))


@st.composite
def random_rules(draw):
    """1-3 blocks, a let, polynomials in W, average, eta and mu, nested gradients; dyadic numbers throughout."""
    letters = [theta, v, z][: draw(st.integers(1, 3))]

    def polynomial():
        scalar = draw(st.sampled_from([ONE, eta, mu, eta * mu, 1 - mu]))
        mixed = sum((draw(HALVES) * W**k for k in range(draw(st.integers(1, 3)))), sympy.S.Zero)
        return scalar * draw(st.sampled_from([ONE, ONE, average, 1 + W * average])) * mixed

    def combination(symbols, depth):
        total = polynomial() * draw(st.sampled_from(symbols))
        for _ in range(draw(st.integers(0, 2))):
            total += polynomial() * draw(st.sampled_from(symbols))
        if depth and draw(st.booleans()):
            total += polynomial() * gradient(combination(symbols, depth - 1))
        return total

    lets = {p: combination(letters, 1)} if draw(st.booleans()) else {}
    update = {s: combination([*letters, *lets], 2) for s in letters}
    start = {s: combination([theta0], 1) for s in letters[1:]}
    return nf.Rule("random", update=update, start=start, lets=lets, parameters={mu: 0.25})


def evaluated(form, values, letters):
    """Sum of coefficient . word . source with matrices in place of the letters."""
    total = np.zeros_like(next(iter(values.values())))
    for source, operator in form.items():
        for word, coefficient in operator.items():
            x = values[source]
            for letter in reversed(word):
                x = letters[letter] @ x
            total = total + float(coefficient.subs({eta: 0.5, mu: 0.25})) * x
    return total


@settings(max_examples=60, deadline=None)
@given(random_rules(), st.integers(0, 2**32 - 1))
def test_words_and_program_agree_exactly(the_rule, seed):
    rng = np.random.default_rng(seed)
    # small integers and dyadic coefficients: float arithmetic is exact, so the two must be *equal*
    # and so are means of four
    mixing, hess = rng.integers(-2, 3, (2, 4, 4)).astype(float)
    start, constant, *state = rng.integers(-2, 3, (2 + len(the_rule.blocks), 4, 2)).astype(float)
    letters = {"W": mixing, "H": hess, "average": np.full((4, 4), 0.25)}
    program = the_rule.bind(the_rule.numbers(0.5, {}))
    calls = (lambda x: mixing @ x, lambda x: hess @ (x - start) + constant)
    values = {theta0: start, g0: constant, **dict(zip(the_rule.blocks, state, strict=True))}
    for block, found in zip(the_rule.blocks, program.update(tuple(state), *calls), strict=True):
        np.testing.assert_array_equal(found, evaluated(the_rule.words[block], values, letters))
    for block, found in zip(the_rule.blocks, program.start(start, *calls), strict=True):
        np.testing.assert_array_equal(found, evaluated(the_rule.start_words[block], values, letters))


# --- rules that act on the parameters themselves

decay = (1 - 0.1 * eta) * W * theta - eta * gradient(theta)
CONSENSUS = {
    "gradient descent": ({theta: theta - eta * gradient(theta)}, {}, False),
    "affine in W": ({theta: (2 * W - 1) * theta - eta * gradient(W**2 * theta)}, {}, False),
    "EXTRA": ({theta: (1 + W) * theta - z, z: (1 + W) * theta / 2}, {z: theta0}, False),
    "EXTRA, wrong start": ({theta: (1 + W) * theta - z, z: (1 + W) * theta / 2}, {}, True),
    "averages": ({theta: average * W * theta - eta * gradient(W * average * theta)}, {}, False),
    "half an average": ({theta: average * theta / 2 - eta * gradient(theta)}, {}, True),
    "weight decay": ({theta: decay}, {}, True),
    "decayed momentum only": ({theta: W * theta + v, v: mu * v - eta * gradient(theta)}, {}, False),
    "gradient elsewhere": ({theta: W * theta - eta * gradient(theta / 2)}, {}, True),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_catalogue_needs_no_origin(name):
    assert not algorithms.get(name).moves_consensus


@pytest.mark.parametrize(("update", "start", "moves"), CONSENSUS.values(), ids=CONSENSUS.keys())
def test_moves_consensus(update, start, moves):
    assert rule(update, start=start, parameters={mu: 0.5}).moves_consensus is moves


@pytest.mark.parametrize("equal", [True, False])
def test_weight_decay_needs_a_start_and_is_right_with_it(xp, equal):
    case, step = problem(4, n_parameters=9, n_samples=2), 0.2
    mixing = nf.weights.metropolis_hastings(nf.graphs.path(4))
    theta_0 = np.random.default_rng(7).standard_normal((4, 9))
    theta_0 = np.broadcast_to(theta_0[0], (4, 9)).copy() if equal else theta_0
    with pytest.raises(InputError, match=r"pass start="):
        nf.LinearSystem(rule(decay), mixing, linearized(case), step)
    model = nf.LinearizedModel.from_jacobian(xp.asarray(case.J), xp.asarray(case.residual), start=xp.asarray(theta_0))
    assert model.compact.jacobian.shape[2] <= 9
    place, expected = theta_0, [0 * theta_0]
    for _ in range(30):
        r = case.residual + np.einsum("qnp,qp->qn", case.J, place - theta_0)
        g = np.einsum("qnp,qn->qp", case.J, r) / 2
        place = (1 - 0.1 * step) * mixing @ place - step * g
        expected.append(place - theta_0)
    for method in ("auto", "dense", "stepping"):
        found = nf.LinearSystem(rule(decay), mixing, model, step).iterate(range(31), method)
        np.testing.assert_allclose(to_numpy(found.deviation), expected, atol=1e-12)


# --- the catalogue


@pytest.mark.parametrize(
    ("given", "name"),
    [("ATC", "atc"), (" Dgd ", "dgd"), ("adapt-then-combine", "atc"), ("combine then adapt", "cta"),
     ("consensus", "dgd"), ("Heavy Ball", "cdmsgd"), ("gradient-tracking", "diging"), ("DIGing", "diging"),
     ("i-CDSGD", "icdsgd"), ("FedAvg", "fedavg"), ("D²", "d2"), ("Exact diffusion", "exact_diffusion"),
     ("Aug-DGM", "aug_dgm"), ("ATC-DIGing", "aug_dgm"), ("NEXT", "atc_tracking"),
     ("CDMSGD-Nesterov", "cdmsgd_nesterov")],
)  # fmt: skip
def test_names_are_forgiving(given, name):
    assert algorithms.get(given).name == name
    assert algorithms.get(algorithms.get(given)) is algorithms.get(name)


def test_the_catalogue_is_the_folder():
    assert set(RULES) <= set(CATALOGUE)
    assert list(CATALOGUE) == sorted(CATALOGUE)
    for name in CATALOGUE:
        found = algorithms.get(name)
        assert found.name == name
        assert found.source
        assert all(algorithms.get(synonym) is found for synonym in found.synonyms)


def test_no_two_rules_share_a_name():
    spellings = [s for name in CATALOGUE for s in (name, *algorithms.get(name).synonyms)]
    assert sorted(spellings) == sorted(set(spellings))
    letters = {letter for name in CATALOGUE for letter in algorithms.get(name).parameter_names.values()}
    assert letters <= set(LONG_NAMES.values())  # every parameter has a word that a user may write


@pytest.mark.parametrize(("given", "hint"), [("dggd", "did you mean 'dgd'"), ("Trackin", "did you mean"), ("", "dgd")])
def test_unknown_names_get_a_hint(given, hint):
    with pytest.raises(UnknownNameError, match=hint):
        algorithms.get(given)


@pytest.mark.parametrize("given", [3, None, ["dgd"], np.ones(2), b"dgd"])
def test_what_is_no_name_is_refused(given):
    with pytest.raises(InputError, match="a name or a Rule"):
        algorithms.get(given)


# --- symbols and numbers as they are written


@pytest.mark.parametrize("twin", [sympy.Symbol("eta"), sympy.Symbol("mu"), sympy.Symbol("theta"), sympy.Symbol("W")])
def test_a_symbol_with_other_assumptions_is_told_apart_from_the_rules(twin):
    with pytest.raises(RuleError, match=f"found {twin} with other assumptions too; use the same object throughout"):
        nf.Rule("mine", {theta: mu * W * theta - eta * gradient(twin * theta)}, parameters={mu: 0.5})


def test_floating_point_numbers_are_the_decimals_that_they_show():
    rule = nf.Rule("mine", {theta: 0.1 * W * theta - gradient(0.7 * theta) + v, v: v}, start={v: 0.2 * theta0})
    tenth, seven, fifth = sympy.Rational(1, 10), sympy.Rational(7, 10), sympy.Rational(1, 5)
    assert rule.update[theta] == tenth * W * theta - gradient(seven * theta) + v
    assert rule.start[v] == fifth * theta0
    third = nf.Rule("mine", {theta: (1 / 3) * theta}).words[theta][theta][()]
    assert third.is_Rational
    assert float(third) == 1 / 3


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "\u202ea", " ", "a\tb"])
def test_a_name_is_printable(name):
    with pytest.raises(RuleError, match=r"^name: expected"):
        nf.Rule(name, {theta: W * theta})


def test_powers_have_a_limit():
    assert len(nf.Rule("mine", {theta: ((1 + W) / 2) ** 100 * theta}).words[theta][theta]) == 101
    with pytest.raises(RuleError, match="powers up to 100"):
        nf.Rule("mine", {theta: W**101 * theta})


@pytest.mark.parametrize("counts", [None, 3, "E"])
def test_counts_are_named(counts):
    with pytest.raises(InputError, match=r"a dictionary \{name: value\}, found .*; leave it out for none"):
        nf.algorithms.get("fedavg").shaped(counts)


# --- compiled once, for all numbers


def test_a_coefficient_that_is_one_leaves_the_point_itself():
    """Passes over the data are remembered by the point where they were made."""
    same = rule({theta: W * theta - eta * gradient(mu * theta)}, parameters={mu: 1.0})
    points = []
    x = np.ones((2, 3, 1))
    same.bind(same.numbers(0.1, {})).update((x,), lambda z: z, lambda z: points.append(z) or 0.0 * z)
    assert points[0] is x
    same.bind(same.numbers(0.1, {"mu": 2.0})).update((x,), lambda z: z, lambda z: points.append(z) or 0.0 * z)
    assert points[1] is not x


def test_the_same_counts_are_the_same_rule():
    patient, fedavg = algorithms.get("icdsgd"), algorithms.get("fedavg")
    assert patient.shaped({"tau": 3}) is patient.shaped({"consensus_steps": 3.0}) is not patient.shaped({"tau": 4})
    assert fedavg.shaped({"E": 3}) is fedavg.shaped({"local_steps": 3})


@pytest.mark.parametrize("factor", [sympy.sqrt(1 - mu), sympy.Integer(10) ** 400])
def test_coefficients_that_are_no_numbers(factor):
    odd = rule({theta: W * theta - eta * factor * gradient(theta)}, parameters={mu: 1.5})
    with pytest.raises(RuleError, match=r"expected a finite real number, found (nan|-inf)"):
        odd.bind(odd.numbers(0.1, {}))
    with pytest.raises(RuleError, match=r"expected a finite real number, found (nan|-inf)"):
        numeric(odd, theta, odd.numbers(0.1, {}))
