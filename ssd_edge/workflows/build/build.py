"""Build an engine from an exported ONNX: model, config, ranges, cache, lowering, engine, manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx import ModelProto, save_model
from typing_extensions import Unpack

from ssd_edge.core.choices import NmsBody
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import ArtifactError, SsdEdgeError
from ssd_edge.core.files import bytes_digest, file_digest, text_digest, written_beside
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest
from ssd_edge.core.progress import Progress, ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.shell import quoted
from ssd_edge.core.workspace import named_or_newest, newest_onnx
from ssd_edge.core.workspace_records import CURRENT_NAME, check_note, make_current
from ssd_edge.engines.benchmark import find_alternatives
from ssd_edge.engines.build import BuildReport, build_lowered, engine_path
from ssd_edge.engines.build_log import keep_layers, keep_log
from ssd_edge.engines.builder import Builder, Lowered, NoKernelError
from ssd_edge.engines.cache import cache_key, find_engine
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.engines.processor import processor_builder
from ssd_edge.engines.tensorrt.build import TrtBuilder
from ssd_edge.graph.nms_bodies import rounds_counted, rounds_for
from ssd_edge.graph.source import SourceModel, read_onnx
from ssd_edge.quantization.lowering import LOWERING_VERSION
from ssd_edge.workflows.build.accuracy import AccuracyChecker, accuracy_line, log_remedy
from ssd_edge.workflows.build.config import BuildConfig, BuildOptions, BuildResult, FailedGate, resolved
from ssd_edge.workflows.build.inputs import Calibration, check_buildable, find_calibration
from ssd_edge.workflows.build.no_kernel import int8_layers_in
from ssd_edge.workflows.build.options import AccuracyGate
from ssd_edge.workflows.build.quantize import quantize, rank_layers
from ssd_edge.workflows.build.runtimes import for_fastest_runtime
from ssd_edge.workflows.build.speed import cost_line, with_fallback_cost, with_times

__all__ = [
    "AccuracyGate", "Batch", "BuildConfig", "BuildOptions", "BuildResult", "FailedGate", "TrtOptions", "build",
]  # fmt: skip


@with_named_resources
def build(
    onnx: AnyPath | None = None,
    *,
    config: BuildConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[BuildOptions],
) -> BuildResult:
    """Build the engine of an exported model in the precision and for the runtime that are asked for, with its manifest.

    Nothing is done twice: an engine that the same build gave before is found and returned.

    Args:
        onnx: the exported model; by default the workspace's newest.
        config: see :class:`BuildConfig`; or its fields as keywords.
        progress: receives the stages ``images``, ``calibrating`` and ``building``.
        workspace: where ``calibration/``, ``runs/`` and ``engines/`` lie.

    Raises:
        AccuracyError: the accuracy gate is not met; its ``result`` is a :class:`FailedGate`.
        SsdEdgeError: an input cannot be used, or the runtime cannot do what is asked for or refuses the graph.
    """
    root, asked = Path(workspace), config_from(BuildConfig, config, options)
    source = read_onnx(named_or_newest(onnx, newest_onnx, root))
    config = resolved(asked, source, root)
    check_note(root, CURRENT_NAME, config.engine)
    builder = _builder(source, config)
    checker = AccuracyChecker(source, config.accuracy) if config.accuracy else None
    calibration = find_calibration(source, config, builder, checker, root, progress)
    config, builder = _on_fastest_runtime(asked, config, builder, source, calibration, root)
    key = _key(source, config, builder, calibration, checker)
    with stage(progress, "building") as report:
        if config.compare:  # first, so that the engine that was asked for is the newest
            _build_missing(source, config, calibration, report)
        found = None if config.force else find_engine(config.engine, key)
        if found is None or (checker is not None and not _is_accuracy_of(found, checker)):
            check_buildable(config, builder)
            lowered = quantize(source, config, builder, calibration, checker, report)
            lowered, made = _with_kernels(source, config, builder, calibration, checker, lowered, key, report)
            made = with_fallback_cost(source, config, builder, lowered, made)
            if config.keep_graph:
                _write_graph(lowered.model, config.graph)
        else:
            made = BuildReport(config.engine, found, reused=True)
            _log_engine(config, made)
            if config.keep_graph:
                _restore_graph(source, config, builder, calibration, found, report)
            if config.sensitivity and calibration is not None:
                rank_layers(source, config, builder, calibration, report)
    manifest = with_times(source, config, made)
    _note_current(root, config.engine)
    graph = config.graph if config.keep_graph else None
    return BuildResult(config.engine, manifest, made.reused, graph, _left_out(calibration, checker))


def _left_out(calibration: Calibration | None, checker: AccuracyChecker | None) -> tuple[LeftOut, ...]:
    """Return what could not be used, of the images to calibrate with and of those to evaluate on; each once."""
    parts = calibration.left_out if calibration else (), checker.left_out if checker else ()
    return tuple(dict.fromkeys(lost for part in parts for lost in part))


def _builder(source: SourceModel, config: BuildConfig) -> Builder:
    """Return what builds for the config's target.

    Raises:
        MissingPackageError: the runtime is not installed.
        DeviceError: it needs a GPU, and there is none.
    """
    if not config.runtime.is_tensorrt:
        return processor_builder(config.runtime, config.precision)
    rounds, cache = rounds_for(source.model), config.timing_cache
    builder = TrtBuilder(config.runtime, config.precision, config.tensorrt, rounds=rounds, timing_cache=cache)
    log.info(f"NMS: {builder.options.nms}{'' if builder.nms is not NmsBody.ROUNDS else _why_rounds(source)}")
    return builder


def _on_fastest_runtime(
    asked: BuildConfig,
    config: BuildConfig,
    builder: Builder,
    source: SourceModel,
    calibration: Calibration | None,
    root: Path,
) -> tuple[BuildConfig, Builder]:
    """Return config and builder for the faster runtime of the processor, where the target is left open."""
    fastest = for_fastest_runtime(asked, config, source, calibration.table if calibration else None, root)
    return (config, builder) if fastest is config else (fastest, _builder(source, fastest))


def _why_rounds(source: SourceModel) -> str:
    needed = rounds_counted(source.model)
    unknown = "how many its images need is unknown: an ssd-edge that did not count them wrote the file"
    why = f"the images that it was compared on needed {needed}" if needed is not None else unknown
    return f" of suppression written out, as no Loop is captured in a CUDA graph; {why}"


def _key(
    source: SourceModel,
    config: BuildConfig,
    builder: Builder,
    calibration: Calibration | None,
    checker: AccuracyChecker | None,
) -> str:
    """Return what identifies the build before anything is lowered: inputs, choices and versions of the lowerings."""
    refined_on = calibration.refined_on if calibration else None
    is_gated = checker is not None and config.max_drop is not None
    parts = {
        "lowering_version": LOWERING_VERSION,
        "onnx": source.digest,
        "ranges": calibration.table.digest if calibration else "",
        "takes_cache": config.takes_cache,
        "keep_float": sorted(config.keep_float),
        # In order: the last are held out.
        "refined_on": text_digest(" ".join(refined_on.digests)) if refined_on else "",
        "max_drop": config.max_drop if is_gated else None,
        "measured_on": checker.digest if checker is not None and is_gated else "",
    }
    return cache_key(builder, config.precision, parts)


def _is_accuracy_of(found: EngineManifest, checker: AccuracyChecker) -> bool:
    """Whether an engine was measured on these labelled images before."""
    return found.accuracy is not None and found.accuracy.dataset_digest == checker.digest


def _written(
    source: SourceModel, config: BuildConfig, builder: Builder, lowered: Lowered, key: str, progress: Progress
) -> BuildReport:
    """Return the engine of a lowered model; what TensorRT said of it is kept beside it, also where there is none."""
    for_dla = config.tensorrt.dla is not None
    try:
        made = build_lowered(
            source, lowered, builder, config.engine, cache_key=key, force=config.force, progress=progress
        )
    except SsdEdgeError:
        keep_log(config.engine, builder, for_dla=for_dla)
        raise
    if not made.reused:
        keep_log(config.engine, builder, for_dla=for_dla)
    _log_engine(config, made, is_measured_now=lowered.accuracy is not None)
    if config.runtime.is_tensorrt and not made.reused:
        keep_layers(made.engine, made.manifest.engine_digest, for_dla=for_dla)
    return made


def _with_kernels(
    source: SourceModel,
    config: BuildConfig,
    builder: Builder,
    calibration: Calibration | None,
    checker: AccuracyChecker | None,
    lowered: Lowered,
    key: str,
    progress: Progress,
) -> tuple[Lowered, BuildReport]:
    """Return the engine and its graph; where TensorRT has no INT8 kernel for a layer, once more with that in float."""
    try:
        return lowered, _written(source, config, builder, lowered, key, progress)
    except NoKernelError as error:
        layers = int8_layers_in(error.layer, lowered.model)
        if not layers or not builder.may_keep_float:
            raise
        named = ", ".join(sorted(layers))
        log.warning(f"TensorRT has no INT8 kernel for {error.layer}: building again with {named} in FP32 or FP16")
    kept = layers | (set(lowered.keep_float) - config.keep_float)
    gate = replace(config.accuracy, max_drop_points=None) if config.accuracy else None
    again = replace(config, accuracy=gate, sensitivity=False)
    lowered = quantize(source, again, builder, calibration, checker, progress, fallback=frozenset(kept))
    return lowered, _written(source, config, builder, lowered, key, progress)


def _build_missing(
    source: SourceModel, config: BuildConfig, calibration: Calibration | None, progress: Progress
) -> None:
    """Build the engines that an engine is to be compared with and that are not there; INT8 where there are ranges."""
    plain = BuildConfig(
        target=config.target, tensorrt=config.tensorrt, timing_cache=config.timing_cache, board=config.board
    )
    for precision in find_alternatives(source, config.precision, config.runtime, config.tensorrt).missing:
        if precision.is_int8 and calibration is None:
            log.info(f"{precision} is not compared, as it has no calibration table; build --int8 --compare makes one")
            continue
        log.info(f"building {precision} for comparison")
        other = replace(plain, precision=precision, output=engine_path(source, precision, config.runtime))
        builder = _builder(source, other)
        check_buildable(other, builder)
        ranges = Calibration(calibration.table) if calibration is not None and precision.is_int8 else None
        lowered, key = (
            quantize(source, other, builder, ranges, None, progress),
            _key(source, other, builder, ranges, None),
        )
        _with_kernels(source, other, builder, ranges, None, lowered, key, progress)


def _log_engine(config: BuildConfig, report: BuildReport, *, is_measured_now: bool = False) -> None:
    """Say what there is now; of an engine that is used again also how accurate it was when that was measured."""
    made = report.manifest
    what = f"{made.precision} for {made.runtime} {made.runtime_version} on {made.device}"
    log.info(f"{'already built' if report.reused else 'built'} {report.engine}: {what}")
    if not report.reused:
        return
    if made.accuracy is not None and not is_measured_now:
        log.info(f"accuracy as measured earlier: {accuracy_line(made.accuracy, made.precision, made.target)}")
        log_remedy(config, made.accuracy)
    if made.options.keep_float and config.max_drop is not None:
        log.info(f"in FP32 or FP16: {', '.join(made.options.keep_float)}{cost_line(made)}")


def _restore_graph(
    source: SourceModel,
    config: BuildConfig,
    builder: Builder,
    calibration: Calibration | None,
    made: EngineManifest,
    progress: Progress,
) -> None:
    """Write the graph of an engine that is used again, unless it is there: lowered as it was, without measuring."""
    if config.graph.is_file() and file_digest(config.graph) == made.graph_digest:
        log.info(f"the graph already exists: {config.graph}")
        return
    unranked, kept = replace(config, sensitivity=False), frozenset(made.options.keep_float)
    lowered = quantize(source, unranked, builder, calibration, None, progress, fallback=kept)
    if bytes_digest(lowered.model.SerializeToString()) != made.graph_digest:
        raise ArtifactError(
            f"the graph of {config.engine} cannot be written: converting the model again gives a different graph",
            wanted=f"the graph with digest {made.graph_digest}",
            do="Build the engine again: add --force.",
        )
    _write_graph(lowered.model, config.graph)


def _write_graph(model: ModelProto, path: Path) -> None:
    with written_beside(path) as partial:
        save_model(model, partial)
    log.info(f"wrote the graph: {path}")


def _note_current(root: Path, engine: Path) -> None:
    """Make the engine what ``run`` takes, unless another is pinned."""
    current = make_current(root, engine, "built")
    if current is not None and current.why == "pinned" and current.path(root).resolve() != engine.resolve():
        log.info(f"run still uses {quoted(current.path(root))} (pinned). To change it: ssd-edge use")
