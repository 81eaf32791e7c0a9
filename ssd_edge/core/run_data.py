"""Data set and splits of a training run, as written to its folder; calibration reads them from there."""

from __future__ import annotations

import json
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
        """Write it into the folder of a run; a list that lies there too is named without its folder."""
        fields = {name: _kept(value, run) for name, value in asdict(self).items()}
        with written_beside(run / _NAME) as partial:
            partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, run: Path) -> RunData | None:
        """Return what the run of this folder trained on; None where it does not say, or the data are gone."""
        try:
            found = msgspec.json.decode((run / _NAME).read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError, RecursionError):
            return None
        if not (is_folder(Path(found.dataset)) or is_file(Path(found.dataset))):
            return None
        return cls(found.dataset, _found(found.train_split, run), _found(found.val_split, run))


def _kept(split: str, run: Path) -> str:
    file, mark, part = split.rpartition(_LIST)
    if not mark:
        return split
    place = Path(f"{file}{_LIST[:-1]}").resolve()
    return f"{place.name}:{part}" if place.parent == run.resolve() else f"{place}:{part}"


def _found(split: str, run: Path) -> str:
    """Return the split's name, a list in the run's folder with its place: the run may have been moved."""
    return str(run / split) if _LIST in split and not Path(split).is_absolute() else split
