from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssd_edge.backends.tensorrt.layers import EngineLayer
from ssd_edge.engines.build_log import count_on_dla, keep_log, log_path


@pytest.fixture(autouse=True)
def _logging(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ssd_edge")


def builder(*, warnings: list[str], errors: list[str]) -> Any:
    heard = SimpleNamespace(warnings=warnings, errors=errors)
    return SimpleNamespace(messages=heard, runtime="tensorrt", runtime_version="10.3.0", device="Orin sm_87")


def test_messages_are_written_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = tmp_path / "m.int8.tensorrt.engine"
    keep_log(engine, builder(warnings=["careful", "DLA: no"], errors=["wrong"]), for_dla=False)
    assert log_path(engine).read_text().splitlines() == [
        "tensorrt 10.3.0 on Orin sm_87, building m.int8.tensorrt.engine",
        "error: wrong",
        "warning: careful",
        "warning: DLA: no",
    ]
    said = " ".join(caplog.text.split())
    assert "TensorRT gave 2 warnings and 1 error: " in said
    assert "DLA: no" not in said


def test_where_nothing_was_said_an_old_log_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = tmp_path / "m.engine"
    log_path(engine).write_text("of the last build")
    keep_log(engine, SimpleNamespace(messages=None), for_dla=False)  # ONNX Runtime's builder
    assert log_path(engine).exists()
    keep_log(engine, builder(warnings=[], errors=[]), for_dla=True)
    assert not log_path(engine).exists()
    assert caplog.text == ""


def test_what_the_dla_leaves_to_the_gpu_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warnings = ["careful", "GPU fallback for /a", "Missing scale and zero-point for tensor b"]
    warnings += [f"Layer {number}: Unsupported on DLA." for number in range(30)]
    keep_log(tmp_path / "m.engine", builder(warnings=warnings, errors=[]), for_dla=True)
    said = caplog.text
    assert "tensorrt: careful" not in said
    for shown in ("GPU fallback for /a", "Missing scale and zero-point for tensor b", "Layer 17: Unsupported"):
        assert f"tensorrt: {shown}" in said
    assert "Layer 18:" not in said
    assert "and 12 more messages about the DLA" in said


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "blocked").write_text("a file")
    for warnings in (["careful"], []):
        keep_log(tmp_path / "blocked" / "m.engine", builder(warnings=warnings, errors=[]), for_dla=False)
        assert "the messages of TensorRT cannot be stored: " in caplog.text


def test_layers_on_each_are_counted() -> None:
    layers = [EngineLayer("{ForeignNode[a...c]}", "DLA", "int8"), EngineLayer("nms", "PluginV2", "unknown")]
    assert count_on_dla(layers).startswith("1 run on the DLA, ")
    assert count_on_dla(layers[1:]) == "0 run on the DLA, each a whole part of the graph, and 1 on the GPU"
