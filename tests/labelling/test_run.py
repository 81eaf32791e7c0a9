"""Parts are written while later images are labelled, in order, and each whole or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.labelling import run
from ssd_edge.labelling.items import Item
from ssd_edge.labelling.job import Job, JobFolder
from ssd_edge.labelling.labeller import Group
from ssd_edge.labelling.plan import PlanReader
from ssd_edge.labelling.rows import PartWriter, Rows
from tests.labelling.photos import write_photos

parquet = pytest.importorskip("pyarrow.parquet")

JOB = Job("m", "sha256:0", ("cat", "dog"), "test 1", "5", 0.3, 4, 1, 2)
PARTS = 8


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    write_photos(tmp_path / "photos", 2 * PARTS)
    return JobFolder.enter(tmp_path / "out", JOB, [str(tmp_path / "photos")])


class Labeller:
    """Finds one dog in each image, and counts the units that it was asked for."""

    def __init__(self, fails_at: int = -1) -> None:
        self.asked, self._fails_at = 0, fails_at
        self.found = Detections(np.ones((1, 4), np.float32), np.ones(1, np.float32), np.ones(1, np.int64))

    def label(self, units: Iterator[tuple[int, list[Item]]]) -> Iterator[Group]:
        for number, items in units:
            self.asked += 1
            if number == self._fails_at:
                raise ArtifactError("the model fails")
            for item in items:  # a group each
                rows = Rows([item.id], [item.path], [(4, 4)], [self.found], [None])
                yield Group(number, rows, is_last=item is items[-1])


def labelled(folder: JobFolder, labeller: Labeller) -> Iterator[tuple[int, int]]:
    with PlanReader(folder.plan_path) as plan:
        yield from run.label_units(folder, plan, labeller, folder.waiting((1, 1)), "here")  # type: ignore[arg-type]


def names(folder: JobFolder) -> list[str]:
    return sorted(path.name for path in folder.parts_path.iterdir())


def part_names(count: int) -> list[str]:
    return [f"part-{number:06d}.parquet" for number in range(count)]


def test_every_part_is_whole_when_it_is_told_of(folder: JobFolder) -> None:
    found = []
    for part in labelled(folder, Labeller()):
        assert parquet.read_table(folder.part_path(part[0])).num_rows == 2
        found.append(part)
    assert found == [(number, 2) for number in range(PARTS)]
    assert names(folder) == part_names(PARTS)


def test_a_slow_disk_does_not_hold_up_inference_at_once(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    is_free, finish = threading.Event(), PartWriter.finish

    def slow(writer: PartWriter) -> None:
        assert is_free.wait(60)
        finish(writer)

    monkeypatch.setattr(PartWriter, "finish", slow)
    monkeypatch.setattr(run, "_GROUPS_BEHIND", 6)
    labeller, found = Labeller(), []
    worker = threading.Thread(target=lambda: found.extend(labelled(folder, labeller)))
    worker.start()
    while labeller.asked < 4 and worker.is_alive():
        time.sleep(0.01)
    time.sleep(0.1)
    assert (labeller.asked, names(folder)[1:]) == (4, [])  # 3 units and a group wait, and no more are begun
    is_free.set()
    worker.join()
    assert found == [(number, 2) for number in range(PARTS)]


def test_a_model_that_fails_leaves_whole_parts_only(folder: JobFolder) -> None:
    with pytest.raises(ArtifactError, match="the model fails"):
        list(labelled(folder, Labeller(fails_at=5)))
    found = names(folder)
    assert found == part_names(len(found))
    assert len(found) <= 5


def test_a_full_disk_ends_the_work(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssd_edge.labelling.rows.flush_file", full)
    labeller = Labeller()
    with pytest.raises(InputError, match=r"part-000000.*No space left"):
        list(labelled(folder, labeller))
    assert names(folder) == []
    assert labeller.asked < PARTS


def test_who_stops_asking_leaves_nothing_half_written(folder: JobFolder) -> None:
    parts = labelled(folder, Labeller())
    assert next(parts) == (0, 2)
    parts.close()
    found = names(folder)
    assert found == part_names(len(found))
    assert not any(thread.name.startswith("ssd-edge-write") for thread in threading.enumerate())


def test_a_part_that_lost_rows_to_a_full_disk_is_not_finished_with_the_next(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next group is handed over before the failure of the one before it is looked at."""
    add, calls, handed_over = PartWriter.add, [], threading.Event()

    def full_once(writer: PartWriter, table: object) -> None:
        calls.append(writer)
        if len(calls) == 1:
            assert handed_over.wait(60)
            raise InputError("part-000000 cannot be written (No space left on device)")
        add(writer, table)  # type: ignore[arg-type]

    class Ahead(Labeller):
        def label(self, units: Iterator[tuple[int, list[Item]]]) -> Iterator[Group]:
            groups = super().label(units)
            yield next(groups)
            yield next(groups)
            handed_over.set()
            yield from groups

    monkeypatch.setattr(PartWriter, "add", full_once)
    with pytest.raises(InputError, match="No space left"):
        list(labelled(folder, Ahead()))
    assert names(folder) == []
