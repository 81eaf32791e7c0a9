"""What ``build`` does, step by step: inputs, lowering, engine, graph, speed; nothing of it where it was done before."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.cli.console import bar
from ssd_edge.core.errors import ArtefactError, InputError, SsdEdgeError
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress
from ssd_edge.core.shell import quoted
from ssd_edge.core.workspace import make_current
from ssd_edge.workflows.build.config import checked
from ssd_edge.workflows.build.inputs import BuildInputs, read_inputs

if TYPE_CHECKING:
    import onnx

    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.core.manifest import EngineManifest
    from ssd_edge.engines.build import Builder, BuildReport, Lowered
    from ssd_edge.workflows.build.config import BuildPlan


@dataclass(frozen=True)
class BuildJob:
    """A build that nothing is missing for.

    Attributes:
        plan: what is asked for.
        inputs: what it reads.
        builder: for the runtime that shall run it.
    """

    plan: BuildPlan
    inputs: BuildInputs
    builder: Builder


def prepare(plan: BuildPlan) -> BuildJob:
    """Return the builder and all that the plan names; ranges are measured where there are none and pictures are known.

    Raises:
        SsdEdgeError: an input is missing, damaged, foreign or stale, or the runtime cannot do what is asked for.
    """
    builder = _make_builder(plan, lambda: inputs.table)  # asked for once it is there
    inputs = read_inputs(plan, builder)
    return BuildJob(plan, inputs, builder)


def identity(job: BuildJob) -> dict[str, str]:
    """Return what identifies the engine before it is lowered; see :func:`ssd_edge.engines.cache.asked_of`."""
    from ssd_edge.core.files import text_digest
    from ssd_edge.engines.cache import asked_of

    plan, inputs = job.plan, job.inputs
    table, pictures, judge = inputs.table, inputs.pictures, inputs.judge
    guarded = judge is not None and plan.max_drop is not None
    digests = {
        "onnx": plan.source.digest,
        "ranges": table.digest if table else "",
        "improved_with": text_digest(" ".join(pictures.digests)) if pictures else "",  # in order: the last are held out
        "judged_on": judge.digest if judge is not None and guarded else "",
    }
    choices = {
        "keep_float": " ".join(sorted(plan.keep_float)),
        "max_drop": f"{plan.max_drop:g}" if guarded else "",
    }
    return asked_of(job.builder, plan.precision, digests, choices)


def _make_builder(plan: BuildPlan, table: Callable[[], CalibrationTable | None]) -> Builder:
    """Return what builds for the plan's target; ``table`` is asked when the engine is built.

    Raises:
        MissingPackageError: the runtime is not installed.
        DeviceError: it needs a GPU, and there is none.
    """
    from ssd_edge.engines.ort_build import OrtBuilder

    if plan.target == ORT:
        return OrtBuilder()
    from ssd_edge.engines.tensorrt.build import TrtBuilder
    from ssd_edge.quantization.trt_cache import write_cache

    def calibration(version: str) -> bytes:
        ranges = table()
        return write_cache(ranges, plan.source.model, version=version) if ranges is not None else b""

    return TrtBuilder(
        plan.target,
        plan.precision,
        plan.options,
        timing_cache=plan.timing_cache,
        calibration=calibration if plan.options.takes_cache and plan.int8 else None,
        told=lambda message: log.info(f"{plan.target}: {message}"),
    )


def run_build(plan: BuildPlan) -> None:
    """Lower the model, judge it where data are given, build its engine, and time it where it can run here.

    Raises:
        SsdEdgeError: an input cannot be used, accuracy cannot be kept, or the runtime refuses the graph.
    """
    from ssd_edge.engines.benchmark import refuse_to_compare, tell_speed

    plan = checked(plan)
    refuse_to_compare(plan)
    job = prepare(plan)
    with bar("building") as progress:
        for float_plan in _to_compare(plan):  # first, so that the engine that was asked for is the newest
            log.info(f"to compare with: {float_plan.precision}")
            make_engine(prepare(float_plan), progress)
        report = make_engine(job, progress)
    tell_speed(plan, report)
    log.info(f"manifest {report.engine.with_suffix('.json')}")
    if plan.options.batch.least > 1:
        log.info(
            "run and eval take one picture at a time, so this engine is for programs of your own; for them: --batch 1"
        )
        return
    log.info(f"next: ssd-edge run --model {quoted(report.engine)} --camera 0")


def make_engine(job: BuildJob, progress: Progress) -> BuildReport:
    """Return the engine of a job, with its graph where that is to be kept; it is built where it is not there.

    Raises:
        SsdEdgeError: as :func:`run_build` raises.
    """
    from ssd_edge.engines.benchmark import with_guard_cost
    from ssd_edge.engines.build import BuildReport
    from ssd_edge.workflows.build.inputs import refuse_impossible
    from ssd_edge.workflows.build.quantize import lower, rank_layers

    plan, builder = job.plan, job.builder
    asked = identity(job)
    found = _as_asked(job, asked)
    if found is not None:
        report = BuildReport(plan.engine, found, reused=True)
        _tell(plan, report)
        if plan.keep_graph:
            _restore_graph(job, found, progress)
        if plan.sensitivity:
            rank_layers(job, progress)
        return report
    refuse_impossible(plan, builder)
    lowered = lower(job, progress)
    report = _build(job, lowered, asked, progress)
    _tell(plan, report, judged_now=bool(lowered.measured))
    report = with_guard_cost(job, lowered, report)
    if plan.target != ORT and not report.reused:
        _note_layers(report, for_dla=plan.options.dla is not None)
    if plan.keep_graph:
        _write_graph(lowered.model, plan.graph)
    return report


def _build(job: BuildJob, lowered: Lowered, asked: dict[str, str], progress: Progress) -> BuildReport:
    """Return the engine of a lowered model; what TensorRT said of it is kept beside it, also where there is none."""
    from ssd_edge.engines.build import build_lowered
    from ssd_edge.engines.build_log import keep_log

    plan, builder = job.plan, job.builder
    for_dla = plan.options.dla is not None
    try:
        report = build_lowered(
            plan.source, lowered, builder, plan.output, asked=asked, force=plan.force, progress=progress
        )
    except SsdEdgeError:
        keep_log(plan.engine, builder, for_dla=for_dla)
        raise
    if not report.reused:
        keep_log(plan.engine, builder, for_dla=for_dla)
    return report


def _to_compare(plan: BuildPlan) -> list[BuildPlan]:
    """Return the plans of the float engines that ``--compare`` needs and that are not there."""
    from ssd_edge.engines.alternatives import find_rivals

    missing = find_rivals(plan).missing if plan.compare else ()
    plain = replace(
        plan, int8=False, output=None, judged=None, max_drop=None, keep_float=frozenset(), improve=False,
        sensitivity=False, keep_graph=False, force=False,
    )  # fmt: skip
    return [replace(plain, fp16=precision == "fp16") for precision in missing]


def _as_asked(job: BuildJob, asked: dict[str, str]) -> EngineManifest | None:
    """Return the manifest of the engine that is there already, judged on the same pictures where some are given."""
    from ssd_edge.engines.cache import engine_as_asked

    judge = job.inputs.judge
    found = None if job.plan.force else engine_as_asked(job.plan.engine, asked)
    if found is None or (judge is not None and judge.digest != found.judged_digest):
        return None
    return found


def _tell(plan: BuildPlan, report: BuildReport, *, judged_now: bool = False) -> None:
    """Say what there is now; of an engine that is used again also how accurate it was when it was judged."""
    from ssd_edge.engines.benchmark import cost_line
    from ssd_edge.workflows.build.accuracy import accuracy_line, tell_remedy

    made = report.manifest
    what = f"{made.precision} for {made.runtime} {made.runtime_version} on {made.device}"
    log.info(f"{'already built' if report.reused else 'built'} {report.engine}: {what}")
    _make_current(report.engine)
    if not report.reused:
        return
    if "map_50" in made.measured and not judged_now:
        log.info(f"as judged before: {accuracy_line(made.measured, made.precision, made.target)}")
        tell_remedy(plan, made.measured)
    kept = made.options.get("keep_float", "").split()
    if kept and plan.max_drop is not None:
        log.info(f"in float: {', '.join(kept)}{cost_line(made.measured)}")


def _make_current(engine: Path) -> None:
    """Make the engine that was asked for last the one that ``run`` takes, unless another is pinned."""
    with contextlib.suppress(InputError):  # in a folder that may only be read
        current = make_current(Path(), engine, "built")
        if current is not None and current.why == "pinned" and current.path(Path()).resolve() != engine.resolve():
            log.info(f"run takes {current.path(Path())}, which is pinned; for this one: ssd-edge use {quoted(engine)}")


def _note_layers(report: BuildReport, *, for_dla: bool) -> None:
    """Write beside the engine what TensorRT made of each layer, where it can be asked: on the GPU that runs it."""
    from ssd_edge.backends.tensorrt.layers import layers_path, read_layers, save_layers
    from ssd_edge.engines.build_log import count_on_dla

    try:
        layers = read_layers(report.engine)
    except SsdEdgeError:  # `inspect` says why
        return
    save_layers(report.engine, report.manifest.engine_digest, layers)
    counts = Counter(layer.precision for layer in layers)
    listed = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    log.info(f"{len(layers)} layers ({listed}): {layers_path(report.engine)}")
    if for_dla:
        log.info(f"of these layers {count_on_dla(layers)}")


def _restore_graph(job: BuildJob, made: EngineManifest, progress: Progress) -> None:
    """Write the graph of an engine that is used again, unless it is there: lowered as it was, and not judged again."""
    from ssd_edge.core.files import bytes_digest, file_digest
    from ssd_edge.workflows.build.quantize import lower

    plan = job.plan
    if plan.graph.is_file() and file_digest(plan.graph) == made.graph_digest:
        log.info(f"the graph is there already: {plan.graph}")
        return
    kept = frozenset(made.options.get("keep_float", "").split())
    unjudged = replace(job, inputs=replace(job.inputs, judge=None))
    lowered = lower(unjudged, progress, keep_float=kept if plan.int8 else None)
    if bytes_digest(lowered.model.SerializeToString()) != made.graph_digest:
        raise ArtefactError(
            f"the graph of {plan.engine} cannot be made again", wanted=made.graph_digest, do="Build anew, with --force."
        )
    _write_graph(lowered.model, plan.graph)


def _write_graph(model: onnx.ModelProto, path: Path) -> None:
    import onnx

    from ssd_edge.core.files import written_beside

    with written_beside(path) as partial:
        onnx.save(model, partial)
    log.info(f"the graph is {path}")
