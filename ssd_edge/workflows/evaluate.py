"""Evaluate: the accuracy and speed of model files on labelled images, and the gates that they must pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import open_dataset
from ssd_edge.evaluation.calibration_overlap import count_calibrated
from ssd_edge.evaluation.coco_ap import coco_average_precision, require_coco
from ssd_edge.evaluation.evaluate import EvaluatedModel
from ssd_edge.evaluation.gate import Gate, points
from ssd_edge.evaluation.report import stills_folder, write_evaluation_report
from ssd_edge.evaluation.summary import summary_json
from ssd_edge.evaluation.tide_errors import error_costs
from ssd_edge.workflows.evaluate_config import EvaluateConfig, EvaluateOptions
from ssd_edge.workflows.evaluate_file import evaluate_file
from ssd_edge.workflows.evaluation_split import check_not_learned, evaluation_split
from ssd_edge.workflows.open_model import refuse_no_model


@dataclass(frozen=True)
class EvaluateResult:
    """Results of an evaluation.

    Attributes:
        path: the page that was written; None where none was asked for.
        models: in the order in which they were given.
        labelled: the images that they were evaluated on.
        score_threshold: of precision and recall in :meth:`to_json`.
        left_out: what could not be used.
    """

    path: Path | None
    models: tuple[EvaluatedModel, ...]
    labelled: LabelledSet
    score_threshold: float
    left_out: tuple[LeftOut, ...] = ()

    @property
    def points(self) -> tuple[float, ...]:
        """Each model's distance from the first, in hundredths of mAP; negative where it is the worse."""
        found = [model.evaluation.accuracy.mean_ap for model in self.models]
        return tuple(points(mean_ap, found[0]) for mean_ap in found)

    def to_json(self) -> str:
        """Return all figures as JSON, ``ssd-edge/eval/1``: what ``baseline`` takes."""
        return summary_json(self.models, self.labelled, score=self.score_threshold)


@with_named_resources
def evaluate(
    models: AnyPath | Sequence[AnyPath],
    dataset: AnyPath,
    *,
    config: EvaluateConfig | None = None,
    progress: ProgressCallback = no_progress,
    **options: Unpack[EvaluateOptions],
) -> EvaluateResult:
    """Measure the mean average precision and the time of one or more model files, all by the same code.

    Args:
        models: ``.pt``, ``.onnx`` or ``.engine`` files.
        dataset: labelled images: a VOC, COCO or YOLO folder, or a data.yaml.
        config: how; or its fields as keywords.
        progress: receives every image, a stage for each model.
        options: fields of the config.

    Raises:
        AccuracyError: a model does not pass a gate; its ``result`` holds all that was measured.
        InputError: a file, the data set or an option cannot be used.
        ArtifactError: a model is damaged, or not for this machine.
        MissingPackageError: what a model runs on, or COCO's numbers need, is not installed.
    """
    config = config_from(EvaluateConfig, config, options)
    paths = _checked_paths([models] if isinstance(models, (str, PathLike)) else models, config)
    split = config.split or evaluation_split(paths, Path(dataset))
    tolerance = Tolerance(config.max_bad, config.strict)
    labelled = open_dataset(Path(dataset), split, tolerance=tolerance)
    check_not_learned(paths, labelled, split)
    reference = _gate(config).reference(labelled, config.metric, config.iou_threshold)
    log.info(f"evaluating on {labelled.origin}: {len(labelled)} images, {labelled.object_count} objects")
    calibrated = _calibrated(paths, labelled)
    found = [
        _evaluated(label, path, labelled, calibrated.get(path), config, progress)
        for label, path in zip(labels_of(paths), paths, strict=True)
    ]
    labelled = _read_by_all(found, labelled)
    if config.counts_coco:
        found = [_with_coco(model, labelled) for model in found]
    if config.html is not None:
        write_evaluation_report(config.html, found, labelled, score=config.score_threshold)
        log.info(f"wrote {config.html}, images in {stills_folder(config.html)}")
    result = EvaluateResult(config.html, tuple(found), labelled, config.score_threshold, labelled.left_out)
    try:
        _gate(config).check(result.models, reference)
    except AccuracyError as error:
        error.result = result
        raise
    return result


def _read_by_all(models: Sequence[EvaluatedModel], labelled: LabelledSet) -> LabelledSet:
    """Return the images that the models were evaluated on; an image that cannot be read is left out by each.

    Raises:
        InputError: they were not the same: files changed meanwhile.
    """
    read = [model.evaluation.labelled or labelled for model in models]
    if any(entry.digest != read[0].digest for entry in read):
        raise InputError(f"images of {labelled.origin} changed during the evaluation", do="Run the evaluation again.")
    return read[0]


def _checked_paths(models: Sequence[AnyPath], config: EvaluateConfig) -> list[Path]:
    """Return the files, after all that can be refused before the first of them is run, which may take hours."""
    paths = [Path(path) for path in models]
    if not paths:
        raise InputError("no model is given to evaluate", wanted="at least one .pt, .onnx or .engine file")
    _gate(config).check_complete(len(paths))
    for number, path in enumerate(paths):
        refuse_no_model(path)
        if path in paths[:number]:
            raise InputError(f"{path} is given twice", wanted="each model only once")
    if config.counts_coco:
        require_coco()
    return paths


def labels_of(models: Sequence[Path]) -> list[str]:
    """Return the files' names, with their folders only where two would be called the same."""
    names = [path.name for path in models]
    return names if len(set(names)) == len(names) else [str(path) for path in models]


def _calibrated(paths: Sequence[Path], labelled: LabelledSet) -> dict[Path, int]:
    """Return with how many of the images each INT8 model was calibrated, where that is known."""
    found = count_calibrated(paths, labelled)
    for path, count in found.items():
        if count:
            log.warning(
                f"{path}: {count} of these {len(labelled)} images were used for INT8 calibration: the mAP is too "
                "optimistic"
            )
    return found


def _evaluated(
    label: str,
    path: Path,
    labelled: LabelledSet,
    calibrated: int | None,
    config: EvaluateConfig,
    progress: ProgressCallback,
) -> EvaluatedModel:
    with stage(progress, path.name) as report:
        found = evaluate_file(
            path,
            labelled,
            metric=config.metric,
            iou_threshold=config.iou_threshold,
            cores=config.cores,
            device=config.device,
            tolerance=Tolerance(config.max_bad, config.strict),
            progress=report,
        )
    if found.classes_not_evaluated:
        log.info(f"{path}: classes without objects in these images: {', '.join(found.classes_not_evaluated)}")
    errors = error_costs(found.detections, (found.labelled or labelled).samples, found.accuracy)
    return EvaluatedModel(label, path, found, errors, calibrated_images=calibrated)


def _with_coco(model: EvaluatedModel, labelled: LabelledSet) -> EvaluatedModel:
    detections = model.evaluation.detections
    return dataclasses.replace(model, coco=coco_average_precision(detections, labelled.samples, labelled.class_names))


def _gate(config: EvaluateConfig) -> Gate:
    """Return what is demanded of the models."""
    return Gate(config.gate_on, config.min_map, config.max_drop_points, config.baseline)
