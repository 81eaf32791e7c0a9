"""What ``build`` refuses before the long work, and what is no model to it; and the mixed network that it gives."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.quantization.square_model import write_labelled, write_pictures, write_square_model


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The detector of squares, and images for it."""
    monkeypatch.chdir(tmp_path)
    write_square_model(tmp_path / "engines/selftest/selftest.onnx")
    write_pictures(tmp_path / "images", 10)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--keep-float", "conv9"), "has no layer 'conv9'"),
        (("--target", "tensorrt"), "tensorrt is not installed"),
        (("--data", "nowhere"), "nowhere is not a folder"),
        (("--data", "voc", "--split", "test"), "voc contains no data set split 'test'"),
        (("--data", "others"), "the model does not have the classes 'crimson' of VOC others"),
        (("--data", "voc", "--images", "voc/JPEGImages"), "were used for calibration, so the accuracy would be"),
        (("--refine",), "--refine needs more calibration images: got 10; wanted at least 16"),
        (("-o", "blocked/x.engine"), "blocked cannot be written"),
        (("-o", "images.engine"), "images.engine is a folder"),
    ],
)
def test_what_cannot_be_built_is_refused_before_ranges_are_measured(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    (workspace / "blocked").write_text("a file")
    (workspace / "images.engine").mkdir()
    write_labelled(workspace / "voc", "val", 4)
    for path in [*write_labelled(workspace / "others", "val", 4).glob("Annotations/*.xml"), Path("others/labels.txt")]:
        path.write_text(path.read_text().replace("red", "crimson"))
    monkeypatch.setattr("ssd_edge.quantization.observer.Observer.observe", None)
    result = run("build", "--int8", "--images", "images", *arguments)
    assert result.exit_code == 1, result.exception
    assert message in result.output
    assert not list(workspace.rglob("*.ranges.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--compute-capabilities", "99"), "cannot build for GPUs of compute capability 99"),
        (("--version-compatible",), "does not support --version-compatible"),
    ],
)
def test_what_rtx_cannot_do_is_refused_before_ranges_are_measured(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    monkeypatch.setattr("ssd_edge.quantization.observer.Observer.observe", None)
    result = run("build", "--int8", "--images", "images", "--target", "tensorrt-rtx", *arguments)
    assert result.exit_code == 1, result.exception
    assert message in result.output


def test_nothing_is_built_to_compare_with_what_cannot_be_built(workspace: Path) -> None:
    result = run("build", "--int8", "--images", "images", "--data", "nowhere", "--compare")
    assert result.exit_code == 1
    assert not list(workspace.rglob("*.engine"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", "images"), "--ranges and --images need --int8. Add --int8, or leave out --ranges and --images."),
        (("--ranges", "a.ranges.json", "--fp16"), "--ranges and --images need --int8"),
        (("--keep-float", "conv2"), "--keep-float needs --int8 or --fp16"),
        (("--max-drop", "1"), "--max-drop needs --data: wanted labelled images"),
        (("--max-drop", "1", "--data", "voc"), "--max-drop needs --int8: got precision fp32"),
        (("--bf16", "--int8"), "--bf16 and --int8 cannot be combined"),
        (("--bf16", "--target", "onnxruntime"), "bf16"),
    ],
)
def test_options_that_would_not_be_heeded(workspace: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("build", *arguments)
    assert result.exit_code == 1
    assert message in result.output


@pytest.mark.parametrize("command", ["build", "calibrate"])
@pytest.mark.parametrize(
    ("options", "name", "made"),
    [
        (("--int8", "--images", "images"), "int8.onnxruntime.onnx", "INT8"),
        (("--int8", "--images", "images"), "int8.onnxruntime.engine", "INT8, optimized by ONNX Runtime"),
        (("--fp16",), "fp16.onnxruntime.onnx", "FP16"),
        ((), "fp32.onnxruntime.engine", "optimized by ONNX Runtime"),
    ],
)
def test_the_graph_of_an_engine_is_no_model_to_build(
    workspace: Path, command: str, options: tuple[str, ...], name: str, made: str
) -> None:
    assert run("build", *options, "--keep-graph").exit_code == 0
    graph = f"engines/selftest/selftest.{name}"
    before = sorted(workspace.rglob("*"))
    result = run(command, graph, *([] if command == "build" else ["--images", "images"]))
    assert result.exit_code == 1
    assert (
        f"{graph} was written by ssd-edge build, not by ssd-edge export: got the graph of an engine: {made}; wanted"
        in result.output
    )
    assert "Use the exported model: engines/selftest/selftest.onnx" in result.output
    assert sorted(workspace.rglob("*")) == before


def test_a_layer_kept_in_float_is_float32_in_the_mixed_network(workspace: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    mixed = ("--int8", "--fp16", "--target", "tensorrt-rtx", "--images", "images", "--keep-graph")
    assert run("build", *mixed, "--keep-float", "conv2").exit_code == 0
    graph = onnx.load("engines/selftest/selftest.int8-fp16.tensorrt-rtx.onnx")
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True)
    types = {entry.name: entry.type.tensor_type.elem_type for entry in inferred.graph.value_info}
    assert types["conv2"] == onnx.TensorProto.FLOAT
    assert types["conv3"] == onnx.TensorProto.FLOAT16


def test_a_network_without_convolutions_has_nothing_for_int8(workspace: Path) -> None:
    write_tiny_onnx(workspace / "bright.onnx")
    result = run("build", "bright.onnx", "--int8", "--images", "images")
    assert result.exit_code == 1
    assert "bright.onnx has no convolution to compute in INT8. Build the engine without --int8." in result.output
