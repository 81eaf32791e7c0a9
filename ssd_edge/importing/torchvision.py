"""torchvision's SSD weights, as our detectors. Their names are ours; what is missing is which network they are of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.family import Family, StateDict
from ssd_edge.importing.labels import class_names
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights
from ssd_edge.model.zoo import make_spec

_LOGITS, _OFFSETS = "head.classification_head.module_list.0", "head.regression_head.module_list.0"
_LITE_TAIL = "backbone.features.1.3.0.weight"  # last convolution of MobileNetV3: 960 channels, 480 if reduced
_WANTED = "the state dict of torchvision's ssd300_vgg16 or ssdlite320_mobilenet_v3_large"
_SSD300_HEAD, _SSDLITE_HEAD = f"{_LOGITS}.weight", f"{_LOGITS}.1.weight"


class _Network(NamedTuple):
    preset: str
    architecture: str
    predictor: str  # suffix of the head's last convolution


_SSD300 = _Network("ssd300-vgg16", "vgg16", ".weight")
_SSDLITE = {
    480: _Network("ssdlite320-mobilenet-v3-large", "mobilenet-v3-large-lite-reduced", ".1.weight"),
    960: _Network("ssdlite320-mobilenet-v3-large", "mobilenet-v3-large-lite", ".1.weight"),
}


def load_torchvision(
    state_dict: Mapping[str, Tensor],
    class_names: Sequence[str],
    *,
    name: str | None = None,
    origin: str = "the state dict",
) -> SSD:
    """Return the detector that torchvision's weights belong to, with a copy of them, in evaluation mode.

    The network is recognized by its tensors: SSD300 by its ``scale_weight``, the two SSDLite tails by the width of
    the last convolution. Anchors, preprocessing and NMS are those of torchvision's constructors.

    Args:
        state_dict: of ``ssd300_vgg16`` or ``ssdlite320_mobilenet_v3_large``.
        class_names: of the real classes, in the order of the weights and without background; torchvision's COCO
            weights have 90, of which ten are called ``N/A``.
        name: what to call the model; by default the preset's name.
        origin: the file that the weights come from, for errors.

    Raises:
        ArtifactError: the weights are of no such detector, or do not fit it.
        InputError: the number of class names is not that of the weights.
    """
    network = _recognise(state_dict, origin)
    classes = class_count(state_dict, origin=origin)
    if len(class_names) != classes:
        raise InputError(
            f"the number of class names does not match {origin}",
            got=f"{len(class_names)} names",
            wanted=f"{classes} names, without the background",
        )
    spec = make_spec(network.preset, class_names, name=name)
    spec = dataclasses.replace(spec, architecture=network.architecture)
    copies = {key: value.detach().cpu().clone() for key, value in state_dict.items() if isinstance(value, Tensor)}
    return with_weights(spec, {**state_dict, **copies}, origin=origin)


def class_count(state_dict: Mapping[str, Tensor], *, origin: str) -> int:
    """Count the real classes: the first level has A·(C + 1) logits and A·4 offsets per cell.

    Raises:
        ArtifactError: the weights are of no SSD of torchvision, or have no such heads.
    """
    network = _recognise(state_dict, origin)
    try:
        logits = len(state_dict[_LOGITS + network.predictor])
        anchors = len(state_dict[_OFFSETS + network.predictor]) // 4
        return logits // anchors - 1
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ArtifactError(
            f"the number of classes cannot be read from {origin}: its detection head is missing or unknown",
            wanted=_WANTED,
        ) from error


def _recognise(state_dict: Mapping[str, Tensor], origin: str) -> _Network:
    if "backbone.scale_weight" in state_dict:
        return _SSD300
    if _LITE_TAIL in state_dict:
        width = state_dict[_LITE_TAIL].shape[0]
        if width in _SSDLITE:
            return _SSDLITE[width]
        raise ArtifactError(
            f"{origin} is an SSDLite of an unknown width",
            got=f"{width} channels in {_LITE_TAIL}",
            wanted="480 or 960 channels",
        )
    found = f"tensors such as {next(iter(state_dict))}" if state_dict else "no tensors"
    raise ArtifactError(f"{origin} is not an SSD of torchvision", got=found, wanted=_WANTED)


def _is_ssd300(tensors: StateDict) -> bool:
    return "backbone.scale_weight" in tensors and _SSD300_HEAD in tensors


def _is_ssdlite(tensors: StateDict) -> bool:
    return "backbone.features.0.13.0.weight" in tensors and _SSDLITE_HEAD in tensors


def _convert(tensors: StateDict, given: tuple[str, ...] | None) -> SSD:
    origin = "torchvision's SSD"
    return load_torchvision(tensors, class_names(class_count(tensors, origin=origin), given), origin=origin)


SSD300 = Family("ssd300_vgg16", "torchvision", _is_ssd300, _convert)
SSDLITE320 = Family("ssdlite320_mobilenet_v3_large", "torchvision", _is_ssdlite, _convert)
