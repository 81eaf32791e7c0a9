from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from ssd_edge.core.frame import FloatArray
from ssd_edge.scenes import scene as scene_module
from ssd_edge.scenes.backgrounds import draw_background
from ssd_edge.scenes.patch import Patch, warp_face
from ssd_edge.scenes.scene import Scene, cut_box, draw_scene
from ssd_edge.scenes.signs import SIGN_KINDS

SIZE = (96, 128)


def digest(scene: Scene) -> str:
    return hashlib.sha256(scene.image.tobytes() + repr(scene.objects).encode()).hexdigest()


def test_a_scene_depends_on_its_seed_and_number_only() -> None:
    first = [digest(draw_scene(*SIZE, 3, index)) for index in range(6)]
    again = [digest(draw_scene(*SIZE, 3, index)) for index in reversed(range(6))][::-1]
    assert first == again
    assert len({*first, *(digest(draw_scene(*SIZE, 4, index)) for index in range(6))}) == 12


def test_objects_are_whole_pixels_inside_the_picture_and_of_the_promised_sizes() -> None:
    scenes = [draw_scene(*SIZE, 0, index) for index in range(80)]
    found = [item for scene in scenes for item in scene.objects]
    boxes = np.array([item.box for item in found])
    assert {item.label for item in found} == set(SIGN_KINDS)
    assert (boxes == np.round(boxes)).all()
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [128, 96]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes[:, 3] - boxes[:, 1]).max() <= 96 * 0.6 * 1.5  # turned and near
    counts = np.array([len(scene.objects) for scene in scenes])
    assert counts.max() <= 5
    assert 0 in counts
    difficult = np.mean([item.difficult for item in found])
    assert 0 < difficult < 0.1


def test_pictures_vary_in_light_and_are_neither_black_nor_white() -> None:
    means = np.array([draw_scene(*SIZE, 1, index).image.mean() for index in range(40)])
    assert means.std() > 15
    assert means.min() > 5
    assert means.max() < 252


def test_boxes_are_tight_around_the_pixels_that_a_sign_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scene is drawn twice, with black and with white signs: where it differs by half, there is the sign."""
    shade = [0]

    def flat(kind: str, variant: int, quad: Any, gain: FloatArray) -> Patch:
        patch = warp_face(kind, variant, quad, gain)
        alpha = patch.pixels[..., 3:]
        return Patch(np.concatenate([alpha * shade[0]] * 3 + [alpha], axis=2), patch.left, patch.top)

    monkeypatch.setattr(scene_module, "warp_face", flat)
    monkeypatch.setattr(scene_module, "draw_occluder", lambda *arguments: None)
    monkeypatch.setattr(scene_module, "expose", lambda image, exposure, rng: image)
    single = 0
    for index in range(40):
        views = []
        for shade[0] in (0, 1):
            views.append(draw_scene(*SIZE, 5, index))
        rows, cols = np.nonzero(views[1].image[..., 0].astype(int) - views[0].image[..., 0] >= 128)
        if len(views[0].objects) == 1:  # of several, a nearer one may hide the edge of another
            assert views[0].objects[0].box == (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
            single += 1
    assert single >= 8


def test_backgrounds_of_any_shape_are_whole() -> None:
    for seed in range(12):
        for height, width in [(33, 200), (200, 33), (64, 64)]:
            image = draw_background(height, width, np.random.default_rng(seed))
            assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
            assert image.std() > 1


def test_boxes_are_cut_at_the_edges() -> None:
    assert cut_box((-5, 3, 50, 99), width=40, height=30) == (0, 3, 40, 30)
