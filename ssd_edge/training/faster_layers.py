"""Convolutions that train faster on a processor than PyTorch's own, in their places in a network."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from ssd_edge.training.depthwise import DepthwiseConv2d, learns_slowly, pads_as_tensorflow
from ssd_edge.training.winograd import WinogradConv2d, has_fast_products, is_suitable

Layer = TypeVar("Layer", bound=nn.Conv2d)


def replace_layers_(model: nn.Module) -> None:
    """Replace the convolutions of a model, in place, that have a faster form: depthwise ones and dense 3×3 ones.

    Weights are shared, not copied, and keep their names. Each takes its faster form only with features of the type that
    it is for, bfloat16 or float32, and only where gradients are computed; otherwise it is PyTorch's own.
    """
    for name, child in list(model.named_children()):
        if not isinstance(child, nn.Conv2d):
            replace_layers_(child)
        elif learns_slowly(child):
            twin = _twin(child, DepthwiseConv2d)
            twin.pads_as_tensorflow = pads_as_tensorflow(child)
            setattr(model, name, twin)
        elif has_fast_products() and is_suitable(child):
            setattr(model, name, _twin(child, WinogradConv2d))


def _twin(layer: nn.Conv2d, kind: type[Layer]) -> Layer:
    """Return a layer of another class with the same weights and settings."""
    with torch.device("meta"):
        twin = kind(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            layer.groups,
            layer.bias is not None,
        )
    for name, parameter in layer.named_parameters():
        setattr(twin, name, parameter)
    return twin.train(layer.training)
