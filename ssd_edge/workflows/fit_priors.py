"""Fit priors: a network's anchors fitted to the objects of a data set, as a file that training takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError, keyword
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.requirements import require_torch
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.spec import ModelSpec
from ssd_edge.data.anchor_recall import AnchorRecall, best_overlaps, unit_boxes
from ssd_edge.data.find import dataset_splits, open_dataset
from ssd_edge.data.priors import FittedPriors
from ssd_edge.data.priors import fit_priors as fit_anchors
from ssd_edge.data.priors_file import PriorsFile
from ssd_edge.workflows.fit_priors_config import PRIORS, FitPriorsConfig, FitPriorsOptions

_MOST_BOXES = 64  # of a cell


class Gain(NamedTuple):
    """Anchor recall on a split before and after fitting."""

    split: str
    before: AnchorRecall
    after: AnchorRecall


@dataclass(frozen=True)
class FitPriorsResult:
    """Result of fitting anchors.

    Attributes:
        path: the file that was written; where no fit is better, it holds the preset's own anchors.
        config: what was asked for.
        preset: the network.
        input_size: (width, height) of its input, in pixels.
        fitted: the anchors, and what they gain where they were fitted to.
        levels: feature maps of the network.
        validation: what they gain on other images; None where there are none.
        left_out: images and objects that could not be used.
    """

    path: Path | None
    config: FitPriorsConfig
    preset: str
    input_size: tuple[int, int]
    fitted: FittedPriors
    levels: int
    validation: Gain | None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def training(self) -> Gain:
        """Gain on the images that the anchors were fitted to."""
        return Gain(self.config.split, self.fitted.before, self.fitted.after)


@with_named_resources
def fit_priors(
    dataset: AnyPath,
    *,
    config: FitPriorsConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[FitPriorsOptions],
) -> FitPriorsResult:
    """Fit a network's anchors to the objects of a data set, and write them, or the preset's where no fit is better.

    Args:
        dataset: labelled images: a VOC, COCO or YOLO folder, or a data.yaml.
        config: what to fit; or its fields as keywords.
        progress: receives the beginning and the end.
        workspace: the folder for the file where none is named.
        options: fields of the config.

    Raises:
        InputError: the data set, the preset or an option cannot be used, or the file cannot be written.
        MissingPackageError: PyTorch is not installed.
    """
    require_torch()
    from ssd_edge.model.zoo import make_spec  # loads torch
    from ssd_edge.workflows.training_choice import choose_network, data_facts

    config = config_from(FitPriorsConfig, config, options)
    folder = Path(dataset)
    train = open_dataset(folder, config.split)
    preset, input_size = config.preset, config.input_size
    if preset is None:
        choice = choose_network(data_facts(train, None), None)
        preset, input_size = choice.preset, choice.input_size if input_size is None else input_size
        log.info(str(choice))
    spec = make_spec(preset, train.class_names, input_size=input_size)
    boxes = unit_boxes(train)
    size = f"{spec.input.width} x {spec.input.height}"
    log.info(f"fitting {preset} at {size} to {train.origin}: {len(boxes)} objects")
    levels = len(spec.anchors.levels)
    with stage(progress, "fitting") as report:
        report(0, 1)
        fitted = fit_anchors(boxes, spec.anchors, per_level=_counts(config.per_level, levels), seed=config.seed)
        report(1, 1)
    output = config.output or Path(workspace) / PRIORS
    if not fitted.are_better:
        fitted = dataclasses.replace(fitted, anchors=spec.anchors, after=fitted.before, fitted_levels=0)
    _save(output, fitted, spec, preset, train.origin)
    validation = _validation(folder, config, spec, fitted)
    sides = spec.input.width, spec.input.height
    return FitPriorsResult(output, config, preset, sides, fitted, levels, validation, train.left_out)


def _counts(per_level: tuple[int, ...] | int | None, levels: int) -> tuple[int, ...] | None:
    """Return the number of boxes of each map; None for as many as there are.

    Raises:
        InputError: there are not as many numbers as maps, or one is out of range.
    """
    if per_level is None:
        return None
    counts = (per_level,) if isinstance(per_level, int) else tuple(per_level)
    if len(counts) not in (1, levels) or not all(1 <= count <= _MOST_BOXES for count in counts):
        got = ",".join(map(str, counts))
        what = f"{keyword('per_level')} is invalid"
        raise InputError(
            what, got=repr(got), wanted=f"one number from 1 to 64, or {levels} of them (one per feature map)"
        )
    return counts * (levels if len(counts) == 1 else 1)


def _validation(folder: Path, config: FitPriorsConfig, spec: ModelSpec, fitted: FittedPriors) -> Gain | None:
    split = config.val_split
    if split is None:
        usual = (name for name in dataset_splits(folder) if name in ("val", "valid") and name != config.split)
        split = next(usual, None)
    if split is None:
        return None
    boxes = unit_boxes(open_dataset(folder, split, spec.class_names))
    before, after = (AnchorRecall.of(best_overlaps(boxes, anchors)) for anchors in (spec.anchors, fitted.anchors))
    return Gain(split, before, after)


def _save(output: Path, fitted: FittedPriors, spec: ModelSpec, preset: str, origin: str) -> None:
    gained: dict[str, Any] = {
        "data": origin,
        "before": dataclasses.asdict(fitted.before),
        "after": dataclasses.asdict(fitted.after),
    }
    PriorsFile(preset, spec.input.height, spec.input.width, fitted.anchors, gained).save(output)
