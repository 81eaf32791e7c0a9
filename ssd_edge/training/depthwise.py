"""Depthwise convolutions that train in bfloat16 on a processor, with float32 where bfloat16 has no fast kernel.

oneDNN 3 (PyTorch 2.14) computes the gradient of a strided depthwise convolution's input, and that of the weights of a
kernel larger than 3, by plain loops in bfloat16: 3 to 70 times as slow as in float32 (docs/measured.md). And on a map
of one cell the gradient of a weight that only padding meets is whatever its memory held, now and then not finite. So
small maps give their weights a float32 gradient, too; there it costs nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_LARGEST_FAST_KERNEL = 3
_SMALL_MAP = 6  # cells of a side
_Pair = tuple[int, ...]


class _Geometry(NamedTuple):
    """Settings of a convolution besides its weights."""

    stride: _Pair
    padding: _Pair
    dilation: _Pair
    groups: int


class _DepthwiseConvolution(torch.autograd.Function):
    """A convolution in bfloat16 whose slow gradients are computed in float32."""

    @staticmethod
    def forward(context: Any, features: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        context.save_for_backward(features, weight)
        context.geometry = geometry
        kind = features.dtype
        return functional.conv2d(features, weight.to(kind), None if bias is None else bias.to(kind), *geometry)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        features, weight = context.saved_tensors
        geometry: _Geometry = context.geometry
        wants_features, wants_weight, wants_bias, _ = context.needs_input_grad
        of_features = of_weight = None
        if wants_features:
            exact = max(geometry.stride) > 1
            # Its values play no part here: only the size and the layout do.
            like = torch.empty_like(features, dtype=torch.float32 if exact else features.dtype)
            of_features = _gradients(gradient, like, weight, geometry, [True, False, False])[0].to(features.dtype)
        if wants_weight:
            exact = max(weight.shape[2:]) > _LARGEST_FAST_KERNEL or min(features.shape[2:]) < _SMALL_MAP
            values = features.float() if exact else features
            of_weight = _gradients(gradient, values, weight, geometry, [False, True, False])[1].to(weight.dtype)
        of_bias = gradient.sum(dim=(0, 2, 3), dtype=torch.float32) if wants_bias else None
        return of_features, of_weight, of_bias, None


def _gradients(
    gradient: Tensor, features: Tensor, weight: Tensor, geometry: _Geometry, wanted: list[bool]
) -> tuple[Tensor, ...]:
    """Return the gradients of features, weight and bias in the type of ``features``; None where not wanted."""
    kind = features.dtype
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient.to(kind),
        features,
        weight.to(kind),
        None,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        False,
        (0, 0),
        geometry.groups,
        wanted,
    )
    return found


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that learns faster from bfloat16 features; from others it is PyTorch's own.

    Attributes:
        pads_as_tensorflow: the features are padded by timm first, as TensorFlow's ``SAME`` has it; ``padding`` is 0.
    """

    pads_as_tensorflow = False

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (B, C, H, W) features."""
        if self.pads_as_tensorflow:
            from timm.layers.padding import pad_same

            features = pad_same(features, list(self.kernel_size), list(self.stride), list(self.dilation))
        if features.dtype != torch.bfloat16 or not torch.is_grad_enabled():
            return super().forward(features)
        geometry = _Geometry(self.stride, tuple(map(int, self.padding)), self.dilation, self.groups)
        convolved: Tensor = _DepthwiseConvolution.apply(features, self.weight, self.bias, geometry)
        return convolved


def learns_slowly(layer: nn.Conv2d) -> bool:
    """Whether a convolution is a depthwise one that :class:`DepthwiseConv2d` can take the place of.

    Those that pad by anything but zeros are not, nor are convolutions of a class of their own, but for timm's with
    TensorFlow's padding.
    """
    plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    known = type(layer) is nn.Conv2d or pads_as_tensorflow(layer)
    return plain and known and 1 < layer.groups == layer.in_channels


def pads_as_tensorflow(layer: nn.Conv2d) -> bool:
    """Whether it is timm's convolution that does; timm need not be installed."""
    kind = type(layer)
    return kind.__name__ == "Conv2dSame" and kind.__module__.partition(".")[0] == "timm"
