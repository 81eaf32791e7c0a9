"""torchvision's SSDs."""

from __future__ import annotations

from ssd_edge.export.imports.family import Family, StateDict
from ssd_edge.export.imports.labels import class_names
from ssd_edge.model.ssd import SSD
from ssd_edge.model.torchvision_weights import class_count, load_torchvision

_HEAD = "head.classification_head.module_list.0"
_SSD300_HEAD, _SSDLITE_HEAD = f"{_HEAD}.weight", f"{_HEAD}.1.weight"


def _is_ssd300(tensors: StateDict) -> bool:
    return "backbone.scale_weight" in tensors and _SSD300_HEAD in tensors


def _is_ssdlite(tensors: StateDict) -> bool:
    return "backbone.features.0.13.0.weight" in tensors and _SSDLITE_HEAD in tensors


def _convert(tensors: StateDict, given: tuple[str, ...] | None) -> SSD:
    origin = "torchvision's SSD"
    return load_torchvision(tensors, class_names(class_count(tensors, origin=origin), given), origin=origin)


SSD300 = Family("ssd300_vgg16", "torchvision", _is_ssd300, _convert)
SSDLITE320 = Family("ssdlite320_mobilenet_v3_large", "torchvision", _is_ssdlite, _convert)
