from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sinks.video import CODECS, VideoSink
from tests.streaming.films import STEP, frame_at, number_of, read_film


def numbers(path: Path) -> list[int]:
    return [number_of(picture) for picture in read_film(path)]


def show(sink: VideoSink, number: int, seconds: float = 0.0, size: tuple[int, int] = (96, 64)) -> None:
    frame = frame_at(seconds, number, level=number * STEP, size=size)
    sink.show(frame, frame.image)


@pytest.mark.parametrize("suffix", CODECS)
def test_each_container_plays_what_was_shown(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / f"film{suffix}"
    with VideoSink(path, 25.0) as sink:
        for number in range(8):
            show(sink, number)
    assert numbers(path) == list(range(8))
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert capfd.readouterr() == ("", "")


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can grow beyond this many bytes; Python ignores the signal, so writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(path: Path) -> VideoSink:
    """A film of 24 frames that no codec makes small; closed by the caller."""
    rng = np.random.default_rng(0)
    sink = VideoSink(path, 25.0)
    for number in range(24):
        frame = frame_at(0.0, number)
        sink.show(frame, rng.integers(0, 255, frame.image.shape, np.uint8))
    return sink


@pytest.mark.parametrize("suffix", CODECS)
def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"film{suffix}"
    noise(path).close()
    whole = path.stat().st_size
    path.unlink()
    for size in (20, whole // 8, whole // 2, whole - 4000, whole - 100, whole - 1):
        with (
            pytest.raises(InputError, match=r"film\.\w+ could not be completed: wanted free space on its disk"),
            disk_of(size),
            ExitStack() as stack,
        ):
            stack.enter_context(noise(path))
        assert list(tmp_path.iterdir()) == [], size
    assert capfd.readouterr() == ("", "")


def test_frames_that_are_lost_are_noticed_though_the_disk_has_room_again(tmp_path: Path) -> None:
    for suffix in (".avi", ".mkv", ".webm"):
        sink = noise(tmp_path / f"film{suffix}")
        with pytest.raises(InputError, match="could not be completed"):
            with disk_of(30_000):
                sink._writer.release()
            sink.close()
        assert list(tmp_path.iterdir()) == []


def test_the_frames_of_a_film_are_counted_when_it_is_whole(tmp_path: Path) -> None:
    sink = noise(tmp_path / "film.mp4")
    assert sink.written == 0
    sink.close()
    assert sink.written == 24


def test_a_name_that_opencv_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has a name that OpenCV cannot take: got bytes that are no UTF-8"):
        VideoSink(tmp_path / "caf\udce9.mp4", 25.0)


def test_the_film_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")
    with VideoSink(path, 25.0) as sink:
        show(sink, 0)
        assert path.read_bytes() == b"old"
    assert numbers(path) == [0]


def test_an_error_elsewhere_keeps_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with pytest.raises(ZeroDivisionError), VideoSink(path, 25.0) as sink:
        show(sink, 0)
        show(sink, 1)
        raise ZeroDivisionError
    assert numbers(path) == [0, 1]


def test_without_a_frame_nothing_is_left(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "film.mp4", 25.0):
        pass
    assert list(tmp_path.iterdir()) == []


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
def test_a_film_of_a_camera_takes_as_long_as_the_run_did(
    tmp_path: Path, times_s: list[float], played: list[int]
) -> None:
    path = tmp_path / "film.avi"
    with VideoSink(path, 10.0, real_time=True) as sink:
        for number, seconds in enumerate(times_s):
            show(sink, number, 1000 + seconds)
    assert numbers(path) == played


def test_pictures_of_another_size_are_refused_and_the_film_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with (
        pytest.raises(
            InputError, match=r"takes pictures of one size: got 48 x 48 after 96 x 64. Give --output a folder"
        ),
        VideoSink(path, 25.0) as sink,
    ):
        show(sink, 0)
        show(sink, 1, size=(48, 48))
    assert numbers(path) == [0]


def test_an_odd_size_loses_a_row_and_a_column(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with VideoSink(path, 25.0) as sink:
        show(sink, 3, size=(97, 65))
    (picture,) = read_film(path)
    assert picture.shape == (64, 96, 3)


def test_a_size_that_the_codec_does_not_take_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(InputError, match=r"film\.mp4 cannot be encoded: got 1 x 1 at 25 FPS"),
        VideoSink(tmp_path / "film.mp4", 25.0) as sink,
    ):
        show(sink, 0, size=(1, 1))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_film_that_was_lost_on_its_way_is_named(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "film.mp4", 25.0)
    show(sink, 0)
    (partial,) = tmp_path.iterdir()
    partial.unlink()
    with pytest.raises(InputError, match=r"film\.mp4 could not be completed"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_refused_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="wanted a writable folder"):
        VideoSink(tmp_path / "file" / "film.mp4", 25.0)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match="got a folder"):
        VideoSink(tmp_path / "folder.mp4", 25.0)
    with pytest.raises(InputError, match=r"film\.gif is no film: got suffix '\.gif'"):
        VideoSink(tmp_path / "film.gif", 25.0)


def test_shown_pictures_are_not_changed(tmp_path: Path) -> None:
    frame = frame_at(0.0, level=77)
    with VideoSink(tmp_path / "film.mp4", 25.0) as sink:
        sink.show(frame, frame.image)
    assert np.all(frame.image == 77)
