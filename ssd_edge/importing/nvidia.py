"""NVIDIA DeepLearningExamples, PyTorch/Detection/SSD: SSD300 on ResNet50.

Its heads put out coordinate (or class) before anchor, and it lists the anchors of a level shape by shape;
ours put out the anchor first and list them cell by cell. Settings are in the project's ``ssd/utils.py`` and
``ssd/evaluate.py``.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from ssd_edge.core.spec import NmsSpec
from ssd_edge.importing.family import Family, Rules, StateDict, class_count, renamed, with_counters
from ssd_edge.importing.labels import class_names
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights
from ssd_edge.model.zoo import make_spec

_NAME = "nvidia_ssd"  # on torch.hub
_SIGN = "additional_blocks.0.0.weight"
_HALF_PREFIX = "1."  # what network_to_half wraps around the network, in the files of torch.hub's nvidia_ssd
_ANCHORS = (4, 6, 6, 6, 4, 4)
_RULES: Rules = (
    (r"^feature_extractor\.feature_extractor\.", "backbone.features.0."),
    (r"^additional_blocks\.", "backbone.extra."),
    (r"^conf\.", "head.classification_head.module_list."),
    (r"^loc\.", "head.regression_head.module_list."),
)
_NMS = NmsSpec(score_threshold=0.05, iou_threshold=0.5, top_k=200, keep_top_k=200, max_candidates=200, clip_boxes=False)


def _matches(tensors: StateDict) -> bool:
    return bool(tensors.keys() & {_SIGN, _HALF_PREFIX + _SIGN})


def _convert(tensors: StateDict, given: tuple[str, ...] | None) -> SSD:
    tensors = _in_full_precision(tensors)
    count = class_count(tensors, logits="conf.0.weight", offsets="loc.0.weight", family=_NAME)
    spec = dataclasses.replace(make_spec("ssd300-resnet50", class_names(count, given)), nms=_NMS)
    return with_weights(spec, renamed(with_counters(_anchors_first(tensors)), _RULES), origin=_NAME)


def _in_full_precision(tensors: StateDict) -> StateDict:
    return {
        name.removeprefix(_HALF_PREFIX): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def _anchors_first(tensors: StateDict) -> StateDict:
    """Reorder the outputs of the heads: theirs is column · anchors + anchor, ours anchor · columns + column."""
    ordered = dict(tensors)
    for level, anchors in enumerate(_ANCHORS):
        for name in (f"{kind}.{level}.{part}" for kind in ("loc", "conf") for part in ("weight", "bias")):
            if name in tensors:
                ordered[name] = _transposed(tensors[name], anchors)
    return ordered


def _transposed(tensor: Tensor, anchors: int) -> Tensor:
    if len(tensor) % anchors:
        return tensor  # of another network: refused by its shape
    return tensor.reshape(-1, anchors, *tensor.shape[1:]).transpose(0, 1).flatten(0, 1).contiguous()


NVIDIA = Family(_NAME, "NVIDIA/DeepLearningExamples", _matches, _convert)
