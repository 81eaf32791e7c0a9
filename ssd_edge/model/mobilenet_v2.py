"""MobileNetV2 (Sandler et al. 2018) with SSDLite's stages, as pytorch-ssd's mb2-ssd-lite uses it."""

from __future__ import annotations

from torch import nn
from torchvision.models import mobilenet_v2
from torchvision.models.mobilenetv2 import InvertedResidual

from ssd_edge.model.staged import StagedBackbone

_C4 = 14  # block of torchvision's mobilenet_v2().features whose expansion is the first tap (stride 16, 576 channels)
_EXTRAS = (  # in, out, expansion
    (1280, 512, 0.2),
    (512, 256, 0.25),
    (256, 256, 0.5),
    (256, 64, 0.25),
)


def mobilenet_v2_backbone() -> StagedBackbone:
    """Return the expansion of the C4 block, the last convolution and four additional stages; 300 gives 19 … 1 cells."""
    blocks = list(mobilenet_v2(weights=None).features)
    c4 = blocks[_C4].conv  # halves the resolution, so it has no shortcut around it
    return StagedBackbone(
        [nn.Sequential(*blocks[:_C4], c4[0]), nn.Sequential(c4[1:], *blocks[_C4 + 1 :])],
        [InvertedResidual(channels, out, stride=2, expand_ratio=ratio) for channels, out, ratio in _EXTRAS],
    )
