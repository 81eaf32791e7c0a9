"""Advice on speed: which precision is the fastest here, and what to type where it is not the one that was built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.choices import Precision
from ssd_edge.core.errors import DeviceError
from ssd_edge.core.workspace import newest_engine
from ssd_edge.engines.benchmark import verdict
from tests.quantization.square_model import rescaled, square_model, write_labelled, write_pictures, write_square_model

FOLDER = Path("engines/selftest")
COMMANDS = {Precision.FP32: "build fp32", Precision.FP16: "run fp16", Precision.INT8: "run int8"}


def run(*arguments: str):
    return CliRunner().invoke(app, ["build", *arguments])


def manifest(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"selftest.{name}.onnxruntime.json").read_text())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_square_model(tmp_path / FOLDER / "selftest.onnx")
    write_pictures(tmp_path / "images", 8)
    return tmp_path


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Which files were timed together; the first takes 3 ms, the others 1 ms less each."""
    seen: list[list[str]] = []

    def times(models: list[Path], batch: int) -> list[float]:
        seen.append([path.name for path in models])
        assert batch == 1
        return [3.0 - number for number in range(len(models))]

    monkeypatch.setattr("ssd_edge.engines.benchmark.median_times", times)
    return seen


@pytest.mark.parametrize(
    ("mine", "times", "said"),
    [
        ("int8", {"int8": 1.0, "fp32": 4.0}, "int8 is the fastest here: 1.00 ms an image; fp32 4.00 ms, 4.00 times"),
        (
            "int8",
            {"int8": 2.0, "fp16": 1.0, "fp32": 3.0},
            "int8 is SLOWER here: 2.00 ms an image; fp16 1.00 ms, 0.50 times as long; fp32 3.00 ms, 1.50 times as "
            "long. Use fp16: run fp16",
        ),
        ("int8", {"int8": 2.0, "fp32": 1.0}, "Use fp32: build fp32"),
        ("fp32", {"fp32": 2.0, "int8": 1.0}, "fp32 is not the fastest here: 2.00 ms an image"),
    ],
)
def test_verdict(mine: str, times: dict[str, float], said: str) -> None:
    assert said in verdict(Precision(mine), {Precision(name): ms for name, ms in times.items()}, COMMANDS)


def test_int8_that_is_slower_is_said_with_the_float_command(workspace: Path, timed: list[list[str]]) -> None:
    result = run("--int8", "--images", "images")
    assert timed == [["selftest.int8.onnxruntime.engine", "float32.engine"]]
    assert "int8 is SLOWER here: 3.00 ms an image; fp32 2.00 ms, 0.67 times as long" in result.output
    assert f"Use fp32: ssd-edge build {FOLDER / 'selftest.onnx'}\n" in result.output
    assert manifest("int8")["times_ms"] == {"int8": 3.0, "fp32": 2.0}
    assert sorted(path.name for path in FOLDER.glob("*.engine")) == ["selftest.int8.onnxruntime.engine"]


def test_compare_builds_what_is_missing_and_times_it_once(workspace: Path, timed: list[list[str]]) -> None:
    first = run("--int8", "--images", "images", "--compare")
    assert first.exit_code == 0, first.output
    assert "building fp32 for comparison" in first.output
    float32 = FOLDER / "selftest.fp32.onnxruntime.engine"
    assert f"Use fp32: ssd-edge run --model {float32}\n" in first.output
    assert (
        newest_engine(Path()).path.name == "selftest.int8.onnxruntime.engine"
    )  # what was asked for, and not to compare
    again = run("--int8", "--compare")
    assert "to compare with" not in again.output
    assert "times as measured earlier: int8 is SLOWER here" in again.output
    assert timed == [["selftest.int8.onnxruntime.engine", float32.name]]
    assert "fp32 is the fastest here" not in run().output
    assert timed[1:] == [[float32.name, "selftest.int8.onnxruntime.engine"]]  # the other precision lies there now


def test_a_plain_float_engine_has_nothing_to_be_timed_against(workspace: Path, timed: list[list[str]]) -> None:
    assert "ms an image" not in run().output
    assert timed == []


def test_an_engine_that_cannot_be_timed_is_built_all_the_same(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(models: list[Path], batch: int) -> list[float]:
        raise DeviceError("the GPU is gone", do="Run: ssd-edge doctor")

    monkeypatch.setattr("ssd_edge.engines.benchmark.median_times", broken)
    result = run("--int8", "--images", "images")
    assert result.exit_code == 0
    assert "times not measured: the GPU is gone. Run: ssd-edge doctor" in result.output
    asked = run("--int8", "--compare")
    assert asked.exit_code == 1
    assert "ssd-edge: the GPU is gone" in asked.output


def test_nothing_here_can_run_an_engine_for_a_gpu(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.workflows.build.config.describe_gpu", lambda: None)
    result = run("--target", "tensorrt-rtx", "--compare")
    assert result.exit_code == 1
    assert "--compare must run the engines, which need a GPU: got no CUDA driver" in result.output
    assert not list(FOLDER.glob("*.engine"))


def test_what_the_guard_costs_is_said_and_kept(workspace: Path, timed: list[list[str]]) -> None:
    onnx.save(rescaled(square_model(), 2000), FOLDER / "selftest.onnx")
    write_labelled(workspace / "voc")
    guarded = ("--int8", "--data", "voc", "--max-drop", "1")
    first = run(*guarded, "--images", "images")
    assert timed[0] == ["int8.engine", "selftest.int8.onnxruntime.engine"]
    costs = "which costs -1.00 ms per image"
    assert f"{costs}: 2.00 ms, against 3.00 ms with every layer in INT8" in first.output
    assert manifest("int8")["fallback_cost_ms"] == -1
    again = run(*guarded)
    assert "in FP32 or FP16: " in again.output
    assert costs in again.output
    assert len(timed) == 2  # with the float engine, the first time


def test_a_guard_whose_cost_cannot_be_timed_is_kept(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(models: list[Path], batch: int) -> list[float]:
        raise DeviceError("the GPU is gone")

    monkeypatch.setattr("ssd_edge.engines.benchmark.median_times", broken)
    onnx.save(rescaled(square_model(), 2000), FOLDER / "selftest.onnx")
    write_labelled(workspace / "voc")
    result = run("--int8", "--data", "voc", "--max-drop", "1", "--images", "images")
    assert result.exit_code == 0, result.output
    assert "layers cost was not measured: the GPU is gone" in result.output
    assert manifest("int8")["options"]["keep_float"]
    assert manifest("int8")["fallback_cost_ms"] is None


def test_int8_is_not_compared_without_ranges(workspace: Path, timed: list[list[str]]) -> None:
    result = run("--compare")
    assert result.exit_code == 0, result.output
    assert "int8 is not compared, as it has no calibration table; build --int8 --compare makes one" in result.output
    assert [path.name for path in FOLDER.glob("*.engine")] == ["selftest.fp32.onnxruntime.engine"]


def test_nothing_is_timed_where_the_guard_returned_nothing(workspace: Path, timed: list[list[str]]) -> None:
    write_labelled(workspace / "voc")
    result = run("--int8", "--images", "images", "--data", "voc", "--max-drop", "50")
    assert result.exit_code == 0
    assert "which costs" not in result.output
    assert timed == [["selftest.int8.onnxruntime.engine", "float32.engine"]]
