"""Every result in theory/ is checked by its own script."""

import runpy
from pathlib import Path

import pytest

THEORY = Path(__file__).parent.parent / "theory"
SCRIPTS = sorted(THEORY.glob("[0-9][0-9]_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_passes(script):
    runpy.run_path(str(script))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_statement_stands_beside_it(script):
    text = script.with_suffix(".md").read_text(encoding="utf-8")
    assert text.startswith(f"# T{int(script.stem[:2])}. ")
    assert "Proof" in text
    assert script.name in text
