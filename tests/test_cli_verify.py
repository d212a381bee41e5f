"""verify, spectrum and compare on the command line: what they print, their exit codes, files of arrays, bad input."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

import ntkflow as nf
from ntkflow import cli
from ntkflow.analysis.compare import compare
from ntkflow.analysis.minimality import minimality
from ntkflow.analysis.spectrum import spectrum
from ntkflow.analysis.stability import stability
from ntkflow.interop.npz import load_npz

TINY = ["--agents", "4", "--samples", "5", "--width", "6", "--step-size", "0.1"]
MAIN = "from ntkflow.cli import main; main()"
COMMANDS = ("verify", "spectrum", "compare")
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture(autouse=True)
def _somewhere_empty(tmp_path, monkeypatch):
    monkeypatch.delenv("NTKFLOW_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def study(algorithm="dgd", graph="cycle", step_size=0.1, **parameters):
    """What TINY names, made by hand."""
    data = nf.datasets.half_moons(4, 5, seed=0)
    model = nf.models.MLP([2, 6, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.named(graph, 4)) if nf.algorithms.get(algorithm).uses_graph else None
    return nf.Study(W, model, model.init(0), data, algorithm, step_size, **parameters)


def arrays(Q=4, n=3, P=7, seed=0):
    rng = np.random.default_rng(seed)
    return {"jacobian": rng.standard_normal((Q, n, P)), "residual": rng.standard_normal((Q, n))}


def kernel_of(stored):
    rows = stored["jacobian"].reshape(-1, stored["jacobian"].shape[2])
    return rows @ rows.T


class TestVerify:
    def test_the_reports_are_those_of_the_library(self):
        result = run("verify", *TINY)
        assert (result.exit_code, result.stderr) == (0, "")
        system = study().system
        assert str(stability(system).text()) in result.stdout
        assert str(minimality(system).text()) in result.stdout
        assert result.stdout.startswith(
            "dgd, step size 0.1, per_agent; cycle of 4 agents, metropolis-hastings; half-moons, "
        )

    def test_it_fits_on_a_screen(self):
        lines = run("verify", *TINY).stdout.splitlines()
        assert len(lines) <= 60

    @pytest.mark.parametrize("algorithm", nf.algorithms.names())
    def test_every_algorithm(self, algorithm, tmp_path):
        np.savez(tmp_path / "run.npz", **arrays())
        result = run("verify", "--npz", "run.npz", "--algorithm", algorithm, "--step-size", "0.01")
        assert (result.exit_code, result.stderr) == (0, "")
        assert run("verify", *TINY, "--algorithm", algorithm).exit_code in (0, 1)  # of a network: rounding may not tell

    def test_too_large_a_step(self):
        """The exit code tells, of the iteration or of the flow; the flow of DGD is stable for every step."""
        step = 3 * stability(study().system).max_step_size
        result = run("verify", *TINY, "--step-size", step)
        assert (result.exit_code, result.stderr) == (1, "")
        assert "unstable" in result.stdout
        assert run("verify", *TINY, "--step-size", step, "--flow").exit_code == 0

    def test_just_below_and_above_the_largest_step(self):
        largest = stability(study("cta").system).max_step_size
        codes = [
            run("verify", *TINY, "--algorithm", "cta", "--step-size", f * largest).exit_code for f in (0.999, 1.001)
        ]
        assert codes == [0, 1]

    def test_the_algorithms_own_numbers(self):
        result = run("verify", *TINY, "--algorithm", "cdmsgd", "--momentum", "0.5", "--normalization", "sum")
        system = study("cdmsgd", normalization="sum", momentum=0.5).system
        assert stability(system).text() in result.stdout

    def test_in_a_real_process(self, tmp_path):
        np.savez(tmp_path / "run.npz", **arrays())
        answer = subprocess.run(
            [sys.executable, "-c", MAIN, "verify", "--npz", "run.npz", "--step-size", "100"],
            capture_output=True, text=True, timeout=120, cwd=tmp_path,
        )  # fmt: skip
        assert (answer.returncode, answer.stderr) == (1, "")


class TestSpectrumAndCompare:
    def test_spectrum(self):
        result = run("spectrum", *TINY, "--algorithm", "atc", "--graph", "star")
        assert (result.exit_code, result.stderr) == (0, "")
        assert spectrum(study("atc", "star").system).text() in result.stdout

    def test_compare(self):
        result = run(
            "compare", *TINY, "--algorithm", "dgd", "--algorithm", "atc", "--graph", "cycle", "--graph", "star"
        )
        assert (result.exit_code, result.stderr) == (0, "")
        pairs = [("dgd", "cycle"), ("atc", "cycle"), ("dgd", "star"), ("atc", "star")]
        pairs = sorted(pairs, key=lambda pair: pair[1] == "star")
        systems = [study(a, g).system for a, g in pairs]
        assert compare(systems, [f"{a}, {g}" for a, g in pairs]).text() in result.stdout

    def test_step_sizes(self):
        result = run("compare", *TINY[:-2], "--step-size", "0.1", "--step-size", "0.01", "--format", "markdown")
        assert result.exit_code == 0
        assert all(f"| step size {h} |" in result.stdout for h in ("0.1", "0.01"))

    def test_a_parameter_goes_to_the_algorithms_that_have_it(self):
        words = [*TINY, "--algorithm", "dgd", "--algorithm", "cdmsgd", "--momentum", "0.25"]
        systems = [study().system, study("cdmsgd", momentum=0.25).system]
        assert compare(systems, ["dgd", "cdmsgd"]).text() in run("compare", *words).stdout
        result = run("compare", *words, "--parameter", "mass=1")
        assert (result.exit_code, "mass" in result.stderr) == (2, True)

    def test_with_and_without_a_graph(self):
        result = run("compare", *TINY, "--algorithm", "gd", "--algorithm", "fedavg", "--algorithm", "extra")
        assert (result.exit_code, result.stderr) == (0, "")


class TestFormats:
    @every_command
    def test_json(self, command):
        result = run(command, *TINY, "--format", "json")
        assert result.exit_code == 0
        record = json.loads(result.stdout)
        assert set(record) == {
            "title",
            *{"verify": ("stability", "minimality")}.get(command, ({"compare": "comparison"}.get(command, command),)),
        }

    def test_what_json_says(self):
        record = json.loads(run("verify", *TINY, "--format", "json").stdout)
        report, minimal = stability(study().system), minimality(study().system)
        assert record["stability"]["iteration"]["verdict"] == report.iteration.verdict == "stable"
        assert record["stability"]["max_step_size"] == pytest.approx(report.max_step_size)
        assert record["minimality"]["minimal_order"] == minimal.minimal_order

    @every_command
    def test_markdown_and_files(self, command, tmp_path):
        shown = run(command, *TINY, "--format", "markdown")
        written = run(command, *TINY, "--format", "markdown", "-o", "report.md")
        assert shown.exit_code == written.exit_code == 0
        assert written.stdout == "Written to report.md\n"
        assert (tmp_path / "report.md").read_text() == shown.stdout.removesuffix("\n")
        assert shown.stdout.startswith("# ")
        assert "| --- |" in shown.stdout or "|---|" in shown.stdout

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
    @every_command
    def test_latex_compiles(self, command, tmp_path):
        body = run(command, *TINY, "--algorithm", "aug_dgm", "--format", "latex").stdout
        packages = r"\usepackage{amsmath,amssymb,booktabs}"
        (tmp_path / "a.tex").write_text(rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}")
        made = subprocess.run(["pdflatex", "-interaction=batchmode", "-halt-on-error", "a.tex"], capture_output=True)
        assert made.returncode == 0, (tmp_path / "a.log").read_text()[-2000:]


class TestArrays:
    @every_command
    def test_jacobians(self, command, tmp_path):
        np.savez(tmp_path / "run.npz", **arrays())
        assert run(command, "--npz", "run.npz", "--graph", "star").exit_code == 0

    def test_the_same_as_by_hand(self, tmp_path):
        stored = arrays()
        np.savez_compressed(tmp_path / "run.npz", **stored)
        lin = nf.LinearizedModel.from_jacobian(stored["jacobian"], stored["residual"])
        W = nf.weights.named("lazy", nf.graphs.star(4))
        system = nf.LinearSystem("atc", W, lin, 0.1, "sum")
        words = ["--graph", "star", "--weights", "lazy", "--algorithm", "atc", "--step-size", "0.1"]
        result = run("verify", "--npz", "run.npz", *words, "--normalization", "sum")
        assert stability(system).text() in result.stdout

    def test_a_kernel_gives_the_same_verdict(self, tmp_path):
        stored = arrays()
        np.savez(tmp_path / "J.npz", **stored)
        np.savez(tmp_path / "K.npz", kernel=kernel_of(stored), residual=stored["residual"])
        records = [json.loads(run("verify", "--npz", f"{name}.npz", "--format", "json").stdout) for name in "JK"]
        largest = [record["stability"]["max_step_size"] for record in records]
        assert largest[0] == pytest.approx(largest[1], rel=1e-9)

    @pytest.mark.parametrize(
        "W",
        [
            [[0.5, 0.7, -0.2, 0], [0.2, 0.5, 0, 0.3], [0, 0, 0.5, 0.5], [0.5, 0, 0, 0.5]],  # a negative weight
            [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]],  # directed, doubly stochastic, not primitive
            [[0.9, 0.1, 0, 0], [0.5, 0.5, 0, 0], [0, 0.2, 0.4, 0.4], [0, 0, 0.3, 0.7]],  # rows only
            [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],  # nobody talks
        ],
    )
    @every_command
    def test_unusual_mixing_matrices_are_not_refused(self, W, command, tmp_path):
        np.savez(tmp_path / "run.npz", **arrays(), mixing=np.asarray(W, float))
        result = run(command, "--npz", "run.npz", "--step-size", "0.01")
        assert (result.exit_code in (0, 1), result.stderr) == (True, "")

    def test_everything_that_a_file_may_hold(self, tmp_path):
        stored = arrays(n=4)
        extra = {"n_outputs": 2, "n_samples": [2, 1, 2, 2], "outputs": stored["residual"], "start": np.ones((4, 7)),
                 "mixing": np.full((4, 4), 0.25, dtype=np.float32).astype(">f8")}  # fmt: skip
        np.savez(tmp_path / "run.npz", **stored, **extra)
        found = load_npz("run.npz")
        assert found.model.n_outputs == 2
        assert found.model.n_samples.tolist() == [2, 1, 2, 2]
        assert not found.model.residual[1, 2:].any()
        assert np.array_equal(found.mixing, np.full((4, 4), 0.25))
        assert run("verify", "--npz", "run.npz").exit_code == 0

    def test_single_precision(self, tmp_path):
        np.savez(tmp_path / "run.npz", **{name: array.astype(np.float32) for name, array in arrays().items()})
        assert load_npz("run.npz").model.jacobian.dtype == np.float32
        assert run("verify", "--npz", "run.npz").exit_code == 0


RULE = "theta' = W*theta - eta*grad(theta)"


class TestRules:
    """--rule: what derive takes, the others take."""

    @pytest.mark.parametrize("npz", [False, True])
    @every_command
    def test_the_text_of_a_catalogue_rule(self, command, npz, tmp_path):
        np.savez(tmp_path / "run.npz", **arrays())
        words = ["--npz", "run.npz", "--step-size", "0.1"] if npz else TINY
        found, known = (run(command, *words, *more, "--format", "json") for more in (["--rule", RULE], []))
        assert (found.exit_code, found.stderr) == (0, "")
        assert found.stdout.replace("rule", "dgd") == known.stdout.replace("rule", "dgd")

    def test_several_statements_and_a_parameter(self):
        heavy = "theta' = W*theta + mu*v - eta*grad(theta); v' = mu*v - eta*grad(theta)"
        result = run("verify", *TINY, "--rule", heavy, "--momentum", "0.5")
        wanted = stability(study("cdmsgd", momentum=0.5).system).text()
        assert wanted.replace("cdmsgd", "rule") in result.stdout.replace("momentum", "mu").replace("cdmsgd", "rule")

    def test_beside_algorithms_in_a_comparison(self):
        words = ["--algorithm", "dgd", "--rule", RULE, "--rule", "theta' = W*(theta - eta*grad(theta))"]
        lines = run("compare", *TINY, *words).stdout.splitlines()
        assert [line.split("  ")[0] for line in lines if line.startswith(("dgd", "rule"))] == [
            "dgd",
            "rule 1",
            "rule 2",
        ]


class TestTitles:
    """The first line says what was asked, and nothing that plays no part."""

    def first(self, *words):
        return run("spectrum", *words).stdout.splitlines()[0]

    def test_data_and_model(self):
        known = "dgd, step size 0.1, per_agent; cycle of 4 agents, metropolis-hastings; half-moons, 5 samples each"
        assert self.first(*TINY) == f"{known}, mlp 2-6-1"
        assert self.first(*TINY[:4], "--model", "affine").endswith("; half-moons, 5 samples each, affine")

    def test_no_graph_where_there_is_none(self):
        title = self.first(*TINY, "--algorithm", "gd")
        assert "4 agents" in title
        assert "cycle" not in title

    def test_files(self, tmp_path):
        np.savez(tmp_path / "run.npz", **arrays())
        np.savez(tmp_path / "wired.npz", **arrays(), mixing=np.full((4, 4), 0.25))
        assert self.first("--npz", "run.npz", "--graph", "star").endswith(
            "; run.npz: star of 4 agents, metropolis-hastings"
        )
        assert self.first("--npz", "wired.npz").endswith("; wired.npz: 4 agents, W of the file")

    def test_step_sizes_that_are_nearly_equal(self):
        found = run("compare", *TINY, "--step-size", "0.1000001")
        assert all(f"step size {h} " in found.stdout for h in ("0.1", "0.1000001"))


def test_csv():
    words = ["compare", *TINY, "--algorithm", "dgd", "--algorithm", "atc"]
    found = run(*words, "--format", "csv")
    wanted = compare([study().system, study("atc").system], ["dgd", "atc"]).csv()
    assert (found.exit_code, found.stdout) == (0, wanted)
    refused(run("verify", *TINY, "--format", "csv"), "--format")


def test_huge_step_sizes_print_no_warnings(tmp_path):
    words = ["verify", *TINY[:-2], "--step-size", "1e308"]
    answer = subprocess.run([sys.executable, "-c", MAIN, *words], capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stderr) == (1, "")


def changed(**changes):
    """The arrays with some replaced or, by None, removed."""
    return {name: value for name, value in {**arrays(), **changes}.items() if value is not None}


J, E = arrays()["jacobian"], arrays()["residual"]
K = kernel_of(arrays())
ASYMMETRIC, INDEFINITE = K + np.triu(np.full_like(K, 1e-3), 1), K - 1e-9 * np.linalg.norm(K, 2) * np.eye(len(K))
SPOILED = J.copy()
SPOILED[0, 0, 0] = np.nan

# a file's arrays, further words, and what the one line has to say
BAD_ARRAYS = {
    "complex Jacobians": (changed(jacobian=J + 1j), [], "complex128; take the real part yourself if that is meant"),
    "integer Jacobians": (changed(jacobian=J.astype(int)), [], "dtype int64; convert with astype(float)"),
    "Boolean Jacobians": (changed(jacobian=J > 0), [], "found truth values"),
    "half precision": (changed(jacobian=J.astype(np.float16)), [], "dtype float16"),
    "texts": (changed(residual=np.full(E.shape, "a")), [], "residual: expected float64 or float32, found text"),
    "dates": (changed(residual=np.full(E.shape, np.datetime64("2020-01-01"))), [], "residual"),
    "NaN": (changed(jacobian=SPOILED), [], "jacobian: expected finite numbers"),
    "infinite residual": (changed(residual=np.full(E.shape, np.inf)), [], "residual: expected finite numbers"),
    "two precisions": (changed(residual=E.astype(np.float32)), [], "one dtype"),
    "flat Jacobians": (changed(jacobian=J[0]), [], "run.npz: jacobian: expected 3 dimensions"),
    "residual of another shape": (changed(residual=E.T), [], "residual: expected shape (4, 3)"),
    "no agents": (changed(jacobian=J[:0], residual=E[:0]), [], "at least one agent"),
    "huge entries": (changed(jacobian=1e200 * J), [], "squares can be summed"),
    "no residual": (changed(residual=None), [], "a residual"),
    "residual only": (changed(jacobian=None), [], "either jacobian or kernel, found neither"),
    "both": (changed(kernel=K), [], "found jacobian and kernel"),
    "unknown key": (changed(jacobians=J), [], "did you mean 'jacobian'"),
    "kernel of another size": ({"kernel": K[:5, :5], "residual": E}, [], "run.npz: kernel: expected shape (12, 12)"),
    "kernel that is not symmetric": ({"kernel": ASYMMETRIC, "residual": E}, [], "a symmetric matrix"),
    "kernel that is not PSD": ({"kernel": INDEFINITE, "residual": E}, [], "a positive semi-definite kernel"),
    "negative kernel": ({"kernel": -K, "residual": E}, [], "a positive semi-definite kernel"),
    "integer kernel": ({"kernel": np.eye(12, dtype=int), "residual": E}, [], "kernel: expected float64"),
    "start beside a kernel": ({"kernel": K, "residual": E, "start": J[:, 0]}, [], "none beside a kernel"),
    "start of another shape": (changed(start=np.ones((4, 3))), [], "start: expected shape (4, 7)"),
    "fractional n_outputs": (changed(n_outputs=1.5), [], "n_outputs: expected whole numbers"),
    "n_outputs that does not divide": (changed(n_outputs=2), [], "a divisor of the 3 rows"),
    "no outputs": (changed(n_outputs=0), [], "n_outputs: expected a whole number >= 1"),
    "several n_outputs": (changed(n_outputs=[1, 1]), [], "n_outputs: expected one whole number"),
    "too many samples": (changed(n_samples=[3, 3, 3, 4]), [], "sizes from 1 to 3"),
    "sizes of too few agents": (changed(n_samples=[3, 3]), [], "run.npz: n_samples: expected 4 sizes"),
    "mixing of another size": (changed(mixing=np.eye(3)), [], "run.npz: mixing: expected shape (4, 4)"),
    "rows that do not sum to 1": (changed(mixing=np.full((4, 4), 0.3)), [], "run.npz: mixing: expected rows that sum"),
    "complex mixing": (changed(mixing=np.eye(4) + 0j), [], "mixing: expected float64 or float32"),
    "integer mixing": (changed(mixing=np.eye(4, dtype=int)), [], "mixing: expected float64 or float32"),
    "NaN in the mixing matrix": (changed(mixing=np.full((4, 4), np.nan)), [], "mixing: expected finite numbers"),
    "a graph beside a mixing matrix": (changed(mixing=np.eye(4)), ["--graph", "star"], "--graph: expected nothing"),
    "weights beside one": (changed(mixing=np.eye(4)), ["--weights", "lazy"], "--weights"),
    "agents that do not fit": (changed(), ["--agents", "5"], "--agents: expected 4"),
    "a model beside arrays": (changed(), ["--model", "mlp", "--width", "3"], "--model, --width: expected nothing"),
    "data beside arrays": (changed(), ["--data", "digits"], "--data"),
    "a graph that does not fit": (changed(jacobian=J[:3], residual=E[:3]), ["--graph", "hypercube"], "power of two"),
}  # fmt: skip
BAD_WORDS = {
    "unknown format": (["--format", "word"], "latex, markdown, text"),
    "unknown graph": (["--graph", "cylce"], "did you mean 'cycle'"),
    "unknown algorithm": (["--algorithm", "dgb"], "did you mean 'dgd'"),
    "no step": (["--step-size", "0"], "--step-size: expected a positive finite number"),
    "NaN as step": (["--step-size", "nan"], "--step-size: expected"),
    "unknown parameter": (["--parameter", "mass=1"], "mass"),
    "no file": (["--npz", "nowhere.npz"], "which is not there"),
    "a folder": (["--npz", "."], "which is a folder"),
    "no folder to write to": (["-o", "none/report.txt"], "existing folder"),
}


def refused(result, says):
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("ntkflow: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


class TestBadInput:
    @pytest.mark.parametrize("case", BAD_ARRAYS)
    def test_arrays(self, case, tmp_path):
        content, words, says = BAD_ARRAYS[case]
        np.savez(tmp_path / "run.npz", **content)
        refused(run("verify", "--npz", "run.npz", *words), says)

    @pytest.mark.parametrize("case", BAD_WORDS)
    @every_command
    def test_words(self, command, case):
        words, says = BAD_WORDS[case]
        refused(run(command, *(TINY if "--npz" not in words else []), *words), says)

    def test_objects_are_never_unpickled(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "trapped"), "w"))

        np.savez(tmp_path / "run.npz", jacobian=np.array([Trap()], dtype=object), residual=E)
        refused(
            run("verify", "--npz", "run.npz"), "run.npz: jacobian: expected an array of numbers, found Python objects"
        )
        assert not (tmp_path / "trapped").exists()

    def test_a_single_array_is_no_npz(self, tmp_path):
        np.save(tmp_path / "run.npy", J)
        refused(run("verify", "--npz", "run.npy"), "a single array of numpy.save; use np.savez(path, jacobian=...")

    def test_a_set_up_that_is_named_twice(self):
        for words in (["--step-size", "0.1"], ["--graph", "star", "--graph", "star"]):
            refused(run("compare", *TINY, *words), "every set-up once")

    def test_a_rule_beside_an_algorithm(self):
        refused(
            run("verify", *TINY, "--algorithm", "atc", "--rule", RULE), "--algorithm: expected nothing beside --rule"
        )
        refused(run("verify", *TINY, "--rule", "theta' = W*tehta"), "did you mean 'theta'")

    @pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
    def test_a_file_that_was_cut_short(self, kept, tmp_path):
        np.savez(tmp_path / "whole.npz", **arrays())
        content = (tmp_path / "whole.npz").read_bytes()
        (tmp_path / "run.npz").write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
        refused(run("verify", "--npz", "run.npz"), "a file that numpy.savez wrote")

    def test_a_file_with_a_wrong_bit(self, tmp_path):
        np.savez(tmp_path / "run.npz", **arrays())
        content = bytearray((tmp_path / "run.npz").read_bytes())
        content[len(content) // 3] ^= 1
        (tmp_path / "run.npz").write_bytes(content)
        refused(run("verify", "--npz", "run.npz"), "CRC")

    def test_a_plain_npy_and_a_text(self, tmp_path):
        np.save(tmp_path / "run.npy", J)
        refused(run("verify", "--npz", "run.npy"), "a file that numpy.savez wrote")
        (tmp_path / "run.npz").write_text("no zip")
        refused(run("verify", "--npz", "run.npz"), "a file that numpy.savez wrote")

    def test_other_things_in_a_zip(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "run.npz", "w") as archive:
            archive.writestr("jacobian.npy", "no array")
        refused(run("verify", "--npz", "run.npz"), "jacobian: expected an array of NumPy")

    def test_a_header_that_promises_more_than_there_is_memory(self, tmp_path):
        header = io.BytesIO()
        shape = {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1, 1)}
        np.lib.format.write_array_header_1_0(header, shape)
        with zipfile.ZipFile(tmp_path / "run.npz", "w") as archive:
            archive.writestr("jacobian.npy", header.getvalue() + bytes(80))
            archive.writestr("residual.npy", header.getvalue() + bytes(80))
        refused(run("verify", "--npz", "run.npz"), "npz")


class TestHelp:
    @every_command
    def test_help(self, command):
        result = run(command, "--help")
        assert (result.exit_code, result.stderr) == (0, "")
        assert all(word in result.stdout for word in ("--npz", "--format", "--algorithm", "--step-size"))

    def test_exit_codes_are_told(self):
        assert (
            "Exit code 0: stable; 1: unstable or undecided; 2: bad input; 70: a bug." in run("verify", "--help").stdout
        )
