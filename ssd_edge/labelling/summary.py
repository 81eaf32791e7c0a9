"""The summary of a job: counts, score histograms, the digest of all rows, and their drift from the training set."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.data.statistics import SetStatistics
from ssd_edge.labelling.items import Item
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.plan import PlanReader
from ssd_edge.labelling.rows import Part, RowsDigest, read_device, read_groups

BINS = 20
"""Of a histogram of scores, over 0 to 1."""
_SIZE_BINS = 1000
_MOST_NAMED = 100


@dataclass(frozen=True)
class LabelCounts:
    """One class.

    Attributes:
        detections: of all images.
        images: that show it.
        scores: detections whose score is in each twentieth of 0 to 1.
    """

    detections: int
    images: int
    scores: tuple[int, ...]


@dataclass(frozen=True)
class Drift:
    """Labels beside the training set's. A detector misses objects and finds others: some distance is always there.

    Attributes:
        dataset: that the model was trained on; empty where nobody knows it.
        unknown: why there are no figures; empty where there are.
        class_shares: of each class, its share of the objects in the training set, and of the detections.
        class_distance: half the sum of their differences (total variation): 0 the same shares, 1 no class in common.
        objects_per_image: mean, in the training set and of the detections.
        relative_sizes: percentiles 1, 5, 25, 50, 75, 95, 99 of the root of a box's share of its image, of both.
    """

    dataset: str = ""
    unknown: str = ""
    class_shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    class_distance: float | None = None
    objects_per_image: tuple[float, float] | None = None
    relative_sizes: tuple[tuple[float, ...], tuple[float, ...]] | None = None


@dataclass(frozen=True)
class LabelSummary:
    """The contents of a folder so far.

    Attributes:
        complete: every image has its row.
        parts, parts_total: that are done, and that there are.
        images: rows; a frame of a video is an image.
        errors: rows of images that cannot be read.
        empty: images without a detection.
        detections: of all images.
        digest: ``sha256:…`` of all rows in their order, boxes to 1/100 pixel and scores to 1e-4; empty if incomplete.
        scores: detections whose score is in each twentieth of 0 to 1.
        classes: the same by label.
        objects_per_image: how many images have so many detections.
        relative_sizes: percentiles 1, 5, 25, 50, 75, 95, 99 of the root of a box's share of its image.
        devices: parts that each kind of processor or GPU made; of several kinds, the last digits may differ.
        drift: from the training set.
    """

    complete: bool
    parts: int
    parts_total: int
    images: int
    errors: int
    empty: int
    detections: int
    digest: str
    scores: tuple[int, ...]
    classes: Mapping[str, LabelCounts]
    objects_per_image: Mapping[int, int]
    relative_sizes: tuple[float, ...]
    devices: Mapping[str, int]
    drift: Drift


@dataclass
class _Counts:
    """The running figures; what it holds does not grow with the images."""

    class_names: tuple[str, ...]
    images: int = 0
    errors: int = 0
    per_image: Counter[int] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)
    devices: Counter[str] = field(default_factory=Counter)
    named: list[LeftOut] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scores: npt.NDArray[np.int64] = np.zeros((len(self.class_names), BINS), np.int64)
        self.sizes: npt.NDArray[np.int64] = np.zeros(_SIZE_BINS, np.int64)

    def add(self, part: Part) -> None:
        numbers = {name: number for number, name in enumerate(self.class_names)}
        class_ids = np.array([numbers[label] for label in part.labels], np.int64)
        bins = np.minimum((part.scores * BINS).astype(np.int64), BINS - 1)
        np.add.at(self.scores, (class_ids, bins), 1)
        counts = np.diff(part.starts)
        image_areas = np.repeat(part.sizes.prod(axis=1, dtype=np.float64), counts)
        sides = (part.boxes[:, 2:] - part.boxes[:, :2]).astype(np.float64)
        shares = np.sqrt(np.maximum(sides.prod(axis=1), 0) / np.maximum(image_areas, 1))
        np.add.at(self.sizes, np.minimum((shares * _SIZE_BINS).astype(np.int64), _SIZE_BINS - 1), 1)
        self.images += len(part)
        self._add_images(part, counts)

    def _add_images(self, part: Part, counts: npt.NDArray[np.int32]) -> None:
        for number, span in part.spans():
            error = part.errors[number]
            if error is None:
                self.per_image[int(counts[number])] += 1
                self.shown.update(set(part.labels[span]))
                continue
            self.errors += 1
            if len(self.named) < _MOST_NAMED:
                self.named.append(LeftOut(part.ids[number], error))


def summarize(folder: JobFolder, training: SetStatistics | str, dataset: str) -> tuple[LabelSummary, list[LeftOut]]:
    """Return the summary of the parts that are there, and the first hundred images that cannot be read.

    Every part is compared with the plan: it must hold the images of its unit, each once.

    Args:
        folder: of the job.
        training: the figures of the training set, or why they are not known.
        dataset: the training set.

    Raises:
        ArtifactError: a part is damaged, belongs to another job, or holds other images than its unit; or a file beside
            the parts is none.
    """
    folder.check_parts()
    counts, digest, done = _Counts(folder.job.class_names), RowsDigest(), 0
    with PlanReader(folder.plan_path) as plan:
        for number in sorted(folder.done()):
            done += 1
            for part in checked_groups(folder, number, plan.items(number)):
                digest.add(part)
                counts.add(part)
            counts.devices[read_device(folder.part_path(number))] += 1
    complete = done == folder.job.parts
    return _summary(counts, folder, done, str(digest) if complete else "", training, dataset), counts.named


def checked_groups(folder: JobFolder, number: int, items: list[Item]) -> Iterator[Part]:
    """Yield the rows of a part in groups; see :func:`summarize`."""
    path, seen = folder.part_path(number), 0
    video = items[0].id if items[0].kind == "video" else ""
    last = -1
    for table in read_groups(path, folder.job.fingerprint):
        part = Part.of(table)
        if video:
            is_right, last = _are_frames(part.ids, video, last)
        else:
            is_right = part.ids == [item.id for item in items[seen : seen + len(part)]]
        seen += len(part)
        if not is_right:
            raise _other_images(path)
        yield part
    if seen == 0 or (not video and seen != len(items)):
        raise _other_images(path)


def _other_images(path: Path) -> ArtifactError:
    return ArtifactError(
        f"{path} does not contain the images of the plan",
        wanted="each image of the part exactly once",
        do="Delete it; the same command then writes it again.",
    )


def _are_frames(ids: list[str], video: str, last: int) -> tuple[bool, int]:
    """Return whether they are later frames of a video, each once, or a video without frames; and the last."""
    if ids == [video]:
        return last < 0, sys.maxsize  # nothing may follow
    for found in ids:
        number = found.removeprefix(f"{video}#")
        if not number.isdecimal() or int(number) <= last:
            return False, last
        last = int(number)
    return True, last


def _summary(
    counts: _Counts, folder: JobFolder, done: int, digest: str, training: SetStatistics | str, dataset: str
) -> LabelSummary:
    names = counts.class_names
    total = int(counts.scores.sum())
    classes = {
        name: LabelCounts(int(row.sum()), counts.shown[name], tuple(map(int, row)))
        for name, row in zip(names, counts.scores, strict=True)
    }
    sizes = _percentiles(counts.sizes)
    return LabelSummary(
        complete=done == folder.job.parts,
        parts=done,
        parts_total=folder.job.parts,
        images=counts.images,
        errors=counts.errors,
        empty=counts.per_image[0],
        detections=total,
        digest=digest,
        scores=tuple(map(int, counts.scores.sum(axis=0))),
        classes=classes,
        objects_per_image=dict(sorted(counts.per_image.items())),
        relative_sizes=sizes,
        devices=dict(sorted(counts.devices.items())),
        drift=_drift(counts, classes, sizes, training, dataset),
    )


def _percentiles(histogram: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Return the percentiles of what was counted, each the middle of its bin; nothing where nothing was."""
    total = int(histogram.sum())
    if total == 0:
        return ()
    wanted = np.array(SetStatistics.PERCENTILES) / 100 * total
    return tuple(((np.searchsorted(np.cumsum(histogram), wanted) + 0.5) / len(histogram)).round(5).tolist())


def _drift(
    counts: _Counts,
    classes: Mapping[str, LabelCounts],
    sizes: tuple[float, ...],
    training: SetStatistics | str,
    dataset: str,
) -> Drift:
    if isinstance(training, str):
        return Drift(dataset, training)
    total = sum(entry.detections for entry in classes.values())
    objects, good = sum(training.per_class.values()), counts.images - counts.errors
    if not (total and objects and good and training.images):
        return Drift(dataset, "there are no detections, or no objects, to compare")
    names = [*classes, *(name for name in training.per_class if name not in classes)]
    shares = {
        name: (training.per_class.get(name, 0) / objects, classes[name].detections / total if name in classes else 0.0)
        for name in names
    }
    return Drift(
        dataset=dataset,
        class_shares={name: (round(ours, 5), round(theirs, 5)) for name, (ours, theirs) in shares.items()},
        class_distance=round(sum(abs(ours - theirs) for ours, theirs in shares.values()) / 2, 5),
        objects_per_image=(round(training.objects / training.images, 4), round(total / good, 4)),
        relative_sizes=(tuple(round(value, 5) for value in training.relative_sizes), sizes),
    )
