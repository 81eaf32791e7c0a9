"""VGG16 as the paper's SSD uses it (sections 3 and 3.4); parameters are named as in torchvision's ssd300_vgg16."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import vgg16

from ssd_edge.model.initialisation import kaiming_, xavier_

L2_SCALE = 20.0  # SSD, section 3.1: conv4_3 is scaled to this norm at first, then learns it
_CONV4_3 = 23  # layers of torchvision's vgg16().features up to and with the ReLU of conv4_3
_CONV4_3_CHANNELS = 512
_SMALLEST_NORM = 1e-12  # of torch.nn.functional.normalize


class Extra(NamedTuple):
    """An additional stage: a 1 x 1 convolution to ``middle`` channels, then one of ``kernel`` to ``out``."""

    channels: int
    middle: int
    out: int
    kernel: int
    stride: int
    padding: int


SSD300_EXTRAS = (  # conv8_2, conv9_2, conv10_2, conv11_2: 10, 5, 3, 1 cells
    Extra(1024, 256, 512, kernel=3, stride=2, padding=1),
    Extra(512, 128, 256, kernel=3, stride=2, padding=1),
    Extra(256, 128, 256, kernel=3, stride=1, padding=0),
    Extra(256, 128, 256, kernel=3, stride=1, padding=0),
)
SSD512_EXTRAS = (  # conv8_2 to conv12_2: 16, 8, 4, 2, 1 cells
    Extra(1024, 256, 512, kernel=3, stride=2, padding=1),
    Extra(512, 128, 256, kernel=3, stride=2, padding=1),
    Extra(256, 128, 256, kernel=3, stride=2, padding=1),
    Extra(256, 128, 256, kernel=3, stride=2, padding=1),
    Extra(256, 128, 256, kernel=4, stride=1, padding=1),
)


class VggBackbone(nn.Module):
    """Normalized conv4_3, atrous fc7 and the additional stages; 300 x 300 gives 38 … 1 cells, 512 x 512 64 … 1.

    Args:
        extras: the additional stages, for 300 or 512 pixels.
        batch_norm: conv4_3 goes through a batch norm, as in pytorch-ssd, instead of the paper's L2 norm.
    """

    def __init__(self, extras: tuple[Extra, ...] = SSD300_EXTRAS, *, batch_norm: bool = False) -> None:
        super().__init__()
        layers = list(vgg16(weights=None, init_weights=False).features)
        pools = [layer for layer in layers if isinstance(layer, nn.MaxPool2d)]
        pools[2].ceil_mode = True  # 75 to 38 cells, as Caffe rounds
        self.batch_norm = batch_norm
        self.features = nn.Sequential(*layers[:_CONV4_3])
        conv5 = nn.Sequential(*layers[_CONV4_3:-1], _atrous_fc())
        self.extra = nn.ModuleList([conv5, *(_extra(row) for row in extras)])
        if batch_norm:  # the last to be registered: a classifier has its layers in this order, but not this one
            self.norm = nn.BatchNorm2d(_CONV4_3_CHANNELS)
        else:
            self.scale_weight = nn.Parameter(torch.empty(_CONV4_3_CHANNELS))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of (B, 3, H, W) images, finest first."""
        features = self.features(images)
        maps = [self._normalised(features)]
        for block in self.extra:
            features = block(features)
            maps.append(features)
        return maps

    def _normalised(self, features: Tensor) -> Tensor:
        if self.batch_norm:
            normalized: Tensor = self.norm(features)
            return normalized
        norms = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp(min=_SMALLEST_NORM)
        scaled: Tensor = self.scale_weight.view(1, -1, 1, 1) * (features / norms)
        return scaled


def initialize_vgg_(backbone: nn.Module) -> None:
    """Set random weights: He's rule for VGG's own layers, the paper's Xavier for those that SSD adds."""
    xavier_(backbone)
    kaiming_(backbone.get_submodule("features"))
    kaiming_(backbone.get_submodule("extra.0"))
    xavier_(backbone.get_submodule("extra.0.7"))
    for name, parameter in backbone.named_parameters(recurse=False):
        if name == "scale_weight":
            nn.init.constant_(parameter, L2_SCALE)


def _atrous_fc() -> nn.Module:
    """Return pool5 at stride 1, fc6 as a dilated convolution and fc7 (SSD, section 3)."""
    return nn.Sequential(
        nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
        nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
        nn.ReLU(inplace=True),
        nn.Conv2d(1024, 1024, kernel_size=1),
        nn.ReLU(inplace=True),
    )


def _extra(row: Extra) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(row.channels, row.middle, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(row.middle, row.out, kernel_size=row.kernel, stride=row.stride, padding=row.padding),
        nn.ReLU(inplace=True),
    )
