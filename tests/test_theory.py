"""Every result in theory/ is checked by its own script, and the collected theory is what the pages say."""

import importlib
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

THEORY = Path(__file__).parent.parent / "theory"
SCRIPTS = sorted(THEORY.glob("[0-9][0-9]_*.py"))
PAGES = sorted(THEORY.glob("[0-9][0-9]_*.md"))
ENGINE = next(filter(None, map(shutil.which, ("pdflatex", "lualatex", "xelatex"))), None)


@pytest.fixture(scope="module")
def build():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(THEORY)
        yield importlib.import_module("build")


@pytest.fixture(scope="module")
def to_latex(build):
    return importlib.import_module("to_latex")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_passes(script):
    runpy.run_path(str(script))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_statement_stands_beside_it(script):
    text = script.with_suffix(".md").read_text(encoding="utf-8")
    assert text.startswith(f"# T{int(script.stem[:2])}. ")
    assert "Proof" in text
    assert script.name in text


def test_the_fifteen_results_are_there_each_a_pair_and_listed():
    assert [int(path.stem[:2]) for path in PAGES] == list(range(1, 16))
    assert [path.stem for path in SCRIPTS] == [path.stem for path in PAGES]
    readme = (THEORY / "README.md").read_text("utf-8")
    missing = [path.name for path in PAGES if f"[T{int(path.stem[:2])}]({path.name})" not in readme]
    assert not missing, "each result has a row in theory/README.md"


def test_the_collected_theory_is_up_to_date(build):
    wanted = build.files()
    written = {path: path.read_text("utf-8") for path in [*THEORY.glob("*.tex"), *THEORY.glob("derivations/*")]}
    differ = sorted(p.name for p in wanted.keys() | written.keys() if wanted.get(p) != written.get(p))
    assert not differ, "run python theory/build.py and commit what it writes"


@pytest.mark.skipif(ENGINE is None, reason="needs pdflatex, lualatex or xelatex to compile the collected theory")
def test_the_collected_theory_compiles_and_fits_its_pages(tmp_path):
    shutil.copytree(THEORY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "*.md"))
    command = [ENGINE, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "ntkflow-theory.tex"]
    for _ in range(3):  # the contents, then the pages that they move, then the references to these
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    log = (tmp_path / "ntkflow-theory.log").read_text(errors="replace")
    assert "undefined" not in log
    assert "multiply defined" not in log
    too_wide = [line for line in log.splitlines() if re.match(r"Overfull \\hbox \(\d\d+\.", line)]
    assert not too_wide  # by 10 pt, two glyphs: less is not seen in the margin


PIECES = {
    "5 % of A_r & #1": r"5 \% of A\_r \& \#1",
    "\\* a \\_ b": r"* a \_ b",
    '"Who?" – it\'s André': r"``Who?'' -- it's Andr\'e",
    "**bold** and *slanted*": r"\textbf{bold} and \emph{slanted}",
    "`a_b.c`": r"\texttt{a\_\allowbreak{}b.\allowbreak{}c}",
    "`--check`": r"\texttt{-{}-check}",
    "$a_1 < b$, θ₀": r"$a_1 < b$, $\theta_0$",
    "so\n$$\nx = 1\n$$\nand": "so\n\\[\nx = 1\n\\]\nand",
    "so\n\n$$\nx = 1\n$$\n\nand": "so\n\\[\nx = 1\n\\]\nand",
    "$x$\n\n$$\ny\n$$\n\n**Proof.** z $\\square$": "$x$\n\\[\ny\n\\]\n\n\\textbf{Proof.} z\\qed",
    "see [T15](15_poisson.md), [01](01_linear_system.py)": (
        r"see \hyperref[sec:T15]{T15}, \texttt{01\_\allowbreak{}linear\_\allowbreak{}system.\allowbreak{}py}"
    ),
    "[paper](https://arxiv.org/abs/1%2F2)": r"\href{https://arxiv.org/abs/1\%2F2}{paper}",
    "# T4. Outputs": "\\setcounter{section}{3}\n\\section{Outputs}\\label{sec:T4}",
    "## Part": r"\subsection*{Part}",
    "- a\n- b": "\\begin{itemize}\n\\item a\n\\item b\n\\end{itemize}",
    "1. a\n2. b": "\\begin{enumerate}\n\\item a\n\\item b\n\\end{enumerate}",
    "```\na_b\n```": "\\begin{verbatim}\na_b\n\\end{verbatim}",
    "| a | b |\n|---|--:|\n| $x$ | [1] |": (
        "\\begin{center}\\small\n\\begin{tabular}{@{}lr@{}}\\toprule\na & b \\\\\\midrule\n"
        "$x$ & {[}1{]} \\\\\\bottomrule\n\\end{tabular}\n\\end{center}"
    ),
}


@pytest.mark.parametrize("markdown", PIECES)
def test_markdown_becomes_latex(to_latex, markdown):
    assert to_latex.page(markdown, "page.md") == PIECES[markdown] + "\n"


@pytest.mark.parametrize("letter", [chr(code) for code in range(32, 127) if chr(code) not in "`"])
def test_no_ascii_letter_is_lost_or_taken_for_a_command(to_latex, letter):
    escaped = to_latex.prose(letter, "page.md")
    assert escaped == letter if letter not in '\\~^[]<>|"&%#_{}$' else escaped[0] in "\\{"


@pytest.mark.parametrize(
    ("markdown", "said"),
    [
        ("a <b>b</b>", "html_inline"),
        ("![a](b.png)", "image"),
        ("> quoted", "blockquote"),
        ("a\n\n---\n", "hr"),
        ("ж", "'ж'"),
        ("$ж$", "'ж'"),
        ("```\né\n```", "ASCII"),
        ("it costs 5$ or so", "partner"),
        ("[T99](99_missing.md)", "99_missing.md, which does not exist"),
    ],
)
def test_what_has_no_latex_is_refused_with_the_name_of_the_page(to_latex, markdown, said):
    with pytest.raises(to_latex.ConversionError, match=re.escape(said)) as refused:
        to_latex.page(markdown, "03_page.md")
    assert str(refused.value).startswith("03_page.md: ")


def test_a_wide_table_shares_the_line_among_its_wide_columns(to_latex):
    row = f"| a | {'word ' * 20} | {'word ' * 5} |"
    table = to_latex.page(f"{row}\n|---|---|---|\n{row}", "page.md")
    shares = [float(share) for share in re.findall(r"hsize=([\d.]+)", table)]
    assert "{@{}l>" in table
    assert sum(shares) == pytest.approx(2, abs=2e-3)  # tabularx wants their number; they are rounded to 1/1000
    assert shares[0] > shares[1]


def test_a_table_with_many_wide_columns_is_given_in_pieces(to_latex):
    head = "| rule |" + "".join(f" {'wide' * 5}{k} |" for k in range(9))
    latex = to_latex.page(f"{head}\n{'|---' * 10}|\n{head}", "page.md")
    pieces = latex.split(r"\bigskip")
    assert len(pieces) == 3  # 9 columns of 21 glyphs, three to a line of 82 beside the first
    assert all(re.findall(r"^rule", piece, re.MULTILINE) == ["rule", "rule"] for piece in pieces)
    assert re.findall(r"wide(\d)", latex) == list("012012345345678678")


def test_a_new_rule_goes_last(build, monkeypatch):
    monkeypatch.setattr(build.nf.algorithms, "names", lambda: ("zeta", "alpha", "extra", "dgd"))
    assert build.rules() == ["dgd", "extra", "alpha", "zeta"]


def test_check_names_what_is_out_of_date(build, monkeypatch, tmp_path):
    (tmp_path / "derivations").mkdir()
    (tmp_path / "derivations" / "gone.tex").write_text("a rule that is no more")
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setattr(build, "files", lambda: {tmp_path / "new.tex": "text\n"})
    monkeypatch.setattr("sys.argv", ["build.py", "--check"])
    with pytest.raises(SystemExit, match=r"new\.tex, derivations/gone\.tex; run python theory/build\.py"):
        build.main()
    monkeypatch.setattr("sys.argv", ["build.py"])
    build.main()
    assert [p.name for p in sorted(tmp_path.rglob("*.tex"))] == ["new.tex"]
    monkeypatch.setattr("sys.argv", ["build.py", "--check"])
    build.main()
