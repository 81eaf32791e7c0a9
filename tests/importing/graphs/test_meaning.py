from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.importing.graphs.outputs import is_softmaxed, refuse_decoded, refuse_not_decoded
from tests.importing.graphs.foreign_net import anchor_table

PATH = Path("a.onnx")
PROBABILITIES = np.float32([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]])
LOGITS = np.log(PROBABILITIES)
SIGMOIDS = np.float32([[[0.7, 0.9, 0.1], [0.1, 0.1, 0.8]]])


@pytest.mark.parametrize(
    ("scores", "stated", "softmaxed"),
    [
        (PROBABILITIES, "auto", True),
        (LOGITS, "auto", False),
        (PROBABILITIES, "softmax", True),
        (LOGITS, "logits", False),
        (SIGMOIDS, "logits", False),
    ],
)
def test_scores_are_told_by_their_values(scores, stated, softmaxed):
    assert is_softmaxed(scores, stated, PATH) == softmaxed


@pytest.mark.parametrize(
    ("scores", "stated", "message"),
    [
        (SIGMOIDS, "auto", "scores that are not of an SSD: got .* sum over the classes is 1.35, .*--activation logits"),
        (LOGITS, "softmax", "scores that are no softmax over the classes: got --activation softmax. Leave out"),
        (PROBABILITIES, "logits", "scores that are softmaxed already: got --activation logits. Leave out"),
        (PROBABILITIES.transpose(0, 2, 1), "auto", "scores that are not of an SSD"),
    ],
)
def test_other_scores_are_refused(scores, stated, message):
    with pytest.raises(ArtifactError, match=message):
        is_softmaxed(scores, stated, PATH)


def corners(scale=1.0):
    anchors = anchor_table()
    return scale * np.concatenate([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1)[None]


def test_boxes_are_taken():
    refuse_not_decoded(corners(), PATH)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (np.random.default_rng(0).normal(0, 1, (2, 80, 4)), r"right of and below the first in \d\d% .*--anchors"),
        (anchor_table()[None], "no boxes x1 y1 x2 y2"),
        (corners(300), "boxes in pixels: got values from -37.5 to 338; wanted 0..1 of the picture. Divide them"),
    ],
)
def test_what_is_no_box_in_the_unit_square_is_refused(boxes, message):
    with pytest.raises(ArtifactError, match=message):
        refuse_not_decoded(boxes, PATH)


def test_offsets_are_taken_and_boxes_refused():
    refuse_decoded(np.random.default_rng(0).normal(0, 1, (2, 80, 4)), anchor_table(), PATH)
    refuse_decoded(np.full((1, 80, 4), [0, 0, 1, 1]), anchor_table(), PATH)
    with pytest.raises(ArtifactError, match="boxes that are decoded already: .* lie at the default boxes; .* Leave"):
        refuse_decoded(corners(), anchor_table(), PATH)
