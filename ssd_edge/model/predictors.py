"""SSDLite's prediction layers (MobileNetV2, section 6.2): a depthwise 3 x 3 and a pointwise convolution."""

from __future__ import annotations

from torch import nn


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
