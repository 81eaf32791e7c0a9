from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.quantization.square_model import write_labelled, write_pictures, write_square_model


def test_builds_the_newest_onnx_of_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_onnx(tmp_path / "engines/bright/bright.onnx")
    monkeypatch.chdir(tmp_path)
    first = CliRunner().invoke(app, ["build"])
    assert first.exit_code == 0
    assert "using engines/bright/bright.onnx" in first.stderr
    assert "built engines/bright/bright.fp32.onnxruntime.engine: fp32 for onnxruntime" in first.stderr
    assert (tmp_path / "engines/bright/bright.fp32.onnxruntime.json").is_file()
    assert "already built" in CliRunner().invoke(app, ["build"]).stderr


def test_empty_workspace_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["build"])
    assert result.exit_code == 1
    assert "no file matches engines/*/*.onnx: wanted an exported model" in result.stderr


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Squares as a labelled VOC data set, and the model that finds them."""
    monkeypatch.chdir(tmp_path)
    write_square_model(tmp_path / "engines/selftest/selftest.onnx")
    write_pictures(tmp_path / "images", 10)
    return tmp_path


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def manifest(name: str) -> dict[str, object]:
    return json.loads(Path(f"engines/selftest/selftest.{name}.json").read_text())


def test_int8_calibrates_where_there_is_no_table(workspace: Path) -> None:
    result = run("build", "--int8", "--images", "images")
    assert result.exit_code == 0, result.output
    assert "calibration/selftest.ranges.json does not exist: calibrating" in result.output
    assert "ms an image" in result.output
    made = manifest("int8.onnxruntime")
    assert made["precision"] == "int8"
    assert made["table_digest"]
    assert made["options"]["scheme"] in ("u8s8", "u8s8-paired", "s8s8")
    again = run("build", "--int8")
    assert "using calibration/selftest.ranges.json" in again.output
    assert "already built" in again.output
    detected = run(
        "run", "images", "--model", "engines/selftest/selftest.int8.onnxruntime.engine", "--json", "-", "--no-window"
    )
    assert detected.exit_code == 0, detected.output
    assert '"label"' in detected.stdout


def test_int8_without_pictures(workspace: Path) -> None:
    result = run("build", "--int8")
    assert result.exit_code == 1
    assert "no images were found to calibrate selftest on" in result.output
    assert not list(Path("engines/selftest").glob("*.engine"))


def test_a_table_of_an_older_onnx_is_refused(workspace: Path) -> None:
    assert run("build", "--int8", "--images", "images").exit_code == 0
    path = workspace / "engines/selftest/selftest.onnx"
    model = onnx.load(path)
    model.doc_string = "edited"
    onnx.save(model, path)
    result = run("build", "--int8")
    assert result.exit_code == 1
    assert "calibration/selftest.ranges.json does not belong to" in result.output
    assert "ssd-edge calibrate" in result.output


def test_a_table_of_another_model_is_refused(workspace: Path) -> None:
    write_tiny_onnx(workspace / "engines/bright/bright.onnx")
    assert run("calibrate", "engines/selftest/selftest.onnx", "--images", "images").exit_code == 0
    table = "calibration/selftest.ranges.json"
    result = run("build", "engines/bright/bright.onnx", "--int8", "--ranges", table)
    assert result.exit_code == 1
    assert (
        f"{table} does not belong to the current engines/bright/bright.onnx: got ranges of 'selftest'" in result.output
    )
    assert not list(workspace.rglob("*.engine"))


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_table_that_is_cut_short_is_refused(workspace: Path, kept: float) -> None:
    assert run("build", "--int8", "--images", "images").exit_code == 0
    before = (workspace / "engines/selftest/selftest.int8.onnxruntime.engine").read_bytes()
    path = workspace / "calibration/selftest.ranges.json"
    text = path.read_text()
    path.write_text(text[: int(kept * len(text))])
    result = run("build", "--int8")
    assert result.exit_code == 1
    assert (
        "calibration/selftest.ranges.json is a damaged calibration table: got text that is not valid JSON"
        in result.output
    )
    assert "Create it again: ssd-edge calibrate" in result.output
    assert (workspace / "engines/selftest/selftest.int8.onnxruntime.engine").read_bytes() == before


def test_pictures_that_were_calibrated_with_judge_nothing(workspace: Path) -> None:
    write_labelled(workspace / "voc", "val", 8)
    assert run("build", "--int8", "--images", "voc/JPEGImages").exit_code == 0
    result = run("build", "--int8", "--data", "voc", "--force")
    assert result.exit_code == 1
    assert "8 images of VOC voc, split val were used for calibration, so the accuracy would be" in result.output
    write_labelled(workspace / "others", "val", 4, seed=77)
    assert run("build", "--int8", "--data", "others").exit_code == 0


def test_another_table_is_another_engine(workspace: Path) -> None:
    assert run("build", "--int8", "--images", "images").exit_code == 0
    assert run("calibrate", "--method", "entropy").exit_code == 0
    result = run("build", "--int8")
    assert "already built" not in result.output


def test_a_layer_kept_in_float_is_written_down(workspace: Path) -> None:
    assert run("build", "--int8", "--images", "images", "--keep-float", "conv2", "--keep-graph").exit_code == 0
    assert manifest("int8.onnxruntime")["options"]["keep_float"] == ["conv2"]
    shown = run("inspect", "engines/selftest/selftest.int8.onnxruntime.engine")
    assert "fp32 convolutions 1, int8 convolutions 4" in shown.output
    assert Path("engines/selftest/selftest.int8.onnxruntime.onnx").is_file()
    again = run("build", "--int8", "--keep-float", "conv2")  # the graph that was kept is newer, and no export
    assert "using engines/selftest/selftest.onnx" in again.output
    assert "already built" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--int8", "--fp16"), "cannot mix INT8 and FP16"),
        (("--dla", 0), "--dla needs TensorRT, not onnxruntime"),
        (("--max-drop", 0.5), "--max-drop needs --data"),
        (("--target", "onnxruntime", "--batch", "1:4:8"), "need TensorRT: --batch, --builder-memory"),
        (("--target", "onnxruntime", "--board", "desktop"), "need TensorRT: --batch, --builder-memory"),
        (("--target", "tensorrt", "--dla", 0), "a DLA cannot compute in FP32. Add --int8 or --fp16"),
        (("--target", "tensorrt", "--int8", "--dla", 0, "--data", "images"), "got INT8 from a calibration cache"),
        (("--target", "tensorrt", "--int8", "--dla", 0, "--keep-graph"), "got INT8 from a calibration cache"),
        (("--target", "tensorrt", "--int8", "--implicit", "--sensitivity"), "got INT8 from a calibration cache"),
        (("--target", "tensorrt", "--int8", "--implicit", "--refine"), "leave out --dla and --implicit"),
        (("--target", "tensorrt-rtx", "--int8", "--implicit"), "--implicit needs TensorRT, not tensorrt-rtx"),
        (("--target", "tensorrt", "--fp16", "--implicit"), "--implicit needs --int8"),
        (
            ("--target", "tensorrt", "--fp16", "--dla", 0, "--batch", "1:4:8"),
            "fixed batch size: got 1:4:8. Give one batch size: ",
        ),
        (("--batch", "8:1"), "--batch is invalid"),
        (("--target", "tensorrt-rtx", "--compute-capabilities", "8²"), "--compute-capabilities is invalid: got '8²'"),
        (("--target", "tensorrt-rtx", "--compute-capabilities", "9" * 5000), "--compute-capabilities is invalid"),
        (
            ("--builder-memory", "nan"),
            "--builder-memory is out of range: got nan; wanted more than 0 and at most 1024 GiB",
        ),
        (("--fp16", "--keep-float", "conv9"), "has no layer 'conv9', which --keep-float names: wanted conv"),
        (("--board", "toaster"), "there is no board profile 'toaster'"),
        (("--compute-capabilities", "ampere"), "--compute-capabilities is invalid"),
        (("--target", "tensorrt"), "tensorrt is not installed"),
    ],
)
def test_what_does_not_go_together(workspace: Path, arguments: tuple[object, ...], message: str) -> None:
    result = run("build", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert not list(Path("engines/selftest").glob("*.engine"))


@pytest.mark.parametrize("changes", [{"device": "riscv64"}, {"runtime_version": "0.1"}])
def test_engine_of_another_machine_is_refused_with_the_command(workspace: Path, changes: dict[str, str]) -> None:
    assert run("build").exit_code == 0
    path = workspace / "engines/selftest/selftest.fp32.onnxruntime.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    result = run("run", "images", "--model", path.with_suffix(".engine"), "--no-window")
    assert result.exit_code == 1
    assert "was not built for this machine: got onnxruntime" in result.output
    assert "Build the engine again on this machine: ssd-edge build" in result.output


def test_interrupted_build_leaves_nothing_half_written(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self, model, engine, progress, **others) -> None:
        engine.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("ssd_edge.engines.ort_build.OrtBuilder.build", stop)
    assert run("build").exit_code == 130
    assert sorted(path.name for path in Path("engines/selftest").iterdir()) == ["selftest.onnx"]


def test_rtx_engine_for_two_generations(workspace: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    result = run(
        "build", "--int8", "--fp16", "--images", "images", "--target", "tensorrt-rtx", "--batch", "1:4:8",
        "--compute-capabilities", "86,12.0",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    made = manifest("int8-fp16.tensorrt-rtx")
    assert (made["device"], made["batch"]) == ("sm_86+sm_120", [1, 4, 8])


def test_rtx_engine_by_the_profile_of_desktop_cards(workspace: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    result = run("build", "--target", "tensorrt-rtx", "--board", "desktop")
    assert result.exit_code == 0, result.output
    assert manifest("fp32.tensorrt-rtx")["device"] == "sm_75+sm_80+sm_86+sm_89+sm_120"


def test_images_that_were_left_out_are_counted(workspace: Path) -> None:
    (workspace / "images/000.png").write_bytes(b"damaged")
    result = run("build", "--int8", "--images", "images")
    assert result.exit_code == 0, result.output
    assert "1 image left out, for example images/000.png" in " ".join(result.output.split())
