"""A small backbone of plain 3 x 3 convolutions that trains on a CPU in minutes."""

from __future__ import annotations

from torch import Tensor, nn

from ssd_edge.model.anchors import MapSize

_STEM = (16, 32)
_DETECTION = (64, 128, 128)
_FIRST_STRIDE = 8
_COARSEST_CELLS = 3


def level_count(input_size: MapSize) -> int:
    """Return how many maps, from stride 8 on, it takes until the longer side has at most 3 cells."""
    cells, levels = -(-max(input_size) // _FIRST_STRIDE), 1
    while cells > _COARSEST_CELLS:
        cells, levels = -(-cells // 2), levels + 1
    return levels


class CompactBackbone(nn.Module):
    """Feature maps at strides 8, 16, 32 and so on, two convolutions each; the coarsest one has 2 or 3 cells.

    Plain convolutions, because depthwise ones train slowly on a CPU: they move as much memory for a ninth of the work.
    """

    def __init__(self, input_size: MapSize) -> None:
        super().__init__()
        stem = [_conv(3, _STEM[0], stride=2), _conv(_STEM[0], _STEM[1], stride=2), _conv(_STEM[1], _STEM[1])]
        self.stem = nn.Sequential(*stem)
        levels, channels = [], _STEM[1]
        for level in range(level_count(input_size)):
            out = _DETECTION[min(level, len(_DETECTION) - 1)]
            levels.append(nn.Sequential(_conv(channels, out, stride=2), _conv(out, out)))
            channels = out
        self.levels = nn.ModuleList(levels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of (B, 3, H, W) images, finest first."""
        features, maps = self.stem(images), []
        for level in self.levels:
            features = level(features)
            maps.append(features)
        return maps


def _conv(channels: int, out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )
