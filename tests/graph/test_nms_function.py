from __future__ import annotations

import numpy as np
import onnx
import pytest

from ssd_edge.graph.nms_bodies import inline_function
from tests.exporting.greedy_nms import as_outputs, greedy_nms
from tests.exporting.nms_graph import Shape, assert_equal_to_reference, nms_model, run
from tests.exporting.scored_boxes import draw_boxes


def chain(count):
    """Boxes in a row of which neighbors overlap by 2/3 and next neighbors by 1/3, the first the best."""
    left = np.arange(count, dtype=np.float32) / 1024
    boxes = np.stack([left, np.zeros_like(left), left + 5 / 1024, np.ones_like(left)], axis=1)
    return boxes[None], np.linspace(0.9, 0.1, count, dtype=np.float32)[None, :, None]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 399, 400])
def test_a_chain_as_long_as_the_candidates_is_resolved_to_its_end(count):
    shape = Shape(boxes=count, classes=1, iou_threshold=0.5)
    boxes, scores = chain(count)
    assert_equal_to_reference(shape, boxes, scores)
    assert run(shape, boxes, scores)[0] == (count + 1) // 2


def test_a_long_chain_beside_an_empty_picture_in_one_batch():
    shape = Shape(boxes=400, classes=1, iou_threshold=0.5)
    boxes, scores = chain(400)
    both = np.concatenate([boxes, boxes]), np.concatenate([scores, np.zeros_like(scores)])
    assert_equal_to_reference(shape, *both)


WIDE = Shape(boxes=500, classes=4, candidates=120, rows=60)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_equal_scores_rank_by_box_then_class(rng):
    scores = np.full((2, 500, 4), 0.5, np.float32)
    boxes = draw_boxes(rng, 2, 500)
    assert_equal_to_reference(WIDE, boxes, scores)


def test_ties_at_the_last_place_of_the_candidates(rng):
    """Twelve pairs score 0.9 and thousands 0.5: which of those are looked at is settled by their index."""
    scores = np.full((1, 500, 4), 0.5, np.float32)
    scores[0, rng.choice(500, 12, replace=False), rng.integers(0, 4, 12)] = 0.9
    assert_equal_to_reference(WIDE, draw_boxes(rng, 1, 500), scores)


def test_all_boxes_equal_leaves_the_best_of_each_class(rng):
    boxes = np.broadcast_to(np.array([0.2, 0.2, 0.6, 0.6], np.float32), (1, 500, 4)).copy()
    scores = rng.random((1, 500, 4)).astype(np.float32)
    assert_equal_to_reference(WIDE, boxes, scores)
    assert run(WIDE, boxes, scores)[0] == 4


def test_boxes_without_area_neither_suppress_nor_are_suppressed(rng):
    boxes = draw_boxes(rng, 1, 500)
    boxes[0, ::2, 2:] = boxes[0, ::2, :2]
    boxes[0, 1::4, 3] = boxes[0, 1::4, 1]
    scores = rng.random((1, 500, 4)).astype(np.float32)
    assert_equal_to_reference(WIDE, boxes, scores)
    points = np.full((1, 500, 4), 0.5, np.float32)
    assert_equal_to_reference(WIDE, points, scores)
    assert run(WIDE, points, scores)[0] == WIDE.rows


def test_none_above_the_threshold_gives_padding(rng):
    scores = np.full((3, 500, 4), 0.01, np.float32)
    count, boxes, found_scores, classes = run(WIDE, draw_boxes(rng, 3, 500), scores)
    assert count.tolist() == [[0], [0], [0]]
    assert not boxes.any()
    assert not found_scores.any()
    assert (classes == -1).all()


def test_everything_above_the_threshold(rng):
    scores = (0.02 + 0.9 * rng.random((4, 500, 4))).astype(np.float32)
    assert_equal_to_reference(WIDE, draw_boxes(rng, 4, 500), scores)


def test_comparisons_are_strict():
    """A score or an overlap equal to its threshold does not pass it; the next float does."""
    shape = Shape(boxes=2, classes=1, candidates=2, rows=2, score_threshold=0.25, iou_threshold=0.5)
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, 0.5]]], np.float32)
    scores = np.array([[[0.75], [0.5]]], np.float32)
    assert run(shape, boxes, scores)[0] == 2
    larger = boxes.copy()
    larger[0, 1, 3] = np.nextafter(np.float32(0.5), np.float32(1))
    assert run(shape, larger, scores)[0] == 1
    at_threshold = np.array([[[0.25], [np.nextafter(np.float32(0.25), np.float32(1))]]], np.float32)
    assert run(shape, boxes, at_threshold)[0] == 1


def test_fewer_pairs_than_rows_are_padded(rng):
    shape = Shape(boxes=3, classes=2, candidates=50, rows=40)
    boxes, scores = draw_boxes(rng, 4, 3), rng.random((4, 3, 2)).astype(np.float32)
    assert_equal_to_reference(shape, boxes, scores)
    assert run(shape, boxes, scores)[1].shape == (4, 40, 4)


@pytest.mark.parametrize("candidates", [20, 75, 300])
def test_the_detections_of_few_candidates_are_the_prefix_of_those_of_all(rng, candidates):
    shape = Shape(boxes=500, classes=4, candidates=candidates, rows=candidates)
    boxes, scores = draw_boxes(rng, 1, 500), rng.random((1, 500, 4)).astype(np.float32)
    unlimited = greedy_nms(boxes[0], scores[0], score_threshold=0.01, iou_threshold=0.45)
    last = np.sort(scores.ravel())[-candidates]
    prefix = [detection for detection in unlimited if detection.score >= last]
    for got, wanted in zip(run(shape, boxes, scores), as_outputs(prefix, boxes[0], candidates), strict=True):
        np.testing.assert_array_equal(got[0], wanted)


def test_equal_to_torchvision(rng):
    """On coordinates of few bits, where batched_nms's shift of each class by an offset rounds nothing."""
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    shape = Shape(boxes=200, classes=3, candidates=600, rows=600, score_threshold=0)
    for _ in range(10):
        boxes = np.round(draw_boxes(rng, 1, 200) * 256) / 256
        scores = (rng.permutation(600) + 1).astype(np.float32).reshape(1, 200, 3) / 601
        labels = torch.arange(3).repeat(200)
        flat_boxes = torch.from_numpy(boxes[0]).repeat_interleave(3, dim=0)
        kept = ops.batched_nms(flat_boxes, torch.from_numpy(scores.ravel()), labels, 0.45)
        count, found_boxes, found_scores, classes = (part[0] for part in run(shape, boxes, scores))
        assert count == len(kept)
        np.testing.assert_array_equal(found_scores[: len(kept)], scores.ravel()[kept])
        np.testing.assert_array_equal(classes[: len(kept)], labels[kept])
        np.testing.assert_array_equal(found_boxes[: len(kept)], flat_boxes[kept])


@pytest.mark.parametrize("shape", [WIDE, Shape(boxes=3840, classes=2, candidates=3840, rows=200)])
def test_every_shape_is_fixed_but_the_batch(shape):
    model = inline_function(nms_model(shape))
    onnx.checker.check_model(model, full_check=True)
    assert {"NonMaxSuppression", "NonZero"}.isdisjoint(node.op_type for node in model.graph.node)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    for value in inferred.graph.value_info:
        free = [dim.dim_param for dim in value.type.tensor_type.shape.dim if not dim.HasField("dim_value")]
        assert len(free) <= 1, value.name


def test_the_thresholds_are_read_from_the_node(rng):
    """Whoever edits the node's attribute changes what both the plugin and the portable body do."""
    import onnxruntime

    model = onnx.ModelProto()
    model.CopyFrom(nms_model(WIDE))
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "scoreThreshold":
            attribute.f = 0.95
    boxes, scores = draw_boxes(rng, 1, 500), rng.random((1, 500, 4)).astype(np.float32)
    feed = {"boxes": boxes[:, :, None], "scores": scores}
    count, _, found, _ = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feed)
    wanted = greedy_nms(boxes[0], scores[0], score_threshold=0.95, iou_threshold=0.45)
    assert count[0] == len(wanted) > 0
    np.testing.assert_array_equal(found[0, : len(wanted)], [detection.score for detection in wanted])
