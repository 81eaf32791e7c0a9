"""lufficc/SSD: VGG16 at 300 and 512, MobileNetV2 and V3 at 320.

Its files hold the weights under ``model``, without any settings; those are in the project's ``configs``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

from ssd_edge.core.spec import NmsSpec
from ssd_edge.importing.family import (
    Family,
    Rules,
    StateDict,
    class_count,
    flat_extra_rules,
    renamed,
    shifted,
    unchanged,
    vgg_rules,
    with_counters,
    without_depthwise_biases,
)
from ssd_edge.importing.labels import COCO, class_names
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights
from ssd_edge.model.zoo import make_spec

_C4 = 14  # first block behind the first tap of MobileNetV2; of V3 it is one less
_V2_BLOCKS, _V3_BLOCKS = 19, 17
_SQUEEZED = (4, 5, 6, 11, 12, 13, 14, 15)  # blocks of MobileNetV3-Large with squeeze-and-excitation
_EXTRAS = 4
_KINDS = {"cls_headers": "classification_head", "reg_headers": "regression_head"}

_HEADS: Rules = [
    (rf"^box_head\.predictor\.{old}\.(\d)\.(conv\.)?", rf"head.{new}.module_list.\1.") for old, new in _KINDS.items()
]
_SOURCE = "lufficc/SSD"
_LOGITS, _OFFSETS = "box_head.predictor.cls_headers.0.", "box_head.predictor.reg_headers.0."
_VGG, _COARSEST_OF_512 = "backbone.vgg.0.weight", "backbone.extras.9.weight"
# ssd/config/defaults.py. Its NMS looks at every candidate of a class; of the best 400, few reach the best 100.
_NMS = NmsSpec(
    score_threshold=0.01, iou_threshold=0.45, top_k=400, keep_top_k=100, max_candidates=400, clip_boxes=False
)


def _stages(blocks: int, first: int) -> Rules:
    """Return the rules for the classifier's blocks, cut into two stages before block ``first``."""
    return [
        *shifted("backbone.features", "backbone.features.0", range(first), offset=0),
        *shifted("backbone.features", "backbone.features.1", range(first, blocks), offset=first),
    ]


MOBILENET_V2: Rules = [*_stages(_V2_BLOCKS, _C4), (r"^backbone\.extras\.", "backbone.extra."), *_HEADS]
"""Its blocks are written as torchvision's."""


def _block(index: int) -> str:
    """Return the place of block ``index`` of MobileNetV3."""
    first = _C4 - 1
    return f"backbone.features.0.{index}" if index < first else f"backbone.features.1.{index - first}"


def _layers(old: str, new: str, parts: dict[str, str]) -> Rules:
    """Return the rules of one block; torchvision joins a convolution, its batch norm and activation into one module."""
    return [(rf"^{old}\.conv\.{layer}\.", f"{new}.block.{part}.") for layer, part in parts.items()]


def _mobilenet_v3_rules() -> Rules:
    first = {"0": "0.0", "1": "0.1", "4": "1.0", "5": "1.1"}  # block 1 has no expansion
    plain = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "7": "2.0", "8": "2.1"}
    squeezed = {**plain, r"5\.fc\.0": "2.fc1", r"5\.fc\.2": "2.fc2", "7": "4.0", "8": "4.1"}
    wide = range(2, _V3_BLOCKS - 1)
    return [
        *_layers(r"backbone\.features\.1", _block(1), first),
        *(
            rule
            for i in wide
            for rule in _layers(rf"backbone\.features\.{i}", _block(i), squeezed if i in _SQUEEZED else plain)
        ),
        *(rule for k in range(_EXTRAS) for rule in _layers(rf"backbone\.extras\.{k}", f"backbone.extra.{k}", squeezed)),
        *_stages(_V3_BLOCKS, _C4 - 1),
        *_HEADS,
    ]


MOBILENET_V3: Rules = _mobilenet_v3_rules()


def with_pointwise_squeezing(tensors: StateDict) -> StateDict:
    """Make 1 x 1 convolutions of the linear layers of squeeze-and-excitation."""
    return {
        name: tensor[:, :, None, None] if name.endswith((".fc1.weight", ".fc2.weight")) else tensor
        for name, tensor in tensors.items()
    }


def _vgg_rules(stages: int) -> Rules:
    return (
        *vgg_rules("backbone.vgg"),
        (r"^backbone\.l2_norm\.weight$", "backbone.scale_weight"),
        *flat_extra_rules("backbone.extras", stages),
        (r"^box_head\.predictor\.cls_headers\.", "head.classification_head.module_list."),
        (r"^box_head\.predictor\.reg_headers\.", "head.regression_head.module_list."),
    )


def _convert(
    tensors: StateDict,
    given: tuple[str, ...] | None,
    *,
    family: str,
    presets: tuple[str, str],
    rules: Rules,
    last: str = "",
    reshape: Callable[[StateDict], StateDict] = unchanged,
) -> SSD:
    """Return our detector.

    Args:
        tensors: of the project.
        given: class names.
        family: its name, for errors.
        presets: for the anchors of ``configs/*_coco_*.yaml``, which 80 classes mean, and for those of any other
            configuration.
        rules: from its names to ours.
        last: the place of the last layer in a head.
        reshape: makes the renamed tensors those of our network.
    """
    count = class_count(tensors, logits=f"{_LOGITS}{last}weight", offsets=f"{_OFFSETS}{last}weight", family=family)
    preset = presets[0] if count == len(COCO) else presets[1]
    spec = dataclasses.replace(make_spec(preset, class_names(count, given)), nms=_NMS)
    return with_weights(spec, reshape(renamed(with_counters(tensors), rules)), origin=family)


def _is_vgg(tensors: StateDict, *, side: int) -> bool:
    return {_VGG, f"{_LOGITS}weight"} <= tensors.keys() and (_COARSEST_OF_512 in tensors) == (side == 512)


def _is_mobilenet(tensors: StateDict, *, sign: str) -> bool:
    return tensors.keys() >= {sign, f"{_LOGITS}conv.3.weight"}


def _vgg(side: int, stages: int, presets: tuple[str, str]) -> Family:
    name = f"vgg_ssd{side}"
    convert = partial(_convert, family=name, presets=presets, rules=_vgg_rules(stages))
    return Family(name, _SOURCE, partial(_is_vgg, side=side), convert)


def _mobilenet(name: str, sign: str, *, preset: str, rules: Rules, reshape: Callable[[StateDict], StateDict]) -> Family:
    convert = partial(_convert, family=name, presets=(preset, preset), rules=rules, last="conv.3.", reshape=reshape)
    return Family(name, _SOURCE, partial(_is_mobilenet, sign=sign), convert)


LUFFICC = (
    _vgg(300, stages=4, presets=("ssd300-vgg16-coco", "ssd300-vgg16-voc")),
    _vgg(512, stages=5, presets=("ssd512-vgg16", "ssd512-vgg16-voc")),
    _mobilenet(
        "mobilenet_v2_ssd320",
        "backbone.features.1.conv.0.0.weight",
        preset="ssdlite320-mobilenet-v2",
        rules=MOBILENET_V2,
        reshape=without_depthwise_biases,
    ),
    _mobilenet(
        "mobilenet_v3_ssd320",
        "backbone.features.4.conv.5.fc.0.weight",
        preset="ssdlite320-mobilenet-v3-squeeze-first",
        rules=MOBILENET_V3,
        reshape=lambda tensors: with_pointwise_squeezing(without_depthwise_biases(tensors)),
    ),
)
