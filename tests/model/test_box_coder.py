from __future__ import annotations

import math

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_convert

from ssd_edge.core.spec import BoxCoding
from ssd_edge.model.box_coder import decode, encode

CODING = BoxCoding()
TORCHVISION = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))


def _boxes(count: int, seed: int) -> torch.Tensor:
    """Random (count, 4) cx cy w h of positive size."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 4, generator=generator) + torch.tensor([0, 0, 0.01, 0.01])


def _corners(boxes: torch.Tensor) -> torch.Tensor:
    return box_convert(boxes, "cxcywh", "xyxy")


def test_offsets_are_torchvisions() -> None:
    boxes, anchors = _boxes(500, 1), _boxes(500, 2)
    wanted = TORCHVISION.encode_single(_corners(boxes), _corners(anchors))
    torch.testing.assert_close(encode(boxes, anchors, CODING), wanted, atol=2e-4, rtol=1e-4)


def test_boxes_are_torchvisions() -> None:
    anchors, offsets = _boxes(500, 3), torch.randn(500, 4, generator=torch.Generator().manual_seed(4)) * 5
    wanted = TORCHVISION.decode_single(offsets, _corners(anchors))
    torch.testing.assert_close(decode(offsets, anchors, CODING), wanted, atol=1e-5, rtol=1e-5)


def test_one_box_by_hand() -> None:
    # cx = 0.5 + 1 * 0.1 * 0.2, cy = 0.5 - 2 * 0.1 * 0.4, w = 0.2 * e^0.2, h = 0.4 * e^-0.2
    box = decode(torch.tensor([[1.0, -2.0, 1.0, -1.0]]), torch.tensor([[0.5, 0.5, 0.2, 0.4]]), CODING)
    w, h = 0.2 * math.exp(0.2), 0.4 * math.exp(-0.2)
    expected = [[0.52 - w / 2, 0.42 - h / 2, 0.52 + w / 2, 0.42 + h / 2]]
    torch.testing.assert_close(box, torch.tensor(expected))


@pytest.mark.parametrize("variances", [(0.1, 0.1, 0.2, 0.2), (0.05, 0.2, 0.3, 0.4), (1.0, 1.0, 1.0, 1.0)])
def test_decode_undoes_encode(variances: tuple[float, float, float, float]) -> None:
    coding = BoxCoding(variances)
    boxes, anchors = _boxes(200, 5), _boxes(200, 6)
    torch.testing.assert_close(decode(encode(boxes, anchors, coding), anchors, coding), _corners(boxes))


def test_a_batch_is_decoded_picture_by_picture() -> None:
    anchors = _boxes(7, 7)
    offsets = torch.randn(2, 3, 7, 4, generator=torch.Generator().manual_seed(8))
    together = decode(offsets, anchors, CODING)
    torch.testing.assert_close(together[1, 2], decode(offsets[1, 2], anchors, CODING))
    assert together.shape == (2, 3, 7, 4)


def test_large_scales_are_cut_off_like_torchvisions() -> None:
    anchors, offsets = torch.tensor([[0.5, 0.5, 0.1, 0.1]]), torch.tensor([[0.0, 0.0, 1e4, 21.0]])
    wanted = TORCHVISION.decode_single(offsets, _corners(anchors))
    box = decode(offsets, anchors, CODING)
    torch.testing.assert_close(box, wanted)
    assert box[0, 2] - box[0, 0] == pytest.approx(0.1 * 1000 / 16, rel=1e-5)


def test_without_a_limit_nothing_is_cut_off() -> None:
    coding = BoxCoding(max_log_scale=math.inf)
    box = decode(torch.tensor([[0.0, 0.0, 30.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0, 1.0]]), coding)
    assert box[0, 2] - box[0, 0] == pytest.approx(math.exp(6), rel=1e-5)
