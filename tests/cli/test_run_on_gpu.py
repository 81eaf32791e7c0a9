"""``ssd-edge run`` with a TensorRT engine on the emulated GPU: what a user sees when the GPU fails."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from subprocess import PIPE
from typing import Any

import cv2
import pytest

from tests.backends.trt_rehearsals import picture, write_tiny_engine
from tests.processes import running
from tools.emulator.rehearse import PRODUCT, command_line, needs_emulator
from tools.emulator.surroundings import surroundings

pytestmark = needs_emulator
KEPT = ("device_blocks", "pinned_blocks", "streams", "events", "graphs", "executables", "primary_uses")
FRAMES = 20


def write_frames(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FRAMES):
        cv2.imwrite(str(folder / f"{number:02}.png"), picture(number))
    return folder


def run(tmp_path: Path, **env: str) -> tuple[Any, list[dict[str, Any]], dict[str, Any]]:
    """Return the process, the JSON lines that it wrote and the driver's report."""
    tmp_path.mkdir(exist_ok=True)
    engine, folder = write_tiny_engine(tmp_path), write_frames(tmp_path / "frames")
    lines, report = tmp_path / "found.jsonl", tmp_path / "report.json"
    done = command_line(
        "run", str(folder), "--model", str(engine), "--json", str(lines), "--no-window",
        env={**env, "SSD_EDGE_EMU_REPORT": str(report)}, cwd=tmp_path,
    )  # fmt: skip
    written = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    return done, written, json.loads(report.read_text())


def test_a_run_gives_everything_back(tmp_path: Path) -> None:
    done, lines, report = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert sum("boxes" in str(line) or "detections" in str(line) for line in lines) >= FRAMES
    assert report["faults"] == []
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"SSD_EDGE_EMU_FAIL_ALLOCATION": "3"},
        {"SSD_EDGE_EMU_FAIL_KERNEL": "12"},
        {"SSD_EDGE_EMU_LOSE_AT": "220"},
    ],
    ids=["memory", "launch", "lost"],
)
def test_a_failing_gpu_is_named_and_what_was_written_stays(tmp_path: Path, env: dict[str, str]) -> None:
    _, whole, _ = run(tmp_path / "clean")
    done, lines, report = run(tmp_path, **env)
    assert done.returncode == 1
    assert [line["detections"] for line in lines] == [line["detections"] for line in whole[: len(lines)]]
    assert "Traceback" not in done.stderr
    said = " ".join(done.stderr.split())
    assert any(
        part in said for part in ("bright.fp32.tensorrt.engine", "the GPU failed", "cannot be pinned for the GPU")
    )
    if "SSD_EDGE_EMU_FAIL_ALLOCATION" not in env:
        assert 0 < len(lines) < FRAMES
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)


def test_ctrl_c_gives_everything_back(tmp_path: Path) -> None:
    engine, folder = write_tiny_engine(tmp_path), write_frames(tmp_path / "frames")
    report = tmp_path / "report.json"
    arguments = ["run", str(folder), "--loop", "--model", str(engine), "--json", "-", "--no-window"]
    env = surroundings("10.3", {"SSD_EDGE_EMU_REPORT": str(report)})
    with running([PRODUCT, *arguments], env=env, stdout=PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    found = json.loads(report.read_text())
    assert found["faults"] == []
    assert {kind: found[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
