"""The loop of labelling on one machine: units to parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ssd_edge.labelling.items import Item
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.labeller import Group, Labeller
from ssd_edge.labelling.plan import PlanReader, numbers_of
from ssd_edge.labelling.rows import DEVICE_KEY, PartWriter, read_groups, table_of

_GROUPS_BEHIND = 2  # that wait for the disk, of some thousand rows each


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

    Parts are written on a thread of their own: a slow disk delays no inference before some thousand rows wait for it.

    Raises:
        SsdEdgeError: the model fails, or a part cannot be written; what was written before is kept.
    """
    with _Writing(folder, device) as writing:
        for group in labeller.label(_missing(folder, plan, units)):
            yield from writing.add(group)
        yield from writing.rest()


class _Writing:
    """Writes groups of rows in their order, on one thread; a context manager that leaves no part half written."""

    def __init__(self, folder: JobFolder, device: str) -> None:
        self._folder, self._metadata = folder, {**folder.metadata, DEVICE_KEY: device.encode()}
        self._writer: PartWriter | None = None
        self._images = 0
        self._has_failed = False
        self._waiting: deque[Future[tuple[int, int] | None]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ssd-edge-write")

    def add(self, group: Group) -> Iterator[tuple[int, int]]:
        """Hand over rows, and yield the parts that are whole by now; wait only where the disk is far behind."""
        self._waiting.append(self._thread.submit(self._write, group))
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > _GROUPS_BEHIND):
            yield from self._next()

    def rest(self) -> Iterator[tuple[int, int]]:
        """Yield the other parts, as soon as each is whole."""
        while self._waiting:
            yield from self._next()

    def _next(self) -> Iterator[tuple[int, int]]:
        part = self._waiting.popleft().result()
        if part is not None:
            yield part

    def _write(self, group: Group) -> tuple[int, int] | None:
        """Write rows; return the number and the images of a part that is whole with them.

        Groups behind one that failed are not written: they would finish its part, without its rows.
        """
        if self._has_failed:
            return None
        self._has_failed = True  # until these rows are written
        part = self._written(group)
        self._has_failed = False
        return part

    def _written(self, group: Group) -> tuple[int, int] | None:
        job = self._folder.job
        if self._writer is None:
            self._writer, self._images = PartWriter(self._folder.part_path(group.unit), self._metadata), 0
        self._writer.add(table_of(group.rows, job.model_id, job.class_names))
        self._images += len(group.rows)
        if not group.is_last:
            return None
        self._writer.finish()
        self._writer = None
        return group.unit, self._images

    def __enter__(self) -> _Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._writer is not None:
            self._writer.abandon()


def _missing(folder: JobFolder, plan: PlanReader, units: Iterable[int]) -> Iterator[tuple[int, list[Item]]]:
    """Yield the images of units, but of those that another process has labelled meanwhile."""
    for number in units:
        if not folder.part_path(number).exists():
            yield number, plan.items(number)
