"""What a build reads besides the model: ranges, pictures and labels; and what identifies its result before the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.cli.build_plan import CALIBRATION_IMAGES
from ssd_edge.cli.console import say

if TYPE_CHECKING:
    from ssd_edge.calibration.images import ImageSet
    from ssd_edge.cli.build_judge import Judge
    from ssd_edge.cli.build_plan import BuildPlan
    from ssd_edge.core.ranges import CalibrationTable
    from ssd_edge.engines.build import Builder


@dataclass(frozen=True)
class BuildInputs:
    """What a build reads besides the model.

    Attributes:
        table: the ranges, for INT8.
        pictures: to improve with.
        judge: has the labelled pictures.
    """

    table: CalibrationTable | None = None
    pictures: ImageSet | None = None
    judge: Judge | None = None


def read_inputs(plan: BuildPlan) -> BuildInputs:
    """Read what the plan names; the table of ranges is made where it is missing and pictures are known.

    Raises:
        SsdEdgeError: one of them is missing, damaged, foreign or stale.
    """
    from ssd_edge.cli.build_judge import Judge

    table = _table(plan) if plan.int8 else None
    judge = Judge(plan.source, *plan.judged) if plan.judged else None
    if table is None or not (judge or plan.improve):
        return BuildInputs(table, judge=judge)
    chosen = _chosen_for(plan, table)
    if judge is not None and chosen is not None:
        judge.refuse_seen(chosen)
    return BuildInputs(table, _pictures(plan, chosen) if plan.improve else None, judge)


def make_builder(plan: BuildPlan, table: CalibrationTable | None) -> Builder:
    """Return what builds for the plan's target.

    Raises:
        MissingPackageError: the runtime is not installed.
        DeviceError: it needs a GPU, and there is none.
    """
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


def identity(plan: BuildPlan, inputs: BuildInputs, builder: Builder) -> dict[str, str]:
    """Return what identifies the engine before it is lowered; see :func:`ssd_edge.engines.reuse.asked_of`."""
    from ssd_edge.core.files import text_digest
    from ssd_edge.engines.reuse import asked_of

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
    return asked_of(builder, plan.precision, digests, choices)


def _table(plan: BuildPlan) -> CalibrationTable:
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


def _chosen_for(plan: BuildPlan, table: CalibrationTable) -> ImageSet | None:
    """Return the pictures that the table was measured on, where they are written down."""
    from ssd_edge.calibration.images import SET_SUFFIX, ImageSet
    from ssd_edge.cli.calibration_run import FOLDER

    written = FOLDER / f"{plan.source.spec.name}{SET_SUFFIX}"
    chosen = ImageSet.load(written) if written.is_file() else None
    return chosen if chosen is not None and chosen.digest == table.images_digest else None


def _pictures(plan: BuildPlan, chosen: ImageSet | None) -> ImageSet:
    """Return pictures to improve with: those that the table came from where they are known, else those named."""
    from ssd_edge.calibration.images import SET_SUFFIX
    from ssd_edge.cli.calibration_run import FOLDER, find_image_set

    source = plan.source
    images = plan.images if chosen is None else FOLDER / f"{source.spec.name}{SET_SUFFIX}"
    return find_image_set(images, source.path, split="train", limit=CALIBRATION_IMAGES, seed=0)
