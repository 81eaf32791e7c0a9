"""Joins model, calibration, lowering, builders and the self-test: ``doctor --selftest``."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar, say
from ssd_edge.cli.emulated import rehearsal_hint

if TYPE_CHECKING:
    from ssd_edge.core.frame import UInt8Array
    from ssd_edge.core.ranges import CalibrationTable
    from ssd_edge.doctor.selftest import Verdict
    from ssd_edge.engines.build import Builder, Lowered
    from ssd_edge.engines.options import TrtOptions
    from ssd_edge.engines.source import SourceModel
    from ssd_edge.engines.trt_build import TrtBuilder

_PICTURES, _CALIBRATION = 16, 24


def run_selftest(engine: Path | None, frames: int) -> list[Verdict]:
    """Prove the given engine, or small ones built here in every precision that a runtime of this machine has.

    Raises:
        SsdEdgeError: an engine cannot be built or run.
    """
    if engine is not None:
        return [_prove_engine(engine, frames)]
    from ssd_edge.engines.build import build_lowered

    with tempfile.TemporaryDirectory() as folder:
        source = _sample_source(Path(folder))
        pictures = _pictures(_PICTURES, seed=7)
        verdicts = []
        for lowered, builder in _builds(source, Path(folder)):
            report = build_lowered(source, lowered, builder)
            verdicts.append(_proved(report.engine, source.path, pictures, lowered.precision, builder.runtime, frames))
        return verdicts


def _sample_source(folder: Path) -> SourceModel:
    """Write the detector whose answers are known."""
    import onnx

    from ssd_edge.doctor.sample_model import sample_graph, sample_spec
    from ssd_edge.engines.source import read_onnx
    from ssd_edge.export.nms import attach_nms

    onnx.save(attach_nms(sample_graph(), sample_spec()), folder / "selftest.onnx")
    return read_onnx(folder / "selftest.onnx")


def _pictures(count: int, seed: int) -> list[UInt8Array]:
    from ssd_edge.doctor.sample_frames import sample_frames

    return [frame.image for frame in sample_frames(count, seed)]


def _builds(source: SourceModel, folder: Path) -> Iterator[tuple[Lowered, Builder]]:
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
    for number, picture in enumerate(_pictures(_CALIBRATION, seed=3)):
        write_image(folder / f"{number}.png", picture)
    chosen = choose_images(folder, limit=_CALIBRATION)
    observer = Observer(source.path, observed_tensors(source.model), source.spec.input)
    observer.observe(chosen.paths)
    return make_table(observer.histograms, Method.MINMAX, onnx=source.path, spec=source.spec, images=chosen)


def _prove_engine(engine: Path, frames: int) -> Verdict:
    """Prove a user's engine on noise and squares, against the ONNX that it was built from."""
    from ssd_edge.core.manifest import EngineManifest, manifest_path

    manifest = EngineManifest.load(manifest_path(engine))
    return _proved(
        engine, manifest.onnx_path(engine), _pictures(_PICTURES, seed=7), manifest.precision, manifest.runtime, frames
    )


def _proved(engine: Path, onnx: Path, pictures: list[UInt8Array], precision: str, runtime: str, frames: int) -> Verdict:
    from ssd_edge.backends.cuda_driver import is_emulated, used_memory
    from ssd_edge.backends.detector import open_detector
    from ssd_edge.backends.held import what_is_held
    from ssd_edge.doctor.selftest import prove

    on_gpu, before = runtime.startswith("tensorrt"), Counter(what_is_held())
    with (
        open_detector(engine) as tested,
        open_detector(onnx) as reference,
        bar(f"{precision} on {runtime}") as progress,
    ):
        verdict = prove(
            tested,
            reference,
            pictures,
            precision=precision,
            runtime=runtime,
            frames=frames,
            gpu_memory=used_memory if on_gpu else lambda: 0,
            progress=progress,
        )
    if not on_gpu:
        return verdict
    verdict = with_stages(verdict, engine, pictures[0], frames)
    return dataclasses.replace(verdict, left=dict(Counter(what_is_held()) - before), emulated=is_emulated())


def with_stages(verdict: Verdict, engine: Path, picture: UInt8Array, frames: int) -> Verdict:
    """Add the times of the stages on the GPU."""
    from ssd_edge.backends.trt_stages import measure_stages
    from ssd_edge.core.manifest import EngineManifest, manifest_path
    from ssd_edge.core.preprocess import preprocess
    from ssd_edge.doctor.stages import stage_table

    spec = EngineManifest.load(manifest_path(engine)).spec
    measured = measure_stages(engine, preprocess(picture, spec.input), frames=frames)
    return dataclasses.replace(
        verdict,
        stages=tuple(stage_table(times) for times in measured),
        graph_differs=any(times.outputs != measured[0].outputs for times in measured),
    )
