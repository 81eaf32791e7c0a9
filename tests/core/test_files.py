from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError, write_remedy
from ssd_edge.core.files import (
    file_digest,
    folder_written_beside,
    is_file,
    is_folder,
    make_folder,
    path_kind,
    text_digest,
    written_beside,
)
from tests.full_disk import full_after
from tests.locked import locked

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="open files are told by Linux's /proc")


def test_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "model.onnx"
    with written_beside(target) as partial:
        partial.write_text("whole")
        assert not target.exists()
        assert partial.suffix == ".onnx"
    assert target.read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["model.onnx"]


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    target = tmp_path / f"{'ä' * 125}.onnx"
    with written_beside(target) as partial:
        partial.write_text("whole")
        assert partial.suffix == ".onnx"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("failure", [ValueError("broken"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "best.pt"
    target.write_text("old")
    with pytest.raises(type(failure)), written_beside(target) as partial:
        partial.write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_full_disk_is_named(tmp_path: Path) -> None:
    target = tmp_path / "best.pt"
    with (
        pytest.raises(InputError, match=r"best.pt cannot be written .No space left on device.\. Free some space"),
        written_beside(target),
    ):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_without_a_name_is_named(path: str) -> None:
    with (
        pytest.raises(InputError, match=r"is a folder: wanted the name of a file to write"),
        written_beside(Path(path)),
    ):
        pass


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("a file")
    with pytest.raises(InputError, match=r"engines cannot be written .File exists.: wanted a writable folder"):
        make_folder(tmp_path / "engines")


def test_a_file_never_takes_the_place_of_a_device_or_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("pipe", "null", "stdout"):
        before = (tmp_path / name).lstat()
        with (
            pytest.raises(InputError, match=f"{name} is not a regular file: got a device, pipe or socket"),
            written_beside(tmp_path / name) as partial,
        ):
            partial.write_text("whole")
        assert (tmp_path / name).lstat().st_ino == before.st_ino
    for name in ("file", "link"):
        with written_beside(tmp_path / name) as partial:
            partial.write_text("whole")


def _record_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Record what is flushed, and when a file takes its place."""
    done: list[str] = []
    flush, replace, rename = os.fsync, Path.replace, Path.rename

    def record_flush(descriptor: int) -> None:
        done.append(f"flush {os.path.relpath(Path(f'/proc/self/fd/{descriptor}').readlink(), folder)}")
        flush(descriptor)

    def record_move(move: Callable[[Path, Path], Path], path: Path, target: Path) -> Path:
        done.append(f"move to {target.name}")
        return move(path, target)

    monkeypatch.setattr(os, "fsync", record_flush)
    monkeypatch.setattr(Path, "replace", lambda path, target: record_move(replace, path, target))
    monkeypatch.setattr(Path, "rename", lambda path, target: record_move(rename, path, target))
    return done


@linux_only
def test_a_power_cut_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _record_disk(monkeypatch, tmp_path)
    with written_beside(tmp_path / "best.pt") as partial:
        partial.write_text("whole")
    assert done == [f"flush {partial.name}", "move to best.pt", "flush ."]


@linux_only
def test_one_of_thousands_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _record_disk(monkeypatch, tmp_path)
    with written_beside(tmp_path / "1.xml", durable=False) as partial:
        partial.write_text("whole")
    assert done == ["move to 1.xml"]


@linux_only
def test_a_power_cut_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _record_disk(monkeypatch, tmp_path)
    with folder_written_beside(tmp_path / "images") as partial:
        (partial / "1.jpg").write_text("whole")
    assert done == [f"flush {partial.name}/1.jpg", f"flush {partial.name}", "move to images", "flush ."]


def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "best.pt"
    target.write_text("old")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(InputError, match=r"best.pt cannot be written .Input/output error."),
        written_beside(target) as partial,
    ):
        partial.write_text("new")
    assert target.read_text() == "old"


def test_a_file_system_that_cannot_flush_folders_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with written_beside(tmp_path / "best.pt") as partial:
        partial.write_text("whole")
    assert (tmp_path / "best.pt").read_text() == "whole"


def test_digests_are_sha256_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    wanted = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert file_digest(path) == text_digest("abc") == wanted


def test_digest_of_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing cannot be read .No such file"):
        file_digest(tmp_path / "nothing")


def test_what_lies_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    kinds = {
        "file": "file",
        "link": "file",
        ".": "folder",
        "pipe": "other",
        "nothing": "absent",
        "dangling": "absent",
        "file/below": "absent",
    }
    assert {name: path_kind(tmp_path / name) for name in kinds} == kinds


def test_a_path_of_which_nobody_can_tell_is_named(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for name, reason in (
        ("a" * 300, "File name too long"),
        ("round", "Too many levels of symbolic links"),
        ("a\0b", "embedded null"),
    ):
        with pytest.raises(InputError, match=f"is not a usable path ..*{reason}."):
            path_kind(tmp_path / name)
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
    assert is_folder(tmp_path)
    assert not is_file(tmp_path)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "images"
    for content in ("first", "second"):
        with folder_written_beside(target) as partial:
            (partial / content).touch()
            assert not (target / content).exists()
        assert [path.name for path in target.iterdir()] == [content]
    wanted = "images cannot be written .File too large."
    with pytest.raises(InputError, match=wanted), folder_written_beside(target) as partial, full_after(10):
        (partial / "third").write_bytes(bytes(11))
    assert [path.name for path in tmp_path.rglob("*")] == ["images", "second"]


def test_a_folder_takes_the_place_of_no_file(tmp_path: Path) -> None:
    (tmp_path / "images").touch()
    wanted = "images is a file: wanted a folder"
    with pytest.raises(InputError, match=wanted), folder_written_beside(tmp_path / "images"):
        pass


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "Free some space, or choose"),
        (errno.EISDIR, "Rename what"),
        (errno.EROFS, "Get the right"),
        (errno.ENAMETOOLONG, "Choose another place"),
    ],
)
def test_the_remedy_is_that_of_the_fault(number: int, words: str) -> None:
    assert write_remedy(OSError(number, "refused")).startswith(words)


def test_a_folder_in_the_place_of_a_file_is_not_called_want_of_space(tmp_path: Path) -> None:
    (tmp_path / "best.pt").mkdir()
    with (
        pytest.raises(InputError, match="Rename what has this name now"),
        written_beside(tmp_path / "best.pt") as partial,
    ):
        partial.write_bytes(b"x")


@pytest.mark.parametrize("path", [".", "..", "/", "{}/.."])
def test_a_folder_without_a_name_is_not_replaced(tmp_path: Path, path: str) -> None:
    with (
        pytest.raises(InputError, match="cannot be replaced: got a path that does not end in a name"),
        folder_written_beside(Path(path.format(tmp_path))),
    ):
        pytest.fail("it was given a folder to write to")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two renames nothing has the name: where the second fails, the first is undone."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    rename = Path.rename

    def refuse_the_new(self: Path, target: Path) -> Path:
        if target == folder and (self / "new.txt").exists():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new)
    with (
        pytest.raises(InputError, match="data cannot be written .Permission denied"),
        folder_written_beside(folder) as partial,
    ):
        (partial / "new.txt").write_text("new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]
    assert [entry.name for entry in folder.iterdir()] == ["old.txt"]


def test_a_text_that_utf8_does_not_hold_has_a_digest_too() -> None:
    """Half of a pair, as JSON may escape it, and a byte of a name that is no UTF-8."""
    texts = ("plain", "\ud800", "\udcff", "\ud800\udcff")
    assert len({text_digest(text) for text in texts}) == len(texts)
    assert text_digest("plain") == f"sha256:{hashlib.sha256(b'plain').hexdigest()}"


def test_what_may_not_be_looked_at_is_not_taken_for_absent(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/file").touch()
    with locked(tmp_path / "inner"):
        for look in (is_file, is_folder):
            with pytest.raises(InputError, match=r"inner/file is not a usable path .Permission denied"):
                look(tmp_path / "inner/file")
        assert is_folder(tmp_path / "inner")
    assert is_file(tmp_path / "inner/file")
