from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.outputs import OutputOptions, open_image_sinks, open_outputs, video_rate
from ssd_edge.streaming.sinks.images import ImageFileSink, ImageFolderSink
from ssd_edge.streaming.sinks.video import VideoSink
from ssd_edge.streaming.sources.base import SourceInfo
from ssd_edge.streaming.web.access import read_token, token_path

FILM = SourceInfo("video.mp4", live=False, fps=50.0, frames=9)
PHOTO = SourceInfo("a.jpg", live=False, frames=1, stills=True)
CAMERA = SourceInfo("camera 0", live=True, fps=60.0)


@pytest.mark.parametrize(
    ("name", "info", "kind"),
    [
        ("out.mp4", FILM, VideoSink),
        ("out.AVI", CAMERA, VideoSink),
        ("out", FILM, ImageFolderSink),
        ("out.jpg", PHOTO, ImageFileSink),
        ("out", PHOTO, ImageFolderSink),
    ],
)
def test_the_suffix_chooses_the_output(tmp_path: Path, name: str, info: SourceInfo, kind: type) -> None:
    with open_image_sinks(tmp_path / name, info) as sink:
        assert type(sink) is kind


def test_many_frames_do_not_fit_into_one_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"out\.jpg can hold only one image: got the many frames of video\.mp4"):
        open_image_sinks(tmp_path / "out.jpg", FILM)


def test_another_suffix_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"out\.mov is not a known kind of output: got suffix '\.mov'; wanted \.mp4"):
        open_image_sinks(tmp_path / "out.mov", FILM)


def test_a_folder_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "run.1").mkdir()
    with open_image_sinks(tmp_path / "run.1", FILM) as sink:
        assert type(sink) is ImageFolderSink


@pytest.mark.parametrize(
    ("info", "rate"),
    [
        (FILM, 50.0),
        (CAMERA, 30.0),
        (SourceInfo("c", live=True, fps=15.0), 15.0),
        (SourceInfo("c", live=True), 30.0),
        (PHOTO, 10.0),
    ],
)
def test_a_film_has_the_rate_of_its_source(info: SourceInfo, rate: float) -> None:
    assert video_rate(info) == rate


@pytest.mark.parametrize("suffix", ["", ".mp4", ".jpg", ".mov"])
def test_a_name_that_is_too_long_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="File name too long"):
        open_image_sinks(tmp_path / ("a" * 300 + suffix), PHOTO)


def test_who_may_watch_from_elsewhere_is_told_the_file_of_the_token_and_not_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    caplog.set_level("INFO", "ssd_edge")
    token = read_token(token_path())
    for serve, names_it in (("0.0.0.0:0", True), ("127.0.0.1:0", False)):
        caplog.clear()
        with ExitStack() as stack:
            open_outputs(stack, CAMERA, [], OutputOptions(serve=serve), StopRequest())
        (line,) = caplog.messages
        assert re.search(r"http://127\.0\.0\.1:\d+/ ?", line)
        assert (str(token_path()) in line, token in line) == (names_it, False)
