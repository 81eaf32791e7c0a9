from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.stream.video_source import VideoSource
from tests.stream.films import number_of, write_film


def test_every_frame_comes_once_and_in_order(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 12, fps=25)
    with VideoSource(str(path), "film") as source:
        frames = list(source)
        assert (source.info.frames, source.info.fps, source.info.live) == (12, 25.0, False)
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert [frame.index for frame in frames] == list(range(12))
    assert all(earlier.captured_at <= later.captured_at for earlier, later in pairwise(frames))
    assert frames[0].image.shape == (64, 96, 3)


def test_a_loop_plays_again_and_counts_on(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 3)
    with VideoSource(str(path), "film", loop=True) as source:
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
        VideoSource(str(path), str(path))
    assert capfd.readouterr() == ("", "")


def test_a_video_cut_off_before_its_first_frame_is_refused(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.avi", 20, size=(320, 240))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"movi") + 4])
    with pytest.raises(InputError, match=r"film\.avi (holds no frame|is not a video)"):
        list(VideoSource(str(path), str(path)))
