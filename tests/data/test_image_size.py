from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.core.limits import VARIABLE
from ssd_edge.data.image_size import image_size


def with_exif(path: Path, orientation: int) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + b"\0\0\0\0\0\0"
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (301, 7), (640, 480)])
def test_equals_the_size_of_the_pixels(tmp_path: Path, suffix: str, width: int, height: int) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    assert image_size(path) == (width, height) == read_image(path).shape[1::-1]


def test_progressive_jpeg_is_read_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert image_size(path) == (64, 48)


def test_a_picture_turned_by_exif_has_its_upright_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
    with_exif(path, orientation=6)
    assert image_size(path) == (48, 64) == read_image(path).shape[1::-1]


def test_missing_files_and_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jpg cannot be read"):
        image_size(tmp_path / "none.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    with pytest.raises(InputError, match=r"text\.jpg is not an image"):
        image_size(text)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (61, 60), (60, 61), (9, 8)])
def test_a_turned_image_of_nearly_equal_sides_has_its_upright_size(tmp_path: Path, width: int, height: int) -> None:
    """An eighth of it does not show which way it was turned."""
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    with_exif(path, orientation=6)
    assert image_size(path) == (height, width) == read_image(path).shape[1::-1]


def test_a_png_with_exif_has_the_size_of_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
    data, content = path.read_bytes(), b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
    path.write_bytes(data[:33] + chunk + data[33:])  # behind the signature and IHDR
    assert image_size(path) == read_image(path).shape[1::-1]


def test_a_header_that_claims_too_many_pixels_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "pixels=1000")
    for suffix in (".png", ".jpg"):
        path = tmp_path / f"a{suffix}"
        cv2.imwrite(str(path), np.zeros((25, 40, 3), np.uint8))
        assert image_size(path) == (40, 25)
        cv2.imwrite(str(path), np.zeros((26, 40, 3), np.uint8))
        with pytest.raises(InputError, match=r"a\.(png|jpg) .*pixels=1040"):
            image_size(path)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg is not a regular file"):
        image_size(tmp_path / "a.jpg")
