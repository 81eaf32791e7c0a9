"""What ``build`` does, step by step: target, ranges, lowering, engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.backends.trt_module import TENSORRT, is_installed
from ssd_edge.cli.console import say
from ssd_edge.core.errors import InputError
from ssd_edge.core.progress import Progress

if TYPE_CHECKING:
    from ssd_edge.core.ranges import CalibrationTable
    from ssd_edge.engines.build import Builder, Lowered
    from ssd_edge.engines.options import TrtOptions
    from ssd_edge.engines.source import SourceModel

AUTO = "auto"
CALIBRATION_IMAGES = 256


@dataclass(frozen=True)
class BuildPlan:
    """What ``build`` was asked for; see its options."""

    source: SourceModel
    int8: bool
    fp16: bool
    target: str
    output: Path | None
    table: Path | None
    images: Path | None
    judged: tuple[Path, str] | None
    max_drop: float | None
    keep_float: frozenset[str]
    improve: bool
    options: TrtOptions
    timing_cache: Path
    keep_graph: bool
    force: bool

    @property
    def precision(self) -> str:
        """As the manifest calls it."""
        return {(False, False): "fp32", (False, True): "fp16", (True, False): "int8", (True, True): "int8-fp16"}[
            self.int8, self.fp16
        ]


def run_build(plan: BuildPlan, progress: Progress) -> None:
    """Lower the model, judge it where data are given, and build its engine.

    Raises:
        SsdEdgeError: an input cannot be used, accuracy cannot be kept, or the runtime refuses the graph.
    """
    from ssd_edge.cli.build_lowering import lower
    from ssd_edge.engines.build import build_lowered, engine_path

    plan = _with_target(plan)
    table = _table(plan) if plan.int8 else None
    builder = _builder(plan, table)
    lowered = lower(plan, table, builder, progress)
    if plan.keep_graph:
        _write_graph(lowered, engine_path(plan.source, plan.precision, plan.target).with_suffix(".onnx"))
    report = build_lowered(plan.source, lowered, builder, plan.output, force=plan.force, progress=progress)
    made = report.manifest
    what = f"{made.precision} for {made.runtime} {made.runtime_version} on {made.device}"
    say(f"{'already built' if report.reused else 'built'} {report.engine}: {what}")
    if plan.target == ORT and plan.precision != "fp32":
        _compare_speed(plan, report.engine)
    say(f"manifest {report.engine.with_suffix('.json')}")
    say(f"next: ssd-edge run --model {report.engine} --camera 0")


def _with_target(plan: BuildPlan) -> BuildPlan:
    """Decide what ``auto`` means here, and refuse what a target cannot do."""
    from ssd_edge.backends.cuda_driver import describe_gpu

    if plan.target == AUTO:
        target = TENSORRT if is_installed(TENSORRT) and isinstance(describe_gpu(), dict) else ORT
        if target == TENSORRT:
            say("target tensorrt: it is installed, and there is a GPU")
        plan = replace(plan, target=target)
    if plan.target == ORT and plan.int8 and plan.fp16:
        raise InputError(
            "ONNX Runtime on a processor has no mixed INT8 and FP16", wanted="--int8 alone", do="Leave out --fp16."
        )
    if plan.target != TENSORRT and plan.options.dla is not None:
        raise InputError(f"--dla is of TensorRT, not of {plan.target}", do="Add --target tensorrt, or leave out --dla.")
    if plan.options.dla is not None:
        _refuse_on_dla(plan)
    if plan.target == ORT and plan.options != type(plan.options)():
        raise InputError(
            "--batch, --workspace, --opt-level, --device, --compute-capability and the compatible ones are TensorRT's",
            got="--target onnxruntime",
            do="Leave them out, or add --target tensorrt or tensorrt-rtx.",
        )
    return plan


def _refuse_on_dla(plan: BuildPlan) -> None:
    """Refuse what a DLA cannot run, and what nobody could know of it: the cache lowers the graph inside TensorRT."""
    if plan.precision == "fp32":
        raise InputError("a DLA has no float32", do="Add --int8 or --fp16.")
    if plan.int8 and (plan.judged or plan.keep_float):
        raise InputError(
            "--data, --max-drop and --keep-float need Q/DQ, and INT8 goes to a DLA as a calibration cache",
            do="Leave them out, or leave out --dla.",
        )


def _table(plan: BuildPlan) -> CalibrationTable:
    """Return the model's table of ranges; it is made where it is missing and pictures are known."""
    from ssd_edge.calibration.method import Method
    from ssd_edge.cli.calibration_run import FOLDER, calibrate_model, find_image_set
    from ssd_edge.core.ranges import CalibrationTable, ranges_path

    source = plan.source
    path = plan.table or ranges_path(FOLDER, source.spec.name)
    if plan.table is None and not path.is_file():
        say(f"{path} is not there: calibrating")
        chosen = find_image_set(plan.images, source.path, split="train", limit=CALIBRATION_IMAGES, seed=0)
        return calibrate_model(source.path, chosen, Method.AUTO)[0]
    table = CalibrationTable.load(path)
    table.refuse_if_foreign(path, source.path, source.spec.input)
    say(f"using {path}: {table.method} of {table.image_count} pictures")
    return table


def _builder(plan: BuildPlan, table: CalibrationTable | None) -> Builder:
    from ssd_edge.engines.ort_build import OrtBuilder

    if plan.target == ORT:
        return OrtBuilder()
    from ssd_edge.engines.trt_build import TrtBuilder
    from ssd_edge.precision.text_cache import write_cache

    calibration: Callable[[str], bytes] | None = None
    if plan.options.dla is not None and table is not None:
        ranges = table

        def calibration(version: str) -> bytes:
            return write_cache(ranges, version=version)

    return TrtBuilder(
        plan.target,
        plan.precision,
        plan.options,
        timing_cache=plan.timing_cache,
        calibration=calibration,
        told=lambda message: say(f"{plan.target}: {message}"),
    )


def _write_graph(lowered: Lowered, path: Path) -> None:
    import onnx

    from ssd_edge.core.files import written_beside

    with written_beside(path) as partial:
        onnx.save(lowered.model, partial)
    say(f"the graph is {path}")


def _compare_speed(plan: BuildPlan, engine: Path) -> None:
    """Time the engine against float32 on this machine, and say it where the lower precision does not pay."""
    from ssd_edge.cli.speed import median_times

    lowered_ms, float_ms = median_times([engine, plan.source.path])
    ratio = float_ms / lowered_ms
    if ratio >= 1:
        say(f"{lowered_ms:.2f} ms a picture, {ratio:.2f} times as fast as float32 ({float_ms:.2f} ms)")
    else:
        say(
            f"{plan.precision} is SLOWER here: {lowered_ms:.2f} ms a picture, float32 {float_ms:.2f} ms; "
            f"use that one: ssd-edge build {plan.source.path}"
        )
