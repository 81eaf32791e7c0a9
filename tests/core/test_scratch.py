from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.temp_dir import scratch_folder
from tests.full_disk import full_after


def test_a_scratch_folder_is_gone_afterwards() -> None:
    with pytest.raises(BrokenPipeError), scratch_folder() as folder:
        (folder / "a").touch()
        raise BrokenPipeError(errno.EPIPE, "not the folder's fault")
    assert not folder.exists()


def test_a_scratch_folder_without_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(InputError) as caught, scratch_folder(), full_after(10):
        (tmp_path / "a").write_bytes(bytes(11))
    assert str(caught.value) == (
        f"{tmp_path} cannot be written (File too large): wanted space for temporary files. "
        "Free some space, or set TMPDIR to another folder."
    )


def test_another_full_place_is_not_the_scratch_folders_fault(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "engine"))
    with pytest.raises(OSError, match="No space left") as caught, scratch_folder():
        raise full
    assert caught.value is full


def test_a_scratch_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="absent cannot be written .No such file or directory."), scratch_folder():
        pass
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "absent")])
    wanted = "the temporary directory cannot be written .No usable"
    with pytest.raises(InputError, match=wanted), scratch_folder():
        pass
