from __future__ import annotations

import colorsys

import numpy as np

from ssd_edge.data import augment as photometric
from ssd_edge.data.augment import distort

GREYS = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)


def hsv(pixel: np.ndarray) -> tuple[float, float, float]:  # type: ignore[type-arg]
    blue, green, red = (float(value) / 255 for value in pixel)
    return colorsys.rgb_to_hsv(red, green, blue)


def test_grey_stays_grey_and_its_order_is_kept() -> None:
    changed = 0
    for seed in range(60):
        view = distort(GREYS, np.random.default_rng(seed))
        assert (view == view[..., :1]).all()
        assert (np.diff(view[0, :, 0].astype(int)) >= 0).all()
        changed += not np.array_equal(view, GREYS)
    assert 35 <= changed <= 55  # brightness or contrast: 3 of 4


def test_levels_stay_within_the_ranges_of_the_recipe() -> None:
    views = np.stack([distort(GREYS, np.random.default_rng(seed))[0, :, 0] for seed in range(400)]).astype(float)
    middle = views[:, 128]
    assert middle.min() >= (128 - 32) * 0.5 - 1
    assert middle.max() <= (128 + 32) * 1.5 + 1
    assert middle.min() < 70
    assert middle.max() > 190


def test_hue_turns_by_at_most_18_degrees_round_the_circle() -> None:
    red = np.full((1, 1, 3), (20, 10, 220), np.uint8)  # hue near the seam at 0
    hue, saturation, _ = hsv(red[0, 0])
    turns, saturations = [], []
    for seed in range(300):
        h, s, _ = hsv(distort(red, np.random.default_rng(seed))[0, 0])
        turns.append(((h - hue + 0.5) % 1 - 0.5) * 360)
        saturations.append(s)
    assert max(np.abs(turns)) <= 18 + 8  # clipping at 255 turns it a little more
    assert min(turns) < -10
    assert max(turns) > 10
    assert min(saturations) < 0.7 * saturation


def test_saturation_alone_keeps_the_value() -> None:
    image = np.full((1, 1, 3), (40, 80, 160), np.uint8)
    view = photometric._recoloured(image, 0.5, 0.0)
    hue, saturation, value = hsv(image[0, 0])
    h, s, v = hsv(view[0, 0])
    np.testing.assert_allclose([h, s, v], [hue, saturation / 2, value], atol=0.01)


def test_the_picture_given_is_not_written_to() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    before = image.copy()
    for seed in range(20):
        distort(image, np.random.default_rng(seed))
    np.testing.assert_array_equal(image, before)
