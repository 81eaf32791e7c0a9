"""Proves engines on the machine they run on: small ones built here, or the user's: ``ssd-edge doctor --selftest``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from ssd_edge.backends.cuda_driver import describe_gpu, is_virtual
from ssd_edge.backends.openvino.module import is_installed as is_openvino_installed
from ssd_edge.backends.tensorrt.module import TENSORRT, TENSORRT_RTX, is_installed, load_tensorrt
from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import NmsBody, Precision, Target
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.files import file_digest
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import list_images, read_image, write_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.doctor.build_memory import watch_memory
from ssd_edge.doctor.nms_bodies import NmsTimes, time_nms
from ssd_edge.doctor.page import VIRTUAL_MEANS, write_selftest_page
from ssd_edge.doctor.sample_model import sample_frames, write_sample_model
from ssd_edge.doctor.selftest import prove_engine, with_prediction
from ssd_edge.doctor.verdict import OWN_TOLERANCES, Verdict
from ssd_edge.engines.build import build_lowered, graph_path
from ssd_edge.engines.builder import Builder, Lowered
from ssd_edge.engines.options import TrtOptions
from ssd_edge.engines.processor import processor_builder
from ssd_edge.engines.tensorrt.build import TrtBuilder
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.calibrate import measure_ranges
from ssd_edge.quantization.image_set import choose_images
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.streaming.sources.camera_rate import CameraRate, measure_rate
from ssd_edge.workflows.diagnose import DiagnoseResult, diagnose
from ssd_edge.workflows.selftest_config import PAGE, SelftestConfig, SelftestOptions

__all__ = ["SelftestConfig", "SelftestOptions", "SelftestResult", "Verdict", "selftest"]

_IMAGES, _CALIBRATION_IMAGES = 16, 24
_NMS_FRAMES, _CAMERA_S = 200, 5.0


@dataclass(frozen=True)
class SelftestResult:
    """Result of a self-test.

    Attributes:
        path: the page, to be attached to a report.
        verdicts: of each engine; one that could not be built or run has an ``error``.
        machine: what the machine has, as the page shows it.
        nms: each form of the NMS on the GPU; empty without one, and for an engine of the caller's.
        camera: its rate against its promise; None where that was not asked for, or there is none.
        left_out: runtimes that nothing was proved of, and images that were not needed.
    """

    path: Path
    verdicts: tuple[Verdict, ...]
    machine: DiagnoseResult
    nms: tuple[NmsTimes, ...] = ()
    camera: CameraRate | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """Problems of all engines; empty if there is none."""
        return tuple(dict.fromkeys(fault for verdict in self.verdicts for fault in verdict.faults))

    @property
    def warning(self) -> str:
        """Warning that the GPU is virtual; empty for a real GPU or none."""
        return VIRTUAL_MEANS if any(verdict.is_virtual for verdict in self.verdicts) else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record of the machine with the verdicts, as plain JSON values."""
        return {
            **self.machine.to_dict(),
            "selftest": [verdict.to_dict() for verdict in self.verdicts],
            "nms": [asdict(form) for form in self.nms],
            "camera": None if self.camera is None else {**asdict(self.camera), "share": self.camera.share},
        }


@with_named_resources
def selftest(
    engine: AnyPath | None = None,
    images: AnyPath | None = None,
    *,
    config: SelftestConfig | None = None,
    machine: DiagnoseResult | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[SelftestOptions],
) -> SelftestResult:
    """Run engines, compare them with float32 on the processor, watch times and memory, and write a page about it.

    Args:
        engine: the one to prove; by default small ones are built here, in every precision that a runtime of this
            machine has. One of these that cannot be built or run has a verdict too.
        images: a folder of images with what ``engine`` detects; by default drawn squares on noise.
        config: see :class:`SelftestConfig`; or its fields as keywords.
        machine: what :func:`diagnose` found, for the page; by default it is asked.
        progress: receives each frame, a stage for each engine.
        workspace: where the page goes by default.

    Raises:
        SsdEdgeError: the given engine cannot be run, or TensorRT cannot be used at all.
    """
    config = config_from(SelftestConfig, config, options)
    machine = machine or diagnose()
    nms: tuple[NmsTimes, ...] = ()
    if engine is not None:
        verdicts, left_out = _prove_own(Path(engine), images, config, progress)
    elif images is not None:
        raise InputError("images= is given without an engine to test", do="Give the engine too.")
    else:
        verdicts, nms, left_out = _prove_small_ones(config, progress)
    camera = None if config.camera is None else measure_rate(config.camera, _CAMERA_S)
    if config.camera is not None and camera is None:
        left_out = (*left_out, LeftOut(f"camera {config.camera}", "it cannot be opened, or gives no image"))
    page = config.html or Path(workspace) / PAGE
    on_device = [*map(str, nms), *([] if camera is None else [f"camera {config.camera}: {camera}"])]
    write_selftest_page(page, verdicts, machine.checks, on_device)
    return SelftestResult(page, verdicts, machine, nms, camera, left_out)


Proved = tuple[tuple[Verdict, ...], tuple[LeftOut, ...]]


def _prove_small_ones(
    config: SelftestConfig, progress: ProgressCallback
) -> tuple[tuple[Verdict, ...], tuple[NmsTimes, ...], tuple[LeftOut, ...]]:
    """Build engines of the detector whose answers are known, and prove each."""
    targets, left_out = _tensorrt_targets()
    for entry in left_out:
        log.info(entry.why)
    with scratch_folder() as folder:
        source = write_sample_model(folder / "selftest.onnx")
        builds = _builds(source, folder, targets)
        verdicts = tuple(_build_and_prove(source, *build, config, progress) for build in builds)
        forms = ((target, options, body) for target, options in targets.items() for body in NmsBody)
        nms = tuple(_nms_times(source, folder, *form, config) for form in forms)
    return verdicts, nms, left_out


def _nms_times(
    source: SourceModel, folder: Path, target: Target, options: TrtOptions, body: NmsBody, config: SelftestConfig
) -> NmsTimes:
    """Build the small detector with one form of the NMS, and time that."""
    try:
        builder = TrtBuilder(target, Precision.FP32, replace(options, nms=body), report=log.info)
        builder.check()
        engine = build_lowered(source, Lowered(source.model), builder, folder / f"{body}.{target}.engine").engine
        image = preprocess(_sample_images()[0], source.spec.input)
        return time_nms(engine, body.value, target.value, image, frames=min(config.frames, _NMS_FRAMES))
    except SsdEdgeError as error:
        return NmsTimes(body.value, target.value, error=str(error))


def _tensorrt_targets() -> tuple[dict[Target, TrtOptions], tuple[LeftOut, ...]]:
    """Return the targets that can be built for and run here, with how each builds for this GPU; and the others."""
    gpu, left_out = describe_gpu(), []
    targets: dict[Target, TrtOptions] = {}
    if isinstance(gpu, dict) and is_installed(TENSORRT):
        targets[Target.TENSORRT] = TrtOptions()
    if isinstance(gpu, dict) and is_installed(TENSORRT_RTX):
        major, minor = gpu["compute_capability"]
        if hasattr(getattr(load_tensorrt(TENSORRT_RTX), "ComputeCapability", None), f"SM{major}{minor}"):
            targets[Target.TENSORRT_RTX] = TrtOptions(compute_capabilities=(10 * major + minor,))
        else:
            why = f"{TENSORRT_RTX} is installed, and builds for no GPU of compute capability {major}.{minor}"
            left_out.append(LeftOut(TENSORRT_RTX, why))
    if not targets:
        why = "no TensorRT with a GPU: testing ONNX Runtime on the CPU"
        left_out.append(LeftOut(TENSORRT, why))
    return targets, tuple(left_out)


def _builds(source: SourceModel, folder: Path, targets: dict[Target, TrtOptions]) -> Iterator[tuple[Lowered, Builder]]:
    """Yield what can be built and run here: every precision for TensorRT, where it is; on the processor what pays."""
    table = _calibrated(source, folder / "images")
    has_openvino = not targets and is_openvino_installed()  # beside a GPU ONNX Runtime is the reference alone
    for target in (Target.ONNXRUNTIME, Target.OPENVINO) if has_openvino else (Target.ONNXRUNTIME,):
        for precision in (Precision.FP32, Precision.INT8):
            yield _lowered(source, table, precision, processor_builder(target, precision))
    for target, options in targets.items():
        for precision in (Precision.FP32, Precision.FP16, Precision.INT8, Precision.INT8_FP16):
            builder = TrtBuilder(target, precision, options, report=log.info)
            yield _lowered(source, table, precision, builder)


def _lowered(
    source: SourceModel, table: CalibrationTable, precision: Precision, builder: Builder
) -> tuple[Lowered, Builder]:
    lower = Lowering(precision, builder.target, builder.is_weakly_typed)
    return Lowered(lower(source.model, table), precision, table.digest if precision.is_int8 else ""), builder


def _calibrated(source: SourceModel, folder: Path) -> CalibrationTable:
    """Return the activation ranges of the sample model, measured on images of its own kind."""
    folder.mkdir()
    for number, frame in enumerate(sample_frames(_CALIBRATION_IMAGES, seed=3)):
        write_image(folder / f"{number}.png", frame.image)
    return measure_ranges(source, choose_images(folder, limit=_CALIBRATION_IMAGES))


def _build_and_prove(
    source: SourceModel, lowered: Lowered, builder: Builder, config: SelftestConfig, progress: ProgressCallback
) -> Verdict:
    precision, runtime = lowered.precision.value, builder.runtime
    try:
        with watch_memory() as drop:
            engine = build_lowered(source, lowered, builder).engine
        with stage(progress, f"{precision} on {runtime}") as report:
            proved = prove_engine(
                engine,
                source.path,
                _sample_images(),
                precision=precision,
                runtime=runtime,
                frames=config.frames,
                progress=report,
            )
        return replace(proved, build_mib=round(drop.mib, 1))
    except SsdEdgeError as error:
        on_virtual_gpu = runtime.startswith("tensorrt") and is_virtual()
        return Verdict.failed(precision, runtime, str(error), is_virtual=on_virtual_gpu)


def _prove_own(engine: Path, folder: AnyPath | None, config: SelftestConfig, progress: ProgressCallback) -> Proved:
    """Prove a user's engine by the ONNX that it was built from, and by its own lowered graph where that was kept."""
    manifest = EngineManifest.load(manifest_path(engine))
    images, left_out = _own_images(folder)
    with stage(progress, f"{manifest.precision} on {manifest.runtime}") as report:
        verdict = prove_engine(
            engine,
            manifest.onnx_path(engine),
            images,
            precision=manifest.precision.value,
            runtime=manifest.runtime,
            tolerance=OWN_TOLERANCES[manifest.precision],
            frames=config.frames,
            progress=report,
        )
    graph = _kept_graph(engine, manifest)
    return (with_prediction(verdict, engine, graph, images) if graph else verdict,), left_out


def _own_images(folder: AnyPath | None) -> tuple[Sequence[UInt8Array], tuple[LeftOut, ...]]:
    """Return the first images of a folder, and what is not needed of it; without a folder the drawn ones."""
    if folder is None:
        return _sample_images(), ()
    paths = list_images(Path(folder))
    left_out = tuple(LeftOut(str(path), f"the first {_IMAGES} images are enough") for path in paths[_IMAGES:])
    return [read_image(path) for path in paths[:_IMAGES]], left_out


def _sample_images() -> list[UInt8Array]:
    return [frame.image for frame in sample_frames(_IMAGES, seed=7)]


def _kept_graph(engine: Path, manifest: EngineManifest) -> Path | None:
    """Return the lowered graph that ``build --keep-graph`` has left beside the engine; else say what to type.

    The graph of float32 is the ONNX itself; for a DLA and from a calibration cache TensorRT lowers it: there is none.
    """
    options = manifest.options
    if manifest.precision is Precision.FP32 or options.dla is not None or options.calibration_cache:
        return None
    graph = graph_path(engine, manifest.target)
    if graph.is_file() and file_digest(graph) == manifest.graph_digest:
        return graph
    why = f"{graph} belongs to another build" if graph.is_file() else f"{graph} does not exist"
    log.info(f"{why}; to compare {engine} with its own graph on the CPU, build with --keep-graph")
    return None
