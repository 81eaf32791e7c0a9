"""Check data: everything that is wrong with a data set, before hours of training find it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.requirements import require_torch
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.spec import AnchorSpec
from ssd_edge.data.anchor_recall import AnchorRecall, best_overlaps, unit_boxes
from ssd_edge.data.label_files import listed_class_names
from ssd_edge.data.lint.check import LintReport, lint_dataset
from ssd_edge.data.lint.issue import KINDS, Issue, Severity
from ssd_edge.data.priors_file import PriorsFile, with_priors
from ssd_edge.data.statistics import SetStatistics, set_statistics
from ssd_edge.workflows.contact_sheet import write_sheet

_ANY_CLASS = ("object",)  # anchors are the same for all


@dataclass(frozen=True)
class CheckDataConfig:
    """Options of a data check.

    Attributes:
        splits: parts of the data set; None for those of train, val and test that are there, or else all, and then
            images and label files that are in none of them are found too.
        classes: their names, a text of these with commas between, or a file with one a line; None for the data's own.
        preset: the network whose anchors must match the objects; None for no such check but by ``priors``.
        input_size: side of the network's input in pixels, or (width, height); None for the preset's.
        priors: anchors that ``fit_priors`` wrote; None for the preset's.
        html: the contact sheet of the worst images to write; None for none.
    """

    splits: tuple[str, ...] | None = None
    classes: tuple[str, ...] | str | None = None
    preset: str | None = None
    input_size: int | tuple[int, int] | None = None
    priors: Path | None = None
    html: Path | None = None


class CheckDataOptions(TypedDict, total=False):
    """The fields of :class:`CheckDataConfig`, as keywords."""

    splits: tuple[str, ...] | list[str] | None
    classes: tuple[str, ...] | list[str] | str | None
    preset: str | None
    input_size: int | tuple[int, int] | list[int] | None
    priors: AnyPath | None
    html: AnyPath | None


class IssueCount(NamedTuple):
    """Number of issues of one kind, and a description of the kind."""

    kind: str
    severity: Severity
    meaning: str
    number: int


@dataclass(frozen=True)
class CheckDataResult:
    """Result of a data check.

    Attributes:
        path: the contact sheet; None where none was asked for.
        report: the issues, and the images and objects that can be used.
        statistics: figures of each split, of what can be used.
        anchors: whose anchors were checked; empty where none were.
        anchor_recall: which share of the objects of each split these can match.
        sheet_images: how many images and files are on the contact sheet.
    """

    path: Path | None
    report: LintReport
    statistics: Mapping[str, SetStatistics]
    anchors: str
    anchor_recall: Mapping[str, AnchorRecall]
    sheet_images: int = 0

    @property
    def issues(self) -> tuple[Issue, ...]:
        """All issues, errors first."""
        return self.report.issues

    @property
    def errors(self) -> tuple[Issue, ...]:
        """Issues that training must not begin with."""
        return self.report.errors

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """Issues that training can live with."""
        return self.report.warnings

    @property
    def counts(self) -> tuple[IssueCount, ...]:
        """The kinds that were found, errors and warnings in a fixed order."""
        counts = Counter(issue.kind for issue in self.issues)
        return tuple(IssueCount(kind, *KINDS[kind], counts[kind]) for kind in KINDS if counts[kind])

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Images and objects that cannot be used: they are not in the statistics."""
        return tuple(entry for labelled in self.report.labelled.values() for entry in labelled.left_out)

    def to_json(self) -> str:
        """Return all issues and figures as JSON."""
        fields = {
            "dataset": str(self.report.dataset),
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "faults": [issue.fields() for issue in self.issues],
            "splits": {split: dataclasses.asdict(found) for split, found in self.statistics.items()},
            "default_boxes": {split: dataclasses.asdict(reached) for split, reached in self.anchor_recall.items()},
        }
        return json.dumps(fields, indent=1) + "\n"


@with_named_resources
def check_data(
    dataset: AnyPath,
    *,
    config: CheckDataConfig | None = None,
    progress: ProgressCallback = no_progress,
    **options: Unpack[CheckDataOptions],
) -> CheckDataResult:
    """Find all issues of a data set at once; having some is no error of this function.

    Args:
        dataset: labelled images: a VOC, COCO or YOLO folder, or a data.yaml.
        config: what to check; or its fields as keywords.
        progress: receives every image.
        options: fields of the config.

    Raises:
        InputError: a split is not there, or its list of images or of classes cannot be used; there is no such preset;
            or a file cannot be read or written.
        ArtifactError: the file of anchors is damaged.
        MissingPackageError: a preset is asked for and PyTorch is not installed.
    """
    config = config_from(CheckDataConfig, config, options)
    names, chosen = listed_class_names(config.classes), _chosen_anchors(config)
    with stage(progress, "checking") as report_step:
        report = lint_dataset(Path(dataset), config.splits, names, progress=report_step)
    anchors, recall = "", dict[str, AnchorRecall]()
    if chosen is not None:
        anchors = chosen.name
        for split, labelled in report.labelled.items():
            recall[split] = AnchorRecall.of(best_overlaps(unit_boxes(labelled, report.sizes), chosen.anchors))
    return CheckDataResult(
        path=config.html,
        report=report,
        statistics={split: set_statistics(found, report.sizes) for split, found in report.labelled.items()},
        anchors=anchors,
        anchor_recall=recall,
        sheet_images=write_sheet(report, config.html) if config.html is not None else 0,
    )


class _Chosen(NamedTuple):
    anchors: AnchorSpec
    name: str


def _chosen_anchors(config: CheckDataConfig) -> _Chosen | None:
    """Return the anchors that are asked for, before the images are looked at; None for none."""
    if config.preset is None:
        return None if config.priors is None else _Chosen(PriorsFile.load(config.priors).anchors, str(config.priors))
    require_torch()
    from ssd_edge.model.zoo import make_spec  # loads torch, which data can be checked without

    spec = make_spec(config.preset, _ANY_CLASS, input_size=config.input_size)
    if config.priors is not None:
        spec = with_priors(spec, config.preset, config.priors)
    return _Chosen(spec.anchors, config.preset)
