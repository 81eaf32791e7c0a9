"""What a model learnt from, as its run wrote it down: where calibration finds pictures without being told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from ssd_edge.core.files import written_beside

_NAME = "data.json"


@dataclass(frozen=True)
class RunData:
    """A data set and its splits.

    Attributes:
        dataset: absolute path of the folder or data.yaml.
        train_split, val_split: what was learnt from, and what the best epoch was chosen by.
    """

    dataset: str
    train_split: str
    val_split: str

    def save(self, run: Path) -> None:
        """Write it into the folder of a run."""
        with written_beside(run / _NAME) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, run: Path) -> RunData | None:
        """Return what the run of this folder learnt from; None where it does not say, or the data are gone."""
        try:
            found = msgspec.json.decode((run / _NAME).read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError, RecursionError):
            return None
        return found if Path(found.dataset).exists() else None
