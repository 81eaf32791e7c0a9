"""MobileNetV3-Large with SSDLite's extra layers and predictors; parameters are named as in torchvision's ssdlite320.

SSDLite is in section 6.2 of MobileNetV2 (Sandler et al. 2018), the choice of maps in 6.3 of MobileNetV3 (Howard et al.
2019).
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Literal

from torch import nn
from torchvision.models import mobilenet_v3_large
from torchvision.ops.misc import Conv2dNormActivation

from ssd_edge.model.backbones.staged import StagedBackbone

_BATCH_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
# Blocks of torchvision's mobilenet_v3_large().features, by the stride of the maps that their expansions see.
_BLOCKS = {8: 7, 16: 13}
_EXTRA_CHANNELS = (512, 256, 256, 128)


def mobilenet_v3_large_backbone(*, reduced_tail: bool, first_stride: Literal[8, 16] = 16) -> StagedBackbone:
    """Return the expansion of the C4 block, the last convolution, and four additional stages; 320 gives 20 … 1 cells.

    With a first map of stride 8 the expansion of the C3 block comes before these: 320 gives 40 … 1 cells.

    Args:
        reduced_tail: halve the channels after C4 (MobileNetV3, section 6.3), as torchvision does where the backbone
            does not start from ImageNet weights: 480 instead of 960 channels in the map of stride 32.
        first_stride: of the finest map, in pixels.
    """
    blocks = list(mobilenet_v3_large(weights=None, norm_layer=_BATCH_NORM, reduced_tail=reduced_tail).features)
    taps = [block for stride, block in _BLOCKS.items() if stride >= first_stride]
    stages, before = [], list[nn.Module]()
    for start, tap in pairwise((-1, *taps)):
        expansion = blocks[tap].block
        stages.append(nn.Sequential(*before, *blocks[start + 1 : tap], expansion[0]))
        before = [expansion[1:]]
    stages.append(nn.Sequential(*before, *blocks[taps[-1] + 1 :]))
    channels = (blocks[-1].out_channels, *_EXTRA_CHANNELS)
    return StagedBackbone(stages, [_extra(before, after) for before, after in pairwise(channels)])


def lite_predictor(channels: int, outputs: int) -> nn.Module:
    """Return SSDLite's predictor: a depthwise 3 x 3 and a pointwise convolution."""
    return nn.Sequential(_conv(channels, channels, kernel_size=3, groups=channels), nn.Conv2d(channels, outputs, 1))


def _extra(channels: int, out: int) -> nn.Module:
    middle = out // 2
    return nn.Sequential(
        _conv(channels, middle, kernel_size=1),
        _conv(middle, middle, kernel_size=3, stride=2, groups=middle),
        _conv(middle, out, kernel_size=1),
    )


def _conv(channels: int, out: int, *, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Module:
    block: nn.Module = Conv2dNormActivation(
        channels,
        out,
        kernel_size=kernel_size,
        stride=stride,
        groups=groups,
        norm_layer=_BATCH_NORM,
        activation_layer=nn.ReLU6,
    )
    return block
