"""``eval`` warns about an INT8 engine that is evaluated on images it was calibrated with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from tests.quantization.square_model import write_labelled, write_square_model

ENGINES = Path("engines/selftest")
INT8, FLOAT = ENGINES / "selftest.int8.onnxruntime.engine", ENGINES / "selftest.fp32.onnxruntime.engine"


def run(*arguments: object):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An INT8 engine that was calibrated with the four images of a data set, and other four of the same kind."""
    monkeypatch.chdir(tmp_path)
    write_square_model(ENGINES / "selftest.onnx")
    write_labelled(Path("voc"), "val", 4)
    write_labelled(Path("others"), "val", 4, seed=77)
    run("build", "--int8", "--images", "voc/JPEGImages")


def test_the_flattered_figure_is_named() -> None:
    run("build")
    Path("calibration/selftest.ranges.json").unlink()  # the engine says it by itself, wherever it was copied to
    result = run("eval", FLOAT, INT8, "voc", "--split", "val", "--json", "-")
    assert f"{INT8}: 4 of these 4 images were used for INT8 calibration: the mAP is too optimistic" in result.stderr
    assert f"{FLOAT}: " not in result.stderr
    float_model, int8_model = json.loads(result.stdout)["models"]
    assert int8_model["pictures_calibrated_with"] == 4
    assert "pictures_calibrated_with" not in float_model


def test_the_graph_that_a_build_kept_is_flattered_as_its_engine_is() -> None:
    run("build", "--int8", "--keep-graph", "--output", "engines/mine.engine")
    graph = Path("engines/mine.onnxruntime.onnx")
    result = run("eval", ENGINES / "selftest.onnx", graph, "voc", "--split", "val")
    assert f"{graph}: 4 of these 4 images were used for INT8 calibration: the mAP is too optimistic" in result.stderr
    assert "selftest.onnx: 4 of" not in result.stderr.replace(str(graph), "")


def test_other_pictures_flatter_nothing() -> None:
    result = run("eval", INT8, "others", "--split", "val", "--json", "-")
    assert "used for INT8 calibration" not in result.stderr
    assert json.loads(result.stdout)["models"][0]["pictures_calibrated_with"] == 0
