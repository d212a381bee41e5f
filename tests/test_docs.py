"""What the documentation says is run: docstrings, the code on its pages, the README's Python."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import ntkflow as nf

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def modules():
    found = pkgutil.walk_packages(nf.__path__, "ntkflow.")
    return ["ntkflow", *(m.name for m in found if not m.name.startswith("ntkflow.cli"))]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_run(name):
    if name.startswith("ntkflow.interop.torch"):
        pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ntkflow[torch]'")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES if FENCE.search(p.read_text("utf-8"))])
def test_the_code_on_a_page_runs(page, tmp_path, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    try:
        for number, code in enumerate(FENCE.findall(page.read_text("utf-8")), start=1):
            exec(compile(code, f"{page.name}, Python fence {number}", "exec", dont_inherit=True), names)
    finally:
        importlib.import_module("matplotlib.pyplot").close("all")


def test_every_module_has_a_page():
    pages = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    described = set(re.findall(r"^\.\. auto(?:module|class|function):: ([\w.]+)", pages, re.MULTILINE))
    public = {m.name for m in pkgutil.iter_modules(nf.__path__, "ntkflow.") if not m.name.startswith("ntkflow._")}
    missing = {m for m in public - {"ntkflow.cli"} if not any(d == m or d.startswith(f"{m}.") for d in described)}
    assert not missing, "write docs/api/<name>.md with an automodule directive, and list it in docs/api/index.md"


def test_every_public_name_is_in_the_table_of_the_api():
    table = (DOCS / "api" / "index.md").read_text("utf-8")
    assert [name for name in nf.__all__ if not name.startswith("__") and f"`nf.{name}`" not in table] == []


def test_every_page_is_reachable():
    for index in (DOCS / "index.md", DOCS / "api" / "index.md"):
        text = index.read_text("utf-8")
        pages = {page.stem for page in index.parent.glob("*.md")} - {"index"}
        assert {page for page in pages if not re.search(rf"^{page}$", text, re.MULTILINE)} == set()


def test_the_citation_names_this_version():
    assert f"\nversion: {nf.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
