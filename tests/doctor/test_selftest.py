from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.backends.detector import open_detector
from ssd_edge.cli.app import app
from ssd_edge.core.detections import Detections
from ssd_edge.doctor.sample_frames import sample_frames
from ssd_edge.doctor.selftest import compare, prove
from ssd_edge.engines.build import build_engine
from tests.precision.square_model import square_model, write_square_model


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


def broken_model() -> onnx.ModelProto:
    """The detector with the filters of one colour gone."""
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
    assert any("detections differ from float32" in fault for fault in poor.faults)


def test_nothing_detected_proves_nothing(tmp_path: Path) -> None:
    black = [np.zeros((128, 128, 3), np.uint8)]
    with open_detector(write_square_model(tmp_path / "good.onnx")) as good:
        verdict = prove(good, good, black, precision="fp32", runtime="onnxruntime", frames=3)
    assert verdict.faults == ["nothing was detected, so nothing is proved"]


def run(*arguments: object):
    return CliRunner().invoke(app, ["doctor", "--selftest", *map(str, arguments)])


def test_selftest_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("--frames", 60, "--json", "report.json")
    assert result.exit_code == 0, result.output
    assert "fp32 on onnxruntime" in result.output
    assert "int8 on onnxruntime" in result.output
    found = json.loads(Path("report.json").read_text())["selftest"]
    assert [entry["faults"] for entry in found] == [[], []]
    assert all(entry["compared"] > 10 for entry in found)
    assert "as it should be" in Path("selftest.html").read_text()


def test_an_engine_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = build_engine(write_square_model(tmp_path / "squares.onnx")).engine
    result = run(engine, "--frames", 20)
    assert result.exit_code == 0, result.output
    assert "fp32 on onnxruntime" in result.output


def test_an_engine_without_selftest() -> None:
    result = CliRunner().invoke(app, ["doctor", "a.engine"])
    assert result.exit_code == 1
    assert "an engine is named, but --selftest is not. ssd-edge doctor --selftest a.engine" in result.output
