"""``doctor --selftest`` of a TensorRT engine on the emulated GPU: what it measures, and the faults that it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import numpy_helper

from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, EngineOptions, manifest_path
from ssd_edge.doctor.sample_model import sample_spec
from tests.quantization.square_model import square_model, write_square_model
from tools.emulator.rehearse import command_line, needs_emulator
from tools.emulator.standin.plan import write_engine
from tools.emulator.standin.releases import RELEASES

pytestmark = needs_emulator
KEPT = ("device_blocks", "pinned_blocks", "streams", "events", "graphs", "executables", "primary_uses")
ROWS = ["Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency", "Host overhead"]


def write_square_engine(folder: Path, *, broken: bool = False) -> Path:
    """Write the detector of squares as an engine of the stand-in; broken: its scores are not those of its ONNX."""
    path = write_square_model(folder / "squares.onnx")
    inside = _weakened() if broken else path.read_bytes()
    engine = folder / "squares.fp32.tensorrt.engine"
    write_engine(engine, inside, release="10.3", profile=(1, 1, 1), plugin=True)
    EngineManifest(
        spec=sample_spec(), target="tensorrt", precision="fp32", onnx=path.name, onnx_digest=file_digest(path),
        engine_digest=file_digest(engine), runtime="tensorrt", runtime_version=RELEASES["10.3"],
        device="Emulated sm_87", batch=(1, 1, 1), built_at="2025-01-01T00:00:00+00:00",
        options=EngineOptions(nms="plugin"),
    ).save(manifest_path(engine))  # fmt: skip
    return engine


def _weakened() -> bytes:
    """Return the model with its largest float weight halved."""
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    weights = [entry for entry in model.graph.initializer if entry.data_type == onnx.TensorProto.FLOAT]
    largest = max(weights, key=lambda entry: len(entry.raw_data) or len(entry.float_data))
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * 0.5, largest.name))
    return model.SerializeToString()


def selftest(folder: Path, **env: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return the process, its JSON and the driver's report."""
    engine = write_square_engine(folder, broken=env.pop("broken", "") == "yes")
    found, report = folder / "found.json", folder / "report.json"
    done = command_line(
        "doctor", "--selftest", str(engine), "--frames", "60", "--json", str(found),
        env={"SSD_EDGE_EMU_INTEGRATED": "0", **env, "SSD_EDGE_EMU_REPORT": str(report)}, cwd=folder,
    )  # fmt: skip
    text = json.loads(found.read_text()) if found.exists() else {}
    return done, text, json.loads(report.read_text())


def test_stages_are_timed_apart_and_the_graph_is_compared(tmp_path: Path) -> None:
    done, found, report = selftest(tmp_path)
    (verdict,) = found["selftest"]
    assert verdict["faults"] == []
    assert "fp32 on tensorrt (virtual): passed" in done.stderr
    assert [table["mode"] for table in verdict["stages"]] == ["enqueue", "graph"]
    assert [list(table["rows"]) for table in verdict["stages"]] == [ROWS, ROWS]
    assert all(row["minimum"] >= 0 for table in verdict["stages"] for row in table["rows"].values())
    assert "H2D Latency" in done.stderr
    assert "CUDA graph: " in done.stderr
    assert report["faults"] == []
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
    assert "Stages on the GPU" in (tmp_path / "selftest.html").read_text()


def test_a_slow_copy_is_counted_where_it_happens(tmp_path: Path) -> None:
    _, found, _ = selftest(tmp_path, SSD_EDGE_EMU_SLOW_UPLOAD_US="3000")
    for table in found["selftest"][0]["stages"]:
        assert table["rows"]["H2D Latency"]["median"] >= 3
        assert table["rows"]["D2H Latency"]["median"] < 3
        assert table["rows"]["Latency"]["median"] >= 3


def test_memory_that_both_sides_share_is_not_copied(tmp_path: Path) -> None:
    _, found, _ = selftest(tmp_path, SSD_EDGE_EMU_INTEGRATED="1", SSD_EDGE_EMU_SLOW_UPLOAD_US="3000")
    assert found["selftest"][0]["stages"][0]["rows"]["H2D Latency"]["median"] < 3


@pytest.mark.slow
def test_an_engine_that_computes_something_else_is_found_out(tmp_path: Path) -> None:
    done, found, _ = selftest(tmp_path, broken="yes")
    assert done.returncode == 1
    assert found["selftest"][0]["faults"]
    assert "FP32" in done.stderr


@pytest.mark.parametrize("lost_at", ["150", "1000"])
def test_a_lost_device_is_named_and_all_is_given_back(tmp_path: Path, lost_at: str) -> None:
    done, _, report = selftest(tmp_path, SSD_EDGE_EMU_LOSE_AT=lost_at)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
