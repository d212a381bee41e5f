"""Pictures and tables: what is drawn are the numbers, prediction dashed over observation solid."""

from __future__ import annotations

import csv
import io
import json
import math
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
from market import linearized, problem

import ntkflow as nf
from ntkflow.reports import pages, plots, tables

plt.switch_backend("Agg")
Q = 4


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def solid_and_dashed(ax):
    dashed = [line for line in ax.lines if line.is_dashed()]
    return [line for line in ax.lines if not line.is_dashed()], dashed


@pytest.fixture(scope="module")
def study():
    data = nf.datasets.half_moons(Q, 12, noise=0.1, seed=0)
    model = nf.models.MLP([2, 16, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(Q))
    return nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-2, normalization="sum")


@pytest.fixture(scope="module")
def predicted(study):
    return study.predict(8)


@pytest.fixture(scope="module")
def observed(study):
    return study.train(8)


@pytest.fixture(scope="module")
def system():
    return nf.LinearSystem("dgd", nf.weights.metropolis_hastings(nf.graphs.cycle(Q)), linearized(problem(Q)), 0.05)


class TestLoss:
    def test_one_line_for_each_agent_and_run(self, predicted, observed):
        ax = plots.loss(predicted, observed)
        solid, dashed = solid_and_dashed(ax)
        assert len(solid) == len(dashed) == Q
        for q in range(Q):
            np.testing.assert_array_equal(solid[q].get_ydata(), observed.loss[:, q])
            np.testing.assert_array_equal(dashed[q].get_ydata(), predicted.loss[:, q])
            assert solid[q].get_color() == dashed[q].get_color()
        assert dashed[0].get_zorder() > solid[0].get_zorder()
        assert len({line.get_color() for line in solid}) == Q

    def test_labels_and_legend(self, predicted, observed):
        ax = plots.loss(predicted, observed, title="a cycle")
        assert ax.get_xlabel() == "iterations"
        assert "loss of agent" in ax.get_ylabel()
        assert "2D_q" in ax.get_ylabel()
        assert ax.get_title(loc="left") + ax.get_title() == "a cycle"
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert texts == ["observed (training)", "predicted (iteration)", f"agent 1 … {Q}"]

    def test_given_axes_are_used_and_nobody_elses_style_changes(self, predicted):
        before = dict(mpl.rcParams)
        _, ax = plt.subplots()
        assert plots.loss(predicted, ax=ax) is ax
        assert dict(mpl.rcParams) == before

    def test_training_alone_is_solid(self, observed):
        solid, dashed = solid_and_dashed(observed.plot())
        assert (len(solid), len(dashed)) == (Q, 0)

    def test_several_predictions_have_their_own_dashes_and_names(self, study, predicted, observed):
        ax = plots.loss([predicted, study.predict(8, flow=True)], observed)
        assert len(ax.lines) == 3 * Q
        assert len({str(line._unscaled_dash_pattern) for line in solid_and_dashed(ax)[1]}) == 2
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert texts[:3] == ["observed (training)", "predicted (iteration)", "predicted (flow)"]

    def test_runs_of_one_mode_are_named_by_their_labels(self, study, predicted):
        ax = plots.loss([predicted, study.using(algorithm="atc").predict(8)])
        assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["dgd (iteration)", "atc (iteration)"]

    def test_times_are_sorted_and_the_limit_is_marked(self, system):
        ax = plots.loss(system.flow([3.0, 0.0, math.inf, 1.0]))
        assert all(list(line.get_xdata()) == [0.0, 1.0, 3.0] for line in ax.lines)
        assert len(ax.collections) == Q

    def test_logarithmic_over_a_factor_of_ten_only(self, system):
        assert plots.loss(system.flow(np.linspace(0, 1e-3, 5))).get_yscale() == "linear"
        steep = nf.LinearizedModel.from_jacobian(10.0 * np.ones((Q, 1, 1)), np.ones((Q, 1)))
        falls = nf.LinearSystem("dgd", np.full((Q, Q), 0.25), steep, 1e-3).flow([0.0, 100.0])
        assert plots.loss(falls).get_yscale() == "log"

    def test_overflow_is_left_out(self):
        steep = nf.LinearizedModel.from_jacobian(np.ones((2, 1, 1)), np.ones((2, 1)))
        with np.errstate(over="ignore", invalid="ignore"):
            wild = nf.LinearSystem("dgd", np.eye(2), steep, 1e3).iterate(range(300))
            assert math.isinf(wild.loss[-1, 0])
            ax = plots.loss(wild)
            ax.figure.canvas.draw()
        assert np.nanmax(ax.lines[0].get_ydata()) < plots.BEYOND

    @pytest.mark.parametrize("wrong", [None, "loss", [], [1.0]])
    def test_something_else_is_refused(self, wrong):
        with pytest.raises(nf.errors.InputError, match="expected a Trajectory"):
            plots.loss(wrong)

    def test_other_agents_are_refused(self, predicted):
        other = nf.LinearSystem("dgd", np.eye(2), linearized(problem(2)), 0.05).iterate(3)
        with pytest.raises(nf.errors.ShapeError, match="4 agents"):
            plots.loss(predicted, other)


class TestConsensus:
    def test_one_line_a_run_one_colour_a_design(self, study, predicted, observed):
        atc = study.using(algorithm="atc")
        ax = plots.consensus(predicted, observed, atc.predict(8), atc.train(8))
        solid, dashed = solid_and_dashed(ax)
        assert len(solid) == len(dashed) == 2
        np.testing.assert_array_equal(solid[0].get_ydata(), observed.consensus_error)
        assert solid[0].get_color() == dashed[0].get_color() != dashed[1].get_color()
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert texts == ["dgd", "atc", "observed (training)", "predicted (iteration)"]
        assert "consensus error" in ax.get_ylabel()

    def test_rounding_at_the_start_does_not_stretch_the_axis(self, study):
        ax = plots.consensus(study.train(8))
        assert ax.get_yscale() == "linear" or ax.get_ylim()[0] > 1e-9

    def test_nothing_is_refused(self):
        with pytest.raises(nf.errors.InputError):
            plots.consensus()


class TestGraph:
    @pytest.mark.parametrize("name", nf.graphs.NAMES)
    def test_every_topology(self, name):
        network = nf.graphs.named(name, 8)
        ax = plots.graph(network, nf.weights.metropolis_hastings(network))
        assert sorted(text.get_text() for text in ax.texts) == [str(q) for q in range(1, 9)]
        edges, nodes = ax.collections
        assert len(edges.get_segments()) == network.number_of_edges()
        places = nodes.get_offsets()
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(8)
        assert gaps.min() > 0.05  # no agent on top of another
        assert plots.graph(network).get_xlabel() == ""

    @pytest.mark.parametrize("name", ["cycle", "complete"])
    def test_rings_are_circles(self, name):
        places = plots.graph(nf.graphs.named(name, 6)).collections[-1].get_offsets()
        np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1.0)

    def test_a_star_has_its_centre_in_the_middle(self):
        places = plots.graph(nf.graphs.star(6)).collections[-1].get_offsets()
        np.testing.assert_allclose(places[0], 0.0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(places[1:], axis=1), 1.0)

    def test_positions_are_kept(self):
        network = nf.graphs.random_geometric(7, seed=3)
        places = plots.graph(network).collections[-1].get_offsets()
        np.testing.assert_array_equal(places, [network.nodes[q]["pos"] for q in network])

    def test_heavier_edges_are_wider_and_own_weights_darker(self):
        network = nx.path_graph(3)
        W = np.array([[0.9, 0.1, 0.0], [0.1, 0.4, 0.5], [0.0, 0.5, 0.5]])
        edges, nodes = plots.graph(network, W).collections
        light, heavy = edges.get_linewidths()
        assert heavy > light
        brightness = nodes.get_facecolors()[:, :3].sum(axis=1)
        assert brightness[0] < brightness[2] < brightness[1]

    def test_the_range_of_weights_is_written_below(self):
        network = nf.graphs.star(8)
        note = plots.graph(network, nf.weights.metropolis_hastings(network)).get_xlabel()
        assert note == "edge 0.125,  own weight 0.125 … 0.875"

    def test_directed_edges_are_arrows(self):
        network = nx.DiGraph([(0, 1), (1, 2), (2, 0), (1, 0)])
        ax = plots.graph(network, nf.weights.equal(network))
        assert len(ax.patches) == 4

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_few_agents(self, size):
        ax = plots.graph(nf.graphs.complete(size), np.full((size, size), 1 / size))
        ax.figure.canvas.draw()
        assert len(ax.texts) == size

    def test_bad_input(self):
        with pytest.raises(nf.errors.GraphError, match="one component"):
            plots.graph(nx.Graph([(0, 1), (2, 3)]))
        with pytest.raises(nf.errors.ShapeError, match="W"):
            plots.graph(nf.graphs.cycle(4), np.eye(3))
        with pytest.raises(nf.errors.ShapeError, match="an array"):
            plots.graph(nf.graphs.cycle(2), [[0.5, 0.5], [0.5, 0.5]])


class TestFiles:
    def test_png_and_svg_are_whole(self, predicted, observed, tmp_path):
        made, axes = plots.figure(1, 2)
        plots.loss(predicted, observed, ax=axes[0, 0])
        plots.graph(nf.graphs.cycle(Q), ax=axes[0, 1])
        png, svg = plots.save(made, tmp_path / "a.picture")
        assert [path.name for path in (png, svg)] == ["a.picture.png", "a.picture.svg"]
        image = plt.imread(png)
        assert image.shape[:2] == tuple(int(200 * inches) for inches in made.get_size_inches()[::-1])
        assert image.std() > 0.01
        assert ElementTree.parse(svg).getroot().tag.endswith("svg")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.picture.png", "a.picture.svg"]
        assert not plt.get_fignums()  # pyplot knows nothing of it

    def test_a_failure_leaves_nothing(self, tmp_path, monkeypatch):
        made, _ = plots.figure()

        def cut(target, **options):
            target.write_bytes(b"half")
            raise OSError("disk full")

        monkeypatch.setattr(made, "savefig", cut)
        with pytest.raises(OSError, match="disk full"):
            plots.save(made, tmp_path / "picture")
        assert not list(tmp_path.iterdir())


class TestPanels:
    def panel(self, study, predicted, observed, graph):
        return pages.Panel("a case", graph, study.W, [predicted, study.predict(8, flow=True)], observed, "a caption")

    def test_a_column_has_network_losses_and_errors(self, study, predicted, observed):
        columns = [self.panel(study, predicted, observed, nf.graphs.cycle(Q)) for _ in range(3)]
        made = pages.panels(columns, "a title", "a subtitle", "a note")
        assert len(made.axes) == 9
        network, main, error = made.axes[:3]
        assert network.get_title(loc="left") == "a case"
        assert len(main.lines) == 2 * Q
        assert len(error.lines) == 2
        expected = np.abs(predicted.loss - observed.loss).max(axis=1) / tables.movement(observed)
        np.testing.assert_allclose(error.lines[0].get_ydata(), expected[1:])
        assert {text.get_text() for text in made.texts} == {"a title", "a subtitle", "a note"}
        assert len({ax.get_ylim() for ax in made.axes[1::3]}) == 1

    def test_one_graph_is_drawn_once(self, study, predicted, observed):
        shared = nf.graphs.cycle(Q)
        made = pages.panels([self.panel(study, predicted, observed, shared) for _ in range(2)])
        assert len(made.axes) == 1 + 2 * 2

    def test_without_training_there_are_no_errors(self, study, predicted):
        made = pages.panels([self.panel(study, predicted, None, nf.graphs.cycle(Q))])
        assert len(made.axes) == 2
        assert made.legends[0].get_texts()[0].get_text() == "predicted (iteration)"


class TestAgreement:
    def test_errors_are_those_of_the_issue(self, predicted, observed):
        rows = tables.agreement(predicted, observed)
        p, o = predicted.loss, observed.loss
        unit = np.abs(o[0] - o).max()
        for q, row in enumerate(rows):
            assert row.agent == q + 1
            assert row.max_error == pytest.approx(np.abs(p - o)[:, q].max() / unit, rel=1e-14)
            assert row.final_error == pytest.approx(np.abs(p - o)[-1, q] / unit, rel=1e-14)
            assert row.max_error_of_loss == pytest.approx((np.abs(p - o) / o)[:, q].max(), rel=1e-14)
            assert row.moved == pytest.approx(np.abs(o[0] - o)[:, q].max() / o[0, q], rel=1e-14)
        assert 0 < max(row.max_error for row in rows) < 0.05

    def test_final_is_the_last_time_whatever_the_order(self, system):
        backwards = tables.agreement(system.flow([0, 5, 2]), system.flow([0, 5, 2]))
        assert all(row.max_error == row.final_error == 0.0 for row in backwards)

    def test_a_loss_that_does_not_move(self):
        flat = nf.LinearizedModel.from_jacobian(np.zeros((2, 1, 1)), np.ones((2, 1)))
        run = nf.LinearSystem("dgd", np.eye(2), flat, 0.1).iterate(range(4))
        assert [row.max_error for row in tables.agreement(run, run)] == [0.0, 0.0]

    def test_bad_input(self, system, predicted):
        with pytest.raises(nf.errors.InputError, match="Trajectory"):
            tables.agreement(None, predicted)
        with pytest.raises(nf.errors.InputError, match="same times"):
            tables.agreement(system.flow([0.0, 1.0]), system.flow([0.0, 2.0]))
        with pytest.raises(nf.errors.InputError, match="first time of 0"):
            tables.agreement(system.flow([1.0]), system.flow([1.0]))
        other = nf.LinearSystem("dgd", np.eye(2), linearized(problem(2)), 0.05)
        with pytest.raises(nf.errors.ShapeError, match="same agents"):
            tables.agreement(other.flow([0.0, 1.0]), system.flow([0.0, 1.0]))

    def test_rich_table_has_a_row_for_each_agent_and_the_worst(self, predicted, observed):
        from rich.console import Console

        rows = tables.agreement(predicted, observed)
        table = tables.agreement_table({"cycle": {"iteration": rows, "flow": rows}})
        assert table.row_count == Q + 1
        console = Console(width=120, file=io.StringIO())
        console.print(table)
        text = console.file.getvalue()
        assert "worst" in text
        assert tables.percent(max(row.max_error for row in rows)) in text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.5, "50 %"), (0.0123, "1.2 %"), (0.001, "0.10 %"), (2e-15, "2e-13 %"), (0.0, "0 %"), (math.nan, "–")],
    )
    def test_percent(self, value, text):
        assert tables.percent(value) == text


class TestWriters:
    def test_csv_keeps_all_digits(self, tmp_path):
        tables.write_csv(tmp_path / "t.csv", ["a", "b", "c"], [[np.float64(1 / 3), 2, None], [math.inf, "x,y", 0.1]])
        with open(tmp_path / "t.csv", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["a", "b", "c"]
        assert float(rows[0][0]) == 1 / 3
        assert rows[0][1:] == ["2", ""]
        assert (float(rows[1][0]), rows[1][1]) == (math.inf, "x,y")

    def test_json_has_no_literals_that_are_not_json(self, tmp_path):
        content = {"a": [math.inf, -math.inf, math.nan], "b": np.float64(0.1), "n": np.int64(3), "c": (True, None, "x")}
        tables.write_json(tmp_path / "t.json", content)

        def refuse(name):
            raise AssertionError(name)

        read = json.loads((tmp_path / "t.json").read_text(), parse_constant=refuse)
        assert read == {"a": ["inf", "-inf", "nan"], "b": 0.1, "n": 3, "c": [True, None, "x"]}
