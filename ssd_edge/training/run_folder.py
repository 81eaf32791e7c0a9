"""The files of a run: best.pt with its run.json, last.pt, metrics.csv and state.pt, each whole at any moment."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.files import make_folder, written_beside
from ssd_edge.core.runs import record_run
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.model.ssd import SSD
from ssd_edge.training.metrics import EpochRecord

STATE_NAME = "state.pt"


class RunFolder:
    """Keeps the last model, the best one by mean AP, and a line for each epoch.

    Args:
        folder: made where it is missing.

    Attributes:
        best, last: the checkpoints.
        metrics: the CSV file.
        state: what the run goes on from after an interruption; gone when it is over.
        records: of the epochs so far.
        best_mean_ap: of ``best``; None before the first validation.
        since_best: validations since one was better than all before.

    Raises:
        InputError: ``folder`` cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.best, self.last, self.metrics = folder / "best.pt", folder / "last.pt", folder / "metrics.csv"
        self.state = folder / STATE_NAME
        self.records: list[EpochRecord] = []
        self.best_mean_ap: float | None = None
        self.since_best = 0

    def restore(self, records: Sequence[EpochRecord], *, best_mean_ap: float | None, since_best: int) -> None:
        """Take over the epochs before an interruption; the files are as they were then, or newer."""
        self.records = list(records)
        self.best_mean_ap, self.since_best = best_mean_ap, since_best

    def keep(self, model: SSD, record: EpochRecord) -> None:
        """Write the files after an epoch; best.pt where this epoch's mean AP is the highest so far, or as high.

        Of equals the later has trained more: where few images evaluate, all objects are soon found, with low scores.

        Raises:
            InputError: a file cannot be written; those of the epoch before stay.
        """
        self.records.append(record)
        self._write_metrics()
        save_checkpoint(self.last, model, record.metrics)
        if record.mean_ap is None:
            return
        self.since_best += 1
        if self.best_mean_ap is not None and record.mean_ap < self.best_mean_ap:
            return
        save_checkpoint(self.best, model, record.metrics)
        record_run(self.best, "trained")
        if record.mean_ap != self.best_mean_ap:
            self.best_mean_ap, self.since_best = record.mean_ap, 0

    def _write_metrics(self) -> None:
        with written_beside(self.metrics) as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([field.name for field in dataclasses.fields(EpochRecord)])
            writer.writerows(_cells(record) for record in self.records)


def _cells(record: EpochRecord) -> list[str]:
    """Return the values with six digits; a value that is not there is an empty cell."""
    values = dataclasses.astuple(record)
    return ["" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
