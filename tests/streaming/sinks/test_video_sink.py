from __future__ import annotations

import dataclasses
import importlib.util
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sinks import encoders
from ssd_edge.streaming.sinks.pieces import Cut
from ssd_edge.streaming.sinks.video import CODECS, VideoSink
from tests.full_disk import full_after
from tests.processes import running
from tests.streaming.films import STEP, frame_at, number_of, read_film

HAS_AV = importlib.util.find_spec("av") is not None
NEEDS_AV = pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed")
NEEDS_FFPROBE = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
SIZE = (96, 64)


@pytest.fixture(params=[pytest.param("pyav", marks=NEEDS_AV), "opencv"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each encoder in turn, as a machine has it."""
    monkeypatch.setattr(encoders, "has_av", lambda: request.param == "pyav")
    monkeypatch.setattr(encoders, "_ROOM_CHECK_S", 0.0)
    return str(request.param)


def numbers(path: Path) -> list[int]:
    return [number_of(image) for image in read_film(path)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def show(sink: VideoSink, number: int, seconds: float = 0.0, size: tuple[int, int] = SIZE) -> None:
    frame = dataclasses.replace(frame_at(0.0, number, level=number * STEP, size=size), time=seconds)
    sink.show(frame, frame.image)


def noise(sink: VideoSink, frames: range) -> None:
    """Frames that no codec makes small."""
    rng = np.random.default_rng(0)
    for number in frames:
        sink.show(frame_at(0.0, number), rng.integers(0, 255, (*SIZE[::-1], 3), np.uint8))


@pytest.mark.parametrize("suffix", CODECS)
def test_each_container_plays_what_was_shown(
    tmp_path: Path, suffix: str, encoder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / f"video{suffix}"
    with VideoSink(path, 25.0) as sink:
        for number in range(8):
            show(sink, number)
        assert sink.written == 0
    assert sink.written == 8
    assert numbers(path) == list(range(8))
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert capfd.readouterr() == ("", "")


@NEEDS_AV
@NEEDS_FFPROBE
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("finite", [True, False])
def test_each_frame_keeps_its_time_to_the_millisecond(tmp_path: Path, suffix: str, finite: bool) -> None:
    path, times = tmp_path / f"video{suffix}", [0.0, 0.04, 0.3, 0.333, 1.0, 1.001, 7.5]
    with VideoSink(path, 25.0, by_time=True, finite=finite) as sink:
        for number, seconds in enumerate(times):
            show(sink, number, 3.2 + seconds)
    probe = ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", str(path)]
    read = subprocess.run(probe, capture_output=True, text=True, check=True, timeout=60)
    assert [float(text.strip(",")) for text in read.stdout.split()] == pytest.approx(times, abs=0.0006)
    assert read.stderr == ""


@NEEDS_AV
def test_a_time_that_does_not_rise_goes_on_at_the_rate(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    with VideoSink(path, 25.0, by_time=True) as sink:
        for number, seconds in enumerate([0.0, 0.04, 0.0, 0.04, 0.04, 9.0]):  # a video that begins again
            show(sink, number, seconds)
    capture, times = cv2.VideoCapture(str(path)), []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    assert times == pytest.approx([0, 40, 80, 120, 160, 9120], abs=1.1)


@pytest.mark.slow(but="pyav-.mkv")
@pytest.mark.parametrize("suffix", CODECS)
def test_a_full_disk_is_named_and_what_fitted_plays(
    tmp_path: Path, suffix: str, encoder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"video{suffix}"
    with VideoSink(path, 25.0) as sink:
        noise(sink, range(60))
    whole = path.stat().st_size
    for size in (whole // 2, whole - 700, whole - 20, whole - 1):
        with full_after(size):
            sink = VideoSink(path, 25.0)
            with pytest.raises(InputError, match=rf"video\{suffix} takes no more frames .\w+"):
                try:
                    noise(sink, range(60))
                finally:
                    with suppress(InputError) if sys.exc_info()[0] else pytest.MonkeyPatch.context():
                        sink.close()
        played = len(read_film(path))
        if encoder == "pyav":
            assert played >= 60 * size // whole - 16, size  # half a second is on its way
        elif suffix in (".mkv", ".avi"):
            assert played > 0, size
    assert encoder == "opencv" or capfd.readouterr() == ("", "")


@NEEDS_AV
@pytest.mark.slow(but=".mp4")
@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
@pytest.mark.parametrize("suffix", CODECS)
def test_a_process_that_is_killed_leaves_a_video_that_plays_to_its_last_second(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"video{suffix}"
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from ssd_edge.streaming.sinks.video import VideoSink\n"
        "from tests.streaming.sinks.test_video_sink import noise\n"
        "sink = VideoSink(Path(sys.argv[1]), 25.0, finite=False)\n"
        "noise(sink, range(100))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with running([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert 75 <= len(read_film(path)) <= 100
    with VideoSink(path, 25.0) as sink:  # the lock has gone with the process
        show(sink, 0)


def test_what_was_there_stays_until_the_first_frame(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "video.mkv"
    path.write_bytes(b"old")
    with VideoSink(path, 25.0) as sink:
        assert path.read_bytes() == b"old"
        show(sink, 0)
    assert numbers(path) == [0]


def test_an_error_elsewhere_keeps_what_was_recorded(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "video.mp4"
    with pytest.raises(ZeroDivisionError), VideoSink(path, 25.0) as sink:
        show(sink, 0)
        show(sink, 1)
        raise ZeroDivisionError
    assert numbers(path) == [0, 1]


def test_without_a_frame_nothing_is_left(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "video.mp4", 25.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_video_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoSink(path, 25.0), pytest.raises(InputError, match="is being written by another run"):
        VideoSink(path, 25.0)


@pytest.mark.parametrize(
    ("times_s", "played"),
    [
        ([0.0, 0.1, 0.2], [0, 1, 2]),
        ([0.0, 0.3, 0.4], [0, 0, 0, 1, 2]),
        ([0.0, 0.01, 0.02, 0.1], [0, 3]),
        ([0.0, 100.0, 100.1], [0] * 50 + [1, 2]),
    ],
    ids=["in time", "repeated", "left out", "a long gap is cut"],
)
def test_without_pyav_frames_are_repeated_and_left_out(
    tmp_path: Path, times_s: list[float], played: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "has_av", lambda: False)
    path = tmp_path / "video.avi"
    with VideoSink(path, 10.0, by_time=True) as sink:
        for number, seconds in enumerate(times_s):
            show(sink, number, 1000 + seconds)
    assert numbers(path) == played


def test_frames_of_another_size_go_on_in_another_file(
    tmp_path: Path, encoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "video.mkv"
    with VideoSink(path, 25.0) as sink:
        for number, size in enumerate([SIZE, SIZE, (48, 48), (48, 48), (48, 48)]):
            show(sink, number, size=size)
    first, second = names(tmp_path)
    assert re.fullmatch(r"video-\d{8}T\d{6}Z\.mkv", first)
    assert (numbers(path), numbers(tmp_path / first)) == ([0, 1], [2, 3, 4])
    assert (second, sink.pieces, sink.last) == ("video.mkv", 2, tmp_path / first)
    assert "are now 48 x 48, no longer 96 x 64" in caplog.text


@NEEDS_AV
def test_a_video_is_cut_by_size(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "video.mkv", 25.0, cut=Cut(size=30_000)) as sink:
        noise(sink, range(60))
    pieces = names(tmp_path)
    assert len(pieces) >= 3
    assert sum(len(read_film(tmp_path / name)) for name in pieces) == 60
    assert (sink.pieces, sink.written) == (len(pieces), 60)


def test_a_video_is_cut_by_the_clock(tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_000.0 - 3.5]  # a whole hour is near
    monkeypatch.setattr("ssd_edge.streaming.sinks.video.time.time", lambda: now[0])
    with VideoSink(tmp_path / "video.mkv", 25.0, cut=Cut(seconds=3600)) as sink:
        for number in range(7):
            show(sink, number)
            now[0] += 1
    assert names(tmp_path) == ["video-20270115T075956Z.mkv", "video-20270115T080000Z.mkv"]
    assert [numbers(tmp_path / name) for name in names(tmp_path)] == [[0, 1, 2, 3], [4, 5, 6]]


def test_an_odd_size_loses_a_row_and_a_column(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "video.mp4"
    with VideoSink(path, 25.0) as sink:
        show(sink, 3, size=(97, 65))
    (image,) = read_film(path)
    assert image.shape == (64, 96, 3)


def test_a_size_that_no_codec_takes_is_named(tmp_path: Path, encoder: str, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(InputError, match=r"video\.mp4 cannot be encoded: got 1 x 1 at 25 FPS"),
        VideoSink(tmp_path / "video.mp4", 25.0) as sink,
    ):
        show(sink, 0, size=(1, 1))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_without_pyav_it_is_said_once_what_that_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as Python does it for a package that is not there
    encoders.has_av.cache_clear()
    try:
        for name in ("a.mkv", "b.mkv"):
            with VideoSink(tmp_path / name, 25.0) as sink:
                show(sink, 1)
            assert numbers(tmp_path / name) == [1]
    finally:
        encoders.has_av.cache_clear()
    assert caplog.text.count("PyAV is not installed, so OpenCV writes the videos") == 1
    assert "pip install av" in caplog.text


def test_places_that_cannot_be_written_are_refused_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="wanted a writable folder"):
        VideoSink(tmp_path / "file" / "video.mp4", 25.0)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        VideoSink(tmp_path / "folder.mp4", 25.0)
    with pytest.raises(InputError, match=r"video\.gif is not a video file: got suffix '\.gif'"):
        VideoSink(tmp_path / "video.gif", 25.0)


def test_shown_images_are_not_changed(tmp_path: Path, encoder: str) -> None:
    frame = frame_at(0.0, level=77)
    with VideoSink(tmp_path / "video.mp4", 25.0) as sink:
        sink.show(frame, frame.image)
    assert np.all(frame.image == 77)


def test_a_frame_that_comes_after_the_end_begins_no_further_piece(tmp_path: Path, encoder: str) -> None:
    sink = VideoSink(tmp_path / "video.mkv", 25.0)
    show(sink, 0)
    sink.close()
    with pytest.raises(InputError, match=r"video\.mkv is closed"):
        show(sink, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["video.mkv"]


def test_a_disk_that_does_not_answer_holds_up_no_end(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, answers, began = tmp_path / "video.mkv", threading.Event(), threading.Event()
    sink = VideoSink(path, 25.0)
    show(sink, 0)
    add = type(sink._encoder).add

    def hang(self: encoders.Encoder, image: np.ndarray, seconds: float) -> None:
        began.set()
        answers.wait(30)
        add(self, image, seconds)

    monkeypatch.setattr(type(sink._encoder), "add", hang)
    writer = threading.Thread(target=show, args=(sink, 1))
    writer.start()
    assert began.wait(10)
    asked = time.monotonic()
    sink.close()
    assert time.monotonic() - asked < 2
    with pytest.raises(InputError, match="is being written by another run"):
        VideoSink(path, 25.0)  # it is still being written
    answers.set()
    writer.join(10)
    sink.close()
    assert numbers(path) == [0, 1]
    VideoSink(path, 25.0).close()
