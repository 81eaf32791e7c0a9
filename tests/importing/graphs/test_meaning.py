from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.importing.graphs.outputs import (
    is_softmaxed,
    refuse_background_last,
    refuse_decoded,
    refuse_not_decoded,
    refuse_tensorflow,
)
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
        (SIGMOIDS, "auto", "are not those of an SSD: got .* sum over the classes of 1.35, .*--activation logits"),
        (LOGITS, "softmax", "are not softmax probabilities over the classes: got --activation softmax. Leave out"),
        (PROBABILITIES, "logits", "are already softmax probabilities: got --activation logits. Leave out"),
        (PROBABILITIES.transpose(0, 2, 1), "auto", "are not those of an SSD"),
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
        (
            np.random.default_rng(0).normal(0, 1, (2, 80, 4)),
            r"x2 >= x1 and y2 >= y1 in only \d\d% .*--anchors",
        ),
        (anchor_table()[None], "are not x1 y1 x2 y2"),
        (corners(300), "are in pixels: got values from -37.5 to 338; wanted fractions of the image, 0 to 1. Divide"),
    ],
)
def test_what_is_no_box_in_the_unit_square_is_refused(boxes, message):
    with pytest.raises(ArtifactError, match=message):
        refuse_not_decoded(boxes, PATH)


def test_offsets_are_taken_and_boxes_refused():
    refuse_decoded(np.random.default_rng(0).normal(0, 1, (2, 80, 4)), anchor_table(), PATH)
    refuse_decoded(np.full((1, 80, 4), [0, 0, 1, 1]), anchor_table(), PATH)
    with pytest.raises(ArtifactError, match="are already decoded: .* at the places of the anchors; .* Leave"):
        refuse_decoded(corners(), anchor_table(), PATH)


def test_background_in_the_last_column_is_refused():
    probabilities = np.full((2, 50, 4), 0.01, np.float32)
    probabilities[..., 3] = 0.97
    with pytest.raises(
        ArtifactError, match="the background in its last column: got a mean probability of 0.97 in column 3"
    ):
        refuse_background_last(probabilities, PATH)
    refuse_background_last(probabilities[..., ::-1], PATH)
    refuse_background_last(np.full((2, 50, 2), 0.5, np.float32), PATH)


@pytest.mark.parametrize("suffix", ["", ":0"])
def test_graphs_of_tensorflows_object_detection_are_named(suffix):
    names = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
    outputs = [helper.make_tensor_value_info(f"{name}{suffix}", TensorProto.FLOAT, None) for name in names]
    graph = helper.make_model(helper.make_graph([], "g", [], outputs))
    with pytest.raises(ArtifactError, match="TensorFlow's object detection API"):
        refuse_tensorflow(graph, PATH)
    refuse_tensorflow(helper.make_model(helper.make_graph([], "g", [], outputs[:1])), PATH)
