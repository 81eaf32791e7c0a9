from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledObject, LabelledSet, Sample, sorted_labels

IMAGE, ORIGIN = Path("a.jpg"), Path("a.xml")


def sample_of(*objects: LabelledObject) -> Sample:
    return Sample.from_objects(IMAGE, objects, ("cat", "dog"), origin=ORIGIN)


def test_objects_become_arrays_with_class_numbers() -> None:
    dog, cat = LabelledObject.of_box("dog", (1, 2, 3, 4)), LabelledObject.of_box("cat", (5, 6, 7, 8), difficult=True)
    sample = sample_of(dog, cat)
    np.testing.assert_array_equal(sample.boxes, np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32))
    assert sample.boxes.dtype == np.float32
    assert sample.class_ids.tolist() == [1, 0]
    assert sample.class_ids.dtype == np.int64
    assert sample.difficult.tolist() == [False, True]
    assert len(sample) == 2


def test_an_object_covers_its_box_unless_its_label_says_otherwise() -> None:
    sample = sample_of(LabelledObject.of_box("dog", (1, 2, 3, 5)), LabelledObject("cat", (5, 6, 7, 8), 2.5))
    assert sample.areas.tolist() == [6, 2.5]
    assert sample.areas.dtype == np.float64


def test_no_object_keeps_the_shapes() -> None:
    sample = sample_of()
    assert (sample.boxes.shape, sample.class_ids.shape, sample.areas.shape) == ((0, 4), (0,), (0,))


def test_a_set_counts_pictures_and_objects() -> None:
    labelled = LabelledSet(("cat", "dog"), (sample_of(), sample_of(LabelledObject.of_box("cat", (0, 0, 1, 1)))), "here")
    assert (len(labelled), labelled.object_count) == (2, 1)


def test_labels_are_sorted_and_named_once() -> None:
    assert sorted_labels([LabelledObject.of_box(name, (0, 0, 1, 1)) for name in "bab"]) == ("a", "b")


def test_unknown_class_is_named_with_its_file_and_number() -> None:
    with pytest.raises(InputError, match=r"a\.xml: object 2 \(cow\) has an unknown class.*wanted cat, dog"):
        sample_of(LabelledObject.of_box("cat", (0, 0, 1, 1)), LabelledObject.of_box("cow", (0, 0, 1, 1)))


@pytest.mark.parametrize(
    "box",
    [
        (30, 0, 10, 5),
        (0, 5, 5, 5),
        (float("nan"), 0, 1, 1),
        (0, 0, float("inf"), 1),
        (0, 0, 1e39, 1),
        (16777216.0, 0, 16777217.0, 5),
    ],
    ids=["inverted", "empty", "nan", "inf", "beyond float32", "empty in float32"],
)
def test_unusable_box_is_named_with_its_file_and_number(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match=r"a\.xml: object 1 \(cat\) has no usable box"), np.errstate(over="ignore"):
        sample_of(LabelledObject.of_box("cat", box))
