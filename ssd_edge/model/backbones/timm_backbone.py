"""Backbones from timm: any of its convolutional classifiers as the first maps of an SSD. timm is imported on use."""

from __future__ import annotations

import difflib
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ssd_edge.core.errors import InputError
from ssd_edge.core.requirements import require
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.initialisation import kaiming_fan_in_

_EXTRA_CHANNELS = (512, 256, 256, 128)  # as torchvision's ssdlite320; more maps repeat the last
_FAILURES = (RuntimeError, AttributeError, TypeError, AssertionError)  # of timm where a network cannot do something


class TimmBackbone(nn.Module):
    """The classifier's maps from ``first_stride`` on, then additional ones, each half the size, down to one cell.

    Args:
        name: of the classifier in timm.
        input_size: rows and cols of the images.
        first_stride: of the finest map, in pixels.
        lite: the additional maps come from depthwise convolutions.

    Raises:
        MissingPackageError: timm is not installed.
        InputError: timm has no such classifier, or it has no maps for an SSD.
    """

    def __init__(self, name: str, input_size: MapSize, *, first_stride: int, lite: bool) -> None:
        super().__init__()
        self.features = _classifier(name)
        strides = self.features.feature_info.reduction()
        if first_stride not in strides:
            raise _unsuitable(
                name, f"maps at strides {', '.join(map(str, strides))}", f"maps from stride {first_stride} on"
            )
        self.first = strides.index(first_stride)
        coarsest = _coarsest(name, self.features, input_size)
        extras = (max(coarsest.shape[2:]) - 1).bit_length()  # halvings, rounded up, until one cell is left
        widths = [coarsest.shape[1], *(_EXTRA_CHANNELS[min(k, len(_EXTRA_CHANNELS) - 1)] for k in range(extras))]
        extra = _lite_extra if lite else _extra
        self.extra = nn.ModuleList(extra(before, after) for before, after in pairwise(widths))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of (B, 3, H, W) images, finest first."""
        maps = list(self.features(images))[self.first :]
        for stage in self.extra:
            maps.append(stage(maps[-1]))
        return maps


def initialize_timm_(backbone: nn.Module, name: str) -> None:
    """Set random weights: the classifier's by timm's own rules, the additional layers' by their inputs."""
    backbone.get_submodule("features").load_state_dict(_classifier(name).state_dict())
    kaiming_fan_in_(backbone.get_submodule("extra"))


def normalization(name: str) -> tuple[list[float], list[float]]:
    """Return (mean, std), RGB in 0..255 units, that timm's weights for this classifier expect.

    Raises:
        MissingPackageError: timm is not installed.
        InputError: timm has no such classifier.
    """
    config = _checked(name).get_pretrained_cfg(name)
    return [value * 255 for value in config.mean], [value * 255 for value in config.std]


def pretrained(name: str) -> dict[str, Tensor]:
    """Return the weights that timm's authors trained, from its cache or from the Hugging Face hub.

    Raises:
        MissingPackageError: timm is not installed.
        InputError: timm has no such classifier, or its weights cannot be fetched.
    """
    try:
        weights: dict[str, Tensor] = _checked(name).create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError, ValueError) as error:  # requests' and the hub's errors are OSErrors
        raise InputError(
            f"timm's weights for {name} cannot be downloaded",
            got=_first_line(error),
            wanted="an internet connection, or the weights in timm's cache",
            do="Download the weights on a machine with internet access, and give the file: --backbone FILE",
        ) from error
    return weights


def _classifier(name: str) -> Any:
    try:
        model = _checked(name).create_model(name, pretrained=False, features_only=True)
    except _FAILURES as error:
        raise _unsuitable(
            name, _first_line(error), "a backbone that timm can create with features_only=True"
        ) from error
    unsaved = {key for key, _ in model.named_buffers()} - model.state_dict().keys()
    if unsaved:
        raise _unsuitable(
            name,
            f"constants that are not in its weights ({min(unsaved)})",
            "a backbone whose weights contain all constants",
        )
    return model


def _coarsest(name: str, features: Any, input_size: MapSize) -> Tensor:
    """Return the coarsest map of an empty image, after a look at whether it is one: channels, rows, cols."""
    device = next(features.parameters()).device
    try:
        with torch.no_grad():
            coarsest: Tensor = features.eval()(torch.zeros(1, 3, *input_size, device=device))[-1]
    except _FAILURES as error:
        raise _unsuitable(
            name,
            _first_line(error),
            f"a backbone that accepts an input of {input_size.cols} x {input_size.rows} pixels",
        ) from error
    features.train()
    channels = features.feature_info.channels()[-1]
    if coarsest.ndim != 4 or coarsest.shape[1] != channels:
        raise _unsuitable(
            name,
            f"a feature map of shape {tuple(coarsest.shape)}",
            f"a feature map of shape (1, {channels}, rows, cols)",
        )
    return coarsest


def _first_line(error: Exception) -> str:
    """Return what an error says, or its kind: an assertion may say nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _unsuitable(name: str, got: str, wanted: str) -> InputError:
    return InputError(
        f"timm's {name} cannot be the backbone of this SSD",
        got=got,
        wanted=wanted,
        do="Choose another backbone, e.g. mobilenetv4_conv_small, efficientnet_lite0 or resnet18.",
    )


def _checked(name: str) -> Any:
    """Return timm, if it has such a classifier."""
    require(
        "timm",
        f"{name} is not a backbone of ssd-edge, and timm, which has hundreds of them, is not installed",
        "Choose one that ssd-edge models lists, or install timm: pip install 'ssd-edge[timm]'",
    )
    import timm

    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=4)
        wanted = f"one like {', '.join(close)}" if close else "one of timm.list_models()"
        raise InputError("neither ssd-edge nor timm has this backbone", got=repr(name), wanted=wanted)
    return timm


def _extra(channels: int, out: int) -> nn.Module:
    middle = out // 2
    return nn.Sequential(
        *_convolution(channels, middle, kernel_size=1),
        *_convolution(middle, out, kernel_size=3, stride=2),
    )


def _lite_extra(channels: int, out: int) -> nn.Module:
    middle = out // 2
    return nn.Sequential(
        *_convolution(channels, middle, kernel_size=1),
        *_convolution(middle, middle, kernel_size=3, stride=2, groups=middle),
        *_convolution(middle, out, kernel_size=1),
    )


def _convolution(channels: int, out: int, *, kernel_size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out, kernel_size, stride=stride, padding=kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(inplace=True),
    ]
