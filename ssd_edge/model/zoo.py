"""Presets: complete detectors by name. A preset is data; adding one is adding an entry to the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import AnchorSpec, InputSpec, ModelSpec, NmsSpec
from ssd_edge.model.anchors import MapSize, anchors_from_scales, linear_scales
from ssd_edge.model.architectures import build_model, empty_backbone
from ssd_edge.model.ssd import feature_maps

__all__ = ["build_model", "make_spec", "preset_names"]

_Triple = tuple[float, float, float]
_HALF_RANGE: _Triple = (127.5, 127.5, 127.5)  # 0..255 to -1..1


@dataclass(frozen=True)
class Preset:
    """A detector without its classes.

    Attributes:
        architecture: key of :mod:`ssd_edge.model.architectures`.
        input_size: default side of the square input, in pixels.
        anchors: lays default boxes on (feature maps, input size).
        nms: from scored boxes to detections.
        mean, std: of the input, RGB, in 0..255 units.
        sizes: the input sizes that the anchors are made for; by default only ``input_size``.
    """

    architecture: str
    input_size: int
    anchors: Callable[[Sequence[MapSize], MapSize], AnchorSpec]
    nms: NmsSpec
    mean: _Triple = _HALF_RANGE
    std: _Triple = _HALF_RANGE
    sizes: range | None = None


def _linear_anchors(
    maps: Sequence[MapSize], input_size: MapSize, *, smallest: float, largest: float, ratios: Sequence[float]
) -> AnchorSpec:
    """Lay the paper's linear scales on however many maps there are."""
    scales = linear_scales(len(maps), smallest, largest)
    return anchors_from_scales(maps, input_size, scales=scales, ratios=[ratios] * len(maps))


_PRESETS = {
    # torchvision's ssd300_vgg16: its weights, its default boxes, its thresholds.
    "ssd300-vgg16": Preset(
        architecture="vgg16",
        input_size=300,
        anchors=partial(
            anchors_from_scales,
            scales=(0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
            ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
            steps=(8, 16, 32, 64, 100, 300),
            clip="size",
        ),
        nms=NmsSpec(score_threshold=0.01, iou_threshold=0.45, top_k=400, keep_top_k=200),
        mean=(0.48235 * 255, 0.45882 * 255, 0.40784 * 255),
        std=(1.0, 1.0, 1.0),
    ),
    # torchvision's ssdlite320_mobilenet_v3_large with the reduced tail of its COCO weights.
    "ssdlite320-mobilenet-v3-large": Preset(
        architecture="mobilenet-v3-large-lite-reduced",
        input_size=320,
        anchors=partial(
            anchors_from_scales,
            scales=(0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0),
            ratios=((2, 3),) * 6,
            clip="size",
        ),
        nms=NmsSpec(score_threshold=0.001, iou_threshold=0.55, top_k=300, keep_top_k=300, max_candidates=300),
    ),
    # Trains from nothing on a CPU in minutes; objects of 8 to 60 % of the picture's side.
    "ssd192-tiny": Preset(
        architecture="compact",
        input_size=192,
        anchors=partial(_linear_anchors, smallest=0.1, largest=0.55, ratios=(2,)),
        nms=NmsSpec(score_threshold=0.01, iou_threshold=0.45, top_k=400, keep_top_k=100),
        sizes=range(64, 1025, 32),
    ),
}


def preset_names() -> tuple[str, ...]:
    """Return the names that :func:`make_spec` takes."""
    return tuple(_PRESETS)


def make_spec(
    preset: str, class_names: Sequence[str], *, input_size: int | None = None, name: str | None = None
) -> ModelSpec:
    """Return the complete spec of a preset for these classes.

    Args:
        preset: one of :func:`preset_names`.
        class_names: real classes only; background is added by the network.
        input_size: side of the square input in pixels; by default the preset's own.
        name: what the user calls the model; by default the preset's name.

    Raises:
        InputError: no such preset, or it has no default boxes for that input size.
        ArtefactError: the class names are empty or not distinct.
    """
    if preset not in _PRESETS:
        raise InputError("no such model preset", got=repr(preset), wanted=", ".join(preset_names()))
    chosen = _PRESETS[preset]
    side = chosen.input_size if input_size is None else input_size
    _check_size(preset, chosen, side)
    size = MapSize(side, side)
    maps = [level.cells for level in feature_maps(empty_backbone(chosen.architecture, size), size)]
    return ModelSpec(
        name=name or preset,
        architecture=chosen.architecture,
        input=InputSpec(side, side, chosen.mean, chosen.std, color_order="rgb"),
        anchors=chosen.anchors(maps, size),
        class_names=tuple(class_names),
        nms=chosen.nms,
    )


def _check_size(name: str, preset: Preset, side: int) -> None:
    sizes = preset.sizes
    if side == preset.input_size or (sizes is not None and side in sizes):
        return
    wanted = f"{preset.input_size}" if sizes is None else f"{sizes[0]} to {sizes[-1]} in steps of {sizes.step}"
    raise InputError(f"preset {name} has no default boxes for this input size", got=str(side), wanted=wanted)
