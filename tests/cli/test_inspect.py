from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.engines.build import build_engine
from tests.precision.square_model import observed, table_of, write_square_model


def run(*arguments: object):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def facts(path: Path) -> dict[str, object]:
    result = run(path, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_onnx_engine_and_manifest(tmp_path: Path) -> None:
    onnx = write_square_model(tmp_path / "squares.onnx")
    engine = build_engine(onnx).engine
    assert facts(onnx)["classes"] == ["red", "green", "blue"]
    assert facts(onnx)["layers"] == {"fp32 convolutions": 5}
    assert facts(engine)["runs here"] == "yes"
    assert facts(engine)["layers"] == {"fp32 convolutions": 5}
    assert facts(engine.with_suffix(".json"))["kind"] == "manifest of an engine"
    assert "default boxes  512" in run(onnx).stdout


def test_table_and_set(tmp_path: Path) -> None:
    table_of(tmp_path).save(tmp_path / "m.ranges.json")
    _, chosen, _ = observed(tmp_path)
    chosen.save(tmp_path / "m.images.json")
    assert facts(tmp_path / "m.ranges.json")["tensors"] == 6
    assert facts(tmp_path / "m.images.json")["pictures"] == 8


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "x", "a.txt is nothing that ssd-edge makes: got suffix '.txt'"),
        ("a.onnx", "x", "a.onnx"),
        ("a.json", "{}", "is not a manifest"),
        ("a.ranges.json", "{}", "is a damaged table of ranges"),
        ("a.images.json", "{}", "is not a calibration set"),
        ("a.engine", "x", "a.json cannot be read"),
        ("a.pt", "x", "a.pt"),
    ],
)
def test_what_it_is_not(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    result = run(tmp_path / name)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_nothing_there(tmp_path: Path) -> None:
    assert "no such file" in run(tmp_path / "a.onnx").output
