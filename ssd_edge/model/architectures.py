"""Networks by name: which backbone, which predictors, which random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ssd_edge.core.errors import ArtefactError
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.compact import CompactBackbone
from ssd_edge.model.heads import Predictor, plain_predictor
from ssd_edge.model.initialisation import Initialiser, kaiming_, narrow_normal_, xavier_
from ssd_edge.model.mobilenet import MobileNetBackbone, lite_predictor
from ssd_edge.model.ssd import SSD
from ssd_edge.model.vgg import VggBackbone, initialise_vgg_


@dataclass(frozen=True)
class Architecture:
    """How to make a network.

    Attributes:
        backbone: builds the backbone for an input size.
        predictor: builds one layer of the heads.
        initialise_backbone, initialise_head: fill them with random weights.
    """

    backbone: Callable[[MapSize], nn.Module]
    predictor: Predictor
    initialise_backbone: Initialiser
    initialise_head: Initialiser


def _mobilenet(reduced_tail: bool) -> Architecture:
    return Architecture(
        backbone=lambda _: MobileNetBackbone(reduced_tail=reduced_tail),
        predictor=lite_predictor,
        initialise_backbone=narrow_normal_,
        initialise_head=narrow_normal_,
    )


_ARCHITECTURES = {
    "vgg16": Architecture(lambda _: VggBackbone(), plain_predictor, initialise_vgg_, xavier_),
    "mobilenet-v3-large-lite": _mobilenet(reduced_tail=False),
    "mobilenet-v3-large-lite-reduced": _mobilenet(reduced_tail=True),
    "compact": Architecture(CompactBackbone, plain_predictor, kaiming_, xavier_),
}


def network(spec: ModelSpec) -> SSD:
    """Return the network of ``spec`` without weights: its parameters are on the ``meta`` device and cost no memory.

    Raises:
        ArtefactError: no such architecture, or the spec's anchors do not lie on its feature maps.
    """
    architecture = _find(spec.architecture)
    with torch.device("meta"):
        backbone = architecture.backbone(MapSize(spec.input.height, spec.input.width))
        return SSD(spec, backbone, architecture.predictor)


def build_model(spec: ModelSpec) -> SSD:
    """Return the network of ``spec`` on the CPU with random weights from torch's global generator, in training mode.

    Raises:
        ArtefactError: no such architecture, or the spec's anchors do not lie on its feature maps.
    """
    architecture, model = _find(spec.architecture), network(spec).to_empty(device="cpu")
    architecture.initialise_backbone(model.backbone)
    architecture.initialise_head(model.head)
    return model


def empty_backbone(architecture: str, input_size: MapSize) -> nn.Module:
    """Return the backbone without weights, on the ``meta`` device.

    Raises:
        ArtefactError: no such architecture.
    """
    with torch.device("meta"):
        return _find(architecture).backbone(input_size)


def _find(name: str) -> Architecture:
    if name not in _ARCHITECTURES:
        raise ArtefactError(
            "the model's architecture is unknown to this version",
            got=repr(name),
            wanted=", ".join(sorted(_ARCHITECTURES)),
            do="Update ssd-edge, or convert the model with the version that made it.",
        )
    return _ARCHITECTURES[name]
