"""The loop of labelling on one machine: units to parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ssd_edge.labelling.items import Item
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.labeller import Labeller
from ssd_edge.labelling.plan import PlanReader, numbers_of
from ssd_edge.labelling.rows import DEVICE_KEY, PartWriter, read_groups, table_of


def remove_failed(folder: JobFolder, shard: tuple[int, int]) -> None:
    """Remove the parts of a shard in which an image could not be read: a disk was away, or files came later.

    Raises:
        ArtifactError: a part is damaged, or of another job.
    """
    done = folder.done()
    for number in numbers_of(folder.job.parts, shard):
        path = folder.part_path(number)
        if number in done and _has_errors(path, folder.job.fingerprint):
            path.unlink(missing_ok=True)


def _has_errors(part: Path, fingerprint: str) -> bool:
    groups = read_groups(part, fingerprint, ["error"])
    return any(table.column("error").null_count < table.num_rows for table in groups)


def label_units(
    folder: JobFolder, plan: PlanReader, labeller: Labeller, units: Iterable[int], device: str
) -> Iterator[tuple[int, int]]:
    """Label units and write their parts; yield the number of each and its images, once its part is on the disk.

    Raises:
        SsdEdgeError: the model fails, or a part cannot be written; what was written before is kept.
    """
    job, metadata = folder.job, {**folder.metadata, DEVICE_KEY: device.encode()}
    writer: PartWriter | None = None
    images = 0
    try:
        for group in labeller.label(_missing(folder, plan, units)):
            if writer is None:
                writer, images = PartWriter(folder.part_path(group.unit), metadata), 0
            writer.add(table_of(group.rows, job.model_id, job.class_names))
            images += len(group.rows)
            if group.is_last:
                writer.finish()
                writer = None
                yield group.unit, images
    finally:
        if writer is not None:
            writer.abandon()


def _missing(folder: JobFolder, plan: PlanReader, units: Iterable[int]) -> Iterator[tuple[int, list[Item]]]:
    """Yield the images of units, but of those that another process has labelled meanwhile."""
    for number in units:
        if not folder.part_path(number).exists():
            yield number, plan.items(number)
