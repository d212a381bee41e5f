"""Derivations: the paper's systems, every step's check, what the checks can see, and the LaTeX."""

import re
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest
import sympy
from clock import within
from faults import faults
from latex_reader import read, read_agent, read_equations
from market import CATALOGUE, linearized, problem

import ntkflow as nf
from ntkflow.derivation import Derivation, _pdf, letters
from ntkflow.derivation._agents import agent
from ntkflow.derivation._networks import mixing
from ntkflow.derivation.letters import JT, D, Psi, Q, e0
from ntkflow.errors import InputError, OutputError, RuleError, UnknownNameError
from ntkflow.normalization import NAMES
from ntkflow.notation import W, average, d, eta, gradient, mu, theta, theta0, v, y
from ntkflow.printing import broken, latex, text, width

SIZES = {D: 2, Q: 3, letters.n_outputs: 5}
LATEX_ENGINE = shutil.which("pdflatex")
needs_latex = pytest.mark.skipif(LATEX_ENGINE is None, reason="pdflatex is not installed, so no document is compiled")
bracket = JT * e0 - Psi * theta0


def named(letter):
    return sympy.Symbol(letter, commutative=False)


OWN = {
    "look ahead, and back": nf.Rule(
        "own", {theta: W * theta + v, v: mu * v - eta * gradient(W * theta + mu * v)}, parameters={mu: 0.5}
    ),
    "weight decay": nf.Rule("own", {theta: (1 - eta * mu) * W * theta - eta * gradient(theta)}, parameters={mu: 0.1}),
    "irrational": nf.Rule(
        "own", {theta: sympy.sqrt(2 + mu) * W * theta - sympy.exp(mu) * eta * gradient(theta)}, parameters={mu: 0.1}
    ),
    "two averages": nf.Rule("own", {theta: W * (average * theta - eta * gradient(W**3 * theta)) / 2 + W * theta / 2}),
    "start by gradients": nf.Rule(
        "own",
        {theta: W * theta - eta * y, y: W * y + gradient(theta), d: y - W * d},
        start={y: W * gradient(theta0), d: (1 - W) * theta0 + gradient(W * theta0)},
    ),
    "names with numbers": nf.Rule(
        "own %_&^{2}\\",
        {
            theta: W * theta - eta * gradient(theta) + named("v1"),
            named("v1"): named("x_prev"),
            named("x_prev"): W * named("v1") + ((1 + W) / 2) ** 2 * named("y__2"),
            named("y__2"): W * theta,
        },
        start={named("x_prev"): theta0, named("v1"): W * theta0},
    ),
    "numbered names": nf.Rule(
        "own", {theta: named("x_2")}, lets={named("x_1"): W * theta, named("x_2"): named("x_1") - eta * gradient(theta)}
    ),
    "nothing moves": nf.Rule("own", {theta: theta}),
}


def all_derivations():
    for name in CATALOGUE:
        yield pytest.param(name, "global", id=f"{name}, global")
        yield pytest.param(name, None, id=f"{name}, unequal factors")
    for normalization in NAMES:
        yield pytest.param("cta", normalization, id=f"cta, {normalization}")
    for what, rule in OWN.items():
        yield pytest.param(rule, "per_agent", id=what)
    yield pytest.param(nf.algorithms.get("fedavg").shaped({"E": 4}), "per_agent", id="fedavg, 4 local steps")
    yield pytest.param(nf.algorithms.get("icdsgd").shaped({"tau": 3}), "per_agent", id="icdsgd, 3 consensus steps")


DERIVATIONS = list(all_derivations())
derived = cache(Derivation)  # whose checks are made once


# --- the results


@pytest.mark.parametrize(("normalization", "alpha"), [("per_agent", eta / D), ("global", eta / (D * Q))])
def test_the_papers_systems(normalization, alpha):
    # arXiv 2409.15267, eqs. 12a-c, with the factor of eqs. 4-6 and of eqs. 7-12 (theory T2)
    paper = {
        "dgd": (W - 1 - alpha * Psi, -alpha * bracket),
        "atc": (W - 1 - alpha * W * Psi, -alpha * W * bracket),
        "cta": (W - 1 - alpha * Psi * W, -alpha * bracket),
    }
    for name, (A, u) in paper.items():
        derivation = Derivation(name, normalization)
        assert sympy.expand(derivation.A - A) == 0
        assert sympy.expand(derivation.u - u) == 0
        assert derivation.M == derivation.A + 1
        assert derivation.C == letters.J


@pytest.mark.parametrize(("rule", "normalization"), DERIVATIONS)
def test_every_step_holds(rule, normalization):
    derivation = derived(rule, normalization)
    assert derivation.holds, [step.name for step in derivation.steps if not step.check()]
    names = [step.name for step in derivation.steps]
    assert names[:9] == ["rule", "flow", "gradient", "linearisation", "linear_gradient", "substitution", "collection",
                         "system", "deviation"]  # fmt: skip


def in_numbers(expr, values):
    """An expression in plain floating point, by another route than the checks take."""
    if expr.is_commutative:
        return float(expr.subs({**SIZES, **{s: x for s, x in values.items() if s.is_commutative}}))
    if expr.is_Symbol:
        return values[expr]
    parts = [in_numbers(part, values) for part in expr.args]
    if expr.is_Pow:
        return np.linalg.matrix_power(parts[0], int(parts[1]))
    size = next((len(part) for part in parts if np.ndim(part)), 1)
    if expr.is_Add:
        return sum(part if np.ndim(part) else part * np.eye(size) for part in parts)
    product = parts[0]
    for part in parts[1:]:
        product = product @ part if np.ndim(product) and np.ndim(part) else product * part
    return product


def block_matrix(matrix, values, shape):
    def sized(entry):
        found = in_numbers(entry, values)
        return found if np.ndim(found) else (found * np.eye(*shape) if shape[0] == shape[1] else np.zeros(shape))

    return np.block([[sized(matrix[i, k]) for k in range(matrix.cols)] for i in range(matrix.rows)])


@pytest.mark.parametrize("name", CATALOGUE)
def test_operators_are_those_of_the_linear_system(name, rng):
    case = problem(3, n_samples=2, n_outputs=5, n_parameters=4)
    rule, mixing = nf.algorithms.get(name), rng.dirichlet(np.ones(3), 3)
    system = nf.LinearSystem(rule, mixing if rule.uses_graph else None, linearized(case), 0.2, "torch_mse")
    J = np.zeros((30, 12))
    for q in range(3):
        J[10 * q : 10 * q + 10, 4 * q : 4 * q + 4] = case.J[q]
    values = {
        W: np.kron(mixing, np.eye(4)), average: np.kron(np.full((3, 3), 1 / 3), np.eye(4)), Psi: J.T @ J,
        letters.J: J, JT: J.T, **system.numbers,
    }  # fmt: skip
    derived = Derivation(name, "torch_mse").system
    A, B, C, _ = system.dense()
    # matrices of size 12 to 24 with entries of order one: a few dozen roundings
    np.testing.assert_allclose(block_matrix(derived.A, values, (12, 12)), A, atol=1e-13)
    np.testing.assert_allclose(block_matrix(derived.B, values, (12, 30)), B, atol=1e-13)
    np.testing.assert_allclose(block_matrix(derived.C, values, (30, 12)), C, atol=1e-13)


UPDATE, SLOPE = "next", [("gradient", "loss"), ("gradient", "gradient")]
LINEAR = [("linearisation", "outputs"), ("linearisation", "jacobian"), ("linear_gradient", "residual"),
          ("linear_gradient", "hessian"), ("linear_gradient", "gradient")]  # fmt: skip
SYSTEM, END = [("system", letter) for letter in "MbAu"], [("closed_form", "iterate"), ("closed_form", "trajectory")]


@pytest.mark.parametrize("name", ["dgd", "cdmsgd"])
def test_what_each_step_says(name):
    blocks = Derivation(name).rule.blocks
    assert len(blocks) == {"dgd": 1, "cdmsgd": 2}[name]
    said = [(s.name, e.quantity) if e.block is None else (s.name, e.quantity, e.block)
            for s in Derivation(name).steps for e in s.equations]  # fmt: skip
    rows = {(step, quantity): [(step, quantity, b) for b in blocks] for step, quantity in
            [("rule", UPDATE), ("flow", "flow"), ("substitution", UPDATE), ("collection", UPDATE)]}  # fmt: skip
    assert said == [
        *rows["rule", UPDATE], *rows["flow", "flow"], *SLOPE, *LINEAR, *rows["substitution", UPDATE],
        *rows["collection", UPDATE], *SYSTEM, *[("deviation", "start", b) for b in blocks[1:]], ("deviation", "u_x"),
        ("deviation", "B"), ("deviation", "C"), ("together", "u_x"), *END,
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "counts"), [("fedavg", {"E": 12}), ("fedavg", {"E": 30}), ("icdsgd", {"tau": 100})])
def test_many_local_steps_are_derived_and_checked_in_seconds(name, counts):
    """A gradient that is not linear multiplies digits by five: 5¹² of them, unless places are kept short."""
    with within(30.0):  # of two to four; of hours before
        assert Derivation(name, "global", counts).holds


# --- what the checks can see


def test_mixing_hides_neither_transposes_nor_column_sums():
    W = mixing()
    assert (W != W.T).any()
    assert (W.sum(axis=1) == 1).all()
    assert not (W.sum(axis=0) == 1).any()


def test_long_places_do_not_hide_faults():
    step = Derivation("fedavg", "global", {"E": 8}).steps[0]
    assert step.check()
    for index, equation in enumerate(step.equations):
        for what, faulty in faults(equation.right):
            assert not holds(step.planted(index, faulty)), f"{what} in {equation.right}"


@pytest.mark.parametrize("name", ["dgd", "atc", "cta", "cdmsgd_nesterov", "extra", "diging", "fedavg"])
def test_every_planted_fault_is_found(name):
    planted, missed = 0, []
    for step in Derivation(name, "global").steps:
        for index, equation in enumerate(step.equations):
            for what, faulty in faults(equation.right):
                if step.name == "together" and same_on_consensus(faulty, equation.right):
                    continue
                if step.name == "closed_form" and name == "fedavg" and what == "factor W added":
                    continue  # M and b begin with the average, before which W does nothing
                planted += 1
                if holds(step.planted(index, faulty)):
                    missed.append(f"{step.name} {index}: {what} in {equation.right}")
    assert missed == []
    assert planted >= 200


def same_on_consensus(one, other):
    """Whether 𝓦 stands before a common start only, where it changes nothing."""
    return (one - other).expand().subs({W * theta0: theta0, average * theta0: theta0}) == 0 * other


def holds(step):
    """Whether the check passes; a W where residuals stand is a fault that does not even have the right shape."""
    try:
        return step.check()
    except ValueError as problem:
        if "mismatch" in str(problem) or "not aligned" in str(problem):
            return False
        raise


def test_faults_are_what_they_say():
    found = dict(faults(W * theta - eta * gradient(theta)))
    assert {"sign", "factor Q", "factor W added", "factor W dropped"} <= set(found)
    assert all(faulty != W * theta - eta * gradient(theta) for _, faulty in faults(W * theta - eta * gradient(theta)))


# --- what is printed


@pytest.mark.parametrize(("rule", "normalization"), DERIVATIONS)
def test_latex_is_well_formed(rule, normalization):
    source = derived(rule, normalization).document()
    assert source.isascii()
    assert source.count("{") == source.count("}")
    for name in ("align", "align*", "bmatrix", "document", "tabular"):
        assert source.count(rf"\begin{{{name}}}") == source.count(rf"\end{{{name}}}")
    labels = re.findall(r"\\label\{([^}]*)\}", source)
    assert len(labels) == len(set(labels)) >= 11
    assert source.count(r"\left(") == source.count(r"\right)")


@needs_latex
@pytest.mark.parametrize(
    "rule",
    ["atc", "aug_dgm", "nids", *(nf.algorithms.get("fedavg").shaped({"E": E}) for E in (5, 12)), *OWN.values()],
    ids=lambda rule: rule if isinstance(rule, str) else rule.name,
)
def test_documents_compile(rule, tmp_path):
    (tmp_path / "document.tex").write_text(Derivation(rule, "global").document())
    command = [LATEX_ENGINE, "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    assert max(wide, default=0.0) < 5.0, "a line is seen to be too wide"


@needs_latex
def test_write_pdf(tmp_path):
    written = Derivation("dgd").write_pdf(tmp_path / "dgd.pdf")
    assert written.read_bytes().startswith(b"%PDF")
    assert [path.name for path in tmp_path.iterdir()] == ["dgd.pdf"]


@needs_latex
def test_a_document_that_does_not_compile_leaves_nothing(tmp_path):
    kept = tmp_path / "kept.pdf"
    kept.write_text("before")
    with pytest.raises(OutputError, match="a document that compiles, found ! Undefined control sequence") as caught:
        _pdf.write_pdf(r"\documentclass{article}\begin{document}\nonsense\end{document}", kept)
    assert "\n" not in str(caught.value)
    assert kept.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_without_latex_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match=r"pdflatex, .* on the PATH, found none; install TeX Live"):
        Derivation("dgd").write_pdf(tmp_path / "dgd.pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "message"), [("dgd.tex", r"ends in \.pdf"), ("none/dgd.pdf", "existing folder"), (3, "a path")]
)
def test_places_that_cannot_be_written(path, message, tmp_path):
    if LATEX_ENGINE is None and "none" in str(path):
        pytest.skip("pdflatex is not installed")
    with pytest.raises(InputError, match=message):
        Derivation("dgd").write_pdf(tmp_path / path if isinstance(path, str) else path)


def test_text_and_notebook_forms():
    derivation = Derivation("atc", "global")
    assert "    A = W - I - eta/(D*Q)*W*Psi\n" in str(derivation)
    assert str(derivation) == derivation.text()
    assert max(map(len, derivation.text().splitlines())) <= 110
    assert r"A &= \mathcal{W} - I - \frac{\eta}{D Q} \mathcal{W} \Psi_0" in derivation._repr_latex_()


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_first_step_reads_back_as_the_rule(name):
    rule = nf.algorithms.get(name)
    lines = Derivation(name).text().split("\n\n")[1].splitlines()
    equations = [line.strip() for line in lines if line.startswith("    ") and " = " in line]
    marked = [line if "'" in line.partition("=")[0] else f"let {line}" for line in equations]
    starts = [f"start {b} = {nf.printing.text(expr)}" for b, expr in rule.start.items()]
    again = nf.Rule.parse("\n".join(marked + starts), parameters={str(s): x for s, x in rule.parameters.items()})
    assert again.words == rule.words


def test_both_step_sizes_are_stated():
    source = Derivation("dgd", "global").latex()
    assert r"\frac{\eta}{D}" in source
    assert r"\frac{\eta}{D Q}" in source
    assert "they differ by $Q$" in source


# --- what is printed is what was checked


def printed_steps(derivation):
    """(equation, what its LaTeX says) of every step before the closed form."""
    aligns = re.findall(r"\\begin\{align\}\n(.*?)\\end\{align\}", derivation.latex(), re.DOTALL)
    for step, align in zip(derivation.steps, aligns, strict=True):
        if step.name != "closed_form":
            yield from zip(step.equations, read_equations(align), strict=True)


def differs(said, right):
    """Whether what is read is another expression; a wide matrix is read entry by entry, zeros left out."""
    if isinstance(said, dict):
        places = {left: re.search(r"_\{?(?:x,)?(\d)(\d?)\}?$", left).groups() for left in said}
        entries = {(int(i) - 1, int(k or 1) - 1): said[left] for left, (i, k) in places.items()}
        said = sympy.Matrix(*right.shape, lambda i, k: entries.get((i, k), 0))
    said, right = (sympy.Matrix([[x]]) if isinstance(x, sympy.Expr) else x for x in (said, right))
    return (said - right).expand() != 0 * right


@pytest.mark.parametrize("normalization", ["global", "torch_mse", None])
@pytest.mark.parametrize("name", CATALOGUE)
def test_latex_reads_back_as_the_equations(name, normalization):
    derivation = derived(name, normalization)
    wrong = [f"{e.quantity} {e.block}: {said}" for e, said in printed_steps(derivation) if differs(said, e.right)]
    assert wrong == []
    for equation in derivation.steps[0].equations:
        assert not differs(read_agent(agent(equation.right)), equation.right)


def nested(depth):
    return W * gradient(nested(depth - 1)) if depth else theta


POLYNOMIALS = [
    ((1 + W) / 2) ** 2 * theta, ((1 + W) / 2) ** 100 * theta, (W * average) ** 2 * theta, W**3 * theta,
    (2 * W + average) ** 3 * (theta - eta * gradient(theta)), W * (1 + W) * (theta - eta * gradient(W * theta)),
    W**2 * (1 + W) * theta, -(eta * mu - 1) * W * theta, (mu - 1) * ((1 + W) / 2) ** 2 * gradient(theta),
    mu / (eta + mu) ** 2 * W * theta - eta * (1 - mu) * average * (W - 1) * theta, nested(7),
]  # fmt: skip


@pytest.mark.parametrize("expr", POLYNOMIALS, ids=str)
def test_what_an_agent_computes_reads_back(expr):
    assert not differs(read_agent(agent(expr)), expr)
    assert not differs(read(latex(expr)), expr)


def test_averages_of_averages_are_averages():
    assert read_agent(agent(average**3 * theta)) == average * theta


def test_powers_of_products_and_signs_of_sums():
    assert latex((W * average) ** 2) == r"\left(\mathcal{W} \overline{\mathcal{W}}\right)^{2}"
    assert text(-(eta * mu - 1) * W * theta) == "(-eta*mu + 1)*W*theta"
    assert text(theta + (eta * mu - 1) * W * theta) == "(eta*mu - 1)*W*theta + theta"
    assert text(-eta * (1 - mu) * W * theta) == "-eta*(1 - mu)*W*theta"
    assert text((eta + mu) ** -2 * W * theta - mu**-3 * theta) == "1/(eta + mu)**2*W*theta - 1/mu**3*theta"


def test_broken_lines_are_the_whole_and_fit():
    terms = [eta**k * W**k * theta for k in range(1, 9)]
    total = sum(((-1) ** k * term for k, term in enumerate(terms)), sympy.S.Zero)
    for expr in (total, (1 - mu) * average * total, W * total - gradient(total)):
        lines = broken(expr, 40)
        assert len(lines) > 1
        assert not differs(read(" ".join(lines)), expr)
    assert max(map(width, broken(total, 40))) <= 40
    assert max(map(width, broken(W * theta - total.subs(theta, 1) * (theta - theta0), 60))) <= 60
    assert broken(total, 1000) == [latex(total)]
    assert broken(W, 0) == [r"\mathcal{W}"]


def test_numbers_of_a_rule_are_exact():
    tenth = nf.Rule(
        "own", {theta: 0.1 * W * theta - 1e-3 * eta * gradient(0.3 * theta) + mu**0.5 * theta}, parameters={mu: 0.3}
    )
    assert tenth.update[theta].atoms(sympy.Float) == set()
    exact = sympy.Rational(1, 10) * W * theta - eta * gradient(3 * theta / 10) / 1000 + sympy.sqrt(mu) * theta
    assert tenth.update[theta] == exact
    assert Derivation(tenth).holds


@pytest.mark.parametrize("name", ["Q", "D", "Psi", "g", "b", "k", "q", "tau", "x", "y_0", "e_0", "Psi_0", "vartheta"])
def test_letters_of_derivations_are_no_names_of_a_rule(name):
    rule = nf.Rule("own", {theta: W * theta + named(name), named(name): theta, named("y0"): theta})
    both = "y_0, y0" if name == "y_0" else name
    with pytest.raises(RuleError, match=rf"found {both}; rename them in the rule$"):
        Derivation(rule)
    parameter = sympy.Symbol(name, real=True)
    with pytest.raises(RuleError, match="rename"):
        Derivation(nf.Rule("own", {theta: parameter * theta, named("y0"): theta}, parameters={parameter: 0.5}))


def test_what_is_not_there_is_not_spoken_of():
    assert "residuals enter" not in Derivation(OWN["nothing moves"]).text().replace("no residuals enter", "")
    assert "residuals enter through B" in Derivation("dgd").text()
    assert "enter through the start of y, the outputs" in " ".join(Derivation("diging").text().split())
    assert r"title{The linear system of fedavg, $E = 5$}" in Derivation("fedavg", counts={"E": 5}).document()
    assert r"system of icdsgd, $\tau = 3$}" in Derivation("icdsgd", counts={"tau": 3}).document()
    assert Derivation("fedavg", counts={"E": 5}).text().startswith("fedavg, E = 5 (per_agent)")


def test_the_result_says_what_the_state_is():
    result = Derivation("diging").document().partition(r"\section*{Notation}")[0]
    assert r"s &= \begin{bmatrix}\vartheta\\y\end{bmatrix}" in result
    assert r"s_0 &= \begin{bmatrix}\vartheta_0\\\frac{1}{D}" in result


def test_the_notation_explains_the_letters_of_the_system():
    notation = Derivation("cdmsgd").document().partition(r"\section*{Notation}")[2].partition(r"\section*")[0]
    for row in (r"$M,\ b$", r"$A,\ u$", r"$B,\ C$", r"$x,\ u_x$", r"$s,\ s_0$", r"$k,\ t$", r"$\mu$"):
        assert notation.count(f"\n{row} & ") == 1
    assert r"$\mu$" not in Derivation("dgd").document()


@needs_latex
def test_a_fragment_compiles_where_checked_is_not_defined(tmp_path):
    around = r"\documentclass{article}\usepackage{amsmath}\begin{document}%s\end{document}"
    (tmp_path / "fragment.tex").write_text(around % Derivation("dgd").latex())
    command = [LATEX_ENGINE, "-interaction=nonstopmode", "-halt-on-error", "fragment.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


# --- how it is asked for


def test_counts_shape_the_rule():
    assert W**4 - eta / D * Psi == Derivation("icdsgd", counts={"consensus_steps": 4}).M
    with pytest.raises(InputError, match="whole number"):
        Derivation("fedavg", counts={"E": 2.5})


@pytest.mark.parametrize(
    ("given", "error"), [(("nonsense",), UnknownNameError), (("dgd", "mean"), UnknownNameError), ((3,), InputError)]
)
def test_what_is_not_known_is_refused(given, error):
    with pytest.raises(error):
        Derivation(*given)


@pytest.mark.parametrize("counts", [None, 3, "E=3", [3]])
def test_counts_are_a_dictionary(counts):
    with pytest.raises(InputError, match=r"^counts: expected a dictionary such as .*leave it out for none$"):
        Derivation("fedavg", counts=counts)


def test_a_study_derives_under_its_own_normalization():
    data, model = nf.datasets.half_moons(4, 6, seed=0), nf.models.MLP([2, 3, 1])
    mixing = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
    study = nf.Study(mixing, model, model.init(seed=0), data, "dgd", step_size=1e-3)
    assert study.derivation().normalization == "per_agent"
    assert W - 2 * eta / (D * letters.n_outputs) * Psi == study.using(normalization="torch_mse").derivation().M
    assert study.using(normalization=np.array([1.0, 2.0, 3.0, 4.0])).derivation().normalization is None
    assert W**3 - eta / D * Psi == study.using(algorithm="icdsgd", tau=3).derivation().M


def test_a_rule_that_is_not_linear_has_no_derivation():
    with pytest.raises(RuleError, match="not linear"):
        nf.Rule("own", {theta: theta * gradient(theta)})
