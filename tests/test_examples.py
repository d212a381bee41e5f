"""Every example runs in its small size, and what it computes is right."""

import importlib.util
import math
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("[0-9][0-9]_*.py"))


def run(path, monkeypatch, folder):
    """The result of ``main("small")``, which must write nothing into the working directory."""
    if path.stem.endswith("pytorch"):
        pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ntkflow[torch]'")
    monkeypatch.chdir(folder)
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.main(size="small")
    assert list(folder.iterdir()) == []
    return result


@pytest.fixture
def result(request, monkeypatch, tmp_path):
    [path] = [path for path in EXAMPLES if path.stem.startswith(request.param)]
    return run(path, monkeypatch, tmp_path)


def test_no_example_is_left_out_here():
    assert [path.stem[:2] for path in EXAMPLES] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in EXAMPLES])
def test_an_example_reads_as_a_script_of_cells(path):
    text = path.read_text("utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    assert text.endswith('# %%\nif __name__ == "__main__":\n    main("full")\n')


@pytest.mark.parametrize("result", ["01"], indirect=True)
def test_the_first_prediction_is_close_to_the_training(result):
    assert set(result) == {"cycle", "star", "complete"}
    for graph in result.values():
        assert graph["error"] < 0.01
        assert graph["last loss"] < 0.95 * graph["first loss"]  # an error relative to nothing would prove nothing
    assert result["complete"]["consensus error"] < result["cycle"]["consensus error"]


@pytest.mark.parametrize("result", ["02"], indirect=True)
def test_your_own_jacobian_gives_what_a_loop_and_the_equilibrium_say(result):
    assert result["Jacobian against difference quotient"] < 1e-8
    assert result["rest at infinity"] < 1e-8
    assert result["iteration against loop"] <= result["error bound of the iteration"] < 1e-10
    assert result["model against linearisation at t = 10"] < 0.2
    assert result["mean loss at infinity"] < 0.5 * result["mean loss at 0"]
    assert result["consensus error at infinity"] > 1e-3


@pytest.mark.parametrize("result", ["03"], indirect=True)
def test_a_rule_of_your_own_is_predicted_on_a_graph_of_your_own(result):
    assert result["error"] < 0.01
    assert result["last loss"] < result["last loss of DGD"] < result["first loss"]
    assert result["largest |column sum - 1|"] == pytest.approx(5 / 24)  # Graz's and Porto's, added up by hand
    assert 0 < result["spectral gap"] < 1
    assert all(math.isfinite(value) for value in result.values())


@pytest.mark.parametrize("result", ["04"], indirect=True)
def test_the_comparison_tells_biased_rules_from_exact_ones(result):
    exact = result.pop("extra, cycle")
    assert exact["end"] == "minimiser"
    assert exact["consensus_error"] < 1e-9
    for biased in result.values():
        assert biased["end"] == "biased"
        assert biased["consensus_error"] > 1e-3
        assert biased["final_loss"] < exact["final_loss"] < biased["global_loss"]  # better alone, worse for all
    assert result["dgd, complete"]["consensus"] < result["dgd, cycle"]["consensus"] < result["dgd, star"]["consensus"]


@pytest.mark.parametrize("result", ["05"], indirect=True)
def test_networks_from_pytorch_are_predicted(result):
    assert len(result) == 8
    for name, design in result.items():
        assert design["last loss"] < 0.9 * design["first loss"]
        assert design["error"] < (0.05 if name.startswith("all layers") else 1e-12)  # the last layer is linear
