"""Importing ntkflow is quick and loads nothing heavy; every public name is there when asked for."""

import json
import subprocess
import sys

import pytest

import ntkflow

HEAVY = {
    "sympy",
    "scipy",
    "networkx",
    "control",
    "sklearn",
    "matplotlib",
    "torch",
    "cupy",
    "jax",
    "pandas",
    "rich",
    "typer",
}


def fresh(code):
    """What the code prints as JSON, in an interpreter of its own."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import json, sys, time\n{code}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


LOADED = f"sorted({HEAVY} & {{m.partition('.')[0] for m in sys.modules}})"


def test_import_loads_nothing_heavy_and_is_quick():
    loaded, seconds = fresh(
        f"t = time.perf_counter(); import ntkflow; t = time.perf_counter() - t; print(json.dumps([{LOADED}, t]))"
    )
    assert loaded == []
    assert seconds < 0.3


COSTS = {
    "dir(nf); nf.__version__; hasattr(nf, 'nonsense')": set(),
    "nf.errors; nf.Trajectory; nf.LinearizedModel; nf.datasets": set(),
    "nf.models.MLP([2, 3, 1]).init()": set(),
    "m = nf.models.MLP([2, 3, 1], 'erf'); m(m.init(), __import__('numpy').ones((1, 2, 2)))": {"scipy"},
    "nf.graphs.cycle(3)": {"networkx", "scipy"},
    "nf.notation; nf.Rule": {"sympy"},
}


@pytest.mark.parametrize(("used", "may_load"), COSTS.items())
def test_what_each_name_costs(used, may_load):
    loaded = fresh(f"import ntkflow as nf; {used}; print(json.dumps({LOADED}))")
    assert set(loaded) <= may_load


def test_every_public_name_resolves_when_asked_first():
    code = """
import importlib, ntkflow
found = {}
for name in ntkflow.__all__:
    for module in [m for m in sys.modules if m.partition(".")[0] == "ntkflow"]:
        del sys.modules[module]  # as in a new interpreter
    try:
        found[name] = getattr(importlib.import_module("ntkflow"), name) is not None
    except AttributeError as problem:
        found[name] = str(problem)
print(json.dumps(found))"""
    assert fresh(code) == dict.fromkeys(ntkflow.__all__, True)


def test_dir_and_unknown_names():
    assert dir(ntkflow) == sorted(ntkflow.__all__)
    assert len(set(ntkflow.__all__)) == len(ntkflow.__all__)
    with pytest.raises(AttributeError, match="'ntkflow' has no attribute 'nonsense'"):
        _ = ntkflow.nonsense
    with pytest.raises(ImportError, match="nonsense"):
        from ntkflow import nonsense  # noqa: F401
    assert not hasattr(ntkflow, "__wrapped__")  # what inspect and doctest ask every object


def test_star_import_is_the_public_names():
    expected = sorted(ntkflow.__all__)
    found = fresh("space = {}; exec('from ntkflow import *', space); print(json.dumps(sorted(space)))")
    assert [name for name in found if name != "__builtins__"] == expected
