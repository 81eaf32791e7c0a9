"""MobileNetV3-Large as lufficc/SSD and d-li14/mobilenetv3.pytorch have it, with SSDLite's stages of the same blocks.

It differs from torchvision's in the wide blocks, where squeeze-and-excitation comes before the activation, and in the
epsilon of the batch norms.
"""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.ops import SqueezeExcitation

from ssd_edge.model.backbones.staged import StagedBackbone

_BATCH_NORM = nn.BatchNorm2d  # with PyTorch's epsilon, 1e-5; torchvision's has 1e-3
_C4 = 13  # block of torchvision's mobilenet_v3_large().features that leaves stride 16
_EXTRAS = (  # in, middle, out
    (960, 192, 512),
    (512, 128, 256),
    (256, 128, 256),
    (256, 64, 64),
)


def mobilenet_v3_squeeze_first_backbone() -> StagedBackbone:
    """Return what the C4 block begins with, the last convolution and four additional stages; 320 gives 20 … 1 cells."""
    blocks = list(mobilenet_v3_large(weights=None, norm_layer=_BATCH_NORM).features)
    for block in blocks:
        if isinstance(block, InvertedResidual):
            _squeeze_first(block)
    stages = [nn.Sequential(*blocks[:_C4]), nn.Sequential(*blocks[_C4:])]
    return StagedBackbone(stages, [_extra(*row) for row in _EXTRAS])


def _squeeze_first(block: nn.Module) -> None:
    """Move the activation of a block's depthwise convolution behind the squeeze-and-excitation, if it has one."""
    layers = list(block.get_submodule("block").children())
    if isinstance(layers[-2], SqueezeExcitation):
        expand, depthwise, squeeze, project = layers
        convolution, norm, activation = depthwise.children()
        block.block = nn.Sequential(expand, nn.Sequential(convolution, norm), squeeze, activation, project)


def _extra(channels: int, middle: int, out: int) -> nn.Module:
    settings = InvertedResidualConfig(
        channels, 3, middle, out, use_se=True, activation="HS", stride=2, dilation=1, width_mult=1.0
    )
    block: nn.Module = InvertedResidual(
        settings, _BATCH_NORM, partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)
    )
    _squeeze_first(block)
    return block
