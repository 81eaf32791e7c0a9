"""``selftest`` as a program calls it: silent but for the log, with a typed result."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import write_image
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.engines.build import build_engine
from ssd_edge.streaming.sources.camera_rate import CameraRate
from ssd_edge.workflows.diagnose import DiagnoseResult
from ssd_edge.workflows.selftest import SelftestResult, Verdict, selftest
from ssd_edge.workflows.selftest_config import SelftestConfig, SelftestOptions
from tests.quantization.square_model import write_pictures, write_square_model

MACHINE = DiagnoseResult((), {})


def test_small_engines_are_proved_in_the_workspace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    events: list[ProgressEvent] = []
    caplog.set_level("INFO", logger="ssd_edge")
    result = selftest(frames=3, machine=MACHINE, workspace=tmp_path, progress=events.append)
    assert result.path == tmp_path / "selftest.html"
    assert "as it should be" in result.path.read_text()
    assert [(verdict.precision, verdict.runtime) for verdict in result.verdicts][:2] == [
        ("fp32", "onnxruntime"), ("int8", "onnxruntime"),
    ]  # fmt: skip
    assert result.faults == ()
    assert result.warning == ""
    assert list(dict.fromkeys(event.stage for event in events))[:2] == ["fp32 on onnxruntime", "int8 on onnxruntime"]
    assert json.loads(json.dumps(result.to_dict()))["selftest"][0]["emulated"] is False
    assert [entry.why for entry in result.left_out] == [
        record.getMessage() for record in caplog.records if "TensorRT" in record.getMessage()
    ]
    assert capfd.readouterr().out == ""


def test_an_engine_of_ones_own_on_the_first_images(tmp_path: Path) -> None:
    engine = build_engine(write_square_model(tmp_path / "squares.onnx")).engine
    write_pictures(tmp_path / "images", 18)
    page = tmp_path / "page.html"
    result = selftest(engine, tmp_path / "images", frames=2, html=str(page), machine=MACHINE)
    assert result.path == page
    assert result.faults == ()
    assert [Path(entry.what).name for entry in result.left_out] == ["016.png", "017.png"]


def test_an_engine_that_detects_nothing_has_a_fault(tmp_path: Path) -> None:
    engine = build_engine(write_square_model(tmp_path / "squares.onnx")).engine
    (tmp_path / "black").mkdir()
    write_image(tmp_path / "black/0.png", np.zeros((128, 128, 3), np.uint8))
    config = SelftestConfig(frames=1, html=tmp_path / "page.html")
    result = selftest(engine, tmp_path / "black", config=config, machine=MACHINE)
    assert len(result.faults) == 1
    assert "nothing was detected" in result.faults[0]


def test_a_camera_is_measured_or_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = build_engine(write_square_model(tmp_path / "squares.onnx")).engine
    write_pictures(tmp_path / "images", 1)
    absent = selftest(engine, tmp_path / "images", frames=1, camera=63, machine=MACHINE, workspace=tmp_path)
    assert absent.camera is None
    assert "camera 63: it cannot be opened, or gives no image" in map(str, absent.left_out)
    rate = CameraRate(30.0, 24.0, 2.0, (640, 480))
    monkeypatch.setattr("ssd_edge.workflows.selftest.measure_rate", lambda *_: rate)
    found = selftest(engine, tmp_path / "images", frames=1, camera=1, machine=MACHINE, workspace=tmp_path)
    assert (found.camera, found.left_out) == (rate, ())
    page = found.path.read_text()
    assert "camera 1" in page
    assert str(rate) in page


def test_images_without_an_engine(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without an engine to test"):
        selftest(images=tmp_path, machine=MACHINE)


def test_a_virtual_gpu_is_warned_of() -> None:
    verdict = Verdict.failed("fp32", "tensorrt", "no kernel", is_virtual=True)
    result = SelftestResult(Path("selftest.html"), (verdict,), MACHINE)
    assert verdict.where == "tensorrt (virtual)"
    assert "The GPU is virtual" in result.warning
    assert result.to_dict()["selftest"][0]["emulated"] is True


def test_options_are_the_fields() -> None:
    assert set(SelftestOptions.__annotations__) == {field.name for field in dataclasses.fields(SelftestConfig)}
