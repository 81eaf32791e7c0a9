"""Names and folders of runs; one process at a time trains in each of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder, path_kind
from ssd_edge.core.names import WANTED_NAME, is_file_name
from ssd_edge.core.ranks import is_first_process
from ssd_edge.training.run_folder import STATE_NAME

LOCK_NAME, OWNER_NAME = ".training.lock", ".training"
_BEGUN = {
    "plan.json",
    "data.json",
    "split.json",
    "tensorboard",
    LOCK_NAME,
    OWNER_NAME,
}  # of a run that saved nothing yet


class RunInUseError(InputError):
    """Another process trains in the folder of a run."""


@contextmanager
def only_training(folder: Path) -> Iterator[None]:
    """Keep other trainings out of ``folder``, which is made, until the block ends.

    The system gives the lock back however this process ends. A folder that is still empty at the end is removed again,
    and so are the parents that were made for it.

    Raises:
        RunInUseError: another process trains there.
        InputError: the folder cannot be written.
    """
    made = [folder, *(parent for parent in folder.parents if not parent.exists())]
    make_folder(folder)
    lock, owner = FileLock(folder / LOCK_NAME), folder / OWNER_NAME
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise RunInUseError(
            f"another process is training in {folder}",
            got=_named_owner(owner),
            wanted="only one process",
            do="Wait until it ends, or start a run with another --name.",
        ) from error
    try:
        owner.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            for empty in made:
                empty.rmdir()


def _named_owner(owner: Path) -> str:
    try:
        return f"process {owner.read_text(encoding='utf-8').strip()}"
    except OSError:  # it has just begun, or ends just now
        return "a process that has its lock"


@contextmanager
def new_run(name: str | None, preset: str, runs: Path) -> Iterator[Path]:
    """Yield the folder of a new run, in which no other training begins until the block ends.

    Args:
        name: of the run; None for ``<preset>-<number>``, the first under which no run has saved anything or trains now.
        preset: the network.
        runs: where the workspace has its runs.

    Raises:
        InputError: the name is none, a run has saved something there, or one trains there now.
    """
    folders = iter([_named(name, runs)]) if name else _unused(preset, runs)
    if not is_first_process():
        yield next(folders)  # it writes nothing
        return
    with ExitStack() as claim:
        for folder in folders:
            try:
                claim.enter_context(only_training(folder))
            except RunInUseError:
                if name:
                    raise
                continue
            yield folder
            return


def _unused(preset: str, runs: Path) -> Iterator[Path]:
    for number in itertools.count(1):
        folder = runs / f"{preset}-{number}"
        if not _holds_run(folder):
            yield folder


def _holds_run(folder: Path) -> bool:
    """Whether a run got as far as to save something."""
    return path_kind(folder) == "folder" and any(file.name not in _BEGUN for file in folder.iterdir())


def _named(name: str, runs: Path) -> Path:
    folder = runs / name
    if not is_file_name(name):
        raise InputError("--name is not a valid name", got=repr(name), wanted=WANTED_NAME)
    if is_first_process() and _holds_run(folder):
        go_on = f", or go on with it: --resume {name}" if (folder / STATE_NAME).is_file() else ""
        raise InputError(
            f"{folder} already contains a run",
            got=f"--name {name}",
            wanted="a name that no run has yet",
            do=f"Choose another --name, or delete the folder{go_on}.",
        )
    return folder
