"""Joins calibration, lowering, the guard and a builder: what ``build`` does, step by step."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say
from ssd_edge.core.errors import InputError
from ssd_edge.core.progress import Progress

if TYPE_CHECKING:
    import onnx

    from ssd_edge.cli.improve import Improved
    from ssd_edge.core.ranges import CalibrationTable
    from ssd_edge.engines.build import Builder, Lowered
    from ssd_edge.engines.options import TrtOptions
    from ssd_edge.engines.source import SourceModel
    from ssd_edge.precision.guard import Guarded
    from ssd_edge.precision.output_error import OutputError
    from ssd_edge.precision.qdq_ort import Scheme
    from ssd_edge.precision.sensitivity import Quantise

ORT, AUTO = "onnxruntime", "auto"
_CALIBRATION_IMAGES = 256
_HELD_OUT = 8


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
    from ssd_edge.engines.build import build_lowered, engine_path

    plan = _with_target(plan)
    table = _table(plan) if plan.int8 else None
    builder = _builder(plan, table)
    lowered = _lowered(plan, table, builder, progress)
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


def trt_options(
    device: str | None,
    *,
    target: str,
    batch: str,
    workspace_gib: float | None,
    level: int | None,
    dla: int | None,
    compute_capabilities: str | None,
    version_compatible: bool,
    hardware_compatible: bool,
) -> TrtOptions:
    """Return the options, with a device profile's values where nothing is given.

    Raises:
        InputError: one is out of range or not understood.
    """
    from ssd_edge.backends.trt_module import TENSORRT_RTX
    from ssd_edge.engines.options import Batch, TrtOptions
    from ssd_edge.engines.targets import DeviceProfile, load_profile

    is_rtx = target == TENSORRT_RTX  # TensorRT itself builds for the GPU that it runs on
    profile = load_profile(device) if device else DeviceProfile("")
    return TrtOptions(
        batch=Batch.parse(batch),
        workspace_gib=profile.workspace_gib if workspace_gib is None else workspace_gib,
        level=profile.opt_level if level is None else level,
        dla=dla,
        compute_capabilities=_capabilities(compute_capabilities) or (profile.compute_capabilities if is_rtx else ()),
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
    )


def _capabilities(text: str | None) -> tuple[int, ...]:
    parts = [part.strip().replace(".", "") for part in (text or "").split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        raise InputError("--compute-capability is not understood", got=repr(text), wanted="numbers as in 86,120")
    return tuple(int(part) for part in parts)


def _with_target(plan: BuildPlan) -> BuildPlan:
    """Decide what ``auto`` means here, and refuse what a target cannot do."""
    from ssd_edge.backends.cuda_driver import describe_gpu
    from ssd_edge.backends.trt_module import TENSORRT, is_installed

    if plan.target == AUTO:
        target = TENSORRT if is_installed(TENSORRT) and isinstance(describe_gpu(), dict) else ORT
        if target == TENSORRT:
            say("target tensorrt: it is installed, and there is a GPU")
        plan = replace(plan, target=target)
    if plan.target == ORT and plan.int8 and plan.fp16:
        raise InputError(
            "ONNX Runtime on a processor has no mixed INT8 and FP16", wanted="--int8 alone", do="Leave out --fp16."
        )
    if plan.target != "tensorrt" and plan.options.dla is not None:
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
        chosen = find_image_set(plan.images, source.path, split="train", limit=_CALIBRATION_IMAGES, seed=0)
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


def _lowered(plan: BuildPlan, table: CalibrationTable | None, builder: Builder, progress: Progress) -> Lowered:
    """Return the model as it shall run; with labelled data, judged, and with its worst layers in float if need be."""
    from ssd_edge.engines.build import Lowered

    if table is None:
        model = _in_float(plan)
        measured = _judged(plan, model) if plan.judged else {}
        return Lowered(model, plan.precision, options=_kept(plan.keep_float), measured=measured)
    options = {"scheme": _scheme().value} if plan.target == ORT else {}
    improved = _improved(plan, table, builder, progress) if plan.improve else None
    if improved is not None:
        options["improved"] = " ".join(improved.steps)
        quantise = _quantise(plan, improved.model, improved.table, builder)
    else:
        quantise = _quantise(plan, plan.source.model, table, builder)
    if plan.max_drop is not None:
        guarded = _guarded(plan, quantise, progress)
        kept, model, measured = guarded.keep_float, guarded.model, _figures(guarded.map_float, guarded.map_lowered)
    else:
        kept, model = plan.keep_float, quantise(plan.keep_float)
        measured = _judged(plan, model) if plan.judged else {}
    return Lowered(model, plan.precision, table.digest, {**options, **_kept(kept)}, measured)


def _kept(keep_float: frozenset[str]) -> dict[str, str]:
    return {"keep_float": " ".join(sorted(keep_float))} if keep_float else {}


def _in_float(plan: BuildPlan) -> onnx.ModelProto:
    from ssd_edge.precision.half import to_half

    if plan.fp16 and plan.target == ORT:
        say("FP16 gains nothing on most processors: ONNX Runtime computes it in float32 there")
    return to_half(plan.source.model, keep_float=plan.keep_float) if plan.fp16 else plan.source.model


def _scheme() -> Scheme:
    from ssd_edge.backends.cpu import cpu_device
    from ssd_edge.precision.qdq_ort import scheme_for

    return scheme_for(cpu_device())


def _improved(plan: BuildPlan, table: CalibrationTable, builder: Builder, progress: Progress) -> Improved:
    """Return the float model and ranges that INT8 shall be made of, with the pictures that the table came from."""
    from ssd_edge.cli.calibration_run import find_image_set
    from ssd_edge.cli.improve import improve

    source = plan.source
    chosen = find_image_set(plan.images, source.path, split="train", limit=_CALIBRATION_IMAGES, seed=0)

    def lower(model: onnx.ModelProto, ranges: CalibrationTable) -> onnx.ModelProto:
        return _quantise(plan, model, ranges, builder)(plan.keep_float)

    return improve(source, table, chosen, lower, progress)


def _quantise(plan: BuildPlan, model: onnx.ModelProto, table: CalibrationTable, builder: Builder) -> Quantise:
    """Return what lowers the model for the target, given the layers to leave in float."""
    from ssd_edge.precision import qdq_ort, qdq_tensorrt
    from ssd_edge.precision.half import to_half

    def for_ort(keep_float: frozenset[str]) -> onnx.ModelProto:
        return qdq_ort.quantise(model, table, scheme=_scheme(), keep_float=keep_float)

    def for_tensorrt(keep_float: frozenset[str]) -> onnx.ModelProto:
        stored = not getattr(builder, "is_weakly_typed", False)
        lowered = qdq_tensorrt.quantise(model, table, keep_float=keep_float, stored_weights=stored)
        return to_half(lowered) if plan.fp16 else lowered

    def for_dla(keep_float: frozenset[str]) -> onnx.ModelProto:
        return model  # the ranges go in as a calibration cache

    if plan.target == ORT:
        return for_ort
    return for_dla if plan.options.dla is not None else for_tensorrt


def _guarded(plan: BuildPlan, quantise: Quantise, progress: Progress) -> Guarded:
    from ssd_edge.precision.guard import guard

    judged = plan.judged
    if judged is None or plan.max_drop is None:
        raise InputError("--max-drop needs --data")
    with _judge(plan) as judge:
        map_float = judge(plan.source.model)
        say(f"float32: mAP {map_float:.4f} on {judged[0]}, split {judged[1]}")
        return guard(
            lambda kept: quantise(kept | plan.keep_float),
            judge,
            lambda: _ranked(plan, quantise, progress),
            map_float=map_float,
            max_drop=plan.max_drop,
            told=say,
        )


def _ranked(plan: BuildPlan, quantise: Quantise, progress: Progress) -> list[str]:
    """Return the layers, the worst first; the table and a picture of them are written beside the ONNX."""
    from ssd_edge.core.files import written_beside
    from ssd_edge.precision.sensitivity import sensitivity, sensitivity_svg

    layers = sensitivity(plan.source.model, quantise, _output_error(plan), progress=progress)
    picture = plan.source.path.with_name(f"{plan.source.path.stem}.sensitivity.svg")
    with written_beside(picture) as partial:
        title = f"{plan.source.spec.name}: output error of each layer in INT8 alone"
        partial.write_text(sensitivity_svg(layers, title), encoding="utf-8")
    worst = ", ".join(f"{entry.name} {entry.error:.3f}" for entry in layers[:3])
    say(f"most error comes from {worst}; all are in {picture}")
    return [entry.name for entry in layers]


def _output_error(plan: BuildPlan) -> OutputError:
    from ssd_edge.core.images import read_image
    from ssd_edge.core.preprocess import preprocess
    from ssd_edge.data.find import open_dataset
    from ssd_edge.precision.output_error import OutputError

    dataset, split = plan.judged or (Path(), "")
    samples = open_dataset(dataset, split).samples[:_HELD_OUT]
    pictures = [preprocess(read_image(sample.image), plan.source.spec.input) for sample in samples]
    return OutputError(plan.source.model, pictures)


def _judged(plan: BuildPlan, model: onnx.ModelProto) -> dict[str, float]:
    """Return the mean AP of the float and of the lowered model, and say it."""
    with _judge(plan) as judge:
        before = judge(plan.source.model)
        after = before if model is plan.source.model else judge(model)
    where = "" if plan.target == ORT else ", the very graph, on ONNX Runtime"
    say(
        f"mAP {before:.4f} in float32, {after:.4f} in {plan.precision}{where}: {100 * (before - after):.2f} points lost"
    )
    return _figures(before, after)


def _figures(before: float, after: float) -> dict[str, float]:
    return {"map_50_float": round(before, 6), "map_50": round(after, 6)}


@contextmanager
def _judge(plan: BuildPlan) -> Iterator[Callable[[onnx.ModelProto], float]]:
    """Yield a function that gives a model's mean AP on the labelled images, on ONNX Runtime."""
    import onnx

    from ssd_edge.cli.models import evaluate_file
    from ssd_edge.data.find import open_dataset
    from ssd_edge.evaluation.metric import Metric

    dataset, split = plan.judged or (Path(), "")
    labelled = open_dataset(dataset, split)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lowered.onnx"

        def judge(model: onnx.ModelProto) -> float:
            onnx.save(model, path)
            return evaluate_file(path, labelled, metric=Metric.VOC).accuracy.mean_ap

        yield judge


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
