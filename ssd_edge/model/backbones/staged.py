"""A backbone that is a chain of stages, each of which ends in a feature map."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ssd_edge.model.initialisation import kaiming_, kaiming_fan_in_


class StagedBackbone(nn.Module):
    """Gives the output of every stage, finest first. Parameters are named as in torchvision's ssdlite320.

    Args:
        features: stages of a classifier, up to each tap.
        extra: SSD's additional stages (SSD, section 2.1), one coarser map each.
    """

    def __init__(self, features: Sequence[nn.Module], extra: Sequence[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.extra = nn.ModuleList(extra)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of (B, 3, H, W) images, finest first."""
        features, maps = images, []
        for stage in (*self.features, *self.extra):
            features = stage(features)
            maps.append(features)
        return maps


def initialize_staged_(backbone: nn.Module) -> None:
    """Set random weights: the classifier's layers as for classification, the additional ones by their inputs."""
    kaiming_(backbone.get_submodule("features"))
    kaiming_fan_in_(backbone.get_submodule("extra"))
