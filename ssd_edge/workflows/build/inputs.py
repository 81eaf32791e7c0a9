"""What a build reads besides the model: ranges, pictures and labels.

What cannot be built is refused first: measuring ranges takes minutes, and judging may take hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder
from ssd_edge.core.log import log

if TYPE_CHECKING:
    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.engines.build import Builder
    from ssd_edge.quantization.image_set import ImageSet
    from ssd_edge.workflows.build.accuracy import Judge
    from ssd_edge.workflows.build.config import BuildPlan


@dataclass(frozen=True)
class BuildInputs:
    """What a build reads besides the model.

    Attributes:
        table: the ranges, for INT8.
        pictures: to improve with.
        judge: has the labelled pictures.
        ranked_on: pictures to measure the error of each layer on.
    """

    table: CalibrationTable | None = None
    pictures: ImageSet | None = None
    judge: Judge | None = None
    ranked_on: tuple[Path, ...] = ()


def read_inputs(plan: BuildPlan, builder: Builder) -> BuildInputs:
    """Read what the plan names; ranges are measured where there are none and pictures are known.

    Raises:
        SsdEdgeError: one of them is missing, damaged, foreign or stale, or the builder cannot do what is asked for.
    """
    from ssd_edge.workflows.build.accuracy import Judge

    judge = Judge(plan.source, *plan.judged) if plan.judged else None
    if not plan.int8:
        return BuildInputs(judge=judge)
    path = _table_path(plan)
    if plan.table is None and not path.is_file():
        refuse_impossible(plan, builder)
        log.info(f"{path} is not there: calibrating")
        return _calibrated(plan, judge)
    table = _read_table(plan, path)
    chosen = _pictures(plan, table) if plan.improve or (plan.sensitivity and judge is None) else None
    pictures = chosen if plan.improve else None
    _refuse_pictures(judge, table.images, pictures)
    return BuildInputs(table, pictures, judge, _ranked_on(judge, chosen))


def refuse_impossible(plan: BuildPlan, builder: Builder) -> None:
    """Raise SsdEdgeError where the engine cannot be built or written, as far as that is known before the work."""
    builder.check()
    if plan.fp16 and plan.keep_float and not getattr(builder, "may_keep_float", True):
        raise InputError(
            f"{builder.runtime} {builder.runtime_version} chooses itself which layers run in FP16",
            wanted="a release whose networks are strongly typed (9.0 and later), for --keep-float with --fp16",
            do="Leave out --fp16 or --keep-float.",
        )
    make_folder(plan.engine.parent)


def _refuse_pictures(judge: Judge | None, calibrated: Sequence[str], pictures: ImageSet | None) -> None:
    """Raise InputError where a picture that INT8 has seen is judged on, or too few are there to improve with.

    Args:
        judge: has the labelled pictures.
        calibrated: ``sha256:…`` of the pictures that the ranges are of.
        pictures: to improve with.
    """
    from ssd_edge.quantization.refine import refuse_too_few

    if judge is not None:
        judge.refuse_seen({*calibrated, *(pictures.digests if pictures else ())})
    if pictures is not None:
        refuse_too_few(pictures)


def _table_path(plan: BuildPlan) -> Path:
    from ssd_edge.core.calibration_table import ranges_path
    from ssd_edge.quantization.calibrate import FOLDER

    return plan.table or ranges_path(FOLDER, plan.source.spec.name)


def _calibrated(plan: BuildPlan, judge: Judge | None) -> BuildInputs:
    """Return the inputs with ranges that are measured now."""
    from ssd_edge.core.choices import Method
    from ssd_edge.quantization.calibrate import calibrate_model, find_image_set

    source = plan.source
    chosen = find_image_set(plan.images, source.path)
    pictures = chosen if plan.improve else None
    _refuse_pictures(judge, chosen.digests, pictures)
    table, _ = calibrate_model(source.path, chosen, Method.AUTO)
    return BuildInputs(table, pictures, judge, _ranked_on(judge, chosen))


def _ranked_on(judge: Judge | None, chosen: ImageSet | None) -> tuple[Path, ...]:
    """Return the pictures to rank layers on: labelled ones where there are some, else the last of a chosen set."""
    from ssd_edge.quantization.sensitivity import RANKED_ON

    if judge is not None:
        return judge.pictures(RANKED_ON)
    return tuple(chosen.paths[-RANKED_ON:]) if chosen else ()


def _read_table(plan: BuildPlan, path: Path) -> CalibrationTable:
    from ssd_edge.core.calibration_table import CalibrationTable

    source = plan.source
    table = CalibrationTable.load(path)
    table.refuse_if_foreign(path, source.path, source.spec.input)
    log.info(f"using {path}: {table.method} of {table.image_count} pictures")
    return table


def _pictures(plan: BuildPlan, table: CalibrationTable) -> ImageSet:
    """Return pictures to improve or to rank with: those that the table came from, where known, else those named."""
    from ssd_edge.quantization.calibrate import find_image_set, set_path
    from ssd_edge.quantization.image_set import ImageSet

    written = set_path(plan.source.spec.name)
    is_known = written.is_file() and ImageSet.load(written).digest == table.images_digest
    return find_image_set(written if is_known else plan.images, plan.source.path)
