"""Prediction layers: class logits and box offsets for every anchor (SSD, section 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

Predictor = Callable[[int, int], nn.Module]
"""Builds the layer from (channels of a feature map, outputs per cell)."""


class HeadOutputs(NamedTuple):
    """Outputs of the network.

    Attributes:
        class_logits: (B, A, C + 1) float; column 0 is background.
        box_offsets: (B, A, 4) float, dx dy dw dh relative to the anchors, coded with the spec's variances.
    """

    class_logits: Tensor
    box_offsets: Tensor


class ScoringHead(nn.Module):
    """One predictor per feature map; its output channels are anchor-major: channel = anchor * columns + column.

    Args:
        predictors: finest feature map first.
        boxes: anchors of all levels together.
        columns: values per anchor.
    """

    def __init__(self, predictors: Sequence[nn.Module], boxes: int, columns: int) -> None:
        super().__init__()
        self.module_list = nn.ModuleList(predictors)
        self.boxes, self.columns = boxes, columns

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (B, boxes, columns): levels in order, cells row by row, the boxes of a cell innermost."""
        levels = [
            predictor(features).permute(0, 2, 3, 1).flatten(1)
            for predictor, features in zip(self.module_list, maps, strict=True)
        ]
        # Both sizes are constants, so that the exported graph holds no shape arithmetic.
        return torch.cat(levels, dim=1).reshape(-1, self.boxes, self.columns)


class MultiBoxHead(nn.Module):
    """The class scores and the box offsets, each with its own predictors.

    Args:
        predictors: build the layers of each feature map, finest first.
        channels: of each feature map, finest first.
        anchors: anchors per cell of each feature map.
        boxes: anchors of all levels together.
        num_logits: real classes and background.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        channels: Sequence[int],
        anchors: Sequence[int],
        boxes: int,
        num_logits: int,
    ) -> None:
        super().__init__()
        levels = list(zip(predictors, channels, anchors, strict=True))
        logits = [predictor(c, a * num_logits) for predictor, c, a in levels]
        self.classification_head = ScoringHead(logits, boxes, num_logits)
        self.regression_head = ScoringHead([predictor(c, a * 4) for predictor, c, a in levels], boxes, 4)

    def forward(self, maps: Sequence[Tensor]) -> HeadOutputs:
        """Predict from the feature maps, finest first."""
        return HeadOutputs(self.classification_head(maps), self.regression_head(maps))


def plain_predictor(channels: int, outputs: int) -> nn.Module:
    """Return the paper's 3 x 3 convolution."""
    return nn.Conv2d(channels, outputs, kernel_size=3, padding=1)


def separable_predictor(channels: int, outputs: int) -> nn.Module:
    """Return the depthwise convolution with batch norm and ReLU6, and the pointwise one."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(inplace=True),
        pointwise_predictor(channels, outputs),
    )


def bare_separable_predictor(channels: int, outputs: int) -> nn.Module:
    """Return the same without batch norm, as pytorch-ssd's mb1-ssd-lite and sq-ssd-lite have it."""
    return bare_separable(channels, outputs, stride=1, padding=1)


def pointwise_predictor(channels: int, outputs: int) -> nn.Module:
    """Return a 1 x 1 convolution, all that a map of one cell needs."""
    return nn.Conv2d(channels, outputs, kernel_size=1)


def bare_separable(channels: int, out: int, *, stride: int, padding: int) -> nn.Module:
    """Return a depthwise 3 x 3 convolution, ReLU and a pointwise convolution, without batch norm."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size=3, stride=stride, padding=padding, groups=channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, out, kernel_size=1),
    )
