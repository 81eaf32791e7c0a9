"""SqueezeNet 1.1 (Iandola et al. 2016) as pytorch-ssd's sq-ssd-lite uses it."""

from __future__ import annotations

from torch import nn
from torchvision.models import squeezenet1_1

from ssd_edge.model.backbones.staged import StagedBackbone
from ssd_edge.model.heads import bare_separable

_EXTRAS = (  # in, middle, out, padding: 10, 5, 3, 2 and 1 cells
    (512, 256, 512, 2),
    (512, 256, 512, 1),
    (512, 128, 256, 1),
    (256, 128, 256, 1),
    (256, 128, 256, 1),
)


def squeezenet_backbone() -> StagedBackbone:
    """Return the map before the last Fire module and five additional stages; 300 gives 17, 10, 5, 3, 2 and 1 cells."""
    layers = list(squeezenet1_1(weights=None).features)
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = False  # as pytorch-ssd rounds, unlike torchvision
    first, *others = (_extra(*row) for row in _EXTRAS)
    return StagedBackbone([nn.Sequential(*layers[:-1])], [nn.Sequential(layers[-1], *first), *others])


def _extra(channels: int, middle: int, out: int, padding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, middle, kernel_size=1),
        nn.ReLU(inplace=True),
        bare_separable(middle, out, stride=2, padding=padding),
    )
