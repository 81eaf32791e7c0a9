"""Names and folders of new runs."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.cli.training_run import is_first_process
from ssd_edge.core.errors import InputError

_BEGUN = {"plan.json", "data.json", "tensorboard"}  # what a run leaves that saved nothing yet


def free_name(preset: str) -> str:
    """Return ``<preset>-<number>``, the first under which no run has saved anything."""
    number = 1
    while _holds_run(Path("runs") / f"{preset}-{number}"):
        number += 1
    return f"{preset}-{number}"


def _holds_run(folder: Path) -> bool:
    """Whether a run got as far as to save something."""
    return folder.is_dir() and any(file.name not in _BEGUN for file in folder.iterdir())


def new_folder(name: str) -> Path:
    """Return the folder of a new run.

    Raises:
        InputError: the name is none, or a run has saved something there.
    """
    folder = Path("runs") / name
    if Path(name).name != name or name in (".", ".."):
        raise InputError("--name is not a name", got=repr(name), wanted="letters, digits, - and _ without a /")
    if is_first_process() and _holds_run(folder):
        go_on = f", or go on with it: --resume {name}" if (folder / "state.pt").is_file() else ""
        raise InputError(
            f"{folder} holds another run",
            got=f"--name {name}",
            wanted="a name that no run has",
            do=f"Choose another --name, or remove the folder{go_on}.",
        )
    return folder
