"""Detectors by name: from a preset to a complete spec."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import InputSpec, ModelSpec
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.architectures import build_model, empty_backbone, network, timm_architecture, timm_parts
from ssd_edge.model.backbones.timm_backbone import normalization
from ssd_edge.model.presets import PRESETS, SIDES, SSDLITE_ANCHORS, Preset, ssd_anchors
from ssd_edge.model.ssd import feature_maps

__all__ = ["build_model", "find_preset", "make_spec", "preset_names"]
FINE = "-stride8"
"""Ending of the presets whose first map is finer than usual, for small objects."""

_TIMM_NAME = re.compile(rf"ssd(?P<lite>lite)?(?P<side>[0-9]{{1,5}})-(?P<backbone>.+?)(?P<fine>{FINE})?")
_TIMM_SIDES = range(SIDES[0], SIDES[-1] + 1)
InputSize = int | tuple[int, int]
"""Of a network, in pixels: the side of a square, or (width, height)."""


class Cost(NamedTuple):
    """The size of a network.

    Attributes:
        parameters: learned numbers; the statistics of batch norms are none.
        macs: multiply-accumulates of its convolutions and matrix products for one image.
        boxes: anchors, each of which is scored for every class.
    """

    parameters: int
    macs: int
    boxes: int


def network_cost(spec: ModelSpec) -> Cost:
    """Count the network of ``spec`` on the ``meta`` device.

    Raises:
        ArtifactError: no such architecture, or the spec's anchors do not lie on its feature maps.
    """
    model = network(spec).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, 3, spec.input.height, spec.input.width, device="meta"))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, counter.get_total_flops() // 2, spec.anchors.count)


def preset_names() -> tuple[str, ...]:
    """Return the names that :func:`make_spec` takes."""
    return tuple(PRESETS)


def make_spec(
    preset: str, class_names: Sequence[str], *, input_size: InputSize | None = None, name: str | None = None
) -> ModelSpec:
    """Return the complete spec of a preset for these classes.

    Args:
        preset: one of :func:`preset_names`, or ``ssd<side>-<backbone>``, ``ssdlite<side>-<backbone>`` or
            ``ssdlite<side>-<backbone>-stride8`` with any convolutional classifier of timm, e.g.
            ``ssdlite320-mobilenetv4_conv_small``.
        class_names: real classes only; background is added by the network.
        input_size: side of the square input in pixels, or (width, height); by default the preset's own.
        name: what the user calls the model; by default the preset's name.

    Raises:
        InputError: no such preset, or it has no anchors for that input size.
        ArtifactError: the class names are empty or not distinct.
        MissingPackageError: the backbone comes from timm, which is not installed.
    """
    chosen = find_preset(preset)
    width, height = _sides(chosen.input_size if input_size is None else input_size)
    _check_size(preset, chosen, width, height)
    size = MapSize(height, width)
    maps = [level.cells for level in feature_maps(empty_backbone(chosen.architecture, size), size)]
    return ModelSpec(
        name=name or preset,
        architecture=chosen.architecture,
        input=InputSpec(height, width, chosen.mean, chosen.std, color_order="rgb"),
        anchors=chosen.anchors(maps, size),
        class_names=tuple(class_names),
        nms=chosen.nms,
    )


def preset_with(architecture: str) -> str | None:
    """Return the first preset with this architecture, for 320 pixels where it is timm's; None where there is none."""
    parts = timm_parts(architecture)
    if parts is not None:
        backbone, lite, fine = parts
        return f"ssd{'lite' if lite else ''}320-{backbone}{FINE if fine else ''}"
    return next((name for name, preset in PRESETS.items() if preset.architecture == architecture), None)


def find_preset(name: str) -> Preset:
    """Return the preset of this name, from the table or made for a backbone of timm.

    Raises:
        InputError: no such preset, or timm has no such backbone.
        MissingPackageError: the backbone comes from timm, which is not installed.
    """
    if name in PRESETS:
        return PRESETS[name]
    parts = _TIMM_NAME.fullmatch(name)
    if parts is None or (parts["fine"] and not parts["lite"]):
        plain = "" if parts is None else f"{name.removesuffix(FINE)} has a first map of stride 8 already."
        wanted = (
            f"{', '.join(preset_names())}, or ssd<side>-<backbone of timm>, ssdlite<side>-<backbone of timm>, "
            f"ssdlite<side>-<backbone of timm>{FINE}"
        )
        raise InputError(f"there is no preset {name!r}", wanted=wanted, do=plain)
    lite, fine, side, backbone = bool(parts["lite"]), bool(parts["fine"]), int(parts["side"]), parts["backbone"]
    if side not in _TIMM_SIDES:
        wanted = f"{_TIMM_SIDES[0]} to {_TIMM_SIDES[-1]}"
        raise InputError(f"the input size of preset {name!r} is out of range", got=str(side), wanted=wanted)
    mean, std = normalization(backbone)
    return Preset(
        timm_architecture(backbone, lite=lite, fine=fine),
        input_size=side,
        sizes=SIDES,
        anchors=SSDLITE_ANCHORS if lite and not fine else ssd_anchors,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


def _sides(size: InputSize) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _check_size(name: str, preset: Preset, width: int, height: int) -> None:
    sizes, own = preset.sizes, preset.input_size
    if width == height == own or (sizes is not None and width in sizes and height in sizes):
        return
    side = f"{width}" if width == height else f"{width}x{height}"
    wanted = f"{preset.input_size}" if sizes is None else f"{sizes[0]} to {sizes[-1]} in steps of {sizes.step}"
    raise InputError(f"preset {name!r} has no anchors for this input size", got=side, wanted=wanted)
