from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.scenes.patch import Patch, SceneCanvas, posed_quad, warp_face
from ssd_edge.scenes.signs import SIGN_KINDS

PLAIN_LIGHT = np.ones(3, np.float32)


@pytest.mark.parametrize("kind", SIGN_KINDS)
@pytest.mark.parametrize("height", [19.0, 64.0, 300.0])
def test_the_box_is_tight_around_the_pixels_of_the_sign(kind: str, height: float) -> None:
    quad = posed_quad((200.3, 180.7), height, yaw=35, pitch=-12, roll=9)
    patch = warp_face(kind, 0, quad, PLAIN_LIGHT)
    x1, y1, x2, y2 = (int(value) for value in patch.box())
    covered = np.zeros((600, 600), bool)
    h, w = patch.mask.shape
    covered[patch.top : patch.top + h, patch.left : patch.left + w] = patch.pixels[..., 3] > 127
    inside = covered[y1:y2, x1:x2]
    assert inside.sum() == covered.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_an_unturned_sign_fills_the_height_asked_for() -> None:
    quad = posed_quad((100, 100), 106.0, yaw=0, pitch=0, roll=0)
    np.testing.assert_allclose(quad, [(47, 47), (153, 47), (153, 153), (47, 153)])
    # A no-entry sign's disc has 1 / 1.06 of the face's height.
    np.testing.assert_allclose(warp_face("no_entry", 0, quad, PLAIN_LIGHT).box(), (50, 50, 150, 150), atol=1)


def test_the_nearer_side_looks_larger() -> None:
    quad = posed_quad((0, 0), 100, yaw=40, pitch=0, roll=0)
    left, right = quad[3, 1] - quad[0, 1], quad[2, 1] - quad[1, 1]
    assert abs(left - right) > 10


def test_gain_fades_colours_but_not_the_outline() -> None:
    quad = posed_quad((50, 50), 60, yaw=0, pitch=0, roll=0)
    full, faded = (warp_face("stop", 0, quad, PLAIN_LIGHT * gain) for gain in (1.0, 0.5))
    np.testing.assert_array_equal(full.pixels[..., 3], faded.pixels[..., 3])
    np.testing.assert_allclose(faded.pixels[..., :3], full.pixels[..., :3] * 0.5, atol=1)


def square(left: int, top: int, side: int = 10) -> Patch:
    return Patch(np.full((side, side, 4), 255, np.uint8), left, top)


def test_what_hides_and_what_is_outside_counts_as_not_visible() -> None:
    canvas = SceneCanvas(np.zeros((40, 60, 3), np.uint8))
    behind, outside, front = canvas.paste(square(5, 5)), canvas.paste(square(55, 20)), canvas.paste(square(10, 5))
    np.testing.assert_allclose(canvas.visible_fraction()[[behind, outside, front]], [0.5, 0.5, 1.0])
    canvas.paste_over(square(10, 0))
    assert canvas.visible_fraction()[front] == pytest.approx(0.5)
    canvas.polygon(np.array([(-9, -9), (69, -9), (69, 49), (-9, 49)], np.float64), (9, 9, 9))
    assert canvas.visible_fraction().max() == 0
    assert (canvas.image == 9).all()


def test_a_line_hides_too() -> None:
    canvas = SceneCanvas(np.zeros((40, 60, 3), np.uint8))
    number = canvas.paste(square(5, 5, 20))
    canvas.stroke(np.array([(15.0, 0.0), (15.0, 39.0)]), (200, 200, 200), 5)
    assert 0.6 < canvas.visible_fraction()[number] < 0.85


def test_half_transparent_pixels_let_half_of_the_background_through() -> None:
    canvas = SceneCanvas(np.full((4, 4, 3), 200, np.uint8))
    canvas.paste(Patch(np.full((4, 4, 4), 128, np.uint8), 0, 0))
    assert np.abs(canvas.image.astype(int) - (128 + 200 * 127 / 255)).max() <= 1


def test_a_patch_wholly_outside_changes_nothing() -> None:
    canvas = SceneCanvas(np.zeros((4, 4, 3), np.uint8))
    number = canvas.paste(square(40, -30))
    assert canvas.image.max() == 0
    assert canvas.visible_fraction()[number] == 0
