"""The command line: what it writes and prints, one line for everything that is wrong, nothing half-done."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from test_reproduce import idx_folder
from typer.testing import CliRunner

import ntkflow as nf
from ntkflow import cli, normalization
from ntkflow.models import _activations

TINY = ["predict", "--agents", "3", "--samples", "8", "--width", "8", "--steps", "4"]
HEAVY = ["numpy", "rich", "matplotlib", "sympy", "sklearn", "scipy", "networkx", "control", "pandas"]


@pytest.fixture(autouse=True)
def _somewhere_empty(tmp_path, monkeypatch):
    monkeypatch.delenv("NTKFLOW_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def fresh(code, *words, **options):
    """The same in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120, **options)


MAIN = "from ntkflow.cli import main; main()"


class TestHelp:
    @pytest.mark.parametrize(
        "words", [[], ["--help"], ["reproduce"], ["reproduce", "fig1", "--help"], ["predict", "--help"]]
    )
    def test_help(self, words):
        result = run(*words)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "Usage:" in result.stdout

    def test_version(self):
        assert run("--version").stdout == f"ntkflow {nf.__version__}\n"

    @pytest.mark.parametrize("words", [["--help"], ["--version"], ["predict", "--help"], ["predict", "--agents", "x"]])
    def test_nothing_heavy_is_loaded(self, words):
        code = f"""
import atexit, sys
atexit.register(lambda: print("loaded:", sorted(set({HEAVY}) & set(sys.modules))))
{MAIN}
"""
        assert fresh(code, *words).stdout.rstrip().endswith("loaded: []")

    def test_the_catalogues_are_named(self):
        assert cli.GRAPHS.split(", ") == list(nf.graphs.NAMES)
        assert cli.WEIGHTS.split(", ") == list(nf.weights.NAMES)
        assert tuple(cli.ALGORITHMS) == nf.algorithms.names()
        assert set(cli.NORMALIZATIONS.split(", ")) == set(normalization.NAMES)
        assert cli.ACTIVATIONS.split(", ") == list(_activations.ACTIVATIONS)
        text = " ".join(run("predict", "--help").stdout.split())
        assert all(name in text for name in ("half-moons", "digits", "mnist", "affine", "mlp", *cli.ALGORITHMS))


class TestPredict:
    def test_files_and_table(self, tmp_path):
        result = run(*TINY)
        assert (result.exit_code, result.stderr) == (0, "")
        names = {path.name for path in (tmp_path / "prediction").iterdir()}
        assert {"prediction.png", "prediction.svg", "loss.csv", "agreement.csv", "result.json"} <= names
        assert "worst" in result.stdout
        assert "Written to prediction: " in result.stdout
        settings = json.loads((tmp_path / "prediction" / "result.json").read_text())["settings"]
        assert (settings["graph"], settings["normalization"], settings["step_size"]) == ("cycle", ["per_agent"], 0.02)

    def test_the_numbers_are_those_of_the_library(self, tmp_path):
        words = ["--graph", "star", "--weights", "lazy", "--algorithm", "cdmsgd", "--momentum", "0.5", "--seed", "7",
                 "--step-size", "0.1", "--normalization", "torch_mse", "--activation", "tanh", "-o", "a"]  # fmt: skip
        assert run(*TINY, "--width", "6,5", *words).exit_code == 0
        data = nf.datasets.half_moons(3, 8, seed=7)
        model = nf.models.MLP([2, 8, 6, 5, 1], "tanh")
        W = nf.weights.named("lazy", nf.graphs.star(3))
        study = nf.Study(W, model, model.init(7), data, "cdmsgd", 0.1, "torch_mse", momentum=0.5)
        with open(tmp_path / "a" / "loss.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        for column, expected in (("observed", study.train(4)), ("predicted_iteration", study.predict(4))):
            found = [float(row[column]) for row in rows]
            assert found == pytest.approx(expected.loss.ravel().tolist(), rel=1e-12)

    @pytest.mark.parametrize("algorithm", nf.algorithms.names())
    def test_every_algorithm(self, algorithm):
        assert run(*TINY, "--algorithm", algorithm, "--no-train").exit_code == 0

    def test_only_predict(self, tmp_path):
        result = run(*TINY, "--no-train", "--graph", "erdos-renyi", "--seed", "3")
        assert result.exit_code == 0
        assert "worst" not in result.stdout
        with open(tmp_path / "prediction" / "loss.csv", newline="") as file:
            assert {row["observed"] for row in csv.DictReader(file)} == {""}

    def test_parameters_by_name_and_the_affine_model(self, tmp_path):
        words = ["predict", "--agents", "4", "--data", "Digits", "--model", "affine", "--steps", "3", "--algorithm"]
        assert run(*words, "CDMSGD", "--parameter", "mu=0.25").exit_code == 0
        settings = json.loads((tmp_path / "prediction" / "result.json").read_text())["settings"]
        assert settings["parameters"] == {"mu": 0.25}
        assert (settings["data"], settings["n_samples"]) == ("digits", [90] * 4)

    def test_mnist_from_a_folder(self, tmp_path):
        (tmp_path / "data").mkdir()
        idx_folder(tmp_path / "data")
        assert run(*TINY, "--data", "mnist", "--data-folder", "data").exit_code == 0


class TestReproduce:
    def test_fig1(self, tmp_path):
        result = run("reproduce", "fig1", "--steps", "2", "--seed", "1")
        assert (result.exit_code, result.stderr) == (0, "")
        assert "digits" in result.stdout
        record = json.loads((tmp_path / "fig1" / "result.json").read_text())
        assert list(record["cases"]) == ["sum", "per_agent"]
        assert record["settings"]["seeds"] == {"data": 1, "parameters": 1}

    def test_fig1_with_one_normalization(self, tmp_path):
        assert run("reproduce", "fig1", "--steps", "2", "--normalization", "global", "-o", "x").exit_code == 0
        assert list(json.loads((tmp_path / "x" / "result.json").read_text())["cases"]) == ["global"]

    def test_fig2(self, tmp_path, monkeypatch):
        from ntkflow import reproduce

        monkeypatch.setitem(reproduce.fig2.__kwdefaults__, "n_samples", 10)
        monkeypatch.setitem(reproduce.fig2.__kwdefaults__, "width", 8)
        result = run("reproduce", "fig2", "--steps", "3", "--algorithm", "atc")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.count("worst") == 3
        assert json.loads((tmp_path / "fig2" / "result.json").read_text())["settings"]["algorithm"] == "atc"
        assert (tmp_path / "fig2" / "fig2.png").stat().st_size > 10_000


BAD = {
    "unknown command": (["predcit"], "Did you mean 'predict'"),
    "unknown figure": (["reproduce", "fig3"], "Did you mean"),
    "unknown option": (["predict", "--grph", "cycle"], "--graph"),
    "not a number": (["predict", "--agents", "many"], "--agents"),
    "no value": (["predict", "--agents"], "--agents"),
    "unknown graph": ([*TINY, "--graph", "cylce"], "did you mean 'cycle'"),
    "unknown weights": ([*TINY, "--weights", "metropolis"], "did you mean 'metropolis-hastings'"),
    "unknown data": ([*TINY, "--data", "half-moon"], "did you mean 'half-moons'"),
    "unknown model": ([*TINY, "--model", "mpl"], "did you mean 'mlp'"),
    "unknown activation": ([*TINY, "--activation", "sigmod"], "did you mean 'sigmoid'"),
    "unknown algorithm": ([*TINY, "--algorithm", "dgb"], "did you mean 'dgd'"),
    "unknown algorithm of a figure": (["reproduce", "fig2", "--algorithm", "ctaa"], "did you mean 'cta'"),
    "unknown normalization": ([*TINY, "--normalization", "peragent"], "did you mean 'per_agent'"),
    "unknown normalization of a figure": (["reproduce", "fig1", "--normalization", "smu"], "did you mean 'sum'"),
    "negative step size": (
        [*TINY, "--step-size", "-0.1"],
        "--step-size: expected a positive finite number, found -0.1",
    ),
    "step size of zero": ([*TINY, "--step-size", "0"], "--step-size: expected a positive finite number, found 0"),
    "NaN as step size": ([*TINY, "--step-size", "nan"], "--step-size"),
    "infinite step size": ([*TINY, "--step-size", "inf"], "--step-size"),
    "no steps": ([*TINY, "--steps", "0"], "steps"),
    "no steps of a figure": (["reproduce", "fig2", "--steps", "0"], "steps"),
    "negative seed": ([*TINY, "--seed", "-1"], "seed"),
    "no agents": ([*TINY, "--agents", "0"], "--agents: expected"),
    "no samples": ([*TINY, "--samples", "0"], "--samples: expected"),
    "more agents than samples": (["predict", "--data", "digits", "--agents", "500"], "360 samples"),
    "hypercube of six": ([*TINY, "--graph", "hypercube", "--agents", "6"], "power of two"),
    "bad width": ([*TINY, "--width", "wide"], "whole numbers"),
    "width of zero": ([*TINY, "--width", "8,0"], "--width: expected"),
    "width of the affine model": ([*TINY, "--model", "affine"], "--model mlp"),
    "unknown parameter": ([*TINY, "--parameter", "mass=1"], "mass"),
    "parameter without a value": ([*TINY, "--parameter", "momentum"], "name=value"),
    "NaN as momentum": ([*TINY, "--algorithm", "cdmsgd", "--momentum", "nan"], "momentum"),
    "no MNIST": ([*TINY, "--data", "mnist"], "give --data-folder, set NTKFLOW_DATA, or choose --data digits"),
    "no MNIST folder": (["reproduce", "fig1", "--data-folder", "nowhere"], "nowhere"),
    "empty MNIST folder": (["reproduce", "fig1", "--data-folder", "empty"], "IDX files"),
    "truncated MNIST": (["reproduce", "fig1", "--data-folder", "cut"], "cut short"),
    "a folder for other data": ([*TINY, "--data-folder", "empty"], "--data-folder: expected"),
    "output is full": ([*TINY, "--output", "full"], "new or empty"),
    "output is full, figure": (["reproduce", "fig2", "-o", "full"], "new or empty"),
    "output is a file": ([*TINY, "--output", "full/file"], "found a file"),
    "output below a file": ([*TINY, "--output", "full/file/below"], "found a file"),
    "output without a name": ([*TINY, "--output", "x" * 300], "cannot be used"),
}


class TestBadInput:
    @pytest.mark.parametrize("case", BAD)
    def test_one_line_and_exit_code_2(self, case, tmp_path):
        words, says = BAD[case]
        for name in ("empty", "cut", "full"):
            (tmp_path / name).mkdir()
        idx_folder(tmp_path / "cut", images=2000, cut=7)
        (tmp_path / "full" / "file").write_text("")
        before = sorted(tmp_path.rglob("*"))
        result = run(*words)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("ntkflow: ")
        assert result.stderr.count("\n") == 1
        assert says in result.stderr
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_real_process(self, tmp_path):
        answer = fresh(MAIN, "predict", "--graph", "cylce")
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr == "ntkflow: --graph: expected a known name, found 'cylce'; did you mean 'cycle'?\n"

    @pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc here")
    def test_a_place_where_not_even_root_can_write(self):
        result = run(*TINY, "--output", "/proc/ntkflow")
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert "written" in result.stderr

    def test_a_disk_that_fills_up(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ntkflow.reports.tables.write_json", full)
        result = run(*TINY)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert "No space left on device" in result.stderr
        assert not list(tmp_path.iterdir())

    def test_a_bug_is_not_hidden(self, monkeypatch):
        """One line and a code of its own, never the 1 of an unstable set-up; all of it where that is asked for."""
        monkeypatch.setattr("ntkflow.reproduce.run", lambda *_, **__: 1 / 0)
        result = run(*TINY)
        assert (result.exit_code, result.stderr.count("\n")) == (70, 1)
        assert "ZeroDivisionError: division by zero; this is a bug in ntkflow" in result.stderr
        monkeypatch.setenv("NTKFLOW_DEBUG", "1")
        result = run(*TINY)
        assert result.exit_code == 70
        assert result.stderr.startswith("Traceback (most recent call last)")

    @pytest.mark.parametrize(
        ("problem", "says"),
        [
            (MemoryError("Unable to allocate 1 TiB"), "not enough memory"),
            (np.linalg.LinAlgError("SVD did not converge"), "try another step size"),
        ],
    )
    def test_a_machine_that_is_too_small(self, problem, says, monkeypatch):
        def fails(*_, **__):
            raise problem

        monkeypatch.setattr("ntkflow.reproduce.run", fails)
        result = run(*TINY)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert says in result.stderr
        assert str(problem) in result.stderr

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
    def test_a_terminal_without_greek_letters(self, encoding, tmp_path):
        words = ["verify", *TINY[1:-2], "--step-size", "0.1"]
        answer = fresh(MAIN, *words, env={**os.environ, "PYTHONIOENCODING": encoding}, errors="replace")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "largest step size" in answer.stdout

    def test_a_reader_that_has_gone(self):
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-c", MAIN, "derive", "dgd"]
        answer = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
        os.close(write)
        assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)

    @pytest.mark.skipif(os.name != "posix", reason="no such shell")
    def test_no_output_at_all(self):
        command = ["sh", "-c", 'exec "$0" -m ntkflow derive dgd >&-', sys.executable]
        answer = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120)
        assert (answer.returncode, answer.stderr) == (0, "")


def test_python_m_ntkflow():
    answer = subprocess.run([sys.executable, "-m", "ntkflow", "--version"], capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stdout) == (0, f"ntkflow {nf.__version__}\n")


class TestInterrupted:
    @pytest.mark.parametrize("where", ["ntkflow.study.train", "ntkflow.reports.tables.write_json"])
    def test_nothing_is_left(self, where, tmp_path, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(where, interrupted)
        result = run(*TINY)
        assert result.exit_code == 130
        assert result.stderr == "ntkflow: interrupted, nothing was written\n"
        assert not list(tmp_path.iterdir())

    def test_a_real_signal(self, tmp_path):
        code = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
from ntkflow import cli
from ntkflow.reports import tables
tables.write_json = lambda *_: os.kill(os.getpid(), signal.SIGINT)
cli.main()
"""
        answer = fresh(code, *TINY, "--no-train")
        assert (answer.returncode, answer.stderr) == (130, "ntkflow: interrupted, nothing was written\n")
        assert not list(tmp_path.iterdir())


def test_progress_is_shown_on_a_terminal(monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(Console, "is_terminal", True)
    result = run(*TINY)
    assert result.exit_code == 0
    assert "cycle" in result.stderr
    assert "4/4" in result.stderr


def test_a_real_run(tmp_path):
    answer = fresh(MAIN, *TINY, "--output", "here")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "worst" in answer.stdout
    assert (tmp_path / "here" / "prediction.svg").is_file()


class TestDerive:
    def test_a_name(self):
        result = run("derive", "ATC", "--normalization", "global")
        assert result.exit_code == 0
        assert "A = W - I - eta/(D*Q)*W*Psi" in result.stdout
        assert "every step holds in exact arithmetic" in result.stdout

    def test_a_rule_of_ones_own(self):
        rule = "theta' = W*theta + v - eta*grad(theta); v' = mu*v - eta*grad(theta)"
        result = run("derive", "--rule", rule)
        assert result.exit_code == 0
        assert "where s stacks ϑ, v" in " ".join(result.stdout.split())

    def test_counts(self):
        assert "M = W**4 - eta/D*Psi" in run("derive", "icdsgd", "--parameter", "tau=4").stdout

    def test_latex_to_the_terminal_and_to_a_file(self, tmp_path):
        shown = run("derive", "extra", "--format", "latex")
        written = run("derive", "extra", "--format", "latex", "-o", "extra.tex")
        assert (shown.exit_code, written.exit_code) == (0, 0)
        assert (tmp_path / "extra.tex").read_text() == shown.stdout.removesuffix("\n")
        assert shown.stdout.startswith(r"\documentclass")

    def test_the_ending_says_the_format(self, tmp_path):
        for name, start in {
            "dgd.tex": r"\documentclass",
            "dgd.txt": "dgd (",
            "dgd": "dgd (",
            "dgd.md": "dgd (",
        }.items():
            assert run("derive", "dgd", "-o", name).exit_code == 0
            assert (tmp_path / name).read_text().startswith(start)

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed, so no PDF is made")
    def test_pdf(self, tmp_path):
        assert run("derive", "gd", "--format", "pdf").exit_code == 0
        assert run("derive", "gd", "-o", "other.PDF").exit_code == 0
        for name in ("gd.pdf", "other.PDF"):
            assert (tmp_path / name).read_bytes().startswith(b"%PDF")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "expected a name or --rule, found neither"),
            (["atc", "--rule", "theta' = theta"], "found both"),
            (["atk"], "did you mean 'atc'"),
            (["atc", "--format", "word"], "choose one of latex, pdf, text"),
            (["atc", "--normalization", "mean"], "normalization: expected a known name"),
            (["atc", "--parameter", "tau=3"], "counts of 'atc': it has none"),
            (["cdmsgd", "--parameter", "mu=0.5"], "expected counts of 'cdmsgd'"),
            (["icdsgd", "--parameter", "tau=2.5"], "tau"),
            (["--rule", "theta' = theta**2"], "line 1"),
            (["--rule", "theta' = __import__('os').getcwd()"], "line 1"),
            (
                ["atc", "--format", "latex", "-o", "none/atc.tex"],
                "existing folder, found none/atc.tex; create it first",
            ),
            (["atc", "--format", "text", "-o", "atc.pdf"], "choose --format pdf, or another ending"),
            (
                ["atc", "--format", "pdf", "-o", "atc.tex"],
                "a name for --format pdf, found atc.tex; choose --format latex",
            ),
            (["cdmsgd", "--parameter", "momentum=0.9"], "found momentum; parameters stay symbols in a derivation"),
            (["atc", "-o", "."], "expected a file, found the folder"),
        ],
    )
    def test_one_line_for_what_is_wrong(self, words, message, tmp_path):
        result = run("derive", *words)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert message in result.stderr
        assert list(tmp_path.iterdir()) == []
