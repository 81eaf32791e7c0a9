from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sinks.conflicts import check_distinct, check_keeps_input


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    film, link = tmp_path / "video.mp4", tmp_path / "link.mp4"
    film.write_bytes(b"x")
    link.symlink_to(film)
    for output in (film, link, tmp_path / "." / "video.mp4"):
        with pytest.raises(InputError, match="is also the input"):
            check_keeps_input(output, film)
    check_keeps_input(tmp_path / "other.mp4", film)
    with pytest.raises(InputError, match="is also the input"):
        check_keeps_input(tmp_path, tmp_path)


def test_no_picture_of_the_input_folder_is_overwritten(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").touch()
    (photos / "notes.txt").touch()
    (tmp_path / "link.jpg").symlink_to(photos / "a.jpg")
    for output in (photos / "a.jpg", tmp_path / "link.jpg"):
        with pytest.raises(InputError, match="is also the input"):
            check_keeps_input(output, photos)
    for output in (photos / "b.jpg", photos / "notes.txt", tmp_path):
        check_keeps_input(output, photos)


def test_two_outputs_are_two_places(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "hard").hardlink_to(tmp_path / "there")
    for one, other in (("new", "new"), ("new", "./a/../new"), ("there", "link"), ("there", "hard")):
        with pytest.raises(InputError, match=f"{one} is given for two outputs"):
            check_distinct([tmp_path / one, tmp_path / other])
    check_distinct([tmp_path / "new", tmp_path / "newer"])
    check_distinct([tmp_path / "there"])
    check_distinct([])
