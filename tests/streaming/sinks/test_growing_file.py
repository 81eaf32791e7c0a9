from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from ssd_edge.streaming.sinks import growing_file
from ssd_edge.streaming.sinks.growing_file import GrowingFile
from tests.full_disk import full_after


def test_it_is_written_and_moved_in_as_any_file(tmp_path: Path) -> None:
    path, known = tmp_path / "a", io.BytesIO()
    file = GrowingFile(path)
    for data, offset, whence in (
        (b"head", 0, os.SEEK_SET),
        (b"body" * 9, 1, os.SEEK_SET),
        (b"x", -3, os.SEEK_END),
        (b"yz", 4, os.SEEK_CUR),
        (b"w", -2, os.SEEK_END),
        (b"", 90, os.SEEK_SET),
        (b"", -2, os.SEEK_END),
    ):
        assert file.write(data) == known.write(data)
        assert file.seek(offset, whence) == known.seek(offset, whence)
        assert file.tell() == known.tell()
    file.write(b"end")
    known.write(b"end")
    file.close()
    file.close()  # nothing more to do
    assert path.read_bytes() == known.getvalue()
    assert file.size == len(known.getvalue())


def test_the_disk_is_waited_for_as_often_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    clock = [0.0]
    monkeypatch.setattr(growing_file.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(os, "fsync", synced.append)
    file = GrowingFile(tmp_path / "a", fsync_s=2.0)
    for _ in range(9):  # at 1, 2, ... 9 s
        clock[0] += 1.0
        file.write(b"x")
    assert len(synced) == 4
    file.close()
    assert len(synced) == 5


def test_after_a_refusal_nothing_is_written_and_the_encoder_may_close(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = GrowingFile(path, fsync_s=100.0)
    with full_after(4):
        file.write(b"head")
        with pytest.raises(OSError, match="too large"):
            file.write(b"body")
    assert file.failed
    file.seek(0)
    assert file.write(b"tail") == 4  # no second error, and nothing of it in the part that plays
    file.close()
    assert path.read_bytes() == b"head"
