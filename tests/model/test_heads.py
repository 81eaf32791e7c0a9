from __future__ import annotations

import pytest
import torch

from ssd_edge.model.heads import MultiBoxHead, ScoringHead, plain_predictor


def test_scores_lie_level_by_level_row_by_row_anchor_by_anchor() -> None:
    predictors = [plain_predictor(2, 3 * 5), plain_predictor(4, 2 * 5)]
    maps = [torch.randn(2, 2, 3, 4), torch.randn(2, 4, 1, 2)]
    head = ScoringHead(predictors, boxes=3 * 4 * 3 + 2 * 2, columns=5)
    rows = []
    for predictor, features, anchors in zip(predictors, maps, (3, 2), strict=True):
        output = predictor(features)
        for y in range(output.shape[2]):
            for x in range(output.shape[3]):
                for anchor in range(anchors):
                    rows.append(output[:, anchor * 5 : anchor * 5 + 5, y, x])
    torch.testing.assert_close(head(maps), torch.stack(rows, dim=1))


def test_head_predicts_logits_and_offsets_for_every_box() -> None:
    head = MultiBoxHead([plain_predictor] * 2, channels=[2, 4], anchors=[3, 2], boxes=40, num_logits=7)
    logits, offsets = head([torch.randn(2, 2, 3, 4), torch.randn(2, 4, 1, 2)])
    assert logits.shape == (2, 40, 7)
    assert offsets.shape == (2, 40, 4)


def test_wrong_number_of_maps_is_refused() -> None:
    head = ScoringHead([plain_predictor(2, 4)], boxes=1, columns=4)
    with pytest.raises(ValueError, match="zip"):
        head([torch.zeros(1, 2, 1, 1)] * 2)
