"""Detectors by name: from a preset to a complete spec."""

from __future__ import annotations

from collections.abc import Sequence

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import InputSpec, ModelSpec
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.architectures import build_model, empty_backbone
from ssd_edge.model.presets import PRESETS, Preset
from ssd_edge.model.ssd import feature_maps

__all__ = ["build_model", "make_spec", "preset_names"]


def preset_names() -> tuple[str, ...]:
    """Return the names that :func:`make_spec` takes."""
    return tuple(PRESETS)


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
    if preset not in PRESETS:
        raise InputError("no such model preset", got=repr(preset), wanted=", ".join(preset_names()))
    chosen = PRESETS[preset]
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
