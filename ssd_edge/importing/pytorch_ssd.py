"""qfgaohao/pytorch-ssd and its descendant in jetson-inference: weights for 300 x 300, or another size.

Files are plain state dicts without any settings, not even the input size; those are in ``vision/ssd/config``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import ModelSpec, NmsSpec
from ssd_edge.importing.family import (
    Family,
    Rules,
    StateDict,
    class_count,
    renamed,
    shifted,
    unchanged,
    vgg_rules,
    with_counters,
    without_depthwise_biases,
)
from ssd_edge.importing.labels import class_names
from ssd_edge.model.anchors import MapSize, anchors_from_sizes
from ssd_edge.model.architectures import empty_backbone
from ssd_edge.model.ssd import SSD, feature_maps
from ssd_edge.model.weights import with_weights
from ssd_edge.model.zoo import make_spec

_SOURCE = "qfgaohao/pytorch-ssd, jetson-inference"
# vision/ssd/predictor.py; it keeps all that is left, boxes beyond the image's edges as they are.
_NMS = NmsSpec(
    score_threshold=0.01, iou_threshold=0.45, top_k=200, keep_top_k=200, max_candidates=200, clip_boxes=False
)
_FINEST_SCALE, _SCALE, _SCALE_STEP = 0.1, 0.2, 0.17  # of the input's side, at other sizes than 300
_HEADS: Rules = (
    (r"^classification_headers\.", "head.classification_head.module_list."),
    (r"^regression_headers\.", "head.regression_head.module_list."),
)
_EXTRAS: Rules = ((r"^extras\.", "backbone.extra."),)

_MOBILENET_V1 = (
    *shifted("base_net", "backbone.features.0", range(12), offset=0),
    *shifted("base_net", "backbone.features.1", range(12, 14), offset=12),
    *_EXTRAS,
    *_HEADS,
)
_VGG = (
    *vgg_rules("base_net"),
    (r"^source_layer_add_ons\.0\.", "backbone.norm."),
    *((rf"^extras\.{level}\.", f"backbone.extra.{level + 1}.") for level in range(4)),
    *_HEADS,
)
_SQUEEZENET = (
    (r"^base_net\.12\.", "backbone.extra.0.0."),
    (r"^base_net\.", "backbone.features.0."),
    (r"^extras\.0\.0\.", "backbone.extra.0.1."),
    (r"^extras\.0\.2\.", "backbone.extra.0.3."),
    *_EXTRAS,
    *_HEADS,
)


def _inverted_residual(old: str, new: str) -> Rules:
    """Return the rules of a block; torchvision joins a convolution, its batch norm and ReLU6 into one module."""
    parts = {0: "0.0", 1: "0.1", 3: "1.0", 4: "1.1", 6: "2", 7: "3"}
    return [(rf"^{old}\.conv\.{index}\.", f"{new}.{part}.") for index, part in parts.items()]


def _mobilenet_v2_rules() -> Rules:
    first = {0: "0.0", 1: "0.1", 3: "1", 4: "2"}  # block 1 has no expansion
    tapped = {0: "0.14.0", 1: "0.14.1", 3: "1.0.1.0", 4: "1.0.1.1", 6: "1.0.2", 7: "1.0.3"}  # cut after its expansion
    blocks = [
        *((rf"base_net\.{i}", f"backbone.features.0.{i}.conv") for i in range(2, 14)),
        *((rf"base_net\.{i}", f"backbone.features.1.{i - 14}.conv") for i in range(15, 18)),
        *((rf"extras\.{k}", f"backbone.extra.{k}.conv") for k in range(4)),
    ]
    return (
        (r"^base_net\.0\.", "backbone.features.0.0."),
        *((rf"^base_net\.1\.conv\.{i}\.", f"backbone.features.0.1.conv.{part}.") for i, part in first.items()),
        *((rf"^base_net\.14\.conv\.{i}\.", f"backbone.features.{part}.") for i, part in tapped.items()),
        *(rule for old, new in blocks for rule in _inverted_residual(old, new)),
        (r"^base_net\.18\.", "backbone.features.1.4."),
        *_HEADS,
    )


def _convert(
    tensors: StateDict,
    given: tuple[str, ...] | None,
    *,
    family: str,
    preset: str,
    rules: Rules,
    last: str = "",
    reshape: Callable[[StateDict], StateDict] = unchanged,
) -> SSD:
    """Return our detector; ``last`` is the place of the last layer in a head of the first level."""
    logits, offsets = (f"{kind}_headers.0.{last}weight" for kind in ("classification", "regression"))
    names = class_names(class_count(tensors, logits=logits, offsets=offsets, family=family), given)
    spec = dataclasses.replace(make_spec(preset, names), nms=_NMS)
    return with_weights(spec, reshape(renamed(with_counters(tensors), rules)), origin=family)


def _resized(spec: ModelSpec, size: tuple[int, int]) -> ModelSpec:
    """Return the spec of a MobileNet that jetson-inference's ``train_ssd.py --resolution`` trained.

    Its anchors go by other scales than those of 300: 0.1, and 0.2 to 0.88 in steps of 0.17, each to the next one; and
    their centers are whole pixels apart (``set_image_size`` in ``mobilenetv1_ssd_config.py``).
    """
    side, cells = size[0], MapSize(size[0], size[0])
    if size != (side, side):
        raise InputError(
            f"{spec.name} needs a square input size", got=f"{size[0]}x{size[1]}", wanted="one number, such as 300"
        )
    maps = [level.cells for level in feature_maps(empty_backbone(spec.architecture, cells), cells)]
    scales = [_FINEST_SCALE, *(_SCALE + k * _SCALE_STEP for k in range(len(maps)))]
    anchors = anchors_from_sizes(
        maps,
        cells,
        min_sizes=[side * scale for scale in scales[:-1]],
        max_sizes=[side * scale for scale in scales[1:]],
        ratios=[(2, 3)] * len(maps),
        steps=[math.ceil(side / level.rows) for level in maps],
        clip="centre",
    )
    return dataclasses.replace(spec, input=dataclasses.replace(spec.input, width=side, height=side), anchors=anchors)


def _family(
    name: str,
    signs: tuple[str, ...],
    *,
    preset: str,
    rules: Rules,
    last: str = "",
    reshape: Callable[[StateDict], StateDict] = unchanged,
    resized: Callable[[ModelSpec, tuple[int, int]], ModelSpec] | None = None,
) -> Family:
    """Return the family that is recognized by having all the tensors in ``signs``."""
    return Family(
        name=name,
        source=_SOURCE,
        matches=lambda tensors: tensors.keys() >= {f"classification_headers.0.{last}weight", *signs},
        convert=partial(_convert, family=name, preset=preset, rules=rules, last=last, reshape=reshape),
        resized=resized,
    )


PYTORCH_SSD = (
    _family(
        "mb1-ssd",
        ("base_net.0.0.weight", "extras.0.2.weight"),
        preset="ssd300-mobilenet-v1",
        rules=_MOBILENET_V1,
        resized=_resized,
    ),
    _family(
        "mb1-ssd-lite",
        ("base_net.0.0.weight", "extras.0.2.0.weight", "extras.3.2.0.weight"),
        preset="ssdlite300-mobilenet-v1",
        rules=_MOBILENET_V1,
        last="2.",
        resized=_resized,
    ),
    _family(
        "mb2-ssd-lite",
        ("base_net.1.conv.0.weight", "extras.0.conv.0.weight"),
        preset="ssdlite300-mobilenet-v2",
        rules=_mobilenet_v2_rules(),
        last="3.",
        reshape=without_depthwise_biases,
        resized=_resized,
    ),
    _family(
        "vgg16-ssd",
        ("base_net.0.weight", "source_layer_add_ons.0.weight"),
        preset="ssd300-vgg16-batch-norm",
        rules=_VGG,
    ),
    _family(
        "sq-ssd-lite",
        ("base_net.3.squeeze.weight", "extras.0.2.0.weight"),
        preset="ssdlite300-squeezenet",
        rules=_SQUEEZENET,
        last="2.",
    ),
)
