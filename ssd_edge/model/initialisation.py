"""Random weights for the convolutions and batch norms of a module that no checkpoint fills.

Layers of another kind need an initializer of their own; :func:`~ssd_edge.model.architectures.build_model` refuses a
network where one is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

Initialiser = Callable[[nn.Module], None]


def _initialise(module: nn.Module, fill: Callable[[Tensor], Tensor]) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()


def xavier_(module: nn.Module) -> None:
    """Fill convolutions by Glorot's uniform rule, as the paper does for the layers that it adds (SSD, section 3)."""
    _initialise(module, nn.init.xavier_uniform_)


def kaiming_(module: nn.Module) -> None:
    """Fill convolutions by He's normal rule for ReLU networks, as torchvision does for VGG."""
    _initialise(module, partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"))


def kaiming_fan_in_(module: nn.Module) -> None:
    """Fill convolutions by He's rule for their inputs: depthwise layers without batch norm keep the signal's size."""
    _initialise(module, partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"))


def narrow_normal_(module: nn.Module) -> None:
    """Fill convolutions from a normal distribution of deviation 0.03, as torchvision does for SSDLite."""
    _initialise(module, partial(nn.init.normal_, std=0.03))


def near_zero_(module: nn.Module) -> None:
    """Fill convolutions from a normal distribution of deviation 0.01, as RetinaNet's heads (Lin et al. 2017, 4.1)."""
    _initialise(module, partial(nn.init.normal_, std=0.01))
