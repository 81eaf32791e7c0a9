from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from ssd_edge.backends import cpu
from ssd_edge.backends.cpu import Threads
from ssd_edge.core.choices import Goal
from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.layout import threads_for
from ssd_edge.streaming.timing import STAGES
from ssd_edge.workflows import run_streams as running
from ssd_edge.workflows.run_streams import run_streams
from ssd_edge.workflows.stream_config import RunConfig
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import read_film, write_bright_film


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    write_bright_film(tmp_path / "video.mp4", 10)
    return tmp_path


def test_the_figures_of_a_run(
    workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "handlers", [])  # a command that ran before in this process has shown its log
    film, lines = workspace / "out.mp4", workspace / "boxes.jsonl"
    events: list[ProgressEvent] = []
    result = run_streams(
        workspace / "video.mp4", output=str(film), json_path=lines, progress=events.append, workspace=workspace
    )
    assert (result.path, result.json_path) == (film, lines)
    assert (result.source, result.live, result.stopped) == (str(workspace / "video.mp4"), False, False)
    assert (result.frames, result.dropped, result.left_out) == (10, 0, ())
    assert result.fps == result.frames / result.seconds
    assert [times.stage for times in result.stages] == list(STAGES)
    assert len(read_film(film)) == len(lines.read_text().splitlines()) == 10
    assert json.loads(lines.read_text().splitlines()[0])["detections"][0]["label"] == "dog"
    assert [event.done for event in events if not event.is_over] == list(range(11))
    assert events[-1].is_over
    assert capfd.readouterr() == ("", "")


def test_without_outputs_there_are_figures_only(workspace: Path) -> None:
    config = RunConfig(max_frames=4)
    result = run_streams(workspace / "video.mp4", workspace / "engines/bright/bright.onnx", config=config)
    assert (result.path, result.json_path, result.frames) == (None, None, 4)


def test_a_stop_from_another_thread_leaves_whole_files(workspace: Path) -> None:
    stop, lines = StopRequest(), workspace / "boxes.jsonl"
    timer = threading.Timer(0.3, stop.request)
    timer.start()
    result = run_streams(workspace / "video.mp4", loop=True, json_path=lines, stop=stop, workspace=workspace)
    timer.join()
    assert result.stopped
    assert len(lines.read_text().splitlines()) == result.frames


def test_a_run_imports_neither_what_trains_nor_another_runtime(workspace: Path) -> None:
    """What is imported counts in the time to the first line, and in the memory of a board."""
    script = (
        "import sys; from ssd_edge.workflows.run_streams import run_streams\n"
        "assert run_streams('video.mp4', json_path='boxes.jsonl').frames == 10\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=workspace, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert {"numpy", "cv2", "onnxruntime", "ssd_edge.backends.ort"} <= modules
    others = ("torch", "onnx", "openvino", "tensorrt", "matplotlib", "pandas", "rich", "typer", "xml.etree.ElementTree")
    assert not modules & {*others, "ssd_edge.backends.tensorrt.backend", "ssd_edge.backends.openvino.backend"}


def test_nothing_of_the_process_changes(workspace: Path) -> None:
    def state() -> tuple[object, ...]:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return dict(os.environ), handlers, threading.active_count()

    before = state()
    during: list[object] = []
    run_streams(
        workspace / "video.mp4",
        output=workspace / "out.mp4",
        workspace=workspace,
        progress=lambda _: during.append(state()[:2]),
    )
    assert state() == before
    assert all(seen == before[:2] for seen in during)


def test_a_goal_that_is_named_lays_out_several_streams_by_the_best_batch(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    batches: list[int] = []
    pipeline = running.Pipeline
    monkeypatch.setattr(
        running, "measure_batches", lambda _, streams: asked.append(streams) or SimpleNamespace(batch=2)
    )
    monkeypatch.setattr(
        running, "Pipeline", lambda *v, **options: batches.append(options["max_batch"]) or pipeline(*v, **options)
    )
    write_bright_film(workspace / "other.mp4", 10)
    sources = [workspace / "video.mp4", workspace / "other.mp4"]
    assert run_streams(sources, optimize_for="throughput", workspace=workspace).frames == 20
    assert run_streams(sources, optimize_for="latency", max_batch=1, workspace=workspace).frames == 20
    assert run_streams(sources[0], optimize_for="throughput", workspace=workspace).frames == 10
    assert (asked, batches) == ([2], [2, 1, 1]), "what is named or of one stream is not measured"


@pytest.mark.parametrize(
    ("source", "options", "goal"),
    [
        ("video.mp4", {}, Goal.THROUGHPUT),
        ("photos", {}, Goal.THROUGHPUT),
        ("photos/1.png", {}, Goal.LATENCY),
        ("video.mp4", {"pace": 200.0}, Goal.LATENCY),
        ("video.mp4", {"optimize_for": "latency"}, Goal.LATENCY),
    ],
    ids=["video", "folder", "image", "camera", "named"],
)
def test_frames_of_a_file_are_computed_side_by_side_and_those_of_a_camera_one_by_one(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, source: str, options: dict[str, Any], goal: Goal
) -> None:
    monkeypatch.setattr(cpu, "physical_cores", lambda: 3)
    (workspace / "photos").mkdir()
    for number in range(4):
        cv2.imwrite(str(workspace / "photos" / f"{number}.png"), np.full((8, 8, 3), 60 * number, np.uint8))
    opened: list[Threads] = []
    opener = running.open_detector
    monkeypatch.setattr(running, "open_detector", lambda *v: opened.append(v[1]) or opener(*v))
    lines = workspace / "boxes.jsonl"
    run_streams(workspace / source, workspace=workspace, json_path=lines, **options)
    assert opened == [threads_for(goal)]
    frames = [json.loads(line)["frame"] for line in lines.read_text().splitlines()]
    assert frames == sorted(set(frames))


def test_what_is_refused(workspace: Path) -> None:
    with pytest.raises(InputError, match="a.mp4 does not exist"):
        run_streams(["a.mp4", "b.mp4"], workspace=workspace)
    with pytest.raises(InputError, match=r"out\.mp4 can take only one source: got several"):
        run_streams(["a.mp4", "b.mp4"], output="out.mp4", workspace=workspace)
    with pytest.raises(
        InputError, match="optimize_for is not one of the allowed values: got 'speed'; wanted 'latency', 'throughput'"
    ):
        run_streams(workspace / "video.mp4", optimize_for="speed", workspace=workspace)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no file matches|wanted an exported model"):
        run_streams(workspace / "video.mp4", workspace=workspace / "elsewhere")
