"""The backbone of the Ultra-Light face detectors: thirteen narrow blocks of MobileNetV1.

One of them may be a receptive-field block (Liu et al. 2018, section 3.2): branches of convolutions with holes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ssd_edge.model.backbones.staged import StagedBackbone
from ssd_edge.model.heads import bare_separable

_WIDTH = 16
_BLOCKS = (  # out channels as multiples of the width, stride; the first is the stem
    *((1, 2), (2, 1), (2, 2), (2, 1), (4, 2), (4, 1), (4, 1), (4, 1)),
    *((8, 2), (8, 1), (8, 1)),
    *((16, 2), (16, 1)),
)
_TAPS = (8, 11, 13)  # strides 8, 16 and 32
_FIELD_AT = 7
_REDUCED = 8


def mobilenet_tiny_backbone(*, receptive_field: bool) -> StagedBackbone:
    """Return the maps at strides 8, 16, 32 and 64; 320 x 240 gives 40 x 30, 20 x 15, 10 x 8 and 5 x 4 cells.

    Args:
        receptive_field: the eighth block is a receptive-field block (the project's RFB); else a plain one (its slim).
    """
    channels, blocks = 3, []
    for number, (multiple, stride) in enumerate(_BLOCKS):
        out = multiple * _WIDTH
        blocks.append(_block(number, channels, out, stride, receptive_field=receptive_field))
        channels = out
    starts = (0, *_TAPS[:-1])
    stages = [nn.Sequential(*blocks[start:end]) for start, end in zip(starts, _TAPS, strict=True)]
    return StagedBackbone(stages, [_coarsest(channels)])


def _block(number: int, channels: int, out: int, stride: int, *, receptive_field: bool) -> nn.Module:
    if number == 0:
        return nn.Sequential(*_convolution(channels, out, 3, stride=stride), nn.ReLU(inplace=True))
    if receptive_field and number == _FIELD_AT:
        return ReceptiveField(channels)
    return nn.Sequential(
        *_convolution(channels, channels, 3, stride=stride, groups=channels),
        nn.ReLU(inplace=True),
        *_convolution(channels, out, 1),
        nn.ReLU(inplace=True),
    )


def _convolution(
    channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, hole: int = 1
) -> list[nn.Module]:
    padding = hole * (kernel // 2)
    return [
        nn.Conv2d(channels, out, kernel, stride, padding, dilation=hole, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]


def _coarsest(channels: int) -> nn.Module:
    middle = 4 * _WIDTH
    return nn.Sequential(
        nn.Conv2d(channels, middle, kernel_size=1),
        nn.ReLU(inplace=True),
        bare_separable(middle, channels, stride=2, padding=1),
        nn.ReLU(inplace=True),
    )


class ReceptiveField(nn.Module):
    """Three branches with holes of 2, 3 and 5 cells, joined by a pointwise convolution, beside a pointwise shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, wide, between = channels // _REDUCED, channels // _REDUCED * 2, channels // _REDUCED // 2 * 3
        self.branches = nn.ModuleList(
            [
                _branch(channels, (narrow, wide), hole=2),
                _branch(channels, (narrow, wide), hole=3),
                _branch(channels, (narrow, between, wide), hole=5),
            ]
        )
        self.join = nn.Sequential(*_convolution(3 * wide, channels, 1))
        self.shortcut = nn.Sequential(*_convolution(channels, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, channels, H, W) of (B, channels, H, W)."""
        seen = torch.cat([branch(features) for branch in self.branches], dim=1)
        joined: Tensor = self.join(seen) + self.shortcut(features)
        return joined.relu()


def _branch(channels: int, widths: tuple[int, ...], *, hole: int) -> nn.Module:
    """Return a pointwise convolution, 3 x 3 ones with ReLU, and one with holes, which no activation follows."""
    layers = _convolution(channels, widths[0], 1)
    for before, after in pairwise(widths):
        layers += [*_convolution(before, after, 3), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *_convolution(widths[-1], widths[-1], 3, hole=hole))
