from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.stream.camera import CameraMode
from ssd_edge.stream.image_source import ImageSource
from ssd_edge.stream.paced_source import PacedSource
from ssd_edge.stream.sources import open_source
from ssd_edge.stream.video_source import VideoSource
from tests.stream.films import write_film


def test_an_image_a_folder_and_a_film_are_told_apart(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((2, 2, 3), np.uint8))
    film = write_film(tmp_path / "film.mp4", 2)
    for uri, kind in ((tmp_path / "a.png", ImageSource), (tmp_path, ImageSource), (film, VideoSource)):
        with open_source(str(uri)) as source:
            assert type(source) is kind
            assert source.info.name == str(uri)
    with open_source(film.as_uri()) as source:
        assert type(source) is VideoSource


def test_a_pace_makes_a_file_live(tmp_path: Path) -> None:
    with open_source(str(write_film(tmp_path / "film.mp4", 2)), pace=1000) as source:
        assert type(source) is PacedSource
        assert [frame.index for frame in source] == [0, 1]


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.mp4 cannot be read: got no such file or folder"):
        open_source(str(tmp_path / "absent.mp4"))


def test_an_empty_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    with pytest.raises(InputError, match=r"film\.mp4 is empty"):
        open_source(str(tmp_path / "film.mp4"))


@pytest.mark.parametrize("uri", ["0", "csi://0", "rtsp://h/x", "a ! b"])
@pytest.mark.parametrize(("loop", "pace", "option"), [(True, None, "--loop"), (False, 30.0, "--pace")])
def test_a_camera_takes_no_option_of_a_file(uri: str, loop: bool, pace: float | None, option: str) -> None:
    with pytest.raises(InputError, match=f"has a pace and an end of its own: got {option}"):
        open_source(uri, loop=loop, pace=pace)


def test_a_file_takes_no_option_of_a_camera(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 2)
    with pytest.raises(InputError, match=r"film\.mp4 has a size and rate of its own"):
        open_source(str(film), mode=CameraMode(width=640))


@pytest.mark.parametrize(
    ("uri", "message"),
    [("63", "camera 63 cannot be opened"), ("csi://0", "needs GStreamer"), ("a ! b", "needs GStreamer")],
)
def test_each_kind_of_camera_has_its_error(uri: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.stream.gstreamer.has_gstreamer", lambda: False)
    with pytest.raises(DeviceError, match=message):
        open_source(uri)
