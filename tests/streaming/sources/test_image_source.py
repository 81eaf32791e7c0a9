from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sources.camera import CameraMode
from ssd_edge.streaming.sources.factory import open_images, open_source
from ssd_edge.streaming.sources.images import ImageSource


def write(path: Path, image: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def test_a_folder_is_read_by_name_and_each_frame_names_its_file(tmp_path: Path) -> None:
    for level, name in enumerate(["b.png", "a.png", "c.png"]):
        write(tmp_path / name, np.full((4, 6, 3), level, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    with ImageSource(tmp_path) as source:
        frames = list(source)
        assert (source.info.frames, source.info.live, source.info.stills) == (3, False, True)
    assert [Path(frame.source).name for frame in frames] == ["a.png", "b.png", "c.png"]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 0, 2]


def test_what_a_folder_holds_besides_images_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    with caplog.at_level("INFO", logger="ssd_edge"):
        source = ImageSource(tmp_path)
    assert f"{tmp_path}: 2 folders inside it were not looked into: x, y" in caplog.text
    assert f"{tmp_path / 'b.png'} is a link to a file that does not exist; it is left out" in caplog.text
    assert [Path(frame.source).name for frame in source] == ["a.png"]
    assert [str(lost) for lost in source.left_out] == [f"{tmp_path / 'b.png'}: is a link to a file that does not exist"]


def test_a_list_is_read_in_its_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, np.zeros((4, 6, 3), np.uint8)) for name in ("b.png", "a.png", "c.png")]
    paths[2].write_bytes(b"no image")
    source = open_images(paths)
    assert (source.info.name, source.info.frames, source.info.stills) == (f"{paths[0]} and 2 more images", 3, True)
    assert [Path(frame.source) for frame in source] == paths[:2]
    assert [lost.what for lost in source.left_out] == [str(paths[2])]
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    source = open_images([tmp_path / "broken.png", *paths[:2]])
    assert [Path(frame.source) for frame in source] == paths[:2]
    assert [lost.what for lost in source.left_out] == [str(tmp_path / "broken.png")]
    with pytest.raises(InputError, match=r"d\.png does not exist"):
        open_images([*paths, tmp_path / "d.png"])
    with pytest.raises(InputError, match="--width, --height and --fps are only for cameras"):
        open_images(paths, mode=CameraMode(width=640))


def test_a_quoted_pattern_is_told_from_a_name(tmp_path: Path) -> None:
    write(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(InputError, match=r"fits 1 file; wanted .*\. Write it without quotes"):
        open_source(str(tmp_path / "*.png"))
    with pytest.raises(InputError, match=r"fits no files; wanted .* or a video$"):
        open_source(str(tmp_path / "*.jpg"))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((3, 5), 7, np.uint8), (7, 7, 7)),
        (np.full((3, 5, 4), (1, 2, 3, 0), np.uint8), (1, 2, 3)),
        (np.full((3, 5, 3), 0x1234, np.uint16), (0x12, 0x12, 0x12)),
        (np.full((1, 1, 3), (4, 5, 6), np.uint8), (4, 5, 6)),
    ],
    ids=["grey", "rgba", "16-bit", "1x1"],
)
def test_every_kind_of_picture_becomes_bgr(tmp_path: Path, image: np.ndarray, expected: tuple[int, ...]) -> None:
    (frame,) = ImageSource(write(tmp_path / "a.png", image))
    assert frame.image.shape == (*image.shape[:2], 3)
    assert frame.image.dtype == np.uint8
    assert tuple(frame.image[0, 0].tolist()) == expected


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", np.zeros((20, 40, 3), np.uint8))
    # An APP1 segment with one entry, orientation (0x0112) = 6: turn by 90 degrees.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    data = path.read_bytes()
    path.write_bytes(data[:2] + segment + data[2:])
    (frame,) = ImageSource(path)
    assert (frame.width, frame.height) == (20, 40)


def test_a_truncated_jpeg_is_left_out_of_its_folder_and_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write(tmp_path / name, rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    broken = tmp_path / "b.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])
    source = ImageSource(tmp_path)
    frames = list(source)
    assert [(frame.index, Path(frame.source).name) for frame in frames] == [(0, "a.jpg"), (1, "c.jpg")]
    assert [(lost.what, lost.why) for lost in source.left_out] == [(str(broken), "is truncated")]
    with pytest.raises(InputError, match=r"b\.jpg is truncated"):
        list(ImageSource(broken))


def test_a_folder_of_damaged_images_is_refused_even_in_a_loop(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"\.jpg is empty"):
        list(ImageSource(tmp_path, loop=True))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no images"):
        ImageSource(tmp_path)


def test_a_loop_goes_round_until_it_is_interrupted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    source = ImageSource(tmp_path, loop=True)
    assert source.info.frames is None
    seen = []
    for frame in source:
        seen.append((frame.index, Path(frame.source).name, frame.segment))
        if frame.index == 4:
            source.interrupt()
    assert seen == [(0, "a.png", 0), (1, "b.png", 0), (2, "a.png", 1), (3, "b.png", 1), (4, "a.png", 2)]
