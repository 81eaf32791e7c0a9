"""The network: images in, class logits and box offsets out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.heads import HeadOutputs, MultiBoxHead, Predictor


class FeatureMap(NamedTuple):
    """Shape of one feature map of a backbone."""

    channels: int
    cells: MapSize


class SSD(nn.Module):
    """A Single Shot MultiBox Detector (Liu et al. 2016) that only predicts; the loss and the NMS are elsewhere.

    Its anchors are those of ``spec.anchors``: the spec is checked against the backbone's real feature maps.

    Attributes:
        spec: everything but the weights.

    Args:
        spec: as above.
        backbone: turns (B, 3, H, W) images into a list of feature maps, finest first.
        predictor: builds one layer of the head.
        last_predictor: builds the layer for the coarsest map, where that is another one.

    Raises:
        ArtifactError: the spec's anchors do not lie on the backbone's feature maps.
    """

    def __init__(
        self, spec: ModelSpec, backbone: nn.Module, predictor: Predictor, last_predictor: Predictor | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        maps = feature_maps(backbone, MapSize(spec.input.height, spec.input.width))
        _check_anchors(spec, maps)
        self.backbone = backbone
        self.head = MultiBoxHead(
            [*[predictor] * (len(maps) - 1), last_predictor or predictor],
            channels=[level.channels for level in maps],
            anchors=[len(level.sizes) for level in spec.anchors.levels],
            boxes=spec.anchors.count,
            num_logits=spec.num_logits,
        )

    def forward(self, images: Tensor) -> HeadOutputs:
        """Predict for (B, 3, H, W) float32 images, normalized and in the color order of ``spec.input``."""
        outputs: HeadOutputs = self.head(self.backbone(images))
        return outputs


def feature_maps(backbone: nn.Module, input_size: MapSize) -> tuple[FeatureMap, ...]:
    """Return the shapes of the backbone's feature maps, finest first, by sending an empty image through it.

    On the ``meta`` device this computes nothing but shapes. Statistics of batch norms are left as they were.
    """
    device = next(backbone.parameters()).device
    was_training = backbone.training
    with torch.no_grad():
        maps = backbone.eval()(torch.zeros(1, 3, *input_size, device=device))
    backbone.train(was_training)
    return tuple(FeatureMap(features.shape[1], MapSize(*features.shape[2:])) for features in maps)


def _check_anchors(spec: ModelSpec, maps: Sequence[FeatureMap]) -> None:
    wanted = [f"{level.cells.rows}x{level.cells.cols}" for level in maps]
    got = [f"{level.rows}x{level.cols}" for level in spec.anchors.levels]
    if got != wanted:
        raise ArtifactError(
            f"model spec {spec.name!r}: the anchors do not match the feature maps of {spec.architecture} at "
            f"{spec.input.height}x{spec.input.width}",
            got=", ".join(got),
            wanted=", ".join(wanted),
        )
