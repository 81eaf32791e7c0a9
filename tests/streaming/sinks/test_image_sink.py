from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sinks.images import ImageFileSink, ImageFolderSink


def frame(index: int, source: str) -> Frame:
    return Frame(np.full((4, 6, 3), 50 + index, np.uint8), index, 0.0, source)


def test_pictures_of_a_folder_keep_their_names(tmp_path: Path) -> None:
    with ImageFolderSink(tmp_path / "out", named_by_source=True) as sink:
        for index, name in enumerate(["a.png", "a.bmp"]):
            shown = frame(index, f"photos/{name}")
            sink.show(shown, shown.image)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.bmp", "a.png"]
    assert int(cv2.imread(str(tmp_path / "out" / "a.bmp"))[0, 0, 0]) == 51


def test_pictures_of_the_same_name_do_not_overwrite_each_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = ["x/a.png", "y/a.png", "y/a-2.png", "x/a.png"]
    with caplog.at_level("INFO", logger="ssd_edge"), ImageFolderSink(tmp_path, named_by_source=True) as sink:
        for index, source in enumerate(sources):
            sink.show(frame(index, source), frame(index, source).image)
    levels = {path.name: int(cv2.imread(str(path))[0, 0, 0]) for path in tmp_path.iterdir()}
    assert levels == {"a.png": 53, "a-2.png": 51, "a-2-2.png": 52}, "an image that comes again keeps its file"
    assert f"y/a.png is saved as {tmp_path / 'a-2.png'}" in caplog.text


def test_frames_of_a_film_are_numbered(tmp_path: Path) -> None:
    with ImageFolderSink(tmp_path, named_by_source=False) as sink:
        shown = frame(42, "http://host/picture.jpg")
        sink.show(shown, shown.image)
    assert [path.name for path in tmp_path.iterdir()] == ["frame_000042.jpg"]


def test_a_single_picture_goes_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.png"
    with ImageFileSink(path) as sink:
        shown = frame(0, "a.jpg")
        sink.show(shown, shown.image)
    assert np.all(cv2.imread(str(path)) == 50)


def test_places_that_cannot_be_written_are_refused_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="wanted a writable folder"):
        ImageFolderSink(tmp_path / "file" / "out", named_by_source=True)
    with pytest.raises(InputError, match="wanted a writable folder"):
        ImageFileSink(tmp_path / "file" / "out.png")
    with pytest.raises(InputError, match=r"out\.pdf is not an image file: got suffix '\.pdf'"):
        ImageFileSink(tmp_path / "out.pdf")
    (tmp_path / "out.jpg").mkdir()
    with pytest.raises(InputError, match=r"out\.jpg is a folder"):
        ImageFileSink(tmp_path / "out.jpg")


def test_a_picture_never_takes_the_place_of_its_source(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"the only one")
    shown = frame(0, str(path))
    with (
        pytest.raises(InputError, match=r"a\.png is also the input"),
        ImageFolderSink(tmp_path, named_by_source=True) as sink,
    ):
        sink.show(shown, shown.image)
    assert path.read_bytes() == b"the only one"
    assert sink.written == 0


def test_the_written_pictures_are_counted(tmp_path: Path) -> None:
    with ImageFolderSink(tmp_path, named_by_source=False) as folder, ImageFileSink(tmp_path / "a.png") as file:
        assert (folder.written, file.written) == (0, 0)
        for index in range(3):
            shown = frame(index, "video.mp4")
            folder.show(shown, shown.image)
        file.show(shown, shown.image)
    assert (folder.written, file.written) == (3, 1)
