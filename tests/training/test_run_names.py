"""Two trainings at once do not write into one folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from ssd_edge.core.errors import InputError
from ssd_edge.training.run_names import LOCK_NAME, OWNER_NAME, new_run, only_training
from tests.cli.test_resume import resume, stop_after
from tests.cli.test_train import train, workspace  # noqa: F401  (a fixture)

ROOT = Path(__file__).parents[2]
_HOLD = """
import sys
from pathlib import Path
from ssd_edge.training.run_names import only_training
with only_training(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_training(folder: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has just begun to train in ``folder``."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, folder],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.usefixtures("workspace")
def test_a_run_that_saved_nothing_yet_keeps_its_folder() -> None:
    with another_training("runs/ssd192-tiny-1") as other:
        result = train("--epochs", "1", "--no-report")
        assert result.exit_code == 0, result.stderr
        assert "writing runs/ssd192-tiny-2" in result.stderr
        named = train("--epochs", "1", "--name", "ssd192-tiny-1")
        assert named.exit_code == 1
        assert f"another process is training in runs/ssd192-tiny-1: got process {other.pid}" in named.stderr
    assert train("--epochs", "1", "--name", "ssd192-tiny-1", "--no-report").exit_code == 0  # it was killed
    assert not [*Path("runs").glob(f"*/{LOCK_NAME}"), *Path("runs").glob(f"*/{OWNER_NAME}")]


@pytest.mark.usefixtures("workspace")
def test_a_run_that_still_learns_cannot_go_on_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(monkeypatch, 2, "--epochs", "3", "--name", "stopped")
    state = Path("runs/stopped/state.pt").read_bytes()
    with another_training("runs/stopped"):
        result = resume("last")
        assert result.exit_code == 1
        assert "another process is training in runs/stopped" in result.stderr
        assert Path("runs/stopped/state.pt").read_bytes() == state
    assert resume("last", "--no-report").exit_code == 0


@pytest.mark.usefixtures("workspace")
def test_what_ends_before_it_begins_leaves_no_folder() -> None:
    assert train("--classes", "red").exit_code == 1
    assert not Path("runs").exists()
    Path("runs/kept").mkdir(parents=True)
    assert train("--classes", "red").exit_code == 1
    assert list(Path("runs").iterdir()) == [Path("runs/kept")]


def test_the_other_processes_of_a_run_claim_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANK", "1")
    with new_run("two", "ssd192-tiny", Path("runs")) as folder:
        assert folder == Path("runs/two")
        assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be written"), only_training(tmp_path / "file"):
        pass


def test_the_lock_says_who_holds_it(tmp_path: Path) -> None:
    with only_training(tmp_path / "run"):
        assert (tmp_path / "run" / OWNER_NAME).read_text() == f"{os.getpid()}\n"
    assert not (tmp_path / "run").exists()


def test_a_lock_whose_owner_is_not_written_yet_is_respected(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    with (
        FileLock(folder / LOCK_NAME),
        pytest.raises(InputError, match="got a process that has its lock"),
        only_training(folder),
    ):
        pytest.fail("two trainings in one folder")
    with only_training(folder):
        assert (folder / OWNER_NAME).read_text() == f"{os.getpid()}\n"
