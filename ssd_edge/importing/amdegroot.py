"""amdegroot/ssd.pytorch: SSD300 on VGG16.

Files are plain state dicts without any settings; those are in the project's ``data/config.py``.
"""

from __future__ import annotations

import dataclasses

from ssd_edge.core.spec import NmsSpec
from ssd_edge.importing.family import Family, StateDict, class_count, flat_extra_rules, renamed, vgg_rules
from ssd_edge.importing.labels import VOC, class_names
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights
from ssd_edge.model.zoo import make_spec

_NAME = "ssd.pytorch-ssd300"
_RULES = (
    *vgg_rules("vgg"),
    (r"^L2Norm\.weight$", "backbone.scale_weight"),
    *flat_extra_rules("extras", stages=4),
    (r"^conf\.", "head.classification_head.module_list."),
    (r"^loc\.", "head.regression_head.module_list."),
)
# ssd.py and layers/functions/detection.py. The 200 are of each class; its limit for the image acts on a copy.
_NMS = NmsSpec(
    score_threshold=0.01, iou_threshold=0.45, top_k=200, keep_top_k=200, max_candidates=200, clip_boxes=False
)


def _matches(tensors: StateDict) -> bool:
    return tensors.keys() >= {"vgg.0.weight", "L2Norm.weight", "conf.0.weight"}


def _convert(tensors: StateDict, given: tuple[str, ...] | None) -> SSD:
    count = class_count(tensors, logits="conf.0.weight", offsets="loc.0.weight", family=_NAME)
    # The project's own rule: VOC's anchors for VOC's 21 outputs, COCO's for any other number.
    preset = "ssd300-vgg16-voc" if count == len(VOC) else "ssd300-vgg16-coco"
    spec = dataclasses.replace(make_spec(preset, class_names(count, given)), nms=_NMS)
    return with_weights(spec, renamed(tensors, _RULES), origin=_NAME)


AMDEGROOT = Family(_NAME, "amdegroot/ssd.pytorch", _matches, _convert)
