from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.labelling.rows import (
    FINGERPRINT_KEY,
    Part,
    PartWriter,
    Rows,
    RowsDigest,
    read_groups,
    remove_partials,
    table_of,
)

pytest.importorskip("pyarrow")
NAMES = ("cat", "dog")


def detections(*boxes: tuple[float, ...]) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.linspace(0.9, 0.5, count, dtype=np.float32), np.arange(count) % 2
    )


def some_rows() -> Rows:
    return Rows(
        ids=["a", "ä", "c"],
        paths=["/a.png", "/ä.png", "/c.png"],
        sizes=[(10, 20), None, (30, 40)],
        found=[detections((1, 2, 3, 4), (0, 0, 9.5, 19.25)), detections(), detections((5, 6, 7, 8.125))],
        errors=[None, "is truncated", None],
    )


def write_part(path: Path, table: Any, metadata: dict[bytes, bytes]) -> None:
    writer = PartWriter(path, metadata)
    try:
        writer.add(table)
        writer.finish()
    finally:
        writer.abandon()


def read_part(path: Path, fingerprint: str) -> Any:
    (table,) = read_groups(path, fingerprint)
    return table


def digest_of(rows: Rows) -> str:
    digest = RowsDigest()
    digest.add(Part.of(table_of(rows, "m", NAMES)))
    return str(digest)


def test_a_part_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "part-000000.parquet"
    write_part(path, table_of(some_rows(), "m@sha256:1", NAMES), {FINGERPRINT_KEY: b"f"})
    table = read_part(path, "f")
    assert table.to_pylist() == [
        {
            "id": "a", "path": "/a.png", "width": 10, "height": 20,
            "boxes": [[1, 2, 3, 4], [0, 0, 9.5, 19.25]], "scores": pytest.approx([0.9, 0.5]),
            "classes": ["cat", "dog"], "model": "m@sha256:1", "error": None,
        },
        {
            "id": "ä", "path": "/ä.png", "width": None, "height": None, "boxes": [], "scores": [], "classes": [],
            "model": "m@sha256:1", "error": "is truncated",
        },
        {
            "id": "c", "path": "/c.png", "width": 30, "height": 40, "boxes": [[5, 6, 7, 8.125]],
            "scores": pytest.approx([0.9]), "classes": ["cat"], "model": "m@sha256:1", "error": None,
        },
    ]  # fmt: skip
    part = Part.of(table)
    assert part.starts.tolist() == [0, 2, 2, 3]
    assert part.sizes.tolist() == [[10, 20], [0, 0], [30, 40]]
    assert part.boxes[list(part.spans())[2][1]].tolist() == [[5, 6, 7, 8.125]]
    assert [path.name for path in tmp_path.iterdir()] == ["part-000000.parquet"]


def test_rows_without_any_detection_make_a_part() -> None:
    rows = Rows(["a"], ["/a"], [(1, 1)], [detections()], [None])
    part = Part.of(table_of(rows, "m", NAMES))
    assert (part.boxes.shape, part.starts.tolist(), part.labels) == ((0, 4), [0, 0], [])


def test_the_digest_sees_what_matters_and_nothing_less() -> None:
    first = digest_of(some_rows())
    moved, less = some_rows(), some_rows()
    moved.found[2] = detections((5.01, 6, 7, 8.125))
    less.found[2] = detections((5.001, 6, 7, 8.125))
    assert digest_of(moved) != first
    assert digest_of(less) == first
    for change in ({"ids": ["a", "ä", "d"]}, {"errors": [None, None, None]}, {"sizes": [(10, 20), None, (30, 41)]}):
        rows = some_rows()
        for name, value in change.items():
            setattr(rows, name, value)
        assert digest_of(rows) != first


def test_the_digest_does_not_depend_on_how_rows_are_divided() -> None:
    rows, digest = some_rows(), RowsDigest()
    for number in range(3):
        part = Rows(*([column[number]] for column in rows._columns()))
        digest.add(Part.of(table_of(part, "m", NAMES)))
    assert str(digest) == digest_of(rows)


def test_a_foreign_or_damaged_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part-000000.parquet"
    write_part(path, table_of(some_rows(), "m", NAMES), {FINGERPRINT_KEY: b"f"})
    with pytest.raises(ArtifactError, match="another job"):
        read_part(path, "g")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="damaged"):
        read_part(path, "f")


def test_what_ended_processes_left_is_removed_and_what_others_write_is_not(tmp_path: Path) -> None:
    host = socket.gethostname()
    names = [f".part-000001.{host}.{os.getpid()}.0a.partial", f".part-000001.{host}.99999999.0a.partial"]
    names += [".part-000002.another.host.99999999.0b.partial", "part-000003.parquet"]
    for name in names:
        (tmp_path / name).touch()
    remove_partials(tmp_path, everyones=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([names[0], *names[2:]])
    remove_partials(tmp_path, everyones=True)
    assert [path.name for path in tmp_path.iterdir()] == ["part-000003.parquet"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssd_edge.labelling.rows.flush_file", full)
    with pytest.raises(InputError, match="No space"):
        write_part(tmp_path / "part-000000.parquet", table_of(some_rows(), "m", NAMES), {})
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_another_process_finished_first_is_right(tmp_path: Path) -> None:
    path = tmp_path / "part-000000.parquet"
    slow = PartWriter(path, {FINGERPRINT_KEY: b"f"})
    slow.add(table_of(some_rows(), "m", NAMES))
    write_part(path, table_of(some_rows(), "m", NAMES), {FINGERPRINT_KEY: b"f"})
    remove_partials(tmp_path, everyones=True)
    slow.finish()
    slow.abandon()
    assert len(read_part(path, "f")) == 3


def test_a_part_may_have_several_groups_of_rows(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path / "part-000000.parquet", {FINGERPRINT_KEY: b"f"})
    for _ in range(3):
        writer.add(table_of(some_rows(), "m", NAMES))
    assert not (tmp_path / "part-000000.parquet").exists()
    writer.finish()
    assert [len(table) for table in read_groups(tmp_path / "part-000000.parquet", "f")] == [3, 3, 3]
