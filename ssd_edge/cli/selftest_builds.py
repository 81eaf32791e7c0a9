"""What ``doctor --selftest`` builds: a small detector in every precision that a runtime of this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say
from ssd_edge.cli.emulated import rehearsal_hint

if TYPE_CHECKING:
    from ssd_edge.core.frame import UInt8Array
    from ssd_edge.core.ranges import CalibrationTable
    from ssd_edge.engines.build import Builder, Lowered
    from ssd_edge.engines.options import TrtOptions
    from ssd_edge.engines.source import SourceModel
    from ssd_edge.engines.trt_build import TrtBuilder

_CALIBRATION = 24


def sample_source(folder: Path) -> SourceModel:
    """Write the detector whose answers are known, and return it."""
    import onnx

    from ssd_edge.doctor.sample_model import sample_graph, sample_spec
    from ssd_edge.engines.source import read_onnx
    from ssd_edge.export.nms import attach_nms

    onnx.save(attach_nms(sample_graph(), sample_spec()), folder / "selftest.onnx")
    return read_onnx(folder / "selftest.onnx")


def sample_pictures(count: int, seed: int) -> list[UInt8Array]:
    """Return pictures for it."""
    from ssd_edge.doctor.sample_frames import sample_frames

    return [frame.image for frame in sample_frames(count, seed)]


def builds(source: SourceModel, folder: Path) -> Iterator[tuple[Lowered, Builder]]:
    """Yield what can be built and run here: every precision for TensorRT, where it is; for ONNX Runtime what pays."""
    from ssd_edge.backends.cpu import cpu_device
    from ssd_edge.engines.build import Lowered
    from ssd_edge.engines.ort_build import OrtBuilder
    from ssd_edge.engines.trt_build import TrtBuilder
    from ssd_edge.precision import qdq_ort

    table = _calibrated(source, folder / "pictures")
    int8 = qdq_ort.quantise(source.model, table, scheme=qdq_ort.scheme_for(cpu_device()))
    yield Lowered(source.model), OrtBuilder()
    yield Lowered(int8, "int8", table.digest), OrtBuilder()
    targets = _tensorrt_targets()
    if not targets:
        say(f"no TensorRT with a GPU here: ONNX Runtime on the processor is what is tested{rehearsal_hint()}")
    for target, options in targets.items():
        for precision in ("fp32", "fp16", "int8", "int8-fp16"):
            yield _for_tensorrt(source, table, TrtBuilder(target, precision, options, told=say))


def _tensorrt_targets() -> dict[str, TrtOptions]:
    """Return the targets whose TensorRT is installed here, and how each builds for the GPU that is here."""
    from ssd_edge.backends.cuda_driver import describe_gpu
    from ssd_edge.backends.trt_module import TENSORRT, TENSORRT_RTX, is_installed, load_tensorrt
    from ssd_edge.engines.options import TrtOptions

    gpu = describe_gpu()
    if not isinstance(gpu, dict):
        return {}
    targets = {TENSORRT: TrtOptions()} if is_installed(TENSORRT) else {}
    if is_installed(TENSORRT_RTX):
        major, minor = gpu["compute_capability"]
        if hasattr(getattr(load_tensorrt(TENSORRT_RTX), "ComputeCapability", None), f"SM{major}{minor}"):
            targets[TENSORRT_RTX] = TrtOptions(compute_capabilities=(10 * major + minor,))
        else:
            say(f"{TENSORRT_RTX} is installed, and builds for no GPU of compute capability {major}.{minor}")
    return targets


def _for_tensorrt(source: SourceModel, table: CalibrationTable, builder: TrtBuilder) -> tuple[Lowered, Builder]:
    from ssd_edge.engines.build import Lowered
    from ssd_edge.precision import qdq_tensorrt
    from ssd_edge.precision.half import mixed, to_half

    precision, weak = builder.precision, builder.is_weakly_typed
    if precision.startswith("int8"):
        model = qdq_tensorrt.quantise(source.model, table, stored_weights=not weak)
        model = mixed(model, weakly_typed=weak) if precision == "int8-fp16" else model
    else:
        model = to_half(source.model) if precision == "fp16" else source.model
    return Lowered(model, precision, table.digest), builder


def _calibrated(source: SourceModel, folder: Path) -> CalibrationTable:
    """Return the ranges of the sample model, measured on pictures of its own kind."""
    from ssd_edge.calibration.images import choose_images
    from ssd_edge.calibration.method import Method
    from ssd_edge.calibration.observe import Observer
    from ssd_edge.calibration.table import make_table
    from ssd_edge.core.images import write_image
    from ssd_edge.precision.observed import observed_tensors

    folder.mkdir()
    for number, picture in enumerate(sample_pictures(_CALIBRATION, seed=3)):
        write_image(folder / f"{number}.png", picture)
    chosen = choose_images(folder, limit=_CALIBRATION)
    observer = Observer(source.path, observed_tensors(source.model), source.spec.input)
    observer.observe(chosen.paths)
    return make_table(observer.histograms, Method.MINMAX, onnx=source.path, spec=source.spec, images=chosen)
