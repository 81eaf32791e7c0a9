from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.core.errors import ParityError
from ssd_edge.exporting.export_onnx import onnx_model
from ssd_edge.exporting.parity import ParityReport, check_parity
from ssd_edge.model.weights import with_weights
from tests.exporting.conftest import DIGEST
from tests.exporting.models import pictures

IMAGES = pictures(3)


class Altered:
    """A backend that changes what another one finds."""

    def __init__(self, backend, change):
        self.backend, self.change = backend, change

    def infer(self, batch):
        raw = RawOutputs(*(array.copy() for array in self.backend.infer(batch)))
        self.change(raw)
        return raw


@pytest.fixture(scope="module")
def backend(tiny_onnx):
    with OrtBackend(tiny_onnx) as backend:
        yield backend


def parity_after(tiny_model, backend, change):
    return check_parity(tiny_model, Altered(backend, change), IMAGES)


def test_the_exported_graph_holds(tiny_model, backend):
    report = check_parity(tiny_model, backend, IMAGES)
    assert report.holds
    assert report.images == 3
    assert report.detections == sum(
        int(backend.infer(np.stack([_resized(image)])).num_detections[0, 0]) for image in IMAGES
    )
    assert 0 <= report.box_difference < 1e-4
    assert 0 <= report.score_difference < 1e-4


def _resized(image):
    import cv2

    return cv2.resize(image, (64, 64), interpolation=cv2.INTER_LINEAR)


def test_shifted_boxes_are_found_and_measured(tiny_model, backend):
    def shift(raw):
        raw.boxes[..., 0] += 0.004

    report = parity_after(tiny_model, backend, shift)
    assert not report.holds
    assert report.unmatched == 0
    assert report.box_difference == pytest.approx(0.004, abs=1e-5)


def test_other_scores_are_found_and_measured(tiny_model, backend):
    def lower(raw):
        raw.scores[...] -= 0.002

    report = parity_after(tiny_model, backend, lower)
    assert not report.holds
    assert report.score_difference == pytest.approx(0.002, abs=1e-5)


def test_a_missing_detection_has_no_partner(tiny_model, backend):
    def drop_the_best(raw):
        for array in (raw.boxes, raw.scores, raw.classes):
            array[0, :-1] = array[0, 1:].copy()
        raw.num_detections[0] -= 1

    report = parity_after(tiny_model, backend, drop_the_best)
    assert report.unmatched == 1
    assert not report.holds


def test_a_wrong_class_is_one_missing_and_one_too_many(tiny_model, backend):
    def rename_the_best(raw):
        raw.classes[0, 0] = 7

    assert parity_after(tiny_model, backend, rename_the_best).unmatched == 2


def test_a_detection_seen_twice_has_no_partner(tiny_model, backend):
    def double_the_best(raw):
        for array in (raw.boxes, raw.scores, raw.classes):
            array[0, 1:] = array[0, :-1].copy()

    assert parity_after(tiny_model, backend, double_the_best).unmatched >= 1


def test_detections_at_the_score_threshold_may_fall_on_either_side(tiny_model, backend, tmp_path):
    """The graph is exported with a threshold a hair above the score of a detection; PyTorch's lies a hair below."""
    raw = backend.infer(np.stack([_resized(image) for image in IMAGES]))
    score = float(raw.scores[0, 20])
    near = [with_threshold(tiny_model, score + margin) for margin in (-5e-4, 5e-4)]
    with exported(near[1], tmp_path) as altered:
        report = check_parity(near[0], altered, IMAGES)
    assert report.holds
    assert report.detections > 10
    far = with_threshold(tiny_model, score - 0.02)
    with exported(near[1], tmp_path) as altered:
        assert not check_parity(far, altered, IMAGES).holds


def with_threshold(model, score_threshold, **changes):
    nms = replace(model.spec.nms, score_threshold=score_threshold, **changes)
    return with_weights(replace(model.spec, nms=nms), model.state_dict(), origin="test")


def exported(model, folder):
    import onnx

    path = folder / "altered.onnx"
    onnx.save(onnx_model(model, DIGEST), path)
    return OrtBackend(path)


@pytest.mark.parametrize("limits", [{"max_candidates": 60, "keep_top_k": 60}, {"keep_top_k": 5}])
def test_few_candidates_or_rows_are_compared_on_the_prefix(tiny_model, tmp_path, limits):
    limited = with_threshold(tiny_model, 0.01, **limits)
    with exported(limited, tmp_path) as backend:
        report = check_parity(limited, backend, IMAGES)
    assert report.holds
    assert report.detections > 10


def test_the_error_tells_the_differences():
    broken = ParityReport(images=2, detections=9, unmatched=3, box_difference=0.0123, score_difference=0.2)
    with pytest.raises(ParityError) as caught:
        broken.refuse_if_broken(Path("best.pt"), Path("m.onnx"))
    assert str(caught.value).startswith(
        "m.onnx was not written: its detections differ from those of best.pt: got 3 unmatched detections, "
        "9 matched ones with box differences up to 0.012 and score differences up to 0.2; "
        "wanted no difference above 0.001."
    )
