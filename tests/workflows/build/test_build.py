"""``build`` and ``calibrate`` as functions: silent, typed, and the same from any folder."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
from pathlib import Path
from typing import Any

import onnx
import pytest

from ssd_edge.backends.openvino.backend import OpenVinoBackend
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import AccuracyError, ArtifactError, InputError
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.core.workspace import newest_engine
from ssd_edge.core.workspace_records import make_current, read_current
from ssd_edge.workflows.build.build import AccuracyGate, BuildConfig, BuildOptions, FailedGate, build
from ssd_edge.workflows.calibrate import calibrate
from ssd_edge.workflows.calibrate_config import CalibrateConfig, CalibrateOptions
from tests.quantization.square_model import rescaled, square_model, write_labelled, write_pictures


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that is not the current folder: a network that INT8 harms, images, and labelled ones."""
    root = tmp_path / "workspace"
    model = root / "engines/selftest/selftest.onnx"
    model.parent.mkdir(parents=True)
    onnx.save(rescaled(square_model(), 2000), model)
    write_pictures(tmp_path / "images", 18)
    write_labelled(tmp_path / "voc")
    monkeypatch.setattr("ssd_edge.engines.benchmark._ROUNDS", 2)
    monkeypatch.setattr(log, "handlers", [logging.NullHandler()])  # a command line that ran before left its own
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return root


def relative(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("target", [Target.ONNXRUNTIME, Target.OPENVINO], ids=str)
def test_all_that_is_made_lies_in_the_workspace_and_nothing_is_printed(
    workspace: Path, target: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[ProgressEvent] = []
    made = build(precision="int8", target=target, images="../images", workspace=workspace, progress=events.append)
    assert capfd.readouterr() == ("", "")
    assert not list(Path().iterdir())
    assert made.path == workspace / f"engines/selftest/selftest.int8.{target}.engine"
    assert (made.manifest.precision, made.manifest.target) == (Precision.INT8, target)
    assert set(made.times_ms) == {Precision.INT8, Precision.FP32}
    assert (made.reused, made.left_out, made.graph, made.accuracy) == (False, (), None, None)
    assert {"calibration/selftest.ranges.json", "engines/current.json"} <= relative(workspace)
    stages = [event.stage for event in events if event.is_over]
    assert stages == ["images", "calibrating", "building"]
    again = build(precision=Precision.INT8, target=target, workspace=workspace)
    assert again.reused
    assert again.manifest == made.manifest


def test_images_that_cannot_be_read_are_left_out_and_named(workspace: Path) -> None:
    damaged = Path("../images/damaged.png")
    damaged.write_bytes(b"no image")
    made = build(precision="int8", images="../images", workspace=workspace)
    assert [Path(lost.what).name for lost in made.left_out] == ["damaged.png"]
    measured = calibrate(images="../images", workspace=workspace, method="minmax")
    assert measured.left_out == made.left_out
    with pytest.raises(InputError, match="damaged.png"):
        calibrate(images="../images", workspace=workspace, strict=True)


@pytest.mark.parametrize("target", [Target.ONNXRUNTIME, Target.OPENVINO], ids=str)
def test_a_gate_that_is_met(workspace: Path, target: Target) -> None:
    gate = AccuracyGate("../voc", max_drop_points=1)
    made = build(precision="int8", target=target, images="../images", accuracy=gate, workspace=workspace)
    assert made.manifest.target is target
    assert made.accuracy is not None
    assert made.accuracy.drop_points <= 1
    assert made.manifest.options.keep_float
    assert made.manifest.fallback_cost_ms is not None


def test_a_gate_that_is_not_met_tells_what_was_measured(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.workflows.build.accuracy.AccuracyChecker.map_float", 2.0)
    config = BuildConfig(Precision.INT8, images=Path("../images"), accuracy=AccuracyGate("../voc", "val", 0.5))
    with pytest.raises(AccuracyError, match="INT8 loses too much") as raised:
        build(config=config, workspace=workspace)
    result = raised.value.result
    assert isinstance(result, FailedGate)
    assert result.path is None
    assert len(result.keep_float) == 5
    assert result.accuracy.drop_points > 0.5
    assert not list(workspace.rglob("*.engine"))


def test_an_option_that_does_not_exist_and_both_forms_at_once(workspace: Path) -> None:
    with pytest.raises(TypeError, match="did you mean precision"):
        build(precison="int8", workspace=workspace)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="options are given twice"):
        build(config=BuildConfig(), precision="int8", workspace=workspace)
    with pytest.raises(InputError, match="precision is not one of the allowed values: got 'int7'"):
        build(precision="int7", workspace=workspace)  # type: ignore[arg-type]


def test_values_that_mean_nothing(workspace: Path) -> None:
    with pytest.raises(InputError, match="keep_float has the wrong type: got str 'conv2'"):
        build(precision="int8", keep_float="conv2", workspace=workspace)
    for points in (-1, float("nan")):
        with pytest.raises(InputError, match="max_drop_points is out of range"):
            AccuracyGate("../voc", max_drop_points=points)


def test_what_run_takes_is_what_was_built_last_unless_another_is_pinned(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = build(workspace=workspace).path
    half = build(precision="fp16", workspace=workspace).path
    assert newest_engine(workspace).path == half
    times = {path: path.stat().st_mtime_ns for path in (first, half)}
    assert build(workspace=workspace).reused
    assert newest_engine(workspace).path == first
    assert {path: path.stat().st_mtime_ns for path in (first, half)} == times
    make_current(workspace, half, "pinned")
    with caplog.at_level("INFO", logger="ssd_edge"):
        build(workspace=workspace)
    current = read_current(workspace)
    assert current is not None
    assert (current.why, newest_engine(workspace).path) == ("pinned", half)
    assert f"run still uses {half} (pinned)" in caplog.text


def test_the_set_of_images_is_read_only_where_images_are_needed(workspace: Path) -> None:
    build(precision="int8", images="../images", workspace=workspace)
    (workspace / "calibration/selftest.images.json").write_text("{")
    assert build(precision="int8", workspace=workspace).reused
    with pytest.raises(ArtifactError, match=r"selftest\.images\.json is"):
        build(precision="int8", refine=True, workspace=workspace)


def test_images_that_the_table_is_not_of_are_refused(workspace: Path) -> None:
    write_pictures(workspace.parent / "others", 5)
    calibrate(images="../images", method="minmax", max_images=6, seed=1, workspace=workspace)
    made = build(precision="int8", workspace=workspace)
    assert build(precision="int8", images="../images", workspace=workspace).manifest == made.manifest
    written = workspace / "calibration/selftest.images.json"
    assert build(precision="int8", images=written, workspace=workspace).reused
    with pytest.raises(InputError, match=r"was not measured on \.\./others") as caught:
        build(precision="int8", images="../others", workspace=workspace)
    assert "ssd-edge calibrate --images ../others" in caught.value.do


def test_images_that_are_absent_or_that_nothing_would_look_at_are_refused(workspace: Path) -> None:
    table = calibrate(images="../images", method="minmax", max_images=6, workspace=workspace).path
    with pytest.raises(InputError, match=r"\.\./nowhere does not exist"):
        build(precision="int8", images="../nowhere", workspace=workspace)
    with pytest.raises(InputError, match="--images has no effect"):
        build(precision="int8", images="../images", ranges=table, workspace=workspace)
    assert build(precision="int8", images="../images", ranges=table, sensitivity=True, workspace=workspace).path


def test_calibrate_gives_the_figures_of_its_table(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = calibrate(images="../images", method="entropy", max_images=6, workspace=workspace)
    assert capfd.readouterr() == ("", "")
    assert made.path == workspace / "calibration/selftest.ranges.json"
    assert made.image_set == workspace / "calibration/selftest.images.json"
    assert (made.model, made.method.value, made.image_count, made.range_count) == ("selftest", "entropy", 6, 6)
    assert (made.is_default, made.left_out) == (True, ())
    elsewhere = calibrate(images="../images", method="minmax", output="mine.ranges.json", workspace=workspace)
    assert Path("mine.ranges.json").is_file()
    assert not elsewhere.is_default
    with pytest.raises(InputError, match="max_images= is too small: got 1; wanted at least 2"):
        calibrate(images="../images", max_images=1, workspace=workspace)


@pytest.mark.parametrize(("config", "options"), [(BuildConfig, BuildOptions), (CalibrateConfig, CalibrateOptions)])
def test_keywords_are_the_fields_of_the_config(config: type, options: type) -> None:
    fields = {entry.name: entry for entry in dataclasses.fields(config)}
    assert list(fields) == list(options.__annotations__)
    assert all(
        entry.default is not dataclasses.MISSING or entry.default_factory is not dataclasses.MISSING
        for entry in fields.values()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"precision": "bf16", "target": "onnxruntime"},
            "bfloat16 engines only for OpenVINO: got --target onnxruntime; wanted --target openvino",
        ),
        (
            {"precision": "fp16", "target": "openvino", "keep_float": ["conv2"]},
            "OpenVINO, which chooses the FP16 layers itself",
        ),
        ({"target": "openvino", "board": "orin-nano"}, "these options need TensorRT.*got --target openvino"),
    ],
)
def test_what_a_runtime_of_the_processor_cannot_do(workspace: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**options, workspace=workspace)
    assert not list(workspace.rglob("*.engine"))


def test_the_accuracy_of_a_float_type_is_measured_where_it_is_computed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its graph is the exported one: only OpenVINO knows what bfloat16 makes of it."""
    opened: list[tuple[str, str]] = []
    original = OpenVinoBackend.__init__

    def noting(self: OpenVinoBackend, path: Path, *arguments: Any, **options: Any) -> None:
        opened.append((path.name, EngineManifest.load(manifest_path(path)).precision.value))
        original(self, path, *arguments, **options)

    monkeypatch.setattr(OpenVinoBackend, "__init__", noting)
    monkeypatch.setattr("ssd_edge.backends.openvino.module._CAPABILITY", {})
    gate = AccuracyGate("../voc")
    made = build(precision="bf16", target="openvino", accuracy=gate, workspace=workspace)
    assert opened[0] == ("lowered.engine", "bf16")
    assert made.accuracy is not None
    assert made.accuracy.map_50_float > 0.9


def test_build_reads_top_to_bottom() -> None:
    """At most 60 lines, its docstring included."""
    assert len(inspect.getsource(build).splitlines()) <= 60


def test_a_note_that_cannot_be_written_ends_it_before_the_work(workspace: Path) -> None:
    before = sorted(workspace.rglob("*"))
    os.mkfifo(workspace / "engines/current.json")
    with pytest.raises(InputError, match=r"current\.json is not a regular file"):
        build(workspace=workspace)
    (workspace / "engines/current.json").unlink()
    assert sorted(workspace.rglob("*")) == before


def test_only_the_note_that_a_build_writes_must_be_writable(workspace: Path, tmp_path: Path) -> None:
    onnx_file = workspace / "engines/selftest/selftest.onnx"
    for name in ("current.json", "exported.json"):
        (workspace / "engines" / name).mkdir()
    with pytest.raises(InputError, match=r"current\.json is a folder"):
        build(onnx_file, precision="fp32", workspace=workspace)
    assert not list(workspace.rglob("*.engine"))
    outside = build(onnx_file, precision="fp32", workspace=workspace, output=tmp_path / "a.engine")
    assert outside.path == tmp_path / "a.engine"
    (workspace / "engines/current.json").rmdir()
    inside = build(onnx_file, precision="fp32", workspace=workspace)
    assert newest_engine(workspace).path == inside.path
