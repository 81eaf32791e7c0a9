"""Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB: its face detectors RFB and slim, of every input size.

Files are plain state dicts without any settings; those are in ``vision/ssd/config/fd_config.py``.
"""

from __future__ import annotations

import re
from functools import partial

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import AnchorLevel, AnchorSpec, InputSpec, ModelSpec, NmsSpec
from ssd_edge.importing.family import Family, Rules, StateDict, class_count, renamed, shifted, with_counters
from ssd_edge.importing.labels import class_names
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.architectures import empty_backbone
from ssd_edge.model.ssd import SSD, feature_maps
from ssd_edge.model.weights import with_weights

_SOURCE = "Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB"
_BOXES = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))  # sides of squares, in pixels of any input
_WIDTH, _SHAPE = 320, (4, 3)
_WIDTHS = (128, 160, 320, 480, 640, 1280)
_MEAN, _STD = (127.0,) * 3, (128.0,) * 3
_ONE_CLASS = ("face",)
# vision/ssd/predictor.py: 200 candidates of a class, all that is left of them.
_NMS = NmsSpec(score_threshold=0.01, iou_threshold=0.3, top_k=200, keep_top_k=200, max_candidates=200, clip_boxes=False)
_LOGITS, _OFFSETS = "classification_headers.0.2.weight", "regression_headers.0.2.weight"
_PLAIN_LAST = "classification_headers.3.weight"
_FIELD = "base_net.7.branch0.0.conv.weight"
_DEPTH = re.compile(r"classification_headers\.(\d+)\.")
_HEADS = 4


def _field_rules() -> Rules:
    """The rules of the receptive-field block: a convolution and its norm are one module there, two in a row here."""
    block, rules = "backbone.features.0.7", []
    activated = {"branch0": (1,), "branch1": (1,), "branch2": (1, 2)}  # modules that a ReLU follows
    for branch, (name, followed) in enumerate(activated.items()):
        place = 0
        for module in range(2 + len(followed)):
            for part, layer in (("conv", place), ("bn", place + 1)):
                rules.append((rf"^base_net\.7\.{name}\.{module}\.{part}\.", f"{block}.branches.{branch}.{layer}."))
            place += 3 if module in followed else 2
    for old, new in (("ConvLinear", "join"), ("shortcut", "shortcut")):
        rules += [(rf"^base_net\.7\.{old}\.{part}\.", f"{block}.{new}.{k}.") for k, part in enumerate(("conv", "bn"))]
    return rules


_RULES: Rules = (
    *_field_rules(),
    *shifted("base_net", "backbone.features.0", range(8), offset=0),
    *shifted("base_net", "backbone.features.1", range(8, 11), offset=8),
    *shifted("base_net", "backbone.features.2", range(11, 13), offset=11),
    (r"^extras\.", "backbone.extra."),
    (r"^classification_headers\.", "head.classification_head.module_list."),
    (r"^regression_headers\.", "head.regression_head.module_list."),
)


def _spec(family: str, architecture: str, names: tuple[str, ...], width: int) -> ModelSpec:
    size = MapSize(width * _SHAPE[1] // _SHAPE[0], width)
    maps = [level.cells for level in feature_maps(empty_backbone(architecture, size), size)]
    levels = tuple(
        AnchorLevel(
            cells.rows,
            cells.cols,
            (1 / cells.rows, 1 / cells.cols),
            tuple((side / size.cols, side / size.rows) for side in sides),
        )
        for cells, sides in zip(maps, _BOXES, strict=True)
    )
    entry = InputSpec(size.rows, size.cols, _MEAN, _STD, color_order="rgb")
    return ModelSpec(family, architecture, entry, AnchorSpec(levels, clip="centre"), names, nms=_NMS)


def _convert(tensors: StateDict, given: tuple[str, ...] | None, *, family: str, architecture: str) -> SSD:
    count = class_count(tensors, logits=_LOGITS, offsets=_OFFSETS, family=family)
    names = class_names(count, given or (_ONE_CLASS if count == len(_ONE_CLASS) else None))
    return with_weights(
        _spec(family, architecture, names, _WIDTH), renamed(with_counters(tensors), _RULES), origin=family
    )


def _resized(spec: ModelSpec, size: tuple[int, int]) -> ModelSpec:
    """Return the spec for another width, in the project's one shape; the anchors keep their sizes in pixels.

    Raises:
        InputError: it is none that the project has.
    """
    sizes = [(width, width * _SHAPE[1] // _SHAPE[0]) for width in _WIDTHS]
    if size not in sizes:
        wanted = ", ".join(f"{width}x{height}" for width, height in sizes)
        raise InputError(f"{spec.name} does not have this input size", got=f"{size[0]}x{size[1]}", wanted=wanted)
    return _spec(spec.name, spec.architecture, spec.class_names, size[0])


def _matches(tensors: StateDict, *, has_field: bool) -> bool:
    heads = {found[1] for name in tensors if (found := _DEPTH.match(name))}
    is_one = {_LOGITS, _PLAIN_LAST, "extras.0.2.0.weight"} <= tensors.keys() and len(heads) == _HEADS
    return is_one and (_FIELD in tensors) == has_field


def _family(name: str, architecture: str, *, has_field: bool) -> Family:
    return Family(
        name=name,
        source=_SOURCE,
        matches=partial(_matches, has_field=has_field),
        convert=partial(_convert, family=name, architecture=architecture),
        resized=_resized,
    )


ULTRA_LIGHT = (
    _family("ultra-light-rfb", "mobilenet-tiny-rfb", has_field=True),
    _family("ultra-light-slim", "mobilenet-tiny", has_field=False),
)
