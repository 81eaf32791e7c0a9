"""Why TensorRT does not build: settings that contradict the network, the release, or each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.emulator.standin.graph_rules import builder_faults, has_half, is_quantised
from tools.emulator.standin.releases import is_8
from tools.emulator.standin.world import World

_PRECISIONS = {"FP16", "INT8", "BF16", "FP8", "INT4"}


def refusals(world: World, network: Any, config: Any) -> Iterator[str]:
    """Yield the reasons, the first of which TensorRT would print."""
    model = network._model
    if not model.graph.node:
        yield "Network must have at least one output"
        return
    typed = network._has("STRONGLY_TYPED") or world.release in ("11.4", "rtx")
    yield from _precision(config, model, typed=typed)
    yield from _profiles(network, config)
    yield from _dla(world, config, model)
    yield from builder_faults(model, world.release)
    level = vars(config).get("_builder_optimization_level", 3)
    if not 0 <= level <= 5:
        yield f"builder optimization level {level} is not in 0..5"
    counted = vars(config).get("_num_compute_capabilities", 0)
    if counted != len(config._capabilities):
        yield "not every compute capability is set"


def _precision(config: Any, model: Any, *, typed: bool) -> Iterator[str]:
    chosen = config._flags_set & _PRECISIONS
    calibrator = vars(config).get("_int8_calibrator")
    if typed:
        if chosen or calibrator is not None:
            yield f"{sorted(chosen)} are not allowed in a strongly typed network"
        return
    if has_half(model) and "FP16" not in chosen:
        yield "fp16 precision has been set for a layer or layer output, but fp16 is not configured in the builder"
    if is_quantised(model) and "INT8" not in chosen:
        yield "int8 precision has been set for a layer or layer output, but int8 is not configured in the builder"
    if "INT8" in chosen and not is_quantised(model):
        yield from _calibration(config, calibrator)


def _calibration(config: Any, calibrator: Any) -> Iterator[str]:
    nothing = "Calibration failure occurred with no scaling factors detected"
    if calibrator is None:
        yield nothing
        return
    if not getattr(calibrator, "_made", False):
        raise TypeError("IInt8EntropyCalibrator2.__init__() must be called when overriding __init__")
    cache = calibrator.read_calibration_cache() or b""
    header, _, ranges = bytes(cache).partition(b"\n")
    if header.decode() != f"TRT-{_number(config._world)}-EntropyCalibration2":
        config._world.say(config._logger, "WARNING", "Calibration table does not match calibrator algorithm type.")
        if calibrator.get_batch(["images"]) is None:
            yield nothing
    elif not ranges.strip():
        yield nothing


def _number(world: World) -> str:
    """NV_TENSORRT_VERSION, e.g. 8502 and 100300."""
    major, minor, patch = (int(part) for part in world.version.split(".")[:3])
    return str(major * 1000 + minor * 100 + patch if is_8(world.release) else major * 10000 + minor * 100 + patch)


def _profiles(network: Any, config: Any) -> Iterator[str]:
    images = network.get_input(0)
    shape = tuple(images.shape)
    if -1 in shape and not config._profiles:
        yield "Network has dynamic or shape inputs, but no optimization profile has been defined."
    for profile in config._profiles:
        shapes = profile._shapes.get(images.name)
        if shapes is None:
            yield f"{images.name}: no shapes in the optimization profile"
            continue
        for low, best, high in zip(*shapes, strict=True):
            if not 0 <= low <= best <= high:
                yield f"{images.name}: kMIN <= kOPT <= kMAX does not hold in the optimization profile"
        if any(len(entry) != len(shape) or not _agrees(entry, shape) for entry in shapes):
            yield f"{images.name}: static dimensions of the profile do not match those of the network"


def _agrees(entry: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(wanted in (-1, given) for given, wanted in zip(entry, shape, strict=True))


def _dla(world: World, config: Any, model: Any) -> Iterator[str]:
    if config.default_device_type.name != "DLA":
        return
    if not 0 <= config.DLA_core < world.traits.dla_cores:
        yield f"DLA core {config.DLA_core} is not available"
    if "GPU_FALLBACK" not in config._flags_set:
        yield "DLA cannot run all layers, and GPU_FALLBACK is not set"
    if is_quantised(model):
        yield "Q/DQ layers are not supported on DLA"
    if not has_half(model) and not config._flags_set & {"FP16", "INT8"}:
        yield "DLA supports FP16 and INT8 only"
    for profile in config._profiles:
        if any(min_ != max_ for min_, _, max_ in profile._shapes.values()):
            yield "DLA does not support dynamic shapes"
