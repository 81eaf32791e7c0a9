"""``ssd-edge bench`` with a TensorRT engine on the emulated GPU: its own clock, and that such a GPU is virtual."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.backends.trt_rehearsals import write_tiny_engine
from tests.cli.test_run_on_gpu import write_frames
from tools.emulator.rehearse import command_line, needs_emulator

pytestmark = needs_emulator


@pytest.mark.slow
def test_an_engine_is_measured_in_the_terms_of_trtexec(tmp_path: Path) -> None:
    engine, folder, written = write_tiny_engine(tmp_path), write_frames(tmp_path / "frames"), tmp_path / "bench.json"
    options = ("--seconds", "0.3", "--rounds", "6", "--launches", "1", "--scaling", "--json", str(written))
    done = command_line("bench", str(engine), "--images", str(folder), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())
    (contestant,) = found["contestants"]
    assert contestant["runtime"] == "tensorrt"
    assert {mode["mode"] for mode in contestant["gpu"]} == {"enqueue", "graph"}
    names = {"Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency", "Host overhead"}
    assert all(set(mode["median_ms"]) == names for mode in contestant["gpu"])
    assert [(point["threads"], point["callers"]) for point in contestant["throughput"]] == [(0, 2)]
    assert [point["callers"] for point in contestant["streams"]] == [1, 2, 4, 8]
    assert contestant["detections"] == 1
    assert any("is virtual" in warning for warning in found["warnings"])
