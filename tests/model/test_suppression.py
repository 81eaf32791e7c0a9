from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torchvision.models.detection import ssd as torchvision_ssd
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_convert

from ssd_edge.core.spec import BoxCoding, NmsSpec
from ssd_edge.model.box_coder import decode
from ssd_edge.model.predict import suppress


@pytest.mark.parametrize("seed", range(12))
def test_suppression_is_torchvisions(seed: int) -> None:
    """Random heads through torchvision's own postprocessing and through ours."""
    generator = torch.Generator().manual_seed(seed)
    classes, count = [1, 3, 20][seed % 3], 400
    logits = torch.randn(count, classes + 1, generator=generator) * 1.5  # no score so near 1 that two are equal
    offsets = torch.randn(count, 4, generator=generator) * 2
    anchors = torch.rand(count, 4, generator=generator) * torch.tensor([1, 1, 0.5, 0.5]) + 0.01
    spec = NmsSpec(score_threshold=0.05, iou_threshold=0.4, top_k=60, keep_top_k=50, max_candidates=50)
    judge = SimpleNamespace(
        box_coder=BoxCoder((10.0, 10.0, 5.0, 5.0)),
        score_thresh=spec.score_threshold,
        nms_thresh=spec.iou_threshold,
        topk_candidates=spec.top_k,
        detections_per_img=spec.keep_top_k,
    )
    heads = {"bbox_regression": offsets[None], "cls_logits": logits[None]}
    corners = box_convert(anchors * 300, "cxcywh", "xyxy")
    (wanted,) = torchvision_ssd.SSD.postprocess_detections(judge, heads, [corners], [(300, 300)])
    boxes = decode(offsets, anchors, BoxCoding()).clamp(0, 1)
    got = suppress(boxes, logits.softmax(-1)[:, 1:], spec)
    torch.testing.assert_close(got[0] * 300, wanted["boxes"], atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(got[1], wanted["scores"])
    assert torch.equal(got[2], wanted["labels"] - 1)


def _suppress(boxes: list[list[float]], scores: list[list[float]], **limits: float) -> list[tuple[int, int]]:
    """Return (anchor, class) of what is kept."""
    spec = NmsSpec(**{"score_threshold": 0.1, "iou_threshold": 0.5, **limits})
    table = torch.tensor(boxes)
    kept, _, class_ids = suppress(table, torch.tensor(scores), spec)
    return [
        (int((table == box).all(dim=1).nonzero()[0]), class_id)
        for box, class_id in zip(kept, class_ids.tolist(), strict=True)
    ]


LEFT, LEFT_HALF, RIGHT = [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.25, 0.5], [0.5, 0.5, 1.0, 1.0]


def test_a_score_at_the_threshold_is_not_enough() -> None:
    assert _suppress([LEFT, RIGHT], [[0.25], [0.5]], score_threshold=0.25) == [(1, 0)]


def test_an_overlap_at_the_threshold_is_allowed() -> None:
    # IoU of LEFT and LEFT_HALF is exactly 1/2.
    assert _suppress([LEFT, LEFT_HALF], [[0.9], [0.8]], iou_threshold=0.5) == [(0, 0), (1, 0)]
    assert _suppress([LEFT, LEFT_HALF], [[0.9], [0.8]], iou_threshold=0.49) == [(0, 0)]


def test_classes_do_not_suppress_each_other() -> None:
    assert _suppress([LEFT, LEFT], [[0.9, 0.0], [0.0, 0.8]]) == [(0, 0), (0, 1)]


def test_top_k_is_per_class_and_before_suppression() -> None:
    boxes, scores = [LEFT, [0.0, 0.0, 0.49, 0.5], RIGHT], [[0.9, 0.2], [0.8, 0.0], [0.7, 0.3]]
    limits = {"top_k": 2, "keep_top_k": 2, "max_candidates": 2}
    # Class 0 looks at LEFT and its near copy only; RIGHT is not among its two best.
    assert _suppress(boxes, scores, **limits) == [(0, 0), (2, 1)]


def test_keep_top_k_keeps_the_best_of_all_classes() -> None:
    scores = [[0.3, 0.9], [0.8, 0.2]]
    assert _suppress([LEFT, RIGHT], scores, keep_top_k=3) == [(0, 1), (1, 0), (0, 0)]


def test_equal_scores_keep_the_order_of_classes_then_boxes() -> None:
    kept = _suppress([RIGHT, LEFT], [[0.5, 0.5], [0.5, 0.5]])
    assert kept == [(0, 0), (1, 0), (0, 1), (1, 1)]
