"""Pipelines in a real GStreamer, through the system's OpenCV; skipped where that has none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.sources import gstreamer
from ssd_edge.streaming.sources.gstreamer import has_element, require_elements
from tests.processes import running

PYTHON = "/usr/bin/python3"  # the wheels of PyPI have no GStreamer, the distribution's package has
ROOT = Path(__file__).parents[3]
SERVER = Path(__file__).parents[1] / "rtsp_server.py"
BGR = "videoconvert ! video/x-raw,format=BGR ! appsink drop=1 max-buffers=1"
PROGRAM = """
import itertools, json, logging, sys
from ssd_edge.core.errors import DeviceError
from ssd_edge.core.log import log
from ssd_edge.streaming.sources import camera
from ssd_edge.streaming.sources.gstreamer import has_gstreamer
from ssd_edge.streaming.sources.camera import Recovery
from ssd_edge.streaming.sources.uri import parse_uri

if not has_gstreamer():
    raise SystemExit("no GStreamer")
patience = float(sys.argv[2])
camera.FIRST_FRAME_S = patience
said, shapes, error = [], [], ""
class Keep(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
log.addHandler(Keep())
log.setLevel(logging.INFO)
try:
    with camera.open_pipeline(parse_uri(sys.argv[1]), Recovery(max_retries=1, stall_s=patience / 2)) as source:
        for frame in itertools.islice(source, int(sys.argv[3])):
            shapes.append(frame.image.shape)
except DeviceError as problem:
    error = str(problem)
print(json.dumps({"said": said, "shapes": shapes, "error": error}))
"""


def in_gstreamer(pipeline: str, frames: int = 1, *, patience_s: float = 10.0, stdin: bytes = b"") -> dict[str, Any]:
    """Read a pipeline in a process that ends by itself, though its stdin stays open."""
    if not Path(PYTHON).exists():
        pytest.skip(f"there is no {PYTHON}")
    command = [PYTHON, "-c", PROGRAM, pipeline, str(patience_s), str(frames)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with running(command, cwd=ROOT, limit_s=60, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.buffer.write(stdin)
        process.stdin.flush()
        answer, chatter, code = process.stdout.read(), process.stderr.read(), process.wait()
    if code and ("No module named" in chatter or "no GStreamer" in chatter):
        pytest.skip("the system's Python has no OpenCV with GStreamer: apt install python3-opencv")
    assert code == 0, chatter
    found: dict[str, Any] = json.loads(answer)
    return found


def test_a_pipeline_gives_frames_and_is_started_again_when_it_ends() -> None:
    camera = "videotestsrc is-live=true num-buffers=15 ! video/x-raw,width=64,height=48,framerate=30/1"
    found = in_gstreamer(f"{camera} ! {BGR}", 16)  # a busy machine drops some of both turns' frames
    assert found["shapes"] == [[48, 64, 3]] * 16
    assert "next try in" in found["said"][0]
    assert found["said"][1].endswith("is back")


SOFTWARE = (
    ("nvv4l2decoder mjpeg=1", "jpegdec"),
    ("nvvidconv", "videoconvert"),
    ("(memory:NVMM)", ""),
    ("nvarguscamerasrc sensor-id=0", "videotestsrc is-live=true"),
    ("v4l2src device=/dev/video0 do-timestamp=true ! image/jpeg", "videotestsrc is-live=true ! jpegenc ! image/jpeg"),
    ("v4l2src device=/dev/video0 do-timestamp=true", "videotestsrc is-live=true"),
)
JETSON = {
    "csi": gstreamer.csi_pipeline(0, 320, 240, 30),
    "usb, JPEG": gstreamer.usb_pipeline(0, 320, 240, 30, mjpeg=True),
    "usb, raw": gstreamer.usb_pipeline(0, 320, 240, 30, mjpeg=False),
}


def in_software(pipeline: str) -> str:
    """The same pipeline with elements that every machine has in the place of NVIDIA's and of the camera."""
    for theirs, ours in SOFTWARE:
        pipeline = pipeline.replace(theirs, ours)
    return pipeline


@pytest.mark.parametrize("kind", JETSON)
def test_a_jetson_s_pipelines_run_with_software_in_the_place_of_its_hardware(kind: str) -> None:
    found = in_gstreamer(in_software(JETSON[kind]), 5)
    assert found["shapes"] == [[240, 320, 3]] * 5, found


def test_a_jetson_s_pipeline_of_a_network_camera_runs_against_a_server() -> None:
    with running([PYTHON, str(SERVER), "0"], cwd=ROOT, limit_s=60, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            pytest.skip("GStreamer's RTSP server is not installed")
        found = in_gstreamer(in_software(gstreamer.rtsp_pipeline(url, 100)), 5, patience_s=20.0)
    assert found["shapes"] == [[240, 320, 3]] * 5, found


def test_a_url_with_quotes_stays_one_word() -> None:
    assert 'location="rtsp://a/\\"b\\\\c" latency=200' in gstreamer.rtsp_pipeline('rtsp://a/"b\\c', 200)


def test_a_pipeline_that_never_starts_is_given_up() -> None:
    found = in_gstreamer(f"videotestsrc is-live=true ! valve drop=true ! {BGR}", patience_s=0.5)
    assert "cannot be opened: got a pipeline that does not start. Test it: gst-launch-1.0" in found["error"]


def test_a_pipeline_that_stalls_has_stopped() -> None:
    pictures = bytes(4 * 64 * 48 * 3)  # after which stdin stays open, and nothing comes
    stalling = f"fdsrc fd=0 ! rawvideoparse width=64 height=48 format=bgr ! {BGR.replace('drop=1', 'sync=false')}"
    found = in_gstreamer(stalling, 8, patience_s=1.0, stdin=pictures)
    assert found["shapes"]
    assert "frames: got time-out: no frame within 1 s" in found["error"]


def test_a_missing_element_is_named_without_waiting_for_it() -> None:
    found = in_gstreamer("nosuchsrc ! videoconvert ! appsink")
    assert found["error"] == (
        "nosuchsrc ! videoconvert ! appsink cannot be opened: got no GStreamer element nosuchsrc on this machine. "
        "Install the GStreamer plugin that contains the element."
    )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Elements that ``gst-inspect-1.0`` finds; those that it is asked for follow a ``?``."""
    known: list[str] = []

    def exists(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        known.append(f"?{command[2]}")
        return subprocess.CompletedProcess(command, 0 if command[2] in known else 1)

    monkeypatch.setattr(gstreamer.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(gstreamer.subprocess, "run", exists)
    return known


def test_caps_and_pads_are_no_elements(installed: list[str]) -> None:
    installed += ["rtspsrc", "tee", "queue", "appsink"]
    camera = "rtspsrc location=rtsp://a/b ! video/x-raw(memory:NVMM), width=(int)1"
    require_elements(f"{camera} ! tee name=t t. ! queue ! t.src_1 ! appsink", "it")
    assert [name for name in installed if name.startswith("?")] == ["?rtspsrc", "?tee", "?queue", "?appsink"]


def test_a_csi_camera_away_from_a_jetson_is_explained(installed: list[str]) -> None:
    installed += ["videoconvert", "appsink"]
    with pytest.raises(
        DeviceError, match=r"csi://0 cannot be opened: got no GStreamer element nvarguscamerasrc, nvvidconv .* Jetson"
    ):
        require_elements(gstreamer.csi_pipeline(0, 1280, 720, 30), "csi://0")


def test_without_the_tool_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gstreamer.shutil, "which", lambda name: None)
    require_elements("nosuchsrc ! appsink", "it")


def test_an_element_is_there_where_gstreamer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_element("videoconvert")  # nobody can tell
    program = tmp_path / "gst-inspect-1.0"
    program.write_text('#!/bin/sh\n[ "$1 $2" = "--exists videoconvert" ]\n')
    program.chmod(0o755)
    assert (has_element("videoconvert"), has_element("nvv4l2decoder")) == (True, False)
