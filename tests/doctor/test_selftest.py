from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.backends.detector import open_detector
from ssd_edge.cli.app import app
from ssd_edge.core.detections import Detections
from ssd_edge.core.files import file_digest
from ssd_edge.core.graph_contract import SPEC_KEY
from ssd_edge.core.images import write_image
from ssd_edge.doctor import selftest
from ssd_edge.doctor.sample_model import sample_frames, sample_graph, sample_spec
from ssd_edge.doctor.selftest import Difference, compare, prove
from ssd_edge.doctor.verdict import PREDICTED_TOLERANCES, Prediction
from ssd_edge.engines.build import build_engine
from ssd_edge.graph.nms import attach_nms
from tests.quantization.square_model import square_model, write_pictures, write_square_model


def detections(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def test_equal_sets_do_not_differ() -> None:
    one = detections((0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.8, 1))
    assert dataclasses.astuple(compare(one, one)) == (2, 0, 0.0, 0.0)


def test_what_is_lost_moved_or_scored_differently() -> None:
    wanted = detections((0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.8, 1))
    found = detections((0, 0, 10, 8, 0.7, 0), (20, 20, 30, 30, 0.8, 2))
    difference = compare(wanted, found)
    assert difference.lost == 2  # one of another class: missing here, and too many there
    assert difference.worst_box == pytest.approx(0.2)
    assert difference.worst_score == pytest.approx(0.2)


def test_nothing_on_either_side() -> None:
    assert compare(detections(), detections()).lost == 0
    assert compare(detections(), detections((0, 0, 1, 1, 0.5, 0))).lost == 1


def test_what_scores_hardly_anything_may_be_there_on_one_side_only() -> None:
    wanted = detections((0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.011, 1), (40, 40, 50, 50, 0.2, 1))
    found = detections((0, 0, 10, 10, 0.9, 0), (60, 60, 70, 70, 0.012, 1), (40, 40, 50, 45, 0.1, 1))
    assert compare(wanted, found, floor=0.3) == Difference(compared=1, lost=0, worst_box=0.0, worst_score=0.0)
    difference = compare(wanted, found, floor=0.15)
    assert (difference.compared, difference.lost, difference.worst_box) == (2, 0, 0.5)
    assert difference.worst_score == pytest.approx(0.1)
    assert compare(wanted, found).lost == 2


def broken_model() -> onnx.ModelProto:
    """The detector with the filters of one color gone."""
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    for entry in model.graph.initializer:
        if entry.name == "conv2.weight":
            value = onnx.numpy_helper.to_array(entry).copy()
            value[0] = 0
            entry.CopyFrom(onnx.numpy_helper.from_array(value, entry.name))
    return model


def test_a_broken_engine_is_caught(tmp_path: Path) -> None:
    onnx.save(broken_model(), tmp_path / "broken.onnx")
    pictures = [frame.image for frame in sample_frames(8, 1)]
    with (
        open_detector(write_square_model(tmp_path / "good.onnx")) as good,
        open_detector(tmp_path / "broken.onnx") as bad,
    ):
        fine = prove(good, good, pictures, precision="fp32", runtime="onnxruntime", frames=60)
        poor = prove(bad, good, pictures, precision="fp32", runtime="onnxruntime", frames=60)
    assert fine.faults == []
    assert any("detections differ from FP32" in fault for fault in poor.faults)


def test_nothing_detected_proves_nothing(tmp_path: Path) -> None:
    black = [np.zeros((128, 128, 3), np.uint8)]
    with open_detector(write_square_model(tmp_path / "good.onnx")) as good:
        verdict = prove(good, good, black, precision="fp32", runtime="onnxruntime", frames=3)
    assert verdict.faults == [
        "nothing was detected, so nothing was tested; use --images with images of objects that the engine detects"
    ]


def run(*arguments: object):
    return CliRunner().invoke(app, ["doctor", "--selftest", *map(str, arguments)])


def test_selftest_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("--frames", 60)
    assert result.exit_code == 0, result.output
    assert "fp32 on onnxruntime" in result.output
    assert "int8 on onnxruntime" in result.output
    assert "int8 on openvino" in result.output
    found = json.loads(Path("selftest.json").read_text())["selftest"]
    assert [entry["faults"] for entry in found] == [[], [], [], []]
    assert all(entry["compared"] > 10 for entry in found)
    assert "as it should be" in Path("selftest.html").read_text()


def test_the_figures_lie_beside_the_page_or_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = build_engine(write_square_model(tmp_path / "squares.onnx")).engine
    assert run(engine, "--frames", 1, "--html", "out/board.html").exit_code == 0
    assert json.loads(Path("out/board.json").read_text())["selftest"]
    assert run(engine, "--frames", 1, "--json", "figures.json").exit_code == 0
    assert Path("selftest.html").is_file()
    assert Path("figures.json").is_file()
    assert not Path("selftest.json").exists()
    result = run(engine, "--html", "board.json")
    assert result.exit_code == 1
    assert "got board.json; wanted an HTML file, such as selftest.html" in result.output


def test_an_engine_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = build_engine(write_square_model(tmp_path / "squares.onnx")).engine
    result = run(engine, "--frames", 20)
    assert result.exit_code == 0, result.output
    assert "fp32 on onnxruntime" in result.output
    assert "--keep-graph" not in result.output  # its graph is the ONNX


def write_low_engine(folder: Path, precision_flags: list[str]) -> Path:
    """An engine that shows all that scores more than 0.01, as by default, and images of what it detects."""
    spec = sample_spec()
    spec = dataclasses.replace(spec, name="low", nms=dataclasses.replace(spec.nms, score_threshold=0.01))
    graph = sample_graph()
    onnx.helper.set_model_props(graph, {SPEC_KEY: spec.to_json()})
    (folder / "engines/low").mkdir(parents=True)
    onnx.save(attach_nms(graph, spec), folder / "engines/low/low.onnx")
    (folder / "images").mkdir()
    for number, frame in enumerate(sample_frames(24, seed=3)):
        write_image(folder / f"images/{number}.png", frame.image)
    built = CliRunner().invoke(app, ["build", *precision_flags])
    assert built.exit_code == 0, built.output
    return next((folder / "engines/low").glob("*.engine"))


def test_a_good_int8_engine_of_ones_own_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = write_low_engine(tmp_path, ["--int8", "--images", "images"])
    for images in ([], ["--images", "images"]):
        result = run(engine, "--frames", 3, *images)
        assert result.exit_code == 0, result.output
        assert "int8 on onnxruntime: passed" in result.output


def test_pictures_in_which_nothing_is_seen_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = build_engine(write_square_model(tmp_path / "squares.onnx")).engine
    (tmp_path / "black").mkdir()
    write_image(tmp_path / "black/0.png", np.zeros((128, 128, 3), np.uint8))
    result = run(engine, "--frames", 3, "--images", "black")
    assert result.exit_code == 1
    assert "nothing was detected" in result.output
    assert "black2 is not a folder" in run(engine, "--images", "black2").output


def test_pictures_are_for_an_engine_of_ones_own() -> None:
    result = run("--images", "images")
    assert result.exit_code == 1
    assert "--images is given without an engine to test. Run: ssd-edge doctor --selftest ENGINE" in result.output


def test_an_engine_without_selftest() -> None:
    result = CliRunner().invoke(app, ["doctor", "a.engine"])
    assert result.exit_code == 1
    assert "ssd-edge doctor --selftest a.engine" in result.output


@pytest.fixture
def with_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An INT8 engine, with its lowered graph beside it."""
    monkeypatch.chdir(tmp_path)
    write_square_model(tmp_path / "engines/selftest/selftest.onnx")
    write_pictures(tmp_path / "images", 10)
    built = CliRunner().invoke(app, ["build", "--int8", "--images", "images", "--keep-graph"])
    assert built.exit_code == 0, built.output
    return Path("engines/selftest/selftest.int8.onnxruntime.engine")


def test_an_engine_is_compared_with_its_own_graph(with_graph: Path) -> None:
    result = run(with_graph, "--images", "images", "--frames", 20, "--json", "report.json")
    assert result.exit_code == 0, result.output
    assert "own graph on the CPU: 0 detections differ" in result.output
    (found,) = json.loads(Path("report.json").read_text())["selftest"]
    assert found["prediction"]["graph"] == str(with_graph.with_suffix(".onnx"))
    assert found["prediction"]["worst_score"] < 0.001


def test_an_engine_that_is_not_what_was_predicted(with_graph: Path) -> None:
    """Float32 and it agree, and its graph gives something else."""
    graph, paper = with_graph.with_suffix(".onnx"), with_graph.with_suffix(".json")
    onnx.save(broken_model(), graph)
    paper.write_text(json.dumps({**json.loads(paper.read_text()), "graph_digest": file_digest(graph)}))
    result = run(with_graph, "--images", "images", "--frames", 20)
    assert result.exit_code == 1
    assert re.search(rf"int8 on onnxruntime: \d+ detections differ from its own graph, {graph}", result.output)
    assert "differ from FP32" not in result.output


def test_where_no_graph_was_kept_it_is_said_how(with_graph: Path) -> None:
    graph = with_graph.with_suffix(".onnx")
    graph.write_bytes(graph.read_bytes() + b"x")
    wanted = f"; to compare {with_graph} with its own graph on the CPU, build with --keep-graph"
    assert f"{graph} belongs to another build{wanted}" in run(with_graph, "--images", "images", "--frames", 20).output
    graph.unlink()
    result = run(with_graph, "--images", "images", "--frames", 20)
    assert f"{graph} does not exist{wanted}" in result.output
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"lost": 2}, "2 detections differ from its own graph, g.onnx"),
        ({"worst_box": 0.4}, "a box is 0.400 off its own graph, g.onnx (0.35 allowed)"),
        ({"worst_score": 0.06}, "a score is 0.060 off its own graph, g.onnx (0.05 allowed)"),
    ],
)
def test_more_than_rounding_is_a_fault(changes: dict[str, float], fault: str) -> None:
    fine = Prediction("g.onnx", PREDICTED_TOLERANCES["int8"], lost=0, worst_box=0.2, worst_score=0.04)
    assert fine.faults == []
    assert dataclasses.replace(fine, **changes).faults == [fault]


@pytest.mark.parametrize("text", [None, "Name:\tpython\n"], ids=["no account", "an account without the line"])
def test_memory_that_the_system_does_not_tell_is_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    assert 20 < selftest.resident_mib() < 100_000
    if text is not None:
        (tmp_path / "status").write_text(text)
    monkeypatch.setattr(selftest, "_STATUS", tmp_path / "status")
    assert selftest.resident_mib() == 0.0
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t   2048 kB\n")
    assert selftest.resident_mib() == 2.0
