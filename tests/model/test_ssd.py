from __future__ import annotations

import dataclasses

import pytest
import torch

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import AnchorSpec
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.backbones.compact import CompactBackbone
from ssd_edge.model.heads import plain_predictor
from ssd_edge.model.ssd import SSD, feature_maps
from tests.model.factories import tiny_model, tiny_spec


def test_predicts_every_default_box_of_every_picture() -> None:
    model = tiny_model()
    with torch.inference_mode():
        logits, offsets = model(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, model.spec.anchors.count, 4)
    assert offsets.shape == (2, model.spec.anchors.count, 4)


def test_every_weight_gets_a_gradient() -> None:
    model = tiny_model().train()
    logits, offsets = model(torch.randn(2, 3, 64, 64))
    (logits.square().sum() + offsets.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_memory_layout_does_not_change_the_prediction() -> None:
    model, images = tiny_model(), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        plain = model(images)
        last = model.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain.class_logits, last.class_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plain.box_offsets, last.box_offsets, atol=1e-4, rtol=1e-4)


def test_a_box_reacts_to_its_own_corner_of_the_picture() -> None:
    """Anchors and predictions are laid out alike: a light in one corner moves the boxes there most."""
    model = tiny_model()
    dark, light = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    light[:, :, 48:, :16] = 5
    with torch.inference_mode():
        change = (model(light).class_logits - model(dark).class_logits).abs().sum(-1)[0]
    finest = change[: 8 * 8 * 4].view(8, 8, 4).sum(-1)
    assert finest[6:, :2].mean() > 3 * finest[:2, 6:].mean()


def test_anchors_of_another_input_size_are_refused() -> None:
    spec = dataclasses.replace(tiny_spec(64), anchors=tiny_spec(96).anchors)
    with pytest.raises(
        ArtifactError,
        match=r"'ssd192-tiny': the anchors do not match the feature maps of compact at 64x64: "
        r"got 12x12, 6x6, 3x3; wanted 8x8, 4x4, 2x2",
    ):
        SSD(spec, CompactBackbone(MapSize(64, 64)), plain_predictor)


def test_a_missing_level_is_refused() -> None:
    spec = tiny_spec()
    spec = dataclasses.replace(spec, anchors=AnchorSpec(spec.anchors.levels[:2]))
    with pytest.raises(ArtifactError, match="got 8x8, 4x4; wanted 8x8, 4x4, 2x2"):
        SSD(spec, CompactBackbone(MapSize(64, 64)), plain_predictor)


def test_measuring_the_maps_leaves_the_backbone_as_it_was() -> None:
    backbone = CompactBackbone(MapSize(64, 64))
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    maps = feature_maps(backbone, MapSize(64, 64))
    assert [(level.channels, *level.cells) for level in maps] == [(64, 8, 8), (128, 4, 4), (128, 2, 2)]
    assert backbone.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
