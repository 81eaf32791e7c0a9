"""MobileNetV2 (Sandler et al. 2018) with SSDLite's stages, as pytorch-ssd and lufficc/SSD use it."""

from __future__ import annotations

from torch import nn
from torchvision.models import mobilenet_v2
from torchvision.models.mobilenetv2 import InvertedResidual

from ssd_edge.model.backbones.staged import StagedBackbone

_C4 = 14  # block of torchvision's mobilenet_v2().features that leaves stride 16
_EXTRAS = (  # in, out, expansion
    (1280, 512, 0.2),
    (512, 256, 0.25),
    (256, 256, 0.5),
    (256, 64, 0.25),
)


def mobilenet_v2_backbone(*, tap_expansion: bool) -> StagedBackbone:
    """Return a map at stride 16, the last convolution and four additional stages; 300 gives 19 … 1 cells, 320 20 … 1.

    Args:
        tap_expansion: the first map is what the C4 block expands to (576 channels, as in MobileNetV2, section 6.2), not
            what it begins with (96 channels).
    """
    blocks = list(mobilenet_v2(weights=None).features)
    c4 = blocks[_C4].conv  # halves the resolution, so it has no shortcut around it
    stages = [nn.Sequential(*blocks[:_C4]), nn.Sequential(*blocks[_C4:])]
    if tap_expansion:
        stages = [nn.Sequential(*blocks[:_C4], c4[0]), nn.Sequential(c4[1:], *blocks[_C4 + 1 :])]
    extras = [InvertedResidual(channels, out, stride=2, expand_ratio=ratio) for channels, out, ratio in _EXTRAS]
    return StagedBackbone(stages, extras)
