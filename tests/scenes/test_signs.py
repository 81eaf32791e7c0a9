from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ssd_edge.scenes.canvas import FACE_PX, GLYPHS, FaceCanvas, text_strokes
from ssd_edge.scenes.signs import PLAIN, PLAIN_VARIANTS, SIGN_KINDS, SPEED_LIMIT, SPEEDS, TREE, sign_face


def test_there_are_eight_kinds_and_no_two_look_alike() -> None:
    assert len(SIGN_KINDS) == 8
    faces = {kind: sign_face(kind).astype(int) for kind in SIGN_KINDS}
    for first, second in combinations(SIGN_KINDS, 2):
        assert np.abs(faces[first] - faces[second]).mean() > 5, (first, second)


def test_turning_left_is_turning_right_in_a_mirror() -> None:
    difference = sign_face("turn_left").astype(int) - sign_face("turn_right")[:, ::-1]
    assert np.abs(difference).mean() < 0.5


def test_every_speed_looks_different() -> None:
    faces = [sign_face(SPEED_LIMIT, number).astype(int) for number in range(len(SPEEDS))]
    for first, second in combinations(faces, 2):
        assert np.abs(first - second).mean() > 1


@pytest.mark.parametrize("kind", [*SIGN_KINDS, PLAIN, TREE])
def test_faces_are_opaque_inside_clear_outside_and_smooth_between(kind: str) -> None:
    face = sign_face(kind)
    alpha = face[..., 3]
    assert face.shape == (FACE_PX, FACE_PX, 4)
    assert (alpha[FACE_PX // 2, FACE_PX // 2], alpha[0, 0], alpha[-1, -1]) == (255, 0, 0)
    assert (face[..., :3] <= alpha[..., None]).all()  # colors are multiplied by alpha
    assert np.count_nonzero((alpha > 0) & (alpha < 255)) > 100
    with pytest.raises(ValueError, match="read-only"):
        face[0, 0] = 0


def test_plain_plates_differ_from_every_sign() -> None:
    signs = [sign_face(kind).astype(int) for kind in SIGN_KINDS]
    for variant in range(0, PLAIN_VARIANTS, 7):
        plate = sign_face(PLAIN, variant).astype(int)
        assert min(np.abs(plate - sign).mean() for sign in signs) > 5


def test_text_fills_its_box() -> None:
    strokes = np.concatenate(text_strokes("STOP", width=2.0, height=0.5, gap=0.1))
    np.testing.assert_allclose(strokes.min(axis=0), [-1, -0.25], atol=0.03)
    np.testing.assert_allclose(strokes.max(axis=0), [1, 0.25], atol=0.03)
    assert set("STOP") | set("".join(SPEEDS)) <= set(GLYPHS)


def test_the_canvas_draws_in_units_around_its_middle() -> None:
    canvas = FaceCanvas()
    canvas.polygon(np.array([(-0.5, -0.25), (0.5, -0.25), (0.5, 0.25), (-0.5, 0.25)]), (255, 255, 255))
    rows, cols = np.nonzero(canvas.face()[..., 3] > 127)
    unit = FACE_PX / 2 / 1.06
    expected = FACE_PX / 2 + np.array([-0.5, 0.5, -0.25, 0.25]) * unit
    np.testing.assert_allclose([cols.min(), cols.max() + 1, rows.min(), rows.max() + 1], expected, atol=1)
