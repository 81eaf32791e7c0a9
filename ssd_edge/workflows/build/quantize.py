"""Joins ranges, lowering, accuracy tools and judge: an exported model in the precision that ``build`` was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.core.log import log

if TYPE_CHECKING:
    import onnx

    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.core.progress import Progress
    from ssd_edge.engines.build import Builder, Lowered
    from ssd_edge.quantization.image_set import ImageSet
    from ssd_edge.quantization.qdq_ort import Scheme
    from ssd_edge.quantization.refine import Improved
    from ssd_edge.quantization.sensitivity import Quantise
    from ssd_edge.workflows.build.build import BuildJob
    from ssd_edge.workflows.build.config import BuildPlan
    from ssd_edge.workflows.build.inputs import BuildInputs


def lower(job: BuildJob, progress: Progress, *, keep_float: frozenset[str] | None = None) -> Lowered:
    """Return the model as it shall run; with labelled data, judged, and with its worst layers in float if need be.

    Args:
        job: what is asked for, what it reads, and the builder for the runtime that shall run it.
        progress: told of the long steps.
        keep_float: the layers that stay float, where a judge has found them before.
    """
    from ssd_edge.engines.build import Lowered
    from ssd_edge.quantization.sensitivity import Ranking
    from ssd_edge.workflows.build.accuracy import tell_remedy

    plan, inputs = job.plan, job.inputs
    table, judge = inputs.table, inputs.judge
    judged = judge.digest if judge else ""
    if table is None:
        model = _in_float(plan)
        measured = judge.compare(model, plan.precision, plan.target) if judge else {}
        return Lowered(model, plan.precision, options=_kept(plan.keep_float), measured=measured, judged_digest=judged)
    quantise, options = _int8(job, table, progress)
    ranking = Ranking(plan.source, quantise, inputs.ranked_on, progress)
    unguarded = None
    if keep_float is not None:
        kept, model, measured = keep_float, quantise(keep_float), {}
    elif judge is not None and plan.max_drop is not None:
        guarded = judge.guard(quantise, plan.max_drop, ranking.names)
        kept, model = guarded.keep_float | plan.keep_float, guarded.model
        measured = judge.figures(guarded.map_lowered)
        unguarded = guarded.plain if guarded.keep_float else None
    else:
        kept, model = plan.keep_float, quantise(frozenset())
        measured = judge.compare(model, plan.precision, plan.target) if judge else {}
        tell_remedy(plan, measured)
    if plan.sensitivity and keep_float is None:
        ranking.names()
    options |= _kept(kept)
    return Lowered(model, plan.precision, table.digest, options, measured, judged, unguarded, _seen(inputs))


def rank_layers(job: BuildJob, progress: Progress) -> None:
    """Rank the layers of an INT8 model whose engine is there already."""
    from ssd_edge.quantization.sensitivity import Ranking

    if job.inputs.table is not None:
        quantise, _ = _int8(job, job.inputs.table, progress)
        Ranking(job.plan.source, quantise, job.inputs.ranked_on, progress).names()


def _int8(job: BuildJob, table: CalibrationTable, progress: Progress) -> tuple[Quantise, dict[str, str]]:
    """Return what lowers the model, improved where that is asked for, and what the manifest says of it.

    The lowering is given the layers to leave in float, beside the user's.
    """
    plan, builder, pictures = job.plan, job.builder, job.inputs.pictures
    options = {"scheme": _scheme().value} if plan.target == ORT else {}
    model = plan.source.model
    if pictures is not None:
        improved = _improved(plan, table, pictures, builder, progress)
        model, table, options["improved"] = improved.model, improved.table, " ".join(improved.steps)
    lower_int8 = _quantise(plan, model, table, builder)
    return lambda more: lower_int8(more | plan.keep_float), options


def _seen(inputs: BuildInputs) -> tuple[str, ...]:
    """Return the digests of all pictures that an INT8 model was made with."""
    ranges = inputs.table.images if inputs.table else ()
    return tuple(sorted({*ranges, *(inputs.pictures.digests if inputs.pictures else ())}))


def _kept(keep_float: frozenset[str]) -> dict[str, str]:
    return {"keep_float": " ".join(sorted(keep_float))} if keep_float else {}


def _in_float(plan: BuildPlan) -> onnx.ModelProto:
    from ssd_edge.quantization.fp16 import to_half

    if plan.fp16 and plan.target == ORT:
        log.info("FP16 gains nothing on most processors: ONNX Runtime computes it in float32 there")
    return to_half(plan.source.model, keep_float=plan.keep_float) if plan.fp16 else plan.source.model


def _scheme() -> Scheme:
    from ssd_edge.backends.cpu import cpu_device
    from ssd_edge.quantization.qdq_ort import scheme_for

    return scheme_for(cpu_device())


def _improved(
    plan: BuildPlan, table: CalibrationTable, pictures: ImageSet, builder: Builder, progress: Progress
) -> Improved:
    """Return the float model and ranges that INT8 shall be made of."""
    from ssd_edge.quantization.refine import improve

    def lower(model: onnx.ModelProto, ranges: CalibrationTable) -> onnx.ModelProto:
        return _quantise(plan, model, ranges, builder)(plan.keep_float)

    return improve(plan.source, table, pictures, lower, progress)


def _quantise(plan: BuildPlan, model: onnx.ModelProto, table: CalibrationTable, builder: Builder) -> Quantise:
    """Return what lowers the model for the target, given the layers to leave in float."""
    from ssd_edge.quantization import qdq_ort, qdq_tensorrt
    from ssd_edge.quantization.fp16 import mixed

    def for_ort(keep_float: frozenset[str]) -> onnx.ModelProto:
        return qdq_ort.quantise(model, table, scheme=_scheme(), keep_float=keep_float)

    def for_tensorrt(keep_float: frozenset[str]) -> onnx.ModelProto:
        weak = getattr(builder, "is_weakly_typed", False)
        lowered = qdq_tensorrt.quantise(model, table, keep_float=keep_float, stored_weights=not weak)
        # What was returned to float for the accuracy's sake is as good in half; what the user kept is float32.
        return mixed(lowered, weakly_typed=weak, keep_float=plan.keep_float) if plan.fp16 else lowered

    def with_cache(_: frozenset[str]) -> onnx.ModelProto:
        return model  # the ranges go in as a calibration cache

    if plan.target == ORT:
        return for_ort
    return with_cache if plan.options.takes_cache else for_tensorrt
