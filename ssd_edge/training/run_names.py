"""Names and folders of new runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.names import WANTED_NAME, is_file_name
from ssd_edge.training.run_lock import LOCK_NAME, RunInUseError, only_training
from ssd_edge.workflows.train import is_first_process

_BEGUN = {"plan.json", "data.json", "tensorboard", LOCK_NAME}  # what a run leaves that saved nothing yet


@contextmanager
def new_run(name: str | None, preset: str) -> Iterator[Path]:
    """Yield the folder of a new run, in which no other training begins until the block ends.

    Args:
        name: of the run; None for ``<preset>-<number>``, the first under which no run has saved anything or learns now.
        preset: the network.

    Raises:
        InputError: the name is none, a run has saved something there, or one learns there now.
    """
    folders = iter([_named(name)]) if name else _unused(preset)
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


def _unused(preset: str) -> Iterator[Path]:
    for number in itertools.count(1):
        folder = Path("runs") / f"{preset}-{number}"
        if not _holds_run(folder):
            yield folder


def _holds_run(folder: Path) -> bool:
    """Whether a run got as far as to save something."""
    return path_kind(folder) == "folder" and any(file.name not in _BEGUN for file in folder.iterdir())


def _named(name: str) -> Path:
    folder = Path("runs") / name
    if not is_file_name(name):
        raise InputError("--name is not a name", got=repr(name), wanted=WANTED_NAME)
    if is_first_process() and _holds_run(folder):
        go_on = f", or go on with it: --resume {name}" if (folder / "state.pt").is_file() else ""
        raise InputError(
            f"{folder} holds another run",
            got=f"--name {name}",
            wanted="a name that no run has",
            do=f"Choose another --name, or remove the folder{go_on}.",
        )
    return folder
