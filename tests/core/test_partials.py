"""What a killed process was writing is removed by the next that writes there; what is still written is not."""

from __future__ import annotations

import errno
import fcntl
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest

from ssd_edge.core import partials
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import folder_written_beside, written_beside
from ssd_edge.core.temp_dir import scratch_folder, sockets_in_scratch

WRITER = """
import sys, time
from pathlib import Path
from ssd_edge.core.files import folder_written_beside, written_beside
from ssd_edge.core.temp_dir import scratch_folder
folder = Path(sys.argv[1])
with written_beside(folder / "a") as file, folder_written_beside(folder / "b") as inner, scratch_folder() as scratch:
    file.write_text("half")
    (inner / "c.txt").write_text("half")
    print(scratch, flush=True)
    time.sleep(60)
"""


@contextmanager
def writer(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    command = [sys.executable, "-c", WRITER, str(folder / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def write(folder: Path) -> None:
    """As a new process would: each looks once."""
    partials._swept.clear()
    with written_beside(folder / "new.txt") as file:
        file.write_text("whole")


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_only_what_nobody_writes_any_more_is_swept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    with writer(tmp_path) as (process, scratch):
        os.utime(scratch, (0, 0))
        held = hidden(out)
        assert len(held) == 2
        write(out)
        partials.sweep_scratch(tmp_path / "tmp", "ssd-edge-scratch-")
        assert hidden(out) == held
        assert scratch.is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait()
        with caplog.at_level(logging.INFO, "ssd_edge"):
            write(out)
        partials.sweep_scratch(tmp_path / "tmp", "ssd-edge-scratch-")
    assert hidden(out) == []
    assert not scratch.exists()
    assert "removed 2 unfinished files of a run that was killed" in caplog.text
    assert [path.name for path in out.iterdir()] == ["new.txt"]


def test_a_folder_whose_replacement_was_cut_short_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".data.123.ssd-edge.old").mkdir()
    (tmp_path / ".data.123.ssd-edge.old" / "kept.txt").write_text("kept")
    (tmp_path / ".data.123.ssd-edge.partial").mkdir()
    write(tmp_path)
    assert (tmp_path / "data" / "kept.txt").read_text() == "kept"
    assert hidden(tmp_path) == []


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    names = [
        ".bashrc",
        ".notes.2024.old",
        ".film.1234.partial",
        ".x.partial.mp4",
        "x.1.partial",
        ".model.0123456789ab.partial.npz",
        ".y.1.partially",
    ]
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".link.1.ssd-edge.partial").symlink_to(tmp_path / ".bashrc")
    write(tmp_path)
    assert all((tmp_path / name).read_text() == "mine" for name in names)


def test_a_writer_that_writes_nothing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")
    with pytest.raises(InputError, match="no bytes were written"), written_beside(path):
        pass
    assert path.read_text() == "old"
    with written_beside(path) as partial:
        partial.write_text("")
    assert path.read_text() == ""
    with folder_written_beside(tmp_path / "folder"):
        pass
    assert hidden(tmp_path) == []


def test_sockets_of_data_workers_lie_in_a_folder_that_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    monkeypatch.delitem(config, "tempdir", raising=False)
    with sockets_in_scratch():
        place = Path(get_temp_dir())
        assert place.parent == tmp_path
        assert place.name.startswith("ssd-edge-scratch-")
    assert not list(tmp_path.iterdir())
    assert "tempdir" not in config


def test_young_scratch_folders_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = ["other", "ssd-edge", "ssd-edge-torture-abcd1234", "ssd-edge-scratch-of-mine", "ssd-edge-scratch-"]
    drawn = [("ssd-edge-scratch-abcd123_", 3600.0), ("ssd-edge-scratch-abcd1234", 0.0)]
    for name, age in (*((name, 3600.0) for name in mine), *drawn):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with scratch_folder():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*mine, "ssd-edge-scratch-abcd1234"])


def is_locked(path: Path) -> bool:
    """As another process would find out."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_a_lock_that_a_sweep_holds_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    sweep = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(sweep, fcntl.LOCK_EX)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(sweep))
    with partials.held(path):
        assert is_locked(path)
    assert not is_locked(path)


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_sweep_takes_away_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    path, flock, taken = tmp_path / "a", fcntl.flock, []

    def too_late(descriptor: int, how: int) -> None:
        if not taken:
            taken.append(path.rmdir() if folder else path.unlink())
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with partials.held(path, folder=folder):
        assert path.is_dir() == folder
        assert is_locked(path)
    assert taken


def test_a_lock_that_never_comes_free_does_not_keep_from_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, waits = tmp_path / "a", []
    other = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    monkeypatch.setattr(time, "sleep", waits.append)
    with partials.held(path):
        path.write_text("whole")
    os.close(other)
    assert (path.read_text(), len(waits)) == ("whole", 20)


def test_where_the_system_has_no_locks_files_are_written_and_nothing_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".b.1.ssd-edge.partial").write_text("perhaps of another machine, which writes")
    write(tmp_path)
    assert (tmp_path / "new.txt").read_text() == "whole"
    assert hidden(tmp_path) == [".b.1.ssd-edge.partial"]


def test_what_cannot_be_removed_is_not_counted_as_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "ab":
        (tmp_path / f".{name}.1.ssd-edge.partial").write_text("half")
    unlink = Path.unlink

    def refuse_one(self: Path, missing_ok: bool = False) -> None:
        if self.name.startswith(".a."):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(self))
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse_one)
    with caplog.at_level(logging.INFO, "ssd_edge"):
        write(tmp_path)
    assert (tmp_path / "new.txt").read_text() == "whole"
    assert hidden(tmp_path) == [".a.1.ssd-edge.partial"]
    assert "removed 1 unfinished file of a run that was killed: .b.1.ssd-edge.partial" in caplog.text


def test_inside_one_folder_of_sockets_there_is_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    monkeypatch.delitem(config, "tempdir", raising=False)
    with sockets_in_scratch():
        outer = config["tempdir"]
        with sockets_in_scratch():
            assert config["tempdir"] == outer
        assert (config["tempdir"], list(tmp_path.iterdir())) == (outer, [Path(outer)])
