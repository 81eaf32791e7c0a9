"""Inputs of INT8: the calibration table and, for refinement and ranking, its images.

What cannot be built is refused first: measuring ranges takes minutes, and evaluating may take hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Method
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, stage
from ssd_edge.core.shell import quoted
from ssd_edge.engines.builder import Builder
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.calibrate import CalibrationFiles, calibrate_model, find_image_set
from ssd_edge.quantization.image_choice import ImageChoice
from ssd_edge.quantization.image_set import SET_SUFFIX, ImageSet, choose_images
from ssd_edge.quantization.refine import refuse_too_few
from ssd_edge.quantization.sensitivity import RANKED_ON
from ssd_edge.workflows.build.accuracy import AccuracyChecker
from ssd_edge.workflows.build.config import BuildConfig


@dataclass(frozen=True)
class Calibration:
    """Inputs of an INT8 build.

    Attributes:
        table: the activation ranges.
        refined_on: images to refine with; None where that is not asked for.
        ranked_on: images to measure the error of each layer on.
        left_out: images that could not be used when those to calibrate, refine or rank with were chosen.
    """

    table: CalibrationTable
    refined_on: ImageSet | None = None
    ranked_on: tuple[Path, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def seen(self) -> tuple[str, ...]:
        """``sha256:…`` of all images that the INT8 model is made with."""
        return tuple(sorted({*self.table.images, *(self.refined_on.digests if self.refined_on else ())}))


def find_calibration(
    source: SourceModel,
    config: BuildConfig,
    builder: Builder,
    checker: AccuracyChecker | None,
    workspace: Path,
    progress: ProgressCallback,
) -> Calibration | None:
    """Return what INT8 is made with; ranges are measured where there is not a table. None for the float precisions.

    Raises:
        SsdEdgeError: the table or an image is missing, damaged, foreign or stale, or the builder cannot do what is
            asked for.
    """
    if not config.precision.is_int8:
        return None
    files = CalibrationFiles.of(source, workspace)
    path = config.ranges or files.table
    if config.ranges is None and not path.is_file():
        check_buildable(config, builder)
        log.info(f"{path} does not exist: calibrating")
        chosen = find_image_set(config.images, files, progress=progress)
        _check_images(config, checker, chosen.digests, chosen)
        table = calibrate_model(source, chosen, Method.AUTO, files, progress=progress)
        return _calibration(config, checker, table, chosen)
    table = CalibrationTable.load(path)
    table.refuse_if_foreign(path, source.path, source.digest, source.spec.input)
    log.info(f"using {path}: ranges chosen by method {table.method} from {table.image_count} images")
    named, images = config.images, None
    written = _images_of(table, files) if named is not None or config.uses_images else None
    # Where the table's own set is gone, the named images are those to refine or rank with.
    if named is not None and config.ranges is None and not (config.uses_images and written is None):
        _refuse_other_images(named, table, path, files, progress)
        named = written or named
    if config.uses_images:
        images = find_image_set(named or written, files, progress=progress)
    _check_images(config, checker, table.images, images)
    return _calibration(config, checker, table, images)


def check_buildable(config: BuildConfig, builder: Builder) -> None:
    """Raise SsdEdgeError where the engine cannot be built or written, as far as that is known before the work."""
    builder.check()
    if config.precision.has_fp16 and config.keep_float and not builder.may_keep_float:
        raise InputError(
            f"--keep-float with --fp16 is not possible on {builder.runtime} {builder.runtime_version}, which chooses "
            "the FP16 layers itself",
            wanted=f"{builder.runtime} 9.0 or later (with --dla: 11 or later)",
            do="Leave out --fp16 or --keep-float.",
        )
    make_folder(config.engine.parent)


def _refuse_other_images(
    named: Path, table: CalibrationTable, path: Path, files: CalibrationFiles, progress: ProgressCallback
) -> None:
    """Raise InputError where the images that the caller names are not those that the model's table came from.

    They are chosen once more, as many and as they were for the table: the same folder gives the same images.
    """
    if named.name.endswith(SET_SUFFIX):
        chosen = ImageSet.load(named)
    else:
        written = _images_of(table, files)
        split, seed = (ImageChoice.split, ImageChoice.seed) if written is None else _choice_of(ImageSet.load(written))
        with stage(progress, "images") as report:
            chosen = choose_images(named, split=split, limit=table.image_count, seed=seed, progress=report)
    if chosen.digest != table.images_digest:
        raise InputError(
            f"{path} was not measured on {named}",
            got=f"ranges of {table.image_count} other images",
            wanted="the images that the table was measured on",
            do=f"Calibrate on these images (ssd-edge calibrate --images {quoted(named)}), leave out --images, or name "
            "another table with --ranges.",
        )


def _choice_of(written: ImageSet) -> tuple[str, int]:
    """Return split and seed that a set was chosen by; a folder of images has no split."""
    return written.split or "train", written.seed


def _images_of(table: CalibrationTable, files: CalibrationFiles) -> Path | None:
    """Return the written set of the images that the table came from, where it is there."""
    written = files.image_set
    return written if written.is_file() and ImageSet.load(written).digest == table.images_digest else None


def _calibration(
    config: BuildConfig, checker: AccuracyChecker | None, table: CalibrationTable, images: ImageSet | None
) -> Calibration:
    """Rank layers on labelled images where there are some, else on the last of the chosen set."""
    last = tuple(images.paths[-RANKED_ON:]) if images else ()
    ranked_on = checker.images(RANKED_ON) if checker is not None else last
    return Calibration(table, images if config.refine else None, ranked_on, images.left_out if images else ())


def _check_images(
    config: BuildConfig, checker: AccuracyChecker | None, calibrated: Sequence[str], images: ImageSet | None
) -> None:
    """Raise InputError where INT8 is evaluated on images that it was made with, or too few are there to refine with.

    Args:
        config: of the build.
        checker: has the labelled images.
        calibrated: ``sha256:…`` of the images that the ranges are of.
        images: chosen ones.
    """
    refined_on = images if config.refine else None
    if checker is not None:
        checker.refuse_seen({*calibrated, *(refined_on.digests if refined_on else ())})
    if refined_on is not None:
        refuse_too_few(refined_on)
