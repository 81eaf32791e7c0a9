from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.torch_zip import archive_members


def test_members_are_told_and_what_cannot_be_opened_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with pytest.raises(FileNotFoundError) as absent:  # the callers say which command the file was for
        archive_members(path)
    assert absent.value.filename == str(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"1")
        archive.writestr("a/data/0", b"23")
    assert archive_members(path) == ["a/data.pkl", "a/data/0"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(ArtifactError, match=r"a\.pt cannot be read: got .*; wanted a file written by torch\.save"):
        archive_members(path)
