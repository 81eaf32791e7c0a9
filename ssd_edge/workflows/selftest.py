"""Builds and proves engines, or proves the user's: ``doctor --selftest``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar
from ssd_edge.cli.emulated import rehearsal_hint
from ssd_edge.core.files import file_digest
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.temp_dir import scratch_folder

if TYPE_CHECKING:
    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.core.frame import UInt8Array
    from ssd_edge.doctor.verdict import Tolerance, Verdict
    from ssd_edge.engines.build import Builder, Lowered
    from ssd_edge.engines.options import TrtOptions
    from ssd_edge.engines.tensorrt.build import TrtBuilder
    from ssd_edge.graph.source import SourceModel


_CALIBRATION = 24


def sample_source(folder: Path) -> SourceModel:
    """Write the detector whose answers are known, and return it."""
    import onnx

    from ssd_edge.doctor.sample_model import sample_graph, sample_spec
    from ssd_edge.graph.nms import attach_nms
    from ssd_edge.graph.source import read_onnx

    onnx.save(attach_nms(sample_graph(), sample_spec()), folder / "selftest.onnx")
    return read_onnx(folder / "selftest.onnx")


def sample_pictures(count: int, seed: int) -> list[UInt8Array]:
    """Return pictures for it."""
    from ssd_edge.doctor.sample_model import sample_frames

    return [frame.image for frame in sample_frames(count, seed)]


def builds(source: SourceModel, folder: Path) -> Iterator[tuple[Lowered, Builder]]:
    """Yield what can be built and run here: every precision for TensorRT, where it is; for ONNX Runtime what pays."""
    from ssd_edge.backends.cpu import cpu_device
    from ssd_edge.engines.build import Lowered
    from ssd_edge.engines.ort_build import OrtBuilder
    from ssd_edge.engines.tensorrt.build import TrtBuilder
    from ssd_edge.quantization import qdq_ort

    table = _calibrated(source, folder / "pictures")
    int8 = qdq_ort.quantise(source.model, table, scheme=qdq_ort.scheme_for(cpu_device()))
    yield Lowered(source.model), OrtBuilder()
    yield Lowered(int8, "int8", table.digest), OrtBuilder()
    targets = _tensorrt_targets()
    if not targets:
        log.info(f"no TensorRT with a GPU here: ONNX Runtime on the processor is what is tested{rehearsal_hint()}")
    for target, options in targets.items():
        for precision in ("fp32", "fp16", "int8", "int8-fp16"):
            yield _for_tensorrt(source, table, TrtBuilder(target, precision, options, told=log.info))


def _tensorrt_targets() -> dict[str, TrtOptions]:
    """Return the targets whose TensorRT is installed here, and how each builds for the GPU that is here."""
    from ssd_edge.backends.cuda_driver import describe_gpu
    from ssd_edge.backends.tensorrt.module import TENSORRT, TENSORRT_RTX, is_installed, load_tensorrt
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
            log.info(f"{TENSORRT_RTX} is installed, and builds for no GPU of compute capability {major}.{minor}")
    return targets


def _for_tensorrt(source: SourceModel, table: CalibrationTable, builder: TrtBuilder) -> tuple[Lowered, Builder]:
    from ssd_edge.engines.build import Lowered
    from ssd_edge.quantization import qdq_tensorrt
    from ssd_edge.quantization.fp16 import mixed, to_half

    precision, weak = builder.precision, builder.is_weakly_typed
    if precision.startswith("int8"):
        model = qdq_tensorrt.quantise(source.model, table, stored_weights=not weak)
        model = mixed(model, weakly_typed=weak) if precision == "int8-fp16" else model
    else:
        model = to_half(source.model) if precision == "fp16" else source.model
    return Lowered(model, precision, table.digest), builder


def _calibrated(source: SourceModel, folder: Path) -> CalibrationTable:
    """Return the ranges of the sample model, measured on pictures of its own kind."""
    from ssd_edge.core.choices import Method
    from ssd_edge.core.images import write_image
    from ssd_edge.quantization.image_set import choose_images
    from ssd_edge.quantization.observer import Observer, observed_tensors
    from ssd_edge.quantization.range_estimators import make_table

    folder.mkdir()
    for number, picture in enumerate(sample_pictures(_CALIBRATION, seed=3)):
        write_image(folder / f"{number}.png", picture)
    chosen = choose_images(folder, limit=_CALIBRATION)
    observer = Observer(source.path, observed_tensors(source.model), source.spec.input)
    observer.observe(chosen.paths)
    return make_table(observer.histograms, Method.MINMAX, onnx=source.path, spec=source.spec, images=chosen)


def with_prediction(verdict: Verdict, engine: Path, pictures: Sequence[UInt8Array]) -> Verdict:
    """Add how far the engine is from its graph, where ``build --keep-graph`` has left it; else say what to type.

    The graph of float32 is the ONNX itself; for a DLA and from a calibration cache TensorRT lowers it: there is none.
    """
    from ssd_edge.backends.detector import open_detector
    from ssd_edge.doctor.selftest import differences
    from ssd_edge.doctor.verdict import PREDICTED_TOLERANCES, Prediction

    manifest = EngineManifest.load(manifest_path(engine))
    if manifest.precision == "fp32" or {"dla", "calibration_cache"} & manifest.options.keys():
        return verdict
    graph = _kept_graph(engine, manifest)
    if graph is None:
        return verdict
    allowed = PREDICTED_TOLERANCES[verdict.precision]
    with open_detector(engine) as tested, open_detector(graph) as predicted:
        found = differences(tested, predicted, pictures, allowed)
    prediction = Prediction(str(graph), allowed, found.lost, found.worst_box, found.worst_score)
    return dataclasses.replace(verdict, prediction=prediction)


def _kept_graph(engine: Path, manifest: EngineManifest) -> Path | None:
    """Return the lowered graph that the engine was built from, where it lies beside it."""
    from ssd_edge.engines.build import graph_path

    graph = graph_path(engine, manifest.target)
    if graph.is_file() and file_digest(graph) == manifest.graph_digest:
        return graph
    why = f"{graph} is of another build" if graph.is_file() else f"{graph} is not there"
    log.info(f"{why}: build with --keep-graph to compare {engine} with the prediction")
    return None


_PICTURES = 16


def run_selftest(engine: Path | None, images: Path | None, frames: int) -> list[Verdict]:
    """Prove the given engine, or small ones built here in every precision that a runtime of this machine has.

    One of the small ones that cannot be built or run is a verdict too: the report says what the others did.

    Raises:
        SsdEdgeError: the given engine cannot be run, or TensorRT cannot be used at all.
    """
    if engine is not None:
        return [_prove_engine(engine, images, frames)]
    with scratch_folder() as folder:
        source = sample_source(folder)
        return [_built_and_proved(source, *build, frames) for build in builds(source, folder)]


def _built_and_proved(source: SourceModel, lowered: Lowered, builder: Builder, frames: int) -> Verdict:
    from ssd_edge.backends.cuda_driver import is_emulated
    from ssd_edge.core.errors import SsdEdgeError
    from ssd_edge.doctor.verdict import Verdict
    from ssd_edge.engines.build import build_lowered

    try:
        engine = build_lowered(source, lowered, builder).engine
        pictures = sample_pictures(_PICTURES, seed=7)
        return _proved(engine, source.path, pictures, lowered.precision, builder.runtime, frames=frames)
    except SsdEdgeError as error:
        emulated = builder.runtime.startswith("tensorrt") and is_emulated()
        return Verdict.failed(lowered.precision, builder.runtime, str(error), emulated=emulated)


def _prove_engine(engine: Path, images: Path | None, frames: int) -> Verdict:
    """Prove a user's engine on pictures of theirs, or on noise and squares.

    It is compared with the ONNX that it was built from, and with its own lowered graph where that was kept.
    """
    from ssd_edge.core.images import list_images, read_image
    from ssd_edge.core.manifest import EngineManifest, manifest_path
    from ssd_edge.doctor.verdict import OWN_TOLERANCES

    manifest = EngineManifest.load(manifest_path(engine))
    if images is not None:
        pictures = [read_image(path) for path in list_images(images)[:_PICTURES]]
    else:
        pictures = sample_pictures(_PICTURES, seed=7)
    tolerance = OWN_TOLERANCES[manifest.precision]
    verdict = _proved(
        engine, manifest.onnx_path(engine), pictures, manifest.precision, manifest.runtime, tolerance, frames=frames
    )
    return with_prediction(verdict, engine, pictures)


def _proved(
    engine: Path,
    onnx: Path,
    pictures: list[UInt8Array],
    precision: str,
    runtime: str,
    tolerance: Tolerance | None = None,
    *,
    frames: int,
) -> Verdict:
    from ssd_edge.backends.cuda import what_is_held
    from ssd_edge.backends.cuda_driver import is_emulated, used_memory
    from ssd_edge.backends.detector import open_detector
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
            tolerance=tolerance,
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
    from ssd_edge.backends.tensorrt.profile import measure_stages
    from ssd_edge.core.manifest import EngineManifest, manifest_path
    from ssd_edge.core.preprocess import preprocess
    from ssd_edge.doctor.verdict import stage_table

    spec = EngineManifest.load(manifest_path(engine)).spec
    measured = measure_stages(engine, preprocess(picture, spec.input), frames=frames)
    return dataclasses.replace(
        verdict,
        stages=tuple(stage_table(times) for times in measured),
        graph_differs=any(times.outputs != measured[0].outputs for times in measured),
    )
