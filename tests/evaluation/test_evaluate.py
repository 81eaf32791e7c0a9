from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.images import write_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.evaluation.evaluate import class_numbers, evaluate, renumbered

SET_NAMES = ("stop", "yield")


@pytest.fixture
def labelled(tmp_path) -> LabelledSet:
    """Two images; the first has a bright square at 4..20, the second at 8..30."""
    samples = []
    for number, (low, high) in enumerate([(4, 20), (8, 30)]):
        image = np.zeros((40, 60, 3), np.uint8)
        image[low:high, low:high] = 200
        path = tmp_path / f"{number}.png"
        write_image(path, image)
        box = np.array([[low, low, high, high]], np.float32)
        samples.append(Sample(path, box, np.array([number]), np.zeros(1, bool), np.zeros(1)))
    return LabelledSet(SET_NAMES, tuple(samples), "two squares")


def find_square(class_id_by_start: dict[int, int]):
    """A real, if simple, detector: the bounding box of bright pixels."""

    def detect(image):
        rows, cols = np.nonzero(image[..., 0] > 100)
        box = np.array([[cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]], np.float32)
        return Detections(box, np.array([0.9], np.float32), np.array([class_id_by_start[int(rows.min())]]))

    return detect


def test_perfect_detector_scores_one_and_every_picture_is_timed(labelled):
    reports = []
    result = evaluate(
        find_square({4: 0, 8: 1}),
        SET_NAMES,
        labelled,
        progress=lambda done, total, note="": reports.append((done, total)),
    )
    assert result.accuracy.mean_ap == 1.0
    assert reports == [(1, 2), (2, 2)]
    assert result.detect_ms.shape == (2,)
    assert (result.detect_ms > 0).all()
    assert result.fps == pytest.approx(1000 / np.median(result.detect_ms))
    assert result.median_ms <= result.p95_ms <= result.detect_ms.max()


def test_classes_are_matched_by_name_whatever_their_order(labelled):
    result = evaluate(find_square({4: 2, 8: 0}), ("yield", "other", "stop"), labelled)
    assert result.accuracy.mean_ap == 1.0
    assert result.classes_not_evaluated == ("other",)
    assert [found.class_ids.tolist() for found in result.detections] == [[0], [1]]


def test_detections_of_other_classes_are_left_out(labelled):
    result = evaluate(find_square({4: 0, 8: 2}), ("stop", "yield", "other"), labelled)
    assert [len(found) for found in result.detections] == [1, 0]
    assert result.accuracy.mean_ap == 0.5


def test_missing_class_is_named_with_both_lists(labelled):
    with pytest.raises(InputError) as caught:
        class_numbers(("stop", "cow"), labelled)
    assert str(caught.value) == (
        "the model does not have the classes 'yield' of two squares: got a model with the classes "
        "stop, cow; wanted a model with the classes stop, yield. "
        "Evaluate the model on images labelled with its classes, or train a model on these images."
    )


def test_renumbered_keeps_order_and_boxes():
    found = Detections(np.arange(12, dtype=np.float32).reshape(3, 4), np.float32([0.9, 0.8, 0.7]), np.array([2, 0, 1]))
    kept = renumbered(found, np.array([5, -1, 3]))
    assert kept.class_ids.tolist() == [3, 5]
    assert kept.boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert kept.scores.tolist() == pytest.approx([0.9, 0.8])


def test_empty_set_is_named():
    with pytest.raises(InputError, match="nothing here contains no images: wanted at least one"):
        evaluate(find_square({}), SET_NAMES, LabelledSet(SET_NAMES, (), "nothing here"))


def with_unreadable(labelled: LabelledSet, *, sound: int) -> tuple[LabelledSet, Path]:
    """The first sample ``sound`` times and the second, whose file is no image."""
    broken = labelled.samples[1].image
    broken.write_bytes(b"no image")
    return replace(labelled, samples=(labelled.samples[1], *labelled.samples[:1] * sound)), broken


def test_an_image_that_cannot_be_read_is_left_out_named_and_counted(labelled, caplog):
    listed, broken = with_unreadable(labelled, sound=9)
    before = LeftOut("other.xml", "was left out before")
    seen = []

    def detect(image):
        seen.append(image.shape)
        return find_square({4: 0})(image)

    with caplog.at_level("WARNING", logger="ssd_edge"):
        result = evaluate(detect, SET_NAMES, replace(listed, left_out=(before,)))
    assert len(seen) == 1 + 9  # the first that can be read once more, beforehand
    assert (len(result.detections), result.detect_ms.shape) == (9, (9,))
    assert result.accuracy.mean_ap == 1.0  # its object counts as none that was missed
    assert broken not in {sample.image for sample in result.labelled.samples}
    assert result.labelled.left_out == (before, LeftOut(str(broken), "is not an image that OpenCV can read"))
    assert f"{broken} is not an image" in caplog.text
    assert len(listed.samples) == 10


@pytest.mark.parametrize(
    ("sound", "tolerance"), [(8, Tolerance()), (99, Tolerance(strict=True)), (99, Tolerance(max_bad=0))]
)
def test_more_images_than_are_tolerated_end_the_evaluation(labelled, sound, tolerance):
    listed, broken = with_unreadable(labelled, sound=sound)
    seen = []
    with pytest.raises(InputError, match=rf"{broken.name} is not an image"):
        evaluate(seen.append, SET_NAMES, listed, tolerance=tolerance)
    assert seen == []


def test_a_set_of_which_no_image_can_be_read_is_refused(labelled):
    for sample in labelled.samples:
        sample.image.unlink()
    with pytest.raises(InputError, match="no objects to evaluate: got 0 images"):
        evaluate(find_square({}), SET_NAMES, labelled, tolerance=Tolerance(max_bad=1))
