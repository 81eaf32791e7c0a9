from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.streaming.privacy import Blur, PrivacyMask, parse_polygon
from ssd_edge.streaming.sinks.base import AnnotatedSink, ImageSink
from tests.streaming.films import frame_at, one_box

CORNER = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]


@pytest.mark.parametrize("text", ["0,0 0.5,0 .5,.5", " 0 , 0;0.5,0;0.5,0.5 "])
def test_a_polygon_is_a_list_of_corners(text: str) -> None:
    assert parse_polygon(text) == [(0, 0), (0.5, 0), (0.5, 0.5)]


@pytest.mark.parametrize("text", ["", "0,0 1,1", "0,0 1,1 2", "a,b c,d e,f", "0,0 -1,0 1,1"])
def test_another_mask_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="wanted at least three corners"):
        parse_polygon(text)


@pytest.mark.parametrize("polygon", [CORNER, [(x * 96, y * 64) for x, y in CORNER]], ids=["fractions", "pixels"])
def test_the_polygon_is_black_and_the_rest_as_it_was(polygon: list[tuple[float, float]]) -> None:
    mask = PrivacyMask([polygon])
    image = mask.blacken(frame_at(0.0, level=200)).image
    assert not image[:33, :49].any()
    assert (image[36:] == 200).all()
    assert (image[:, 52:] == 200).all()
    twice = mask.blacken(frame_at(0.0, level=200, size=(192, 128))).image  # the camera has changed its size
    assert not twice[:65, :97].any()
    assert (twice[68:] == 200).all()


def test_a_frame_that_may_not_be_changed_is_copied() -> None:
    frame = frame_at(0.0, level=200)
    frame.image.flags.writeable = False
    masked = PrivacyMask([CORNER]).blacken(frame)
    assert (frame.image == 200).all()
    assert not masked.image[:32, :48].any()


def test_a_mask_outside_of_the_frame_is_refused() -> None:
    mask = PrivacyMask([[(0, 0), (200, 0), (200, 50)]])
    with pytest.raises(InputError, match="lies outside of the frame.*within 96 x 64"):
        mask.blacken(frame_at(0.0))


def test_a_blurred_box_has_few_values_and_the_rest_is_as_it_was() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (120, 160, 3), np.uint8)
    before = image.copy()
    blurred = Blur(frozenset({"Fußgänger"})).apply(image, one_box((40, 40, 80, 120)))
    assert np.array_equal(image, before)
    inside = blurred[32:120, 36:84]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) <= 8 * 8
    outside = np.ones(image.shape[:2], bool)
    outside[32:120, 36:84] = False
    assert np.array_equal(blurred[outside], before[outside])


def test_other_classes_stay_sharp() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    assert np.array_equal(Blur(frozenset({"cat"})).apply(image, one_box()), image)


@pytest.mark.parametrize("box", [(-20, -20, 5, 5), (95, 63, 300, 300), (10, 10, 10, 10), (200, 200, 300, 300)])
def test_boxes_at_and_beyond_the_edge_are_no_trouble(box: tuple[float, float, float, float]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    assert Blur(frozenset({"Fußgänger"})).apply(image, one_box(box)).shape == image.shape


def test_a_class_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="no class 'face', which is to be blurred"):
        Blur(frozenset({"face"})).check(("cat", "dog"))


def test_what_is_shown_is_blurred_and_the_frame_is_not() -> None:
    class Kept(ImageSink):
        image = np.zeros(0, np.uint8)

        def show(self, frame: object, picture: np.ndarray) -> None:
            self.image = picture

        def close(self) -> None:
            pass

    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    frame = dataclasses.replace(frame_at(0.0), image=noise.copy())
    kept = Kept()
    AnnotatedSink([kept], Blur(frozenset({"Fußgänger"}))).write(frame, one_box((20, 20, 60, 60)))
    assert np.array_equal(frame.image, noise)
    inside = kept.image[34:56, 24:56].reshape(-1, 3)  # below the caption
    assert len(np.unique(inside, axis=0)) < 64
    AnnotatedSink([kept], Blur(frozenset({"Fußgänger"}))).write(frame, Detections.empty())
    assert np.array_equal(kept.image, noise)


@pytest.mark.parametrize(
    "polygon",
    [
        [],
        [(0.0, 0.0), (1.0, 1.0)],
        [(0.0, 0.0), (0.5, 0.0), (-0.1, 0.5)],
        [(0.0, 0.0), (float("nan"), 0.0), (1.0, 1.0)],
    ],
    ids=["none", "two", "negative", "no number"],
)
def test_a_mask_that_hides_no_area_is_refused_before_the_first_frame(polygon: list[tuple[float, float]]) -> None:
    with pytest.raises(InputError, match="wanted at least three corners"):
        PrivacyMask([CORNER, polygon])
