from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.data.image_size import image_size


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
    turned_left = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(turned_left) + 2).to_bytes(2, "big") + turned_left + data[2:])
    assert image_size(path) == (48, 64) == read_image(path).shape[1::-1]


def test_missing_files_and_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jpg cannot be read"):
        image_size(tmp_path / "none.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    with pytest.raises(InputError, match=r"text\.jpg is not an image"):
        image_size(text)
