"""All issues of a data set: labels, pictures, objects, and what lies between the splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.find import dataset_splits, scan_dataset
from ssd_edge.data.lint.duplicates import duplicate_issues, near_duplicate_issues
from ssd_edge.data.lint.images import ExaminedImage, examine_images
from ssd_edge.data.lint.issue import Issue
from ssd_edge.data.lint.objects import object_issues
from ssd_edge.data.lint.unreferenced import unreferenced_files
from ssd_edge.data.scan import ScannedImage, ScannedSet


@dataclass(frozen=True)
class LintReport:
    """What was found.

    Attributes:
        dataset: what was looked at.
        labelled: each split with those of its pictures and objects that can be used.
        sizes: (width, height) of each picture that can be read.
        issues: errors first, and within them split by split.
    """

    dataset: Path
    labelled: Mapping[str, LabelledSet]
    sizes: Mapping[Path, tuple[int, int]]
    issues: tuple[Issue, ...]

    @property
    def errors(self) -> tuple[Issue, ...]:
        """Faults that training must not begin with."""
        return tuple(issue for issue in self.issues if issue.severity == "error")

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """Faults that training can live with."""
        return tuple(issue for issue in self.issues if issue.severity == "warning")


def lint_dataset(
    dataset: Path,
    splits: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    *,
    pixels: bool = True,
    progress: Progress = silent,
) -> LintReport:
    """Return all issues of a data set.

    Args:
        dataset: folder or data.yaml.
        splits: those to look at; by default those of :func:`dataset_splits`, and then pictures and label files that
            are in none of them are issues too.
        class_names: the classes; by default those of the first split, as ``train`` takes them.
        pixels: decode every picture and look for near copies; else files are looked at without their pixels.
        progress: told of every picture that was looked at.

    Raises:
        InputError: a split is not there, or its list of pictures or of classes cannot be used.
    """
    issues: list[Issue] = []
    scanned = _scan(dataset, tuple(dict.fromkeys(splits or dataset_splits(dataset))), class_names, issues)
    places = [(split, picture.image) for split, found in scanned.items() for picture in found.pictures]
    examined = examine_images((image for _, image in places), pixels=pixels, progress=progress)
    for split, found in scanned.items():
        issues += _split_issues(split, found, examined)
    issues += [*duplicate_issues(places, examined), *near_duplicate_issues(places, examined)]
    if not splits:
        issues += unreferenced_files(scanned, issues)
    labelled = {split: found.sound() for split, found in scanned.items()}
    issues += _unused_classes(labelled)
    sizes = {image: found.size for image, found in examined.items() if found.size is not None}
    return LintReport(dataset, labelled, sizes, tuple(sorted(issues, key=lambda issue: issue.severity)))


def _scan(
    dataset: Path, splits: Sequence[str], class_names: Sequence[str] | None, issues: list[Issue]
) -> dict[str, ScannedSet]:
    """Read every split with the classes of the first, and add what the readers meet to ``issues``."""
    scanned: dict[str, ScannedSet] = {}
    for split in splits:

        def report(error: LabelError, split: str = split) -> None:
            issues.append(Issue.of_error(error, split))

        scanned[split] = scan_dataset(dataset, split, class_names, report)
        class_names = scanned[split].class_names
    return scanned


def _split_issues(split: str, scanned: ScannedSet, examined: Mapping[Path, ExaminedImage]) -> Iterator[Issue]:
    known = dict.fromkeys(scanned.class_names)
    for picture in scanned.pictures:
        found = examined[picture.image]
        if found.fault:
            yield Issue("image-unreadable", split, picture.image, found.fault, image=picture.image)
        if not picture.has_labels:
            message = f"{picture.image} has no label file {picture.origin}"
            yield Issue("no-labels", split, picture.image, message, image=picture.image)
        yield from _contradicted_size(split, picture, found.size)
        yield from object_issues(picture, found.size, known, split)


def _contradicted_size(split: str, picture: ScannedImage, size: tuple[int, int] | None) -> Iterator[Issue]:
    stated = picture.stated_size
    if size is None or stated is None or stated == size:
        return
    turned = "; its EXIF turns it" if stated == size[::-1] else ""
    message = (
        f"{picture.origin} states {stated[0]} x {stated[1]}, "
        f"{picture.image.name} has {size[0]} x {size[1]} pixels{turned}"
    )
    yield Issue("size-contradicted", split, picture.origin, message, image=picture.image)


def _unused_classes(labelled: Mapping[str, LabelledSet]) -> Iterator[Issue]:
    """Classes that the first split, which is learnt from, has no object of."""
    for split, found in list(labelled.items())[:1]:
        used = np.concatenate([np.zeros(0, np.int64), *(sample.class_ids for sample in found.samples)])
        for number in sorted(set(range(len(found.class_names))) - set(used.tolist())):
            message = f"{found.origin} has no object of class {found.class_names[number]}"
            yield Issue("class-unused", split, Path(found.origin), message)
