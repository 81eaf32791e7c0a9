from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.streaming.sources.camera import CameraMode
from ssd_edge.streaming.sources.factory import open_source
from ssd_edge.streaming.sources.images import ImageSource
from ssd_edge.streaming.sources.rate_limited import RateLimitedSource
from ssd_edge.streaming.sources.video import VideoSource
from tests.streaming.films import write_film


def test_an_image_a_folder_and_a_film_are_told_apart(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((2, 2, 3), np.uint8))
    film = write_film(tmp_path / "video.mp4", 2)
    for uri, kind in ((tmp_path / "a.png", ImageSource), (tmp_path, ImageSource), (film, VideoSource)):
        with open_source(str(uri)) as source:
            assert type(source) is kind
            assert source.info.name == str(uri)
    with open_source(film.as_uri()) as source:
        assert type(source) is VideoSource


def test_a_pace_makes_a_file_live(tmp_path: Path) -> None:
    with open_source(str(write_film(tmp_path / "video.mp4", 2)), pace=1000) as source:
        assert type(source) is RateLimitedSource
        assert [frame.index for frame in source] == [0, 1]


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.mp4 does not exist"):
        open_source(str(tmp_path / "absent.mp4"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "video.mp4")
    with pytest.raises(InputError, match=r"video\.mp4 is not a regular file"):
        open_source(str(tmp_path / "video.mp4"))


def test_an_empty_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").touch()
    with pytest.raises(InputError, match=r"video\.mp4 is empty"):
        open_source(str(tmp_path / "video.mp4"))


@pytest.mark.parametrize("uri", ["0", "csi://0", "rtsp://h/x", "gst:a ! b"])
@pytest.mark.parametrize(("loop", "pace", "option"), [(True, None, "--loop"), (False, 30.0, "--pace")])
def test_a_camera_takes_no_option_of_a_file(uri: str, loop: bool, pace: float | None, option: str) -> None:
    with pytest.raises(InputError, match=f"{option} is only for files, not for"):
        open_source(uri, loop=loop, pace=pace)


def test_a_file_takes_no_option_of_a_camera(tmp_path: Path) -> None:
    film = write_film(tmp_path / "video.mp4", 2)
    with pytest.raises(InputError, match=r"--fps are only for cameras, not for .*video\.mp4"):
        open_source(str(film), mode=CameraMode(width=640))


@pytest.mark.parametrize(
    ("uri", "message"),
    [("63", "camera 63 cannot be opened"), ("csi://0", "needs GStreamer"), ("gst:a ! b", "needs GStreamer")],
)
def test_each_kind_of_camera_has_its_error(uri: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.streaming.sources.gstreamer.has_gstreamer", lambda: False)
    with pytest.raises(DeviceError, match=message):
        open_source(uri)


@pytest.mark.parametrize("suffix", ["", ".jpg", ".mp4"])
def test_a_name_that_is_too_long_is_named(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="is not a usable path .File name too long."):
        open_source(str(tmp_path / ("a" * 300 + suffix)))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/caf\udce9.mp4", "videotestsrc ! caf\udce9 ! appsink"])
def test_an_address_that_opencv_cannot_take_is_named(uri: str) -> None:
    with pytest.raises(InputError, match="OpenCV cannot open"):
        open_source(uri)


def test_a_picture_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.png"
    path.write_bytes(cv2.imencode(".png", np.full((2, 3, 3), 9, np.uint8))[1].tobytes())
    for uri in (path, tmp_path):
        with open_source(str(uri)) as source:
            assert [frame.source for frame in source] == [str(path)]


def test_a_film_that_is_cut_short_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_film(tmp_path / "video.avi", 24)
    whole = path.read_bytes()
    path.write_bytes(whole[: (whole.index(b"movi") + whole.index(b"idx1")) // 2])
    with open_source(str(path), pace=1e6) as source:
        assert len(list(source)) < 20
    assert len(caplog.messages) == 1


def test_the_time_of_a_frame_is_its_place_in_the_source(tmp_path: Path) -> None:
    film = write_film(tmp_path / "video.mp4", 4, fps=20.0)
    with open_source(str(film)) as source:
        assert [frame.time for frame in source] == pytest.approx([0, 0.05, 0.1, 0.15])
    with open_source(str(film), pace=200) as source:  # as a camera: when it came, not where it stands in the video
        frames = list(source)
    began = frames[0].captured_at
    assert [frame.time for frame in frames] == [frame.captured_at - began for frame in frames]
    (tmp_path / "photos").mkdir()
    assert cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((4, 4, 3), np.uint8))
    with open_source(str(tmp_path / "photos"), loop=True) as source:
        first, second = (frame for frame, _ in zip(source, range(2), strict=False))
    assert (first.time, second.time) == (0, second.captured_at - first.captured_at)
