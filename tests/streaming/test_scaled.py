"""Streams that leave the decoder at the network's size: in a real GStreamer, with software in the hardware's place."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.streaming.sources import camera, scaled
from ssd_edge.streaming.sources.camera import Recovery
from ssd_edge.streaming.sources.factory import open_source
from ssd_edge.streaming.sources.reader import Reader, StampedImage
from ssd_edge.streaming.sources.scaled import SCALERS, SOFTWARE, choose_scaler, scaled_opener, scaled_pipeline
from ssd_edge.streaming.sources.uri import parse_uri
from ssd_edge.workflows.run_streams import run_streams
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.recovery import PYTHON, ROOT, Camera, encode
from tests.streaming.test_rtsp import pytestmark as needs_server

READ = """
import itertools, json, sys
from ssd_edge.streaming.sources.camera import Recovery, open_scaled
from ssd_edge.streaming.sources.gstreamer import has_gstreamer
from ssd_edge.streaming.sources.scaled import SOFTWARE
from ssd_edge.streaming.sources.uri import parse_uri
if not has_gstreamer():
    raise SystemExit("no GStreamer")
with open_scaled(parse_uri(sys.argv[1]), (64, 48), 100, Recovery(), (SOFTWARE,)) as source:
    frames = list(itertools.islice(source, 5))
print(json.dumps([[*frame.image.shape, frame.width, frame.height, int(frame.image.max())] for frame in frames]))
"""


@needs_server
def test_frames_come_small_and_know_the_size_of_the_original(tmp_path: Path) -> None:
    camera = Camera(encode(tmp_path / "video.mp4", 100, sizes=((192, 128),), qp=4))
    camera.start()
    try:
        done = subprocess.run(
            [PYTHON, "-c", READ, camera.url], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        camera.kill()
    if "No module named" in done.stderr or "no GStreamer" in done.stderr:
        pytest.skip("the system's Python has no OpenCV with GStreamer: apt install python3-opencv")
    assert done.returncode == 0, done.stderr
    for height, width, channels, original_width, original_height, brightest in json.loads(done.stdout):
        assert (height, width, channels) == (48, 64, 3)
        assert (original_width, original_height) == (192, 128)
        assert brightest > 150  # the scene is in it


@pytest.fixture
def on_a_board(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Elements that are installed."""
    elements: set[str] = set()
    monkeypatch.setattr(scaled, "require_gstreamer", lambda _: None)
    monkeypatch.setattr(scaled, "has_element", elements.__contains__)
    return elements


@pytest.mark.parametrize("number", range(len(SCALERS)))
def test_the_boards_own_elements_are_chosen(on_a_board: set[str], number: int) -> None:
    on_a_board |= {element for scaler in SCALERS[number:] for element in scaler.elements}
    on_a_board -= {element for scaler in SCALERS[:number] for element in scaler.elements} - set(
        SCALERS[number].elements
    )
    assert choose_scaler("it") is SCALERS[number]


def test_without_any_the_way_is_said(on_a_board: set[str]) -> None:
    with pytest.raises(
        DeviceError, match=r"cannot be scaled in the decoder: .*nvv4l2decoder.*Leave out --scale-in-decoder"
    ):
        choose_scaler("rtsp://camera/1")


def test_the_jetsons_pipeline() -> None:
    text = scaled_pipeline('rtsp://me:se"c\\ret@camera/1', SCALERS[0], 300, 300, 200)
    assert text.startswith('rtspsrc location="rtsp://me:se\\"c\\\\ret@camera/1" protocols=tcp latency=200 ! ')
    assert "nvv4l2decoder ! nvvidconv ! video/x-raw,format=(string)BGRx,width=300,height=300 ! " in text
    assert text.endswith("format=(string)BGR ! appsink drop=1 max-buffers=1 sync=false")


def test_only_rtsp_and_only_where_nothing_shows_the_frames(tmp_path: Path, on_a_board: set[str]) -> None:
    on_a_board |= set(SOFTWARE.elements)
    with pytest.raises(InputError, match="cannot be scaled in the decoder: wanted an RTSP stream"):
        scaled_opener(parse_uri("http://camera/1"), (64, 64), 200, lambda: (1, 1), (SOFTWARE,))
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    with pytest.raises(InputError, match="cannot be shown, saved or masked: got --output; wanted only --json"):
        run_streams("rtsp://127.0.0.1:9/x", model, scale_in_decoder=True, output=tmp_path / "a.mkv")


class Original(Reader):
    """The stream as it is: 192 x 128, which it says before its first frame or not."""

    def __init__(self, *, says_its_size: bool) -> None:
        self.size = (192, 128) if says_its_size else None
        self.closed = False

    def read(self) -> StampedImage:
        return StampedImage(np.zeros((128, 192, 3), np.uint8))

    def close(self) -> None:
        self.closed = True


class Small:
    """What GStreamer makes of it."""

    def get(self, setting: int) -> float:
        return {cv2.CAP_PROP_FPS: 25.0}.get(setting, -1.0)

    def read(self) -> tuple[bool, np.ndarray]:
        return True, np.full((48, 64, 3), 77, np.uint8)

    def release(self) -> None:
        pass


RTSP = "rtsp://me:secret@127.0.0.1:9/x"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, on_a_board: set[str]) -> list[str]:
    """The pipelines that were opened, each once the original's connection was closed: cameras often allow one."""
    on_a_board |= set(SOFTWARE.elements)
    pipelines: list[str] = []
    originals: list[Original] = []

    def ask() -> Original:
        originals.append(Original(says_its_size=len(originals) % 2 == 0))
        return originals[-1]

    def open_(pipeline: str, api: int) -> Small:
        assert (api, originals[-1].closed) == (cv2.CAP_GSTREAMER, True)
        pipelines.append(pipeline)
        return Small()

    monkeypatch.setattr(camera, "stream_opener", lambda *_: ask)
    monkeypatch.setattr(scaled, "open_capture", open_)
    return pipelines


def test_the_size_of_the_original_is_asked_for_whenever_the_stream_is_opened(opened: list[str]) -> None:
    for count in (1, 2):  # says it by itself; has to be read
        with camera.open_scaled(parse_uri(RTSP), (64, 48), 100, Recovery(), (SOFTWARE,)) as source:
            frame = next(iter(source))
        assert (frame.image.shape, frame.width, frame.height) == ((48, 64, 3), 192, 128)
        assert frame.source == "rtsp://me:***@127.0.0.1:9/x"
        assert opened == [scaled_pipeline(RTSP, SOFTWARE, 64, 48, 100)] * count


def test_a_pipeline_that_does_not_start_is_tried_again_and_named(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaled, "open_capture", lambda *_: None)
    once = Recovery(max_retries=0)
    with (
        camera.open_scaled(parse_uri(RTSP), (64, 48), 100, once, (SOFTWARE,)) as source,
        pytest.raises(DeviceError, match=r"me:\*\*\*@.* cannot be opened: got error: GStreamer .* with software"),
    ):
        next(iter(source))


@pytest.mark.parametrize(
    ("uri", "options", "wanted"),
    [
        (RTSP, {"loop": True}, "--loop is only for files"),
        (RTSP, {"pace": 5.0}, "--pace is only for files"),
        ("video.mp4", {}, "wanted an RTSP stream"),
        ("rtsp://127.0.0.1/\udcff", {}, "UTF-8"),  # OpenCV would end the process over it
    ],
)
def test_what_cannot_be_scaled_is_refused_before_anything_is_opened(
    opened: list[str], uri: str, options: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(InputError, match=wanted):
        open_source(uri, scale_to=(64, 48), **options)
    assert opened == []
