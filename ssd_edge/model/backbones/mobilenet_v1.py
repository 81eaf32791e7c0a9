"""MobileNetV1 (Howard et al. 2017) as pytorch-ssd's mb1-ssd and mb1-ssd-lite use it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import nn

from ssd_edge.model.backbones.staged import StagedBackbone
from ssd_edge.model.heads import bare_separable

_STEM = 32
_BLOCKS = (  # out channels, stride
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)),
    *((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)
_FIRST_TAP = 12  # the stem and eleven blocks: stride 16, 512 channels
_EXTRA_CHANNELS = (1024, 512, 256, 256, 256)
_EXTRA_MIDDLE = (256, 128, 128, 128)


def mobilenet_v1_backbone(*, lite: bool) -> StagedBackbone:
    """Return the maps at strides 16 and 32 and four additional stages; 300 x 300 gives 19, 10, 5, 3, 2 and 1 cells.

    Args:
        lite: the additional stages are depthwise, and end without an activation.
    """
    channels = [_STEM, *(out for out, _ in _BLOCKS)]
    strides = [stride for _, stride in _BLOCKS]
    blocks = [_stem(), *(_block(a, b, stride) for (a, b), stride in zip(pairwise(channels), strides, strict=True))]
    extra: Callable[[int, int, int], nn.Module] = _lite_extra if lite else _extra
    sizes = zip(pairwise(_EXTRA_CHANNELS), _EXTRA_MIDDLE, strict=True)
    return StagedBackbone(
        [nn.Sequential(*blocks[:_FIRST_TAP]), nn.Sequential(*blocks[_FIRST_TAP:])],
        [extra(before, middle, after) for (before, after), middle in sizes],
    )


def _stem() -> nn.Module:
    return nn.Sequential(*_convolution(3, _STEM, kernel_size=3, stride=2))


def _block(channels: int, out: int, stride: int) -> nn.Module:
    return nn.Sequential(
        *_convolution(channels, channels, kernel_size=3, stride=stride, groups=channels),
        *_convolution(channels, out, kernel_size=1),
    )


def _convolution(channels: int, out: int, *, kernel_size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out, kernel_size, stride=stride, padding=kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]


def _extra(channels: int, middle: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, middle, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, out, kernel_size=3, stride=2, padding=1),
        nn.ReLU(inplace=True),
    )


def _lite_extra(channels: int, middle: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, middle, kernel_size=1),
        nn.ReLU(inplace=True),
        bare_separable(middle, out, stride=2, padding=1),
    )
