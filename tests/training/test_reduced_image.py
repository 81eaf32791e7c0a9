from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image, write_image
from ssd_edge.training.dataset import read_reduced
from tests.core.test_images import with_orientation


def photo(width: int, height: int) -> np.ndarray:
    """Soft spots, so that halving loses little."""
    spots = np.random.default_rng(0).integers(0, 256, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    return cv2.resize(spots, (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize(
    ("least_side", "factor"), [(None, 1), (301, 1), (300, 2), (151, 2), (150, 4), (76, 4), (75, 8), (5, 8)]
)
def test_the_shorter_side_keeps_what_is_needed(tmp_path: Path, least_side: int | None, factor: int) -> None:
    write_image(tmp_path / "a.jpg", photo(800, 600))
    found = read_reduced(tmp_path / "a.jpg", least_side=least_side)
    assert found.factor == factor
    assert found.pixels.shape == (600 // factor, 800 // factor, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("size", "near"), [((800, 600), 3), ((803, 601), 8)])
def test_it_stands_upright_as_the_whole_picture_does(
    tmp_path: Path, orientation: int, size: tuple[int, int], near: float
) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, photo(*size))
    path.write_bytes(with_orientation(path.read_bytes(), orientation))
    found, whole = read_reduced(path, least_side=150), read_image(path)
    assert found.factor == 4
    height, width = found.pixels.shape[:2]
    assert (height, width) == tuple(-(-side // 4) for side in whole.shape[:2])
    wanted = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(found.pixels.astype(int) - wanted).mean() < near


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
def test_other_formats_stay_as_they_are(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", photo(800, 600))
    found = read_reduced(tmp_path / f"a{suffix}", least_side=10)
    assert found.factor == 1
    assert np.array_equal(found.pixels, read_image(tmp_path / f"a{suffix}"))


def test_ordinary_pictures_are_read_to_the_bit_as_ever(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", photo(640, 480))
    found = read_reduced(tmp_path / "a.jpg", least_side=640)
    assert found.factor == 1
    assert np.array_equal(found.pixels, read_image(tmp_path / "a.jpg"))


def test_grey_jpegs_have_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), photo(800, 600)[..., 0])
    assert read_reduced(tmp_path / "a.jpg", least_side=150).pixels.shape == (150, 200, 3)


def test_a_photo_that_is_cut_short_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", photo(800, 600))
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"a\.jpg is truncated"):
        read_reduced(tmp_path / "a.jpg", least_side=150)
