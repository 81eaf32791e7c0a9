"""Networks by name: which backbone, which predictors, which random weights.

A new backbone is a file in ``model/backbones/``, an entry in ``_ARCHITECTURES`` here, and one in ``model/presets.py``:
"Add a backbone" in ``docs/architecture.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.backbones.compact import CompactBackbone
from ssd_edge.model.backbones.mobilenet_tiny import mobilenet_tiny_backbone
from ssd_edge.model.backbones.mobilenet_v1 import mobilenet_v1_backbone
from ssd_edge.model.backbones.mobilenet_v2 import mobilenet_v2_backbone
from ssd_edge.model.backbones.mobilenet_v3 import lite_predictor, mobilenet_v3_large_backbone
from ssd_edge.model.backbones.mobilenet_v3_squeeze_first import mobilenet_v3_squeeze_first_backbone
from ssd_edge.model.backbones.resnet import resnet50_backbone
from ssd_edge.model.backbones.squeezenet import squeezenet_backbone
from ssd_edge.model.backbones.staged import initialize_staged_
from ssd_edge.model.backbones.timm_backbone import TimmBackbone, initialize_timm_
from ssd_edge.model.backbones.vgg import SSD300_EXTRAS, SSD512_EXTRAS, Extra, VggBackbone, initialize_vgg_
from ssd_edge.model.heads import (
    Predictor,
    bare_separable_predictor,
    plain_predictor,
    pointwise_predictor,
    separable_predictor,
)
from ssd_edge.model.initialisation import Initialiser, kaiming_, kaiming_fan_in_, narrow_normal_, near_zero_, xavier_
from ssd_edge.model.ssd import SSD

_TIMM, _LITE, _FINE = "timm/", "/lite", "/lite-stride8"


@dataclass(frozen=True)
class Architecture:
    """Recipe of a network.

    Attributes:
        backbone: builds the backbone for an input size.
        predictor: builds one layer of the heads.
        initialize_backbone, initialize_head: fill them with random weights.
        last_predictor: builds the layer for the coarsest map, where that is another one.
    """

    backbone: Callable[[MapSize], nn.Module]
    predictor: Predictor
    initialize_backbone: Initialiser
    initialize_head: Initialiser
    last_predictor: Predictor | None = None


def _vgg(extras: tuple[Extra, ...], *, batch_norm: bool = False) -> Architecture:
    return Architecture(lambda _: VggBackbone(extras, batch_norm=batch_norm), plain_predictor, initialize_vgg_, xavier_)


def _mobilenet_v3(*, reduced_tail: bool, first_stride: Literal[8, 16] = 16) -> Architecture:
    backbone = partial(mobilenet_v3_large_backbone, reduced_tail=reduced_tail, first_stride=first_stride)
    return Architecture(lambda _: backbone(), lite_predictor, narrow_normal_, narrow_normal_)


def _lite(backbone: Callable[[], nn.Module], predictor: Predictor) -> Architecture:
    return Architecture(lambda _: backbone(), predictor, initialize_staged_, kaiming_fan_in_, pointwise_predictor)


def _tiny(*, receptive_field: bool) -> Architecture:
    backbone = partial(mobilenet_tiny_backbone, receptive_field=receptive_field)
    last = plain_predictor
    return Architecture(lambda _: backbone(), bare_separable_predictor, initialize_staged_, kaiming_fan_in_, last)


_ARCHITECTURES = {
    "vgg16": _vgg(SSD300_EXTRAS),
    "vgg16-512": _vgg(SSD512_EXTRAS),
    "vgg16-batch-norm": _vgg(SSD300_EXTRAS, batch_norm=True),
    "resnet50": Architecture(lambda _: resnet50_backbone(), plain_predictor, initialize_staged_, xavier_),
    "mobilenet-v1": Architecture(
        lambda _: mobilenet_v1_backbone(lite=False), plain_predictor, initialize_staged_, xavier_
    ),
    "mobilenet-v1-lite": _lite(partial(mobilenet_v1_backbone, lite=True), bare_separable_predictor),
    "mobilenet-v2-lite": _lite(partial(mobilenet_v2_backbone, tap_expansion=True), separable_predictor),
    "mobilenet-v2-lite-narrow": _lite(partial(mobilenet_v2_backbone, tap_expansion=False), separable_predictor),
    "mobilenet-v3-large-lite": _mobilenet_v3(reduced_tail=False),
    "mobilenet-v3-large-lite-reduced": _mobilenet_v3(reduced_tail=True),
    "mobilenet-v3-large-lite-reduced-stride8": _mobilenet_v3(reduced_tail=True, first_stride=8),
    "mobilenet-v3-large-lite-squeeze-first": _lite(mobilenet_v3_squeeze_first_backbone, separable_predictor),
    "mobilenet-tiny": _tiny(receptive_field=False),
    "mobilenet-tiny-rfb": _tiny(receptive_field=True),
    "squeezenet-lite": _lite(squeezenet_backbone, bare_separable_predictor),
    "compact": Architecture(CompactBackbone, plain_predictor, kaiming_, xavier_),
}


def network(spec: ModelSpec) -> SSD:
    """Return the network of ``spec`` without weights: its parameters are on the ``meta`` device and cost no memory.

    Raises:
        ArtifactError: no such architecture, or the spec's anchors do not lie on its feature maps.
    """
    architecture = _find(spec.architecture)
    with torch.device("meta"):
        backbone = architecture.backbone(MapSize(spec.input.height, spec.input.width))
        return SSD(spec, backbone, architecture.predictor, architecture.last_predictor)


def build_model(spec: ModelSpec) -> SSD:
    """Return the network of ``spec`` on the CPU with random weights from torch's global generator, in training mode.

    Raises:
        ArtifactError: no such architecture, or the spec's anchors do not lie on its feature maps.
        RuntimeError: the architecture's initializers leave out a layer: a mistake in its backbone.
    """
    architecture, model = _find(spec.architecture), network(spec).to_empty(device="cpu")
    # One value of each stands for all: in a forked child the threads of an operation on many never come.
    firsts = {name: tensor.view(-1)[:1] for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    for first in firsts.values():
        first.fill_(math.nan)
    architecture.initialize_backbone(model.backbone)
    architecture.initialize_head(model.head)
    if left_out := [name for name, first in firsts.items() if first.isnan()]:
        raise RuntimeError(
            f"this is a bug in the network {spec.architecture!r}: its initializers leave these weights without values: "
            f"{', '.join(left_out[:3])}"
        )
    return model


def empty_backbone(architecture: str, input_size: MapSize) -> nn.Module:
    """Return the backbone without weights, on the ``meta`` device.

    Raises:
        ArtifactError: no such architecture.
    """
    with torch.device("meta"):
        return _find(architecture).backbone(input_size)


def timm_architecture(backbone: str, *, lite: bool, fine: bool = False) -> str:
    """Return the name of the architecture with this backbone of timm; a fine one is lite, its first map of stride 8."""
    return f"{_TIMM}{backbone}{_FINE if fine else _LITE if lite else ''}"


def timm_parts(architecture: str) -> tuple[str, bool, bool] | None:
    """Return (backbone, lite, fine) of an architecture of timm; None for another."""
    if not architecture.startswith(_TIMM):
        return None
    name, fine = architecture.removeprefix(_TIMM), architecture.endswith(_FINE)
    return name.removesuffix(_FINE).removesuffix(_LITE), fine or name.endswith(_LITE), fine


def _timm(backbone: str, lite: bool, fine: bool) -> Architecture:
    return Architecture(
        partial(TimmBackbone, backbone, first_stride=16 if lite and not fine else 8, lite=lite),
        separable_predictor if lite else plain_predictor,
        lambda module: initialize_timm_(module, backbone),
        narrow_normal_ if lite else near_zero_,
        pointwise_predictor if lite else None,
    )


def _find(name: str) -> Architecture:
    parts = timm_parts(name)
    if parts is not None:
        return _timm(*parts)
    if name not in _ARCHITECTURES:
        raise ArtifactError(
            "the model's architecture is unknown to this version",
            got=repr(name),
            wanted=", ".join(sorted(_ARCHITECTURES)),
            do="Update ssd-edge, or convert the model with the version that wrote it.",
        )
    return _ARCHITECTURES[name]
