"""The paper's experiments in small: what is written is what was computed, and nothing half-written stays."""

from __future__ import annotations

import csv
import json
import os
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import ntkflow as nf
from ntkflow import reproduce
from ntkflow.errors import DataError, InputError, OutputError, UnknownNameError
from ntkflow.reports import folders

SMALL = {"n_agents": 3, "n_samples": 10, "steps": 6}
FILES = ["agreement.csv", "consensus.csv", "consensus.png", "consensus.svg", "loss.csv", "result.json"]
MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


def idx_folder(folder, images=60, side=3, cut=0):
    """A small MNIST of zeros and ones; the last ``cut`` bytes of its images are missing."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, images * side * side, dtype=np.uint8).tobytes()
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", images, side, side)
    (folder / "t10k-images-idx3-ubyte").write_bytes((header + pixels)[: len(header) + len(pixels) - cut])
    labels = bytes([0, 0, 8, 1]) + struct.pack(">I", images) + bytes(q % 2 for q in range(images))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(labels)
    return folder


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    monkeypatch.delenv("NTKFLOW_DATA", raising=False)


@pytest.fixture(scope="module")
def fig2():
    return reproduce.fig2(width=16, step_size=1e-2, **SMALL)


@pytest.fixture(scope="module")
def written(fig2, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "fig2"
    return folder, reproduce.write(fig2, folder)


class TestFig2:
    def test_cases_settings_and_trajectories(self, fig2):
        assert [case.name for case in fig2.cases] == ["cycle", "star", "complete"]
        assert fig2.settings["seeds"] == {"data": 0, "parameters": 0}
        assert fig2.settings["normalization"] == ["sum"]
        for case in fig2.cases:
            assert [run.mode for run in case.runs.values()] == ["iteration", "flow", "training"]
            assert all(run.loss.shape == (7, 3) for run in case.runs.values())
            np.testing.assert_array_equal(case.study.W, nf.weights.metropolis_hastings(case.graph))

    def test_the_defaults_are_the_paper_s(self):
        # the settings, without running them
        defaults = reproduce.fig2.__kwdefaults__
        wanted = {"n_agents": 8, "n_samples": 200, "width": 256, "step_size": 1e-4, "steps": 200, "algorithm": "dgd"}
        assert {key: defaults[key] for key in wanted} == wanted
        assert defaults["normalization"] == "sum"
        assert defaults["topologies"] == ("cycle", "star", "complete")

    def test_the_model_is_the_paper_s(self, fig2):
        model = fig2.cases[0].study.model
        assert (model.widths, model.activation) == ((2, 16, 1), "sigmoid")
        assert (model.weight_std, model.bias_std) == (1.0, 0.1)

    def test_prediction_is_close_to_training(self, fig2):
        assert 0 < max(row.max_error for case in fig2.cases for row in case.agreement["iteration"]) < 0.05

    def test_seed_and_algorithm_matter(self, fig2):
        few = {"width": 16, "step_size": 1e-2, "topologies": ("cycle",), **SMALL}
        first = fig2.cases[0].observed.loss
        assert not np.allclose(reproduce.fig2(seed=1, **few).cases[0].observed.loss, first)
        assert not np.allclose(reproduce.fig2(algorithm="atc", **few).cases[0].observed.loss, first, atol=1e-9)
        np.testing.assert_array_equal(reproduce.fig2(**few).cases[0].observed.loss, first)

    def test_a_loss_that_hardly_moves_is_said_to(self):
        still = reproduce.fig2(normalization="global", width=16, topologies=("cycle",), **SMALL)
        assert any("cycle: the loss moved by no more than" in note for note in still.notes)
        assert still.cases[0].moved < 0.01

    def test_a_loss_that_grows_is_said_to(self):
        study = nf.Study(np.eye(2), nf.models.Affine(2), np.zeros(3), nf.datasets.half_moons(2, 5), "dgd", 50.0)
        graph = nf.graphs.complete(2)
        result = reproduce.run("wild", {"wild": ("wild", graph, study)}, 10, train=False)
        assert "wild: the loss grew 100-fold and more (iteration)" in result.notes[0]

    def test_progress_is_told_every_step(self):
        told = []
        reproduce.fig2(width=8, topologies=("cycle",), progress=lambda *step: told.append(step), **SMALL)
        assert told[0] == ("cycle", 0, 6)
        assert told[-1] == ("cycle", 6, 6)
        assert len(told) == 1 + 7


class TestFig1:
    def test_digits_with_a_notice(self):
        result = reproduce.fig1(n_agents=4, steps=5)
        assert [case.name for case in result.cases] == ["sum", "per_agent"]
        assert result.settings["data"] == "digits"
        assert any("digits" in note and "MNIST" in note for note in result.notes)
        for case in result.cases:
            assert max(row.max_error for row in case.agreement["iteration"]) < 1e-10
            assert max(row.max_error for row in case.agreement["flow"]) > 1e-6

    def test_eight_agents_have_all_there_is(self):
        assert list(reproduce.fig1(steps=1, normalizations=("sum",)).settings["n_samples"]) == [45] * 8

    def test_mnist_from_a_folder_or_the_environment(self, tmp_path, monkeypatch):
        idx_folder(tmp_path)
        given = reproduce.fig1(data_folder=tmp_path, **SMALL)
        assert given.settings["data"] == "mnist"
        assert not any("digits" in note for note in given.notes)
        monkeypatch.setenv("NTKFLOW_DATA", str(tmp_path))
        np.testing.assert_array_equal(reproduce.fig1(**SMALL).cases[0].observed.loss, given.cases[0].observed.loss)

    @pytest.mark.skipif(not MNIST.is_dir(), reason="no MNIST here")
    def test_real_mnist(self):
        result = reproduce.fig1(data_folder=MNIST, n_agents=4, n_samples=30, steps=20)
        assert result.cases[0].study.model.n_inputs == 784
        assert max(row.max_error for case in result.cases for row in case.agreement["iteration"]) < 1e-10


class TestWrite:
    def test_all_files_and_nothing_else(self, written):
        folder, paths = written
        assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "fig2.png", "fig2.svg"])
        assert sorted(paths) == sorted(folder.iterdir())
        assert [path.name for path in folder.parent.iterdir()] == ["fig2"]

    def test_pictures_open(self, written):
        import matplotlib.image

        for name in ("fig2", "consensus"):
            image = matplotlib.image.imread(written[0] / f"{name}.png")
            assert min(image.shape[:2]) > 500
            assert image[..., :3].std() > 0.02
            assert ElementTree.parse(written[0] / f"{name}.svg").getroot().tag.endswith("svg")

    def test_losses_are_those_of_the_runs(self, fig2, written):
        rows = read_csv(written[0] / "loss.csv")
        assert list(rows[0]) == ["case", "time", "agent", "observed", "predicted_iteration", "predicted_flow"]
        assert len(rows) == 3 * 7 * 3
        for case in fig2.cases:
            mine = [row for row in rows if row["case"] == case.name]
            for column, run in zip(
                ("predicted_iteration", "predicted_flow", "observed"), case.runs.values(), strict=True
            ):
                np.testing.assert_array_equal([float(row[column]) for row in mine], run.loss.ravel())
            assert [int(row["agent"]) for row in mine[:4]] == [1, 2, 3, 1]
            assert [float(row["time"]) for row in mine[::3]] == list(range(7))

    def test_agreement_follows_from_the_losses(self, written):
        rows, losses = read_csv(written[0] / "agreement.csv"), read_csv(written[0] / "loss.csv")
        assert len(rows) == 3 * 2 * 3
        for row in rows:
            table = {column: np.array([float(line[column]) for line in losses if line["case"] == row["case"]])
                     for column in ("observed", f"predicted_{row['prediction']}")}  # fmt: skip
            observed, predicted = (values.reshape(7, 3) for values in table.values())
            error = np.abs(predicted - observed)[:, int(row["agent"]) - 1] / np.abs(observed[0] - observed).max()
            assert float(row["max_error"]) == pytest.approx(error.max(), rel=1e-13)
            assert float(row["final_error"]) == pytest.approx(error[-1], rel=1e-13)

    def test_json_has_settings_versions_errors_and_bounds(self, fig2, written):
        record = json.loads((written[0] / "result.json").read_text(encoding="utf-8"))
        assert record["versions"]["ntkflow"] == nf.__version__
        assert record["versions"]["numpy"] == np.__version__
        settings = record["settings"]
        assert (settings["seeds"]["data"], settings["steps"], settings["step_size"]) == (0, 6, 1e-2)
        assert settings["n_samples"] == [10, 10, 10]
        for case in fig2.cases:
            told = record["cases"][case.name]
            assert told["normalization"] == "sum"
            assert told["relative_movement"] == case.moved
            for kind, rows in case.agreement.items():
                prediction = told["predictions"][kind]
                assert prediction["worst"]["max_error"] == max(row.max_error for row in rows)
                assert prediction["error_bound"]["final"] == float(case.predicted[kind].error_bound[-1])
                assert prediction["error_bound"]["kind"] in ("rigorous", "estimate")
                assert len(prediction["agents"]) == 3

    def test_consensus_and_bounds_step_by_step(self, fig2, written):
        rows = [row for row in read_csv(written[0] / "consensus.csv") if row["case"] == "star"]
        star = fig2.cases[1]
        np.testing.assert_array_equal([float(row["observed"]) for row in rows], star.observed.consensus_error)
        np.testing.assert_array_equal([float(row["error_bound_flow"]) for row in rows], star.flow.error_bound)

    def test_without_training(self, tmp_path, fig2):
        case = fig2.cases[0]
        result = reproduce.run("only", {"cycle": ("cycle", case.graph, case.study)}, 4, train=False)
        reproduce.write(result, tmp_path / "only")
        assert result.table() is None
        assert {row["observed"] for row in read_csv(tmp_path / "only" / "loss.csv")} == {""}
        assert read_csv(tmp_path / "only" / "agreement.csv") == []
        assert json.loads((tmp_path / "only" / "result.json").read_text())["cases"]["cycle"]["loss_movement"] is None

    def test_an_empty_folder_is_filled_in_place(self, fig2, tmp_path, monkeypatch):
        place = tmp_path / "empty"
        place.mkdir()
        inode = place.stat().st_ino
        monkeypatch.chdir(place)
        reproduce.write(fig2, ".")
        assert place.stat().st_ino == inode
        assert len(list(place.iterdir())) == 8

    def test_parents_are_made(self, fig2, tmp_path):
        reproduce.write(fig2, tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b" / "result.json").is_file()


class TestInterrupted:
    @pytest.mark.parametrize("there", [False, True])
    @pytest.mark.parametrize(("problem", "seen"), [(KeyboardInterrupt, KeyboardInterrupt), (OSError, OutputError)])
    def test_while_writing(self, fig2, tmp_path, monkeypatch, there, problem, seen):
        place = tmp_path / "out"
        if there:
            place.mkdir()

        def broken(*_):
            raise problem("disk full")

        monkeypatch.setattr(reproduce.tables, "write_json", broken)
        with pytest.raises(seen):
            reproduce.write(fig2, place)
        assert list(tmp_path.rglob("*")) == ([place] if there else [])

    @pytest.mark.parametrize("there", [False, True])
    def test_while_moving(self, tmp_path, monkeypatch, there):
        place = tmp_path / "out"
        if there:
            place.mkdir()

        def broken(*_):
            raise PermissionError(13, "no")

        monkeypatch.setattr(folders.os, "rename", broken)
        monkeypatch.setattr(folders.os, "replace", broken)
        with pytest.raises(OutputError, match="cannot be written"), folders.new_folder(place) as (stage, _):
            (stage / "a").write_text("a")
        assert list(tmp_path.rglob("*")) == ([place] if there else [])

    def test_while_training(self, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("ntkflow.study.train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reproduce.fig2(width=8, **SMALL)


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"topologies": ("cylce",)}, UnknownNameError, "did you mean 'cycle'"),
            ({"topologies": ()}, InputError, "topologies"),
            ({"algorithm": "dgb"}, UnknownNameError, "did you mean 'dgd'"),
            ({"normalization": "peragent"}, UnknownNameError, "did you mean 'per_agent'"),
            ({"steps": 0}, InputError, "steps"),
            ({"steps": 2.5}, InputError, "steps"),
            ({"step_size": -1e-3}, InputError, "step_size"),
            ({"step_size": float("nan")}, InputError, "step_size"),
            ({"n_samples": 0}, InputError, "n_samples"),
            ({"n_agents": 0}, InputError, "n_agents"),
            ({"width": 0}, InputError, "widths"),
            ({"seed": -1}, InputError, "seed"),
        ],
    )
    def test_fig2(self, options, error, says):
        with pytest.raises(error, match=says):
            reproduce.fig2(**{"width": 8, **SMALL, **options})

    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"normalizations": ()}, InputError, "normalizations"),
            ({"normalizations": ("sums",)}, UnknownNameError, "did you mean 'sum'"),
            ({"n_agents": 500}, DataError, "360 samples"),
            ({"data_folder": "nowhere"}, DataError, "a folder that exists"),
        ],
    )
    def test_fig1(self, options, error, says):
        with pytest.raises(error, match=says):
            reproduce.fig1(**{"steps": 2, **options})

    def test_truncated_images(self, tmp_path):
        with pytest.raises(DataError, match="cut short"):
            reproduce.fig1(data_folder=idx_folder(tmp_path, cut=5), **SMALL)

    def test_a_data_folder_without_files(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NTKFLOW_DATA", str(tmp_path))
        with pytest.raises(DataError, match="IDX files"):
            reproduce.fig1(**SMALL)

    def test_no_design(self):
        with pytest.raises(InputError, match="designs"):
            reproduce.run("none", {}, 3)

    def test_places_where_nothing_can_be_written(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "loss.csv").write_text("")
        for place, says in (("file", "found a file"), ("file/below", "found a file"), ("full", "1 entry")):
            with pytest.raises(OutputError, match=says):
                folders.require_new_folder(tmp_path / place)
        for wrong in ("", None, 3):
            with pytest.raises(OutputError, match="the path of a folder"):
                folders.require_new_folder(wrong)
        with pytest.raises(OutputError, match="cannot be used"):
            folders.require_new_folder(tmp_path / ("x" * 300))
        monkeypatch.setattr(folders.os, "access", lambda *_: False)
        with pytest.raises(OutputError, match="can be written"):
            folders.require_new_folder(tmp_path / "new")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can write everywhere")
    def test_unwritable_parent(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError, match="can be written"):
            folders.require_new_folder(tmp_path / "new")
        tmp_path.chmod(0o700)
