from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.core.spec import BoxCoding, NmsSpec
from ssd_edge.importing.graphs.verify import decode, greedy_nms, softmax
from tests.exporting.greedy_nms import greedy_nms as slow_nms
from tests.importing.graphs import by_hand
from tests.importing.graphs.foreign_net import VARIANCES, anchor_table


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def test_softmax_and_decode_equal_loops(rng):
    logits, offsets = rng.normal(0, 9, (80, 5)), rng.normal(0, 2, (80, 4))
    np.testing.assert_allclose(softmax(logits), [by_hand.softmax(row) for row in logits], atol=1e-12)
    wanted = [by_hand.decode(*pair, VARIANCES) for pair in zip(offsets, anchor_table(), strict=True)]
    np.testing.assert_allclose(decode(offsets, anchor_table(), BoxCoding(max_log_scale=np.inf)), wanted, atol=1e-7)


def test_decode_limits_the_scale(rng):
    offsets = np.full((80, 4), 1000.0)
    sides = decode(offsets, anchor_table(), BoxCoding(max_log_scale=0.0))
    np.testing.assert_allclose(sides[:, 2] - sides[:, 0], anchor_table()[:, 2], rtol=1e-6)


@pytest.mark.parametrize("candidates", [40, 400])
def test_greedy_nms_equals_loops(rng, candidates):
    corner = rng.random((120, 2)).round(1)
    boxes = np.concatenate([corner, corner + 0.1 + rng.random((120, 2)).round(1)], 1).astype(np.float32)
    scores = rng.random((120, 3)).round(2).astype(np.float32)
    nms = NmsSpec(score_threshold=0.1, iou_threshold=0.4, keep_top_k=30, max_candidates=candidates)
    found = greedy_nms(boxes, scores, nms)
    wanted = slow_nms(boxes, scores, score_threshold=0.1, iou_threshold=0.4, max_candidates=candidates)[:30]
    assert list(zip(found.scores, found.class_ids, strict=True)) == [(each.score, each.class_id) for each in wanted]
    np.testing.assert_array_equal(found.boxes, boxes[[each.box for each in wanted]])
