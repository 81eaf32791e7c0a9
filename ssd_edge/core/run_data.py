"""Data set and splits of a training run, as written to its folder; calibration reads them from there."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from ssd_edge.core.files import is_file, is_folder, written_beside

_NAME = "data.json"
_LIST = ".json:"  # a part of a list of images, such as split.json:val


@dataclass(frozen=True)
class RunData:
    """A data set and its splits.

    Attributes:
        dataset: absolute path of the folder or data.yaml.
        train_split, val_split: what was learned from, and what the best epoch was chosen by; parts of a list are
            ``<file>:<part>``.
    """

    dataset: str
    train_split: str
    val_split: str

    def save(self, run: Path) -> None:
        """Write it into the folder of a run, with relative paths of what lies in its workspace, which may be moved."""
        fields = {name: _kept(value, run) for name, value in asdict(self).items()}
        if (inside := _in_workspace(Path(self.dataset), run)) is not None:
            fields["in_workspace"] = inside.as_posix()
        with written_beside(run / _NAME) as partial:
            partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, run: Path) -> RunData | None:
        """Return what the run of this folder trained on; None where it does not say, or the data are gone."""
        written = _read(run)
        place = None if written is None else next(filter(_exists, written.places(run)), None)
        return None if written is None or place is None else written.at(place, run)

    @classmethod
    def lost(cls, run: Path) -> RunData | None:
        """Return what the run trained on if it names a data set that does not exist any more, with its last place."""
        written = _read(run)
        return None if written is None or cls.of(run) is not None else written.at(written.places(run)[0], run)


@dataclass(frozen=True)
class _Written:
    """Content of the file.

    Attributes:
        in_workspace: path of the data set in the run's workspace; empty where it lies elsewhere, and in older files.
    """

    dataset: str
    train_split: str
    val_split: str
    in_workspace: str = ""

    def places(self, run: Path) -> list[Path]:
        """Return where the data set may be, the likeliest place first."""
        inside = [_workspace(run) / self.in_workspace] if self.in_workspace else []
        return [*inside, Path(self.dataset)]

    def at(self, place: Path, run: Path) -> RunData:
        """Return the data set and splits, the data set in that place."""
        return RunData(str(place), _found(self.train_split, run), _found(self.val_split, run))


def _read(run: Path) -> _Written | None:
    try:
        return msgspec.json.decode((run / _NAME).read_bytes(), type=_Written)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None


def _exists(dataset: Path) -> bool:
    return is_folder(dataset) or is_file(dataset)


def _workspace(run: Path) -> Path:
    """Return the workspace of ``runs/<name>``."""
    return run.resolve().parent.parent


def _in_workspace(path: Path, run: Path) -> Path | None:
    """Return an absolute path relative to the run's workspace; None where it lies outside."""
    workspace = _workspace(run)
    return path.relative_to(workspace) if path.is_relative_to(workspace) else None


def _kept(split: str, run: Path) -> str:
    """Return the split's name, of a list in the workspace with its path from the run's folder."""
    file, mark, part = split.rpartition(_LIST)
    if not mark:
        return split
    place = Path(f"{file}{_LIST[:-1]}").resolve()
    if _in_workspace(place, run) is None:
        return f"{place}:{part}"
    return f"{Path(os.path.relpath(place, run.resolve())).as_posix()}:{part}"


def _found(split: str, run: Path) -> str:
    """Return the split's name, a list in the workspace with its place: the workspace may have been moved."""
    if _LIST not in split or Path(split).is_absolute():
        return split
    return os.path.normpath(run.resolve() / split) if split.startswith("../") else str(run / split)
