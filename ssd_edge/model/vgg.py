"""VGG16 as the paper's SSD300 uses it (section 3); parameters are named as in torchvision's ssd300_vgg16."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import vgg16

from ssd_edge.model.initialisation import kaiming_, xavier_

L2_SCALE = 20.0  # SSD, section 3.1: conv4_3 is scaled to this norm at first, then learns it
_CONV4_3 = 23  # layers of torchvision's vgg16().features up to and with the ReLU of conv4_3
_SMALLEST_NORM = 1e-12  # of torch.nn.functional.normalize

_SSD300_EXTRAS = (
    # in, middle, out, stride, padding: conv8_2, conv9_2, conv10_2, conv11_2
    (1024, 256, 512, 2, 1),
    (512, 128, 256, 2, 1),
    (256, 128, 256, 1, 0),
    (256, 128, 256, 1, 0),
)


class VggBackbone(nn.Module):
    """L2-normalised conv4_3, atrous fc7, conv8_2, conv9_2, conv10_2 and conv11_2; 300 x 300 gives 38 … 1 cells."""

    def __init__(self) -> None:
        super().__init__()
        layers = list(vgg16(weights=None, init_weights=False).features)
        pools = [layer for layer in layers if isinstance(layer, nn.MaxPool2d)]
        pools[2].ceil_mode = True  # 75 to 38 cells, as Caffe rounds
        self.scale_weight = nn.Parameter(torch.empty(512))
        self.features = nn.Sequential(*layers[:_CONV4_3])
        conv5 = nn.Sequential(*layers[_CONV4_3:-1], _atrous_fc())
        self.extra = nn.ModuleList([conv5, *(_extra(*row) for row in _SSD300_EXTRAS)])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of (B, 3, H, W) images, finest first."""
        features = self.features(images)
        norms = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp(min=_SMALLEST_NORM)
        maps = [self.scale_weight.view(1, -1, 1, 1) * (features / norms)]
        for block in self.extra:
            features = block(features)
            maps.append(features)
        return maps


def initialise_vgg_(backbone: nn.Module) -> None:
    """Set random weights: He's rule for VGG's own layers, the paper's Xavier for those that SSD adds."""
    kaiming_(backbone.get_submodule("features"))
    kaiming_(backbone.get_submodule("extra.0"))
    xavier_(backbone.get_submodule("extra.0.7"))
    for level in range(1, len(_SSD300_EXTRAS) + 1):
        xavier_(backbone.get_submodule(f"extra.{level}"))
    nn.init.constant_(backbone.get_parameter("scale_weight"), L2_SCALE)


def _atrous_fc() -> nn.Module:
    """Return pool5 at stride 1, fc6 as a dilated convolution and fc7 (SSD, section 3)."""
    return nn.Sequential(
        nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
        nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
        nn.ReLU(inplace=True),
        nn.Conv2d(1024, 1024, kernel_size=1),
        nn.ReLU(inplace=True),
    )


def _extra(channels: int, middle: int, out: int, stride: int, padding: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, middle, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, out, kernel_size=3, stride=stride, padding=padding),
        nn.ReLU(inplace=True),
    )
