"""ResNet50 up to conv4, as in NVIDIA's SSD300 (DeepLearningExamples, PyTorch/Detection/SSD)."""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet50

from ssd_edge.model.backbones.staged import StagedBackbone

_CONV4 = 7  # children of torchvision's resnet50 up to and with layer3
_EXTRAS = (  # in, middle, out, stride, padding: 19, 10, 5, 3, 1 cells
    (1024, 256, 512, 2, 1),
    (512, 256, 512, 2, 1),
    (512, 128, 256, 2, 1),
    (256, 128, 256, 1, 0),
    (256, 128, 256, 1, 0),
)


def resnet50_backbone() -> StagedBackbone:
    """Return conv4 at stride 8 and five additional stages; 300 x 300 gives 38, 19, 10, 5, 3 and 1 cells.

    conv4 keeps conv3's resolution: its first block loses its stride.
    """
    layers = list(resnet50(weights=None).children())[:_CONV4]
    first = layers[-1][0]
    for convolution in (first.conv1, first.conv2, first.downsample[0]):
        convolution.stride = (1, 1)
    return StagedBackbone([nn.Sequential(*layers)], [_extra(*row) for row in _EXTRAS])


def _extra(channels: int, middle: int, out: int, stride: int, padding: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, middle, kernel_size=1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, out, kernel_size=3, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )
