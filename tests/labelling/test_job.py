"""Folders that are no job's, and processes that plan one at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.labelling import job as job_module
from ssd_edge.labelling.job import JobFolder
from tests.labelling.photos import write_photos
from tests.labelling.test_run import JOB

pytest.importorskip("pyarrow")


def enter(folder: Path) -> JobFolder:
    return JobFolder.enter(folder / "out", JOB, [str(folder / "photos")])


def test_a_file_in_place_of_the_folder_is_left_whole(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 1)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="out is a file: wanted a new or empty folder"):
        enter(tmp_path)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_job_is_read_as_it_was_planned(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 5)
    planned = enter(tmp_path)
    read = JobFolder.read(tmp_path / "out")
    assert read.job == planned.job
    assert (read.job.images, read.job.parts, read.job.fingerprint) == (5, 3, planned.job.fingerprint)
    with pytest.raises(ArtifactError, match="cannot be read"):
        JobFolder.read(tmp_path / "photos")


def test_who_waits_for_another_process_too_long_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path / "photos", 1)
    monkeypatch.setattr(job_module, "_PATIENCE_S", 0.05)
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(InputError, match="out is in use: another process is writing its plan"),
    ):
        enter(tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] in ([], [".lock"])
    assert enter(tmp_path).job.images == 1
