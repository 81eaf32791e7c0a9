"""Recovery with bounds, against real servers: a short form of ``python -m tests.streaming.recovery``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd_edge.workflows.run_streams import run_streams
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.recovery import FPS, Camera, encode, recover
from tests.streaming.test_rtsp import pytestmark as needs_server

pytestmark = [needs_server, pytest.mark.slow]


def test_every_recovery_keeps_its_bound_and_nothing_is_lost_or_left() -> None:
    assert recover(kills=3, stops=1, auth=False) == []


def test_detections_live_are_those_of_the_file_frame_by_frame(tmp_path: Path) -> None:
    film = encode(tmp_path / "video.mp4", 300, sizes=((192, 128),))
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    offline, live = tmp_path / "offline.jsonl", tmp_path / "live.jsonl"
    run_streams(film, model, json_path=offline)
    camera = Camera(film)
    camera.start()
    try:
        run_streams(camera.url, model, json_path=live, max_frames=40)
    finally:
        camera.kill()
    wanted = [json.loads(line) for line in offline.read_text().splitlines()]
    found = [json.loads(line) for line in live.read_text().splitlines()]
    assert len(found) == 40
    assert [line["t"] for line in wanted] == pytest.approx([number / FPS for number in range(300)])
    boxes = [line["detections"] for line in wanted]
    first = boxes.index(found[0]["detections"])  # the scene repeats after 49 frames only
    for line in found:
        assert line["detections"] == boxes[first + round(line["t"] * FPS)], line
