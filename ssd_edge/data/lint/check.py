"""All issues of a data set: labels, images, objects, and what lies between the splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import dataset_splits, scan_dataset
from ssd_edge.data.lint.duplicates import duplicate_issues, near_duplicate_issues
from ssd_edge.data.lint.images import examine_images
from ssd_edge.data.lint.issue import Issue
from ssd_edge.data.lint.objects import object_issues
from ssd_edge.data.lint.unreferenced import unreferenced_files
from ssd_edge.data.scan import ScannedImage, ScannedSet
from ssd_edge.data.usable import UsableSet, usable_set


@dataclass(frozen=True)
class LintReport:
    """Result of a data check.

    Attributes:
        dataset: what was looked at.
        usable: what of each split can be used.
        sizes: (width, height) of each image that can be read.
        issues: errors first, and within them split by split.
    """

    dataset: Path
    usable: Mapping[str, UsableSet]
    sizes: Mapping[Path, tuple[int, int]]
    issues: tuple[Issue, ...]

    @property
    def labelled(self) -> Mapping[str, LabelledSet]:
        """Each split with those of its images and objects that can be used."""
        return {split: usable.labelled for split, usable in self.usable.items()}

    @property
    def errors(self) -> tuple[Issue, ...]:
        """Faults for which something is left out or clipped, and those that training must not begin with."""
        return tuple(issue for issue in self.issues if issue.severity == "error")

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """Faults that training can live with."""
        return tuple(issue for issue in self.issues if issue.severity == "warning")

    def check(self, tolerance: Tolerance) -> None:
        """Refuse what must not be trained on.

        Raises:
            LabelError: there is a fault, where none is tolerated.
            InputError: the same image is in two splits, more than the tolerated share cannot be used, or a class has no
                object left.
        """
        for usable in self.usable.values():
            usable.check(tolerance)
        leaks = [issue for issue in self.errors if issue.kind == "leakage"]
        if leaks:
            more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
            raise InputError(
                f"{self.dataset} has the same image in two splits",
                got=f"{leaks[0].message}{more}",
                wanted="each image in only one split",
                do="Remove it from one of the two splits.",
            )


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
        splits: those to look at; by default those of :func:`dataset_splits`, and then images and label files that
            are in none of them are issues too.
        class_names: the classes; by default those of the first split, as ``train`` takes them.
        pixels: decode every image and look for near copies; else files are looked at without their pixels.
        progress: receives every image that was looked at.

    Raises:
        InputError: a split is not there, its list of images or of classes cannot be used, or its boxes are in another
            unit than its layout has.
    """
    scanned: dict[str, ScannedSet] = {}
    for split in dict.fromkeys(splits or dataset_splits(dataset)):
        scanned[split] = scan_dataset(dataset, split, class_names)
        class_names = scanned[split].class_names
    places = [(split, image) for split, found in scanned.items() for image in _images_there(found)]
    examined = examine_images((image for _, image in places), pixels=pixels, progress=progress)
    unreadable = {image: found.fault for image, found in examined.items() if found.fault}
    usable = {split: usable_set(found, unreadable) for split, found in scanned.items()}
    issues: list[Issue] = []
    for split, found in scanned.items():
        issues += _split_issues(split, found, usable[split])
    issues += [*duplicate_issues(places, examined), *near_duplicate_issues(places, examined)]
    if not splits:
        issues += unreferenced_files(scanned, issues)
    issues += _unused_classes(usable)
    sizes = {image: found.size for image, found in examined.items() if found.size is not None}
    return LintReport(dataset, usable, sizes, tuple(sorted(issues, key=lambda issue: issue.severity)))


def _images_there(scanned: ScannedSet) -> Iterator[Path]:
    """The files of a split's images, but for those that are missing."""
    for entry in scanned.images:
        if all(fault.kind not in ("image-missing", "name-unsafe") for fault in entry.faults):
            yield entry.image


def _split_issues(split: str, scanned: ScannedSet, usable: UsableSet) -> Iterator[Issue]:
    known = dict.fromkeys(scanned.class_names)
    for finding in usable.findings:
        yield Issue.of_error(finding.fault, split, box=finding.box)
    for entry in scanned.images:
        if not entry.has_labels and all(fault.kind != "image-missing" for fault in entry.faults):
            message = f"{entry.image} has no label file {entry.origin}"
            yield Issue("no-labels", split, entry.image, message, image=entry.image)
        yield from _contradicted_size(split, entry)
        yield from object_issues(entry, known, split)


def _contradicted_size(split: str, entry: ScannedImage) -> Iterator[Issue]:
    size, stated = entry.size, entry.stated_size
    if size is None or stated is None or stated == size:
        return
    turned = "; its EXIF turns it" if stated == size[::-1] else ""
    message = (
        f"{entry.origin} states {stated[0]} x {stated[1]}, {entry.image.name} has {size[0]} x {size[1]} pixels{turned}"
    )
    yield Issue("size-contradicted", split, entry.origin, message, image=entry.image)


def _unused_classes(usable: Mapping[str, UsableSet]) -> Iterator[Issue]:
    """Classes that the first split, which is learned from, has no object of."""
    for split, found in list(usable.items())[:1]:
        labelled = found.labelled
        used = np.concatenate([np.zeros(0, np.int64), *(sample.class_ids for sample in labelled.samples)])
        for number in sorted(set(range(len(labelled.class_names))) - set(used.tolist())):
            message = f"{labelled.origin} has no object of class {labelled.class_names[number]}"
            yield Issue("class-unused", split, Path(labelled.origin), message)
