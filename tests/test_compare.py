"""Designs side by side, where training ends, and the small tables that both are printed in."""

import csv
import dataclasses
import math
import shutil
import subprocess

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import to_numpy
from market import CATALOGUE, linearized, mixing_of, problem
from scipy.linalg import null_space

import ntkflow as nf
from ntkflow import _tables
from ntkflow.analysis._rest import bias_order
from ntkflow.analysis.compare import compare
from ntkflow.analysis.limits import limit
from ntkflow.notation import W as MIX
from ntkflow.notation import eta, gamma, gradient, theta

plt.switch_backend("Agg")
Q, N_ROWS = 5, 3
PATH = nf.weights.metropolis_hastings(nf.graphs.path(Q))
EXACT = {"extra", "exact_diffusion", "d2", "nids", "diging", "aug_dgm", "atc_tracking", "gd"}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def design(rule="dgd", P=6, step_size=0.02, W=PATH, xp=np, **options):
    case = problem(Q, n_parameters=P, **{"n_samples": N_ROWS, "seed": 1, **options})
    return case, nf.LinearSystem(rule, mixing_of(rule, W), linearized(case, xp), step_size, "sum")


def least_squares(case, weights=None):
    """v* by least squares, written out: nearest to the mean of the starts."""
    pi = np.ones(Q) if weights is None else weights
    start = np.zeros((Q, case.J.shape[2])) if case.start is None else case.start
    mean = pi @ start / pi.sum()
    rows = [math.sqrt(w) * J_q for w, J_q in zip(pi, case.J, strict=True)]
    agents = zip(pi, case.J, case.residual, start, strict=True)
    missed = [math.sqrt(w) * (e + J_q @ (mean - origin)) for w, J_q, e, origin in agents]
    return mean - np.linalg.lstsq(np.vstack(rows), np.concatenate(missed), rcond=1e-12)[0]


class TestLimit:
    @pytest.mark.parametrize("rule", CATALOGUE)
    @pytest.mark.parametrize("flow", [False, True])
    def test_inconsistent_data(self, xp, rule, flow):
        """Fewer parameters than rows: exact methods end at the minimiser, the others beside it (T13)."""
        case, of = design(rule, apart=rule != "gd", xp=xp)
        found = limit(of, flow)
        assert found.shared == "nothing"
        assert found.kind == ("minimiser" if rule in EXACT else "biased")
        basis = to_numpy(of.model.compact.basis)
        np.testing.assert_allclose(found.common.minimiser, least_squares(case) @ basis, atol=1e-12)
        assert (found.bias < 1e-9) == (rule in EXACT)
        assert (found.consensus_error < 1e-9) == (rule in EXACT or rule == "fedavg")

    @pytest.mark.parametrize("rule", [rule for rule in CATALOGUE if rule != "diging"])  # too large a step for it
    def test_more_parameters_than_rows(self, xp, rule):
        _, of = design(rule, P=20, xp=xp)
        found = limit(of)
        assert found.kind == found.shared == "interpolant"
        assert max(found.loss.max(), found.common_loss.max()) < 1e-20

    def test_a_minimiser_can_be_shared_without_interpolation(self):
        case, _ = design(P=4, n_samples=6, apart=True)
        v = np.random.default_rng(2).normal(size=4)
        residual = np.einsum("qnp,qp->qn", case.J, case.start - v)
        residual += np.stack([null_space(J_q.T).sum(axis=1) for J_q in case.J])  # own gradients do not notice
        lin = nf.LinearizedModel.from_jacobian(case.J, residual, start=case.start)
        for rule in ("dgd", "cta", "extra", "fedavg"):
            found = limit(nf.LinearSystem(rule, mixing_of(rule, PATH), lin, 0.02, "sum"))
            assert found.kind == "minimiser"
            assert found.shared == "minimiser"
            assert found.bias < 1e-8
            assert found.loss.min() > 0.1

    def test_singular_values_that_fade_away_share_nothing(self):
        """As a real network's do: the nearest v* is so far away that noise could be all that is left there."""
        rng = np.random.default_rng(5)
        left, right = np.linalg.qr(rng.normal(size=(25, 22)))[0], np.linalg.qr(rng.normal(size=(22, 22)))[0]
        J = (left * 10.0 ** -np.linspace(0, 14, 22)) @ right.T
        lin = nf.LinearizedModel.from_jacobian(J.reshape(Q, 5, 22), rng.normal(size=(Q, 5)))
        found = limit(nf.LinearSystem("dgd", PATH, lin, 0.1, "sum"))
        assert found.common_loss.sum() > 0.05  # three of the 25 residuals' dimensions are out of reach
        assert found.shared == "nothing"

    def test_is_where_a_loop_ends(self):
        case, of = design("dgd", apart=True, unequal=True)
        place, found = case.start, limit(of)
        for _ in range(20_000):
            missed = case.residual + np.einsum("qnp,qp->qn", case.J, place - case.start)
            place = PATH @ place - 0.02 * np.einsum("qnp,qn->qp", case.J, missed)
        missed = case.residual + np.einsum("qnp,qp->qn", case.J, place - case.start)
        np.testing.assert_allclose(found.loss, (missed**2).sum(axis=1) / (2 * case.n_samples), rtol=1e-8)
        everywhere = [
            sum(np.sum((e + J_r @ (p - s)) ** 2) for J_r, e, s in zip(case.J, case.residual, case.start, strict=True))
            for p in place
        ]
        np.testing.assert_allclose(found.global_loss, np.array(everywhere) / (2 * case.n_samples.sum()), rtol=1e-8)
        assert found.consensus_error == pytest.approx(np.linalg.norm(place - place.mean(axis=0)), rel=1e-8)
        assert found.bias == pytest.approx(np.linalg.norm(place - least_squares(case)), rel=1e-8)

    def test_directed_graphs_weigh_the_agents(self):
        """With row sums only, DGD nears the minimiser of Σ π_q f_q, and exact methods reach it."""
        rng = np.random.default_rng(3)
        W = np.eye(Q) + rng.random((Q, Q))
        W /= W.sum(axis=1, keepdims=True)
        pi = null_space(W.T - np.eye(Q))[:, 0]
        case, of = design("extra", W=W)
        found = limit(of)
        np.testing.assert_allclose(found.common.weights, Q * pi / pi.sum(), rtol=1e-10)
        wanted = least_squares(case, found.common.weights) @ of.model.compact.basis
        np.testing.assert_allclose(found.place, np.tile(wanted, (Q, 1)), atol=1e-9)
        biases = [limit(design("dgd", W=W, step_size=step)[1]).bias for step in (1e-3, 5e-4)]
        assert biases[0] / biases[1] == pytest.approx(2, rel=0.05)

    def test_agents_that_never_hear_of_each_other(self):
        _, of = design(W=np.eye(Q))
        assert limit(of).kind == "apart"

    def test_an_agent_without_a_gradient_may_keep_its_loss(self):
        case = problem(4, n_samples=2, n_parameters=10, seed=1)
        W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        found = limit(nf.LinearSystem("dgd", W, linearized(case), 0.05, [1.0, 1.0, 1.0, 0.0]))
        assert found.kind == "interpolant"
        assert found.loss[:3].max() < 1e-20 < 1e-3 < found.loss[3]
        assert found.sentence.endswith("every loss vanishes but those of agents without a gradient (c_q = 0)")
        assert limit(nf.LinearSystem("dgd", W, linearized(case), 0.05)).sentence.endswith("every loss vanishes")

    def test_no_limit(self):
        _, of = design(step_size=10.0)
        found = limit(of)
        assert not found.exists
        assert found.kind == "none"
        assert "smaller step size" in found.reason
        assert math.isnan(found.bias)
        assert found.loss is None
        assert limit(of, flow=True).exists

    def test_averaging_takes_atcs_bias(self):
        """W = 11'/Q makes ATC gradient descent; DGD and CTA keep their bias (T13 d)."""
        W = np.full((Q, Q), 1 / Q)
        found = {rule: limit(design(rule, W=W)[1]) for rule in ("dgd", "atc", "cta")}
        assert {rule: end.kind for rule, end in found.items()} == {"dgd": "biased", "atc": "minimiser", "cta": "biased"}
        assert {rule: end.bias < 1e-9 for rule, end in found.items()} == {"dgd": False, "atc": True, "cta": False}

    def test_weight_decay_keeps_a_bias_whatever_the_step(self):
        update = {theta: MIX * theta - eta * gradient(theta) - eta * gamma * theta}
        rule = nf.Rule("decay", update, parameters={gamma: 0.1})
        case, _ = design(apart=True)
        found = limit(nf.LinearSystem(rule, PATH, linearized(case), 1e-4, "sum"))
        assert (found.kind, found.order) == ("biased", 0.0)
        assert "a fixed bias" in found.sentence

    @pytest.mark.parametrize("form", ["text", "markdown", "latex", "__str__"])
    def test_reports(self, form):
        for of in (design()[1], design(step_size=10.0)[1]):
            found = limit(of)
            written = getattr(found, form)()
            assert len(written.splitlines()) >= Q + 1
            assert _tables.cell(float(found.common_loss[0])) in written


class TestBiasOrder:
    @pytest.mark.parametrize("rule", CATALOGUE)
    def test_is_what_smaller_steps_show(self, rule):
        chosen = nf.algorithms.get(rule)
        found = bias_order(chosen, chosen.parameters)
        biases = [limit(design(rule, step_size=step)[1]).bias for step in (4e-4, 2e-4, 1e-4)]
        if found == math.inf:
            assert max(biases) < 1e-8
        else:
            assert math.log2(biases[1] / biases[2]) == pytest.approx(found, abs=0.05)

    def test_one_local_step_of_fedavg_has_none(self):
        rule = nf.algorithms.get("fedavg")
        assert bias_order(rule.shaped({"local_steps": 1}), {}) == math.inf
        assert bias_order(rule.shaped({"local_steps": 5}), {}) == 1


@pytest.fixture(scope="module")
def systems():
    return [design(rule)[1] for rule in ("dgd", "atc", "extra")]


@pytest.fixture(scope="module")
def found(systems):
    return compare(systems)


class TestCompare:
    def test_rows_are_what_the_parts_say(self, systems, found):
        assert [row.label for row in found.rows] == ["dgd", "atc", "extra"]
        for row, of, spectrum, end in zip(found.rows, systems, found.spectra, found.limits, strict=True):
            assert row.step_size == of.step_size
            assert row.radius == spectrum.radius < 1
            assert row.time_constant == pytest.approx(-1 / math.log(row.radius))
            assert row.time_constant == max(row.learning, row.consensus)
            assert row.final_loss == end.loss.mean()
            assert row.end == end.kind
            assert row.max_step_size > row.step_size

    def test_labels(self, systems):
        faster = design("dgd", step_size=0.03)[1]
        labels = [row.label for row in compare([systems[0], faster, faster], max_step_size=False).rows]
        assert labels == ["dgd, η = 0.02", "dgd, η = 0.03 (2)", "dgd, η = 0.03 (3)"]
        [row] = compare([faster], labels=["mine"], max_step_size=False).rows
        assert row.label == "mine"
        assert math.isnan(row.max_step_size)

    def test_csv_keeps_all_digits(self, found, tmp_path):
        place = found.to_csv(tmp_path / "table.csv")
        with open(place, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row, read in zip(found.rows, rows, strict=True):
            assert read["label"] == row.label
            assert float(read["radius"]) == row.radius
            assert float(read["final_loss"]) == row.final_loss

    def test_the_other_tables(self, found):
        frame = found.to_pandas()
        assert list(frame["label"]) == ["dgd", "atc", "extra"]
        assert list(frame["radius"]) == [row.radius for row in found.rows]
        for table in (found.text(), str(found), found.markdown(), found.latex()):
            assert all(row.label in table for row in found.rows)
        assert found.markdown().count("\n") == 4
        assert found.latex().count("&") == (4 + 5 + 4) * 4

    def test_studies(self):
        data = nf.datasets.half_moons(4, 10, seed=0)
        model = nf.models.MLP([2, 8, 1])
        W = nf.weights.metropolis_hastings(nf.graphs.cycle(4))
        study = nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-2)
        rows = compare([study, study.using(algorithm="atc").system], max_step_size=False).rows
        assert [row.rule for row in rows] == ["dgd", "atc"]

    def test_an_unstable_design_has_a_row_too(self, tmp_path):
        found = compare([design(step_size=10.0)[1], design()[1]], max_step_size=False)
        assert found.rows[0].radius > 1
        assert found.rows[0].time_constant < 0
        assert found.rows[0].end == "none"
        assert [row.verdict for row in found.rows] == ["unstable", "stable"]
        dashes = found.text().splitlines()[2].split("  ")
        assert sum(cell.strip() == "–" for cell in dashes) == 8  # four constants, the largest step, three losses
        assert math.isnan(found.rows[0].final_loss)
        ax = found.plot()
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["dgd, η = 0.02"]
        assert "dgd, η = 10" in ax.get_title(loc="left")

    def test_rows_are_the_same_in_every_library(self, xp):
        rows, wanted = (
            compare([design(rule, xp=place)[1] for rule in ("cta", "extra", "cdmsgd")]).rows for place in (xp, np)
        )
        for row, other in zip(rows, wanted, strict=True):
            assert (row.rule, row.verdict, row.end) == (other.rule, other.verdict, other.end)
            numbers = [(getattr(row, name), getattr(other, name)) for name in ("radius", "max_step_size", "final_loss")]
            assert all(a == pytest.approx(b, rel=1e-9) for a, b in numbers)

    def test_verdicts_are_those_of_the_stability_reports(self):
        steps = [0.02, 1.0, nf.stability(design("cta")[1]).max_step_size]
        rules = ("cta", "cta", "cta", "dgd", "extra")
        of = [design(rule, step_size=step)[1] for rule, step in zip(rules, [*steps, 10.0, 0.02], strict=True)]
        wanted = list(map(nf.stability, of))
        rows = compare(of).rows
        assert [row.verdict for row in rows] == [report.iteration.verdict for report in wanted]
        assert [row.max_step_size for row in rows] == [report.max_step_size for report in wanted]
        assert {row.verdict for row in rows} == {"stable", "unstable", "undecided"}
        quick = compare(of, max_step_size=False).rows
        assert [row.verdict for row in quick if row.verdict != "undecided"] == [
            row.verdict for row, other in zip(rows, quick, strict=True) if other.verdict != "undecided"
        ]

    def test_the_largest_step_is_searched_for_once(self, monkeypatch):
        """It does not depend on a design's own step size, and is the most expensive of the columns."""
        from ntkflow.analysis import compare as module

        searched, search = [], module.largest_step
        monkeypatch.setattr(module, "largest_step", lambda *given, **more: searched.append(1) or search(*given, **more))
        _, first = design("diging", step_size=0.001)
        others = [nf.LinearSystem("diging", PATH, first.model, step, "sum") for step in (0.002, 0.003)]
        rows = compare([first, *others]).rows
        assert len(searched) == 1
        assert {row.max_step_size for row in rows} == {nf.stability(first).max_step_size}
        other_weights = nf.LinearSystem("diging", np.full((Q, Q), 1 / Q), first.model, 0.001, "sum")
        other_scale = nf.LinearSystem("diging", PATH, first.model, 0.001, "global")
        rows = compare([first, other_weights, other_scale]).rows
        assert len(searched) == 4
        assert len({row.max_step_size for row in rows}) == 3

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
    @pytest.mark.parametrize("count", [1, 4, 8])
    def test_latex_is_no_wider_than_a_page(self, count, tmp_path):
        of = design("exact_diffusion", step_size=1.234567e-5)[1]
        labels = [f"exact_diffusion, static-exponential, step size {i}" for i in range(count)]
        found = compare([of] * count, labels).latex()
        page = rf"\documentclass{{article}}\begin{{document}}\noindent {found}\end{{document}}"
        (tmp_path / "a.tex").write_text(page)
        command = ["pdflatex", "-interaction=batchmode", "-halt-on-error", "a.tex"]
        made = subprocess.run(command, capture_output=True, cwd=tmp_path)
        log = (tmp_path / "a.log").read_text(errors="replace")
        assert made.returncode == 0, log[-2000:]
        assert "Overfull" not in log

    def test_figure(self, found):
        _, ax = plt.subplots()
        assert found.plot(ax=ax) is ax
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["dgd", "atc", "extra"]
        for row, dot in zip(found.rows, ax.collections, strict=True):
            np.testing.assert_allclose(dot.get_offsets()[0], [1 / row.consensus, 1 / row.moving])

    @pytest.mark.parametrize("count", [1, 7, 18, 30])
    def test_many_designs_in_a_figure(self, systems, count):
        rng, first = np.random.default_rng(3), compare(systems[:1], max_step_size=False)
        places = np.exp(rng.normal(size=(count, 2)) * (2 if count > 7 else 0.2))
        rows = tuple(
            dataclasses.replace(first.rows[0], label=f"exact_diffusion, cycle {i}", consensus=x, moving=y)
            for i, (x, y) in enumerate(places)
        )
        ax = dataclasses.replace(first, rows=rows).plot()
        looks = {(tuple(dot.get_facecolor().ravel()), dot.get_paths()[0].vertices.tobytes()) for dot in ax.collections}
        assert len(looks) == count
        ax.figure.draw_without_rendering()
        inside, legend = ax.figure.bbox, ax.get_legend().get_window_extent()
        assert inside.x0 <= legend.x0
        assert legend.x1 <= inside.x1
        assert inside.y0 <= legend.y0
        assert ax.get_window_extent().width > 0.3 * inside.width
        assert not legend.overlaps(ax.get_window_extent())
        for axis in (ax.xaxis, ax.yaxis):
            boxes = [label.get_window_extent() for label in axis.get_ticklabels(which="both") if label.get_text()]
            assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])

    def test_dots_that_coincide_are_rings(self, systems):
        first = compare(systems[:1], max_step_size=False)
        rows = tuple(dataclasses.replace(first.rows[0], label=f"{i}") for i in range(3))
        dots = dataclasses.replace(first, rows=rows).plot().collections
        assert [len(dot.get_facecolor()) for dot in dots] == [1, 0, 0]
        assert dots[0].get_sizes() < dots[1].get_sizes() < dots[2].get_sizes()

    def test_bad_input(self, systems):
        with pytest.raises(nf.errors.InputError, match="designs: expected at least one"):
            compare([])
        with pytest.raises(nf.errors.InputError, match="a LinearSystem or a Study, found str"):
            compare(["dgd"])
        with pytest.raises(nf.errors.InputError, match="labels: expected 3"):
            compare(systems, labels=["a"])
        with pytest.raises(nf.errors.OutputError):
            compare(systems[:1], max_step_size=False).to_csv("/nowhere/at/all.csv")


class TestTables:
    ROWS = (("a_b|c", np.float64(1.5e-7), 3, True), ("$x^2$", math.inf, None, False), ("ü %", 1 - 0.5j, -1, None))
    HEADER = ("name", "value", "count", "good")

    def test_text(self):
        head, line, *rows = _tables.text_table(self.HEADER, self.ROWS).splitlines()
        assert set(line) == {"-", " "}
        assert rows[0].split() == ["a_b|c", "1.5e-07", "3", "yes"]
        assert rows[2].split("  ")[-1].strip() == "–"
        assert len({row.index("3") if "3" in row else rows[0].index("3") for row in rows}) == 1
        assert head.startswith("name ")

    def test_markdown(self):
        head, rule, *rows = _tables.markdown_table(self.HEADER, self.ROWS).splitlines()
        assert rule == "| --- | ---: | ---: | --- |"
        assert rows[0] == r"| a_b\|c | 1.5e-07 | 3 | yes |"
        assert head.count("|") == 5

    def test_latex(self):
        lines = _tables.latex_table(self.HEADER, self.ROWS).splitlines()
        assert lines[0] == r"\begin{tabular}{@{}lrrl@{}}"
        assert lines[4] == r"a\_b$|$c & $1.5 \cdot 10^{-7}$ & $3$ & yes \\"
        assert lines[5] == r"$x^2$ & $\infty$ & -- & no \\"
        assert lines[6] == r"ü \% & $1 - 0.5i$ & $-1$ & -- \\"

    @pytest.mark.parametrize(
        ("words", "typeset"),
        [
            ("|W - W^T| < 1e-07", r"$|$W - $W^\top$$|$ $<$ $10^{-7}$"),
            ("−1 and -0.5, not 1-2 or a-1", "$-1$ and $-0.5$, not 1-2 or a-1"),
            ("η λ_max(Ψ)", r"$\eta$ $\lambda_{\max}$($\Psi$)"),
            ("dé₂∇漢e\u0301", r"dé$_{2}$$\nabla$?é"),
        ],
    )
    def test_words_in_latex(self, words, typeset):
        assert _tables.latex_text(words) == typeset

    def test_no_minus_zero(self):
        assert _tables.cell(-0.0) == _tables.cell(np.float64(-0.0)) == "0"

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
    def test_any_character_compiles(self, tmp_path):
        codes = [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x370, 0x530), *range(0x2000, 0x2300), 0x1D4E6]
        body = "\n\n".join(f"x {_tables.latex_text(chr(code))} y" for code in codes)
        (tmp_path / "a.tex").write_text(rf"\documentclass{{article}}\begin{{document}}{body}\end{{document}}")
        command = ["pdflatex", "-interaction=batchmode", "-halt-on-error", "a.tex"]
        assert subprocess.run(command, capture_output=True, cwd=tmp_path).returncode == 0

    def test_no_rows(self):
        assert _tables.text_table(["a"], []) == "a\n-"
        assert _tables.markdown_table(["a"], []) == "| a |\n| --- |"
