"""An exported model in the precision that ``build`` was asked for: refined, measured, and held to its accuracy gate."""

from __future__ import annotations

from functools import partial

from ssd_edge.core.choices import Target
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress
from ssd_edge.engines.builder import Builder, Lowered
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.lowering import Lowering, scheme_of
from ssd_edge.quantization.refine import Refined, refine
from ssd_edge.quantization.sensitivity import Quantize, Ranking
from ssd_edge.quantization.trt_cache import write_cache
from ssd_edge.workflows.build.accuracy import AccuracyChecker, log_remedy
from ssd_edge.workflows.build.config import BuildConfig
from ssd_edge.workflows.build.inputs import Calibration


def quantize(
    source: SourceModel,
    config: BuildConfig,
    builder: Builder,
    calibration: Calibration | None,
    checker: AccuracyChecker | None,
    progress: Progress,
    *,
    fallback: frozenset[str] | None = None,
) -> Lowered:
    """Return the model as it must run; with labelled images, measured, and with its worst layers in float if need be.

    Args:
        source: the exported model.
        config: resolved.
        builder: for the runtime that must run it.
        calibration: what INT8 is made with.
        checker: measures its accuracy; None where that is not asked for.
        progress: receives the long steps.
        fallback: the layers that an accuracy gate has returned to float before.

    Raises:
        AccuracyError: the accuracy gate is not met, not even with every layer in float.
    """
    lower = _lowering(config, builder)
    if calibration is None:
        if config.precision.has_fp16 and config.target is Target.ONNXRUNTIME:
            log.info("FP16 is not faster on most CPUs: ONNX Runtime computes it in FP32")
        model = lower(source.model)
        accuracy = checker.compare(model, config.precision, config.runtime) if checker else None
        return Lowered(model, config.precision, keep_float=tuple(sorted(config.keep_float)), accuracy=accuracy)
    refined = _refined(source, calibration, lower, progress)
    int8: Quantize = partial(lower, refined.model, refined.table)
    ranking = Ranking(source, int8, calibration.ranked_on, progress)
    without_fallback = None
    if checker is not None and config.max_drop is not None:
        found, accuracy = checker.fall_back(int8, config, config.max_drop, ranking.names)
        model, fallback = found.model, found.keep_float
        without_fallback = found.plain if fallback else None
    else:
        model = int8(fallback or frozenset())
        accuracy = checker.compare(model, config.precision, config.runtime) if checker else None
        if accuracy is not None:
            log_remedy(config, accuracy)
    if config.sensitivity:
        ranking.names()
    return Lowered(
        model,
        config.precision,
        table_digest=calibration.table.digest,
        scheme=scheme_of(config.runtime),
        improved=refined.steps,
        keep_float=tuple(sorted(config.keep_float | (fallback or frozenset()))),
        calibration_cache=_cache(refined, builder) if lower.takes_cache else b"",
        calibrated_on=calibration.seen,
        accuracy=accuracy,
        without_fallback=without_fallback,
    )


def rank_layers(
    source: SourceModel, config: BuildConfig, builder: Builder, calibration: Calibration, progress: Progress
) -> None:
    """Rank the layers of an INT8 model whose engine is there already."""
    lower = _lowering(config, builder)
    refined = _refined(source, calibration, lower, progress)
    Ranking(source, partial(lower, refined.model, refined.table), calibration.ranked_on, progress).names()


def _lowering(config: BuildConfig, builder: Builder) -> Lowering:
    weak, takes_cache = builder.is_weakly_typed, config.takes_cache
    return Lowering(config.precision, config.runtime, weak, takes_cache, config.keep_float)


def _refined(source: SourceModel, calibration: Calibration, lower: Lowering, progress: Progress) -> Refined:
    """Return the float model and the ranges that INT8 is to be made of."""
    if calibration.refined_on is None:
        return Refined(source.model, calibration.table)
    return refine(source, calibration.table, calibration.refined_on, lower, progress)


def _cache(made: Refined, builder: Builder) -> bytes:
    """Return the ranges as TensorRT's text calibration cache."""
    return write_cache(made.table, made.model, version=builder.runtime_version)
