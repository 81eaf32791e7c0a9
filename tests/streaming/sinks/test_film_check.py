from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.streaming.sinks.video import has_room, is_whole
from tests.streaming.films import write_film


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_film_is_whole_with_all_of_its_frames(tmp_path: Path, suffix: str) -> None:
    film = write_film(tmp_path / f"film{suffix}", 9)
    before = film.read_bytes()
    assert is_whole(film, 9)
    assert not is_whole(film, 10)
    assert film.read_bytes() == before


def test_what_does_not_play_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(bytes(100))
    assert not is_whole(tmp_path / "film.mp4", 0)
    assert not is_whole(tmp_path / "absent.mp4", 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_has_no_room(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    assert not has_room(tmp_path / "full")
    assert not has_room(tmp_path / "absent" / "film.mp4")
    assert has_room(tmp_path / "new")
    assert (tmp_path / "new").stat().st_size == 0
