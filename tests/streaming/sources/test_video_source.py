from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sources.video import open_video
from tests.streaming.films import number_of, write_film


def test_every_frame_comes_once_and_in_order(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.mp4", 12, fps=25)
    with open_video(path) as source:
        frames = list(source)
        assert (source.info.frames, source.info.fps, source.info.live) == (12, 25.0, False)
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert [frame.index for frame in frames] == list(range(12))
    assert all(earlier.captured_at <= later.captured_at for earlier, later in pairwise(frames))
    assert frames[0].image.shape == (64, 96, 3)


def test_a_loop_plays_again_and_counts_on(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.mp4", 3)
    with open_video(path, loop=True) as source:
        seen = []
        for frame in source:
            seen.append((frame.index, number_of(frame.image)))
            if frame.index == 6:
                source.interrupt()
        assert source.info.frames is None
    assert seen == [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2), (6, 0)]


def test_a_text_file_named_mp4_is_refused_without_chatter(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("these are notes\n" * 50)
    with pytest.raises(InputError, match=r"notes\.mp4 is not a video that OpenCV can read"):
        open_video(path)
    assert capfd.readouterr() == ("", "")


def test_a_video_cut_off_before_its_first_frame_is_refused(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.avi", 20, size=(320, 240))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"movi") + 4])
    with pytest.raises(InputError, match=r"video\.avi (holds no frame|is not a video)"):
        list(open_video(path))


def halved(path: Path) -> Path:
    """An .avi that ends in the middle of its frames."""
    whole = path.read_bytes()
    path.write_bytes(whole[: (whole.index(b"movi") + whole.index(b"idx1")) // 2])
    return path


@pytest.mark.parametrize("loop", [False, True])
def test_a_film_that_was_cut_in_half_is_reported_once(
    tmp_path: Path, loop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = halved(write_film(tmp_path / "video.avi", 24))
    with open_video(path, loop=loop) as source:
        frames = []
        for frame in source:
            frames.append(number_of(frame.image))
            if len(frames) == 60:
                source.interrupt()
    count = frames.index(0, 1) if loop else len(frames)
    assert 6 < count < 18
    assert caplog.messages == [f"{path} ends after {count} of 24 frames; it is cut short or damaged"]


@pytest.mark.parametrize("frames", [1, 2, 24])
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_whole_film_is_not_reported(
    tmp_path: Path, suffix: str, frames: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_film(tmp_path / f"video{suffix}", frames)
    with open_video(path) as source:
        assert len(list(source)) == frames
    assert caplog.messages == []


def test_a_film_that_was_interrupted_is_not_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_video(write_film(tmp_path / "video.mp4", 24)) as source:
        for frame in source:
            if frame.index == 3:
                source.interrupt()
    assert frame.index == 3
    assert caplog.messages == []


def test_a_film_that_is_gone_when_its_next_lap_begins_is_named(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.mp4", 3)
    with (
        pytest.raises(InputError, match=r"video\.mp4 can no longer be opened"),
        open_video(path, loop=True) as source,
    ):
        for _ in source:
            path.unlink(missing_ok=True)


def test_a_name_that_opencv_cannot_take_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.mp4"
    write_film(tmp_path / "video.mp4", 2).rename(path)
    with pytest.raises(InputError, match=r"has a name that OpenCV cannot take: got bytes that are no UTF-8"):
        open_video(path)
