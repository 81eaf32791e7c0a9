from __future__ import annotations

import cv2
import numpy as np

from ssd_edge.evaluation.example_images import COLOR_KEY, MISSED, RIGHT, WRONG
from ssd_edge.reporting.images import CaptionedImage, save_images


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int(np.count_nonzero((np.abs(image.astype(int) - color) <= 2).all(axis=2)))


def test_pictures_stand_in_rows_with_the_key_of_their_colours(tmp_path):
    red, green = (40, 30, 200), (30, 160, 20)
    stills = [CaptionedImage(np.full((30, 40, 3), color, np.uint8), "name", "1 missed") for color in (red, green)]
    save_images(tmp_path / "d.png", "run", [("Most", stills[:1]), ("Fewest", stills[1:])], COLOR_KEY)
    image = cv2.imread(str(tmp_path / "d.png"))
    rows = [np.flatnonzero((np.abs(image.astype(int) - color) <= 2).all(axis=2).any(axis=1)) for color in (red, green)]
    assert rows[0].max() < rows[1].min()
    assert all(count(image, color) > 50 for color in (RIGHT, WRONG, MISSED))
