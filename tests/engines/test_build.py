from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.backends.cpu import cpu_device
from ssd_edge.backends.detector import open_detector
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import Accuracy, EngineManifest, manifest_path
from ssd_edge.engines.build import build_engine, build_lowered
from ssd_edge.engines.builder import Builder, Lowered
from ssd_edge.engines.processor import processor_builder
from ssd_edge.graph.source import read_onnx
from tests.backends.tiny_onnx import tiny_spec, write_tiny_onnx


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return write_tiny_onnx(tmp_path / "engines/bright/bright.onnx")


@pytest.fixture(params=[Target.ONNXRUNTIME, Target.OPENVINO], ids=str)
def builder(request: pytest.FixtureRequest) -> Builder:
    """Of every runtime of a processor."""
    return processor_builder(request.param, Precision.FP32)


def bright_picture() -> np.ndarray:
    picture = np.zeros((100, 200, 3), np.uint8)
    cv2.rectangle(picture, (50, 25), (149, 74), (255, 255, 255), -1)
    return picture


def test_engine_sees_what_the_onnx_sees(onnx: Path, builder: Builder) -> None:
    engine = build_engine(onnx, builder=builder).engine
    assert engine == onnx.with_name(f"bright.fp32.{builder.target}.engine")
    with open_detector(onnx) as first, open_detector(engine) as second:
        assert first.spec == second.spec == tiny_spec("bright")
        wanted, found = first.detect(bright_picture()), second.detect(bright_picture())
    assert len(found) == 1
    assert found.boxes.tolist() == wanted.boxes.tolist()
    assert found.scores.tolist() == wanted.scores.tolist()


def test_manifest_says_where_it_came_from_and_where_it_runs(onnx: Path, builder: Builder) -> None:
    report = build_engine(onnx, builder=builder)
    found = EngineManifest.load(manifest_path(report.engine))
    assert found == report.manifest
    assert (found.target, found.precision, found.runtime) == (builder.target, "fp32", builder.target.value)
    assert (found.runtime_version, found.device) == (builder.runtime_version, cpu_device())
    assert (found.onnx, found.onnx_digest) == ("bright.onnx", file_digest(onnx))
    assert found.engine_digest == file_digest(report.engine)


def test_same_inputs_are_not_built_again(onnx: Path, builder: Builder) -> None:
    first = build_engine(onnx, builder=builder)
    stamp = first.engine.stat().st_mtime_ns
    second = build_engine(onnx, builder=builder)
    assert (first.reused, second.reused) == (False, True)
    assert second.engine.stat().st_mtime_ns == stamp
    assert not build_engine(onnx, builder=builder, force=True).reused


def test_what_is_measured_later_is_written_down_too(onnx: Path, builder: Builder) -> None:
    source = read_onnx(onnx)
    first, later = Accuracy(0.75, 0.5, "sha256:0"), Accuracy(0.75, 0.25, "sha256:1")
    build_lowered(source, Lowered(source.model, accuracy=first), builder)
    assert build_lowered(source, Lowered(source.model), builder).manifest.accuracy == first
    again = build_lowered(source, Lowered(source.model, accuracy=later), builder)
    assert again.reused
    assert EngineManifest.load(manifest_path(again.engine)).accuracy == later


def test_an_engine_of_an_older_builder_is_built_again(
    onnx: Path, builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph is the same, and what becomes of it is not."""
    assert not build_engine(onnx, builder=builder).reused
    monkeypatch.setattr(type(builder), "builder_version", 0)
    assert not build_engine(onnx, builder=builder).reused


@pytest.mark.parametrize("change", ["onnx", "engine", "manifest", "device"])
def test_any_change_is_built_again(onnx: Path, builder: Builder, change: str) -> None:
    report = build_engine(onnx, builder=builder)
    if change == "onnx":
        write_tiny_onnx(onnx, shift=0.1)
    elif change == "engine":
        report.engine.write_bytes(report.engine.read_bytes() + b"x")
    elif change == "manifest":
        manifest_path(report.engine).write_text("{")
    else:
        fields = json.loads(manifest_path(report.engine).read_text())
        manifest_path(report.engine).write_text(json.dumps({**fields, "device": "another"}))
    again = build_engine(onnx, builder=builder)
    assert not again.reused
    assert again.manifest.onnx_digest == file_digest(onnx)
    with open_detector(again.engine) as detector:
        assert len(detector.detect(bright_picture())) == 1


def test_engine_of_an_older_onnx_does_not_run(onnx: Path, builder: Builder) -> None:
    engine = build_engine(onnx, builder=builder).engine
    write_tiny_onnx(onnx, shift=0.1)
    with pytest.raises(ArtifactError, match="was built from another version of"):
        open_detector(engine)


def test_onnx_outside_the_engines_folder_is_found_again(onnx: Path, tmp_path: Path) -> None:
    report = build_engine(onnx, tmp_path / "elsewhere" / "b.engine")
    assert report.manifest.onnx_path(report.engine).resolve() == onnx.resolve()


def test_foreign_onnx_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    foreign = write_tiny_onnx(tmp_path / "foreign.onnx", with_spec=False)
    with pytest.raises(ArtifactError, match="foreign.onnx was not exported by ssd-edge"):
        build_engine(foreign)
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.onnx"]


def test_engine_needs_its_suffix(onnx: Path) -> None:
    with pytest.raises(
        InputError, match=r"b\.onnx is not a valid name for an engine: wanted a name that ends with \.engine"
    ):
        build_engine(onnx, onnx.with_name("b.onnx"))


def test_unwritable_place_is_named_and_the_old_engine_stays(onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(InputError, match="blocked cannot be written"):
        build_engine(onnx, tmp_path / "blocked" / "b.engine")
    assert (tmp_path / "blocked").read_text() == "a file"
