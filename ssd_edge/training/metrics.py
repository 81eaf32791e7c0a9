"""Loss, speed and accuracy of a run: of a step, of an epoch, and the table of epochs in metrics.csv.

PyTorch is not needed here, so that a run can be looked at where it is not installed.
"""

from __future__ import annotations

import csv
import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any, NamedTuple

from ssd_edge.core.errors import ArtifactError, InputError


class StepLoss(NamedTuple):
    """The loss of one step.

    Attributes:
        localization: the part of the boxes, weight included.
        confidence: the part of the classes.
    """

    localisation: float
    confidence: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.localisation + self.confidence


@dataclass(frozen=True)
class EpochRecord:
    """One epoch; a line of metrics.csv.

    Attributes:
        epoch: from 1.
        images: images trained on in this epoch.
        seconds: since the start of the run, validation included.
        images_per_s: while training, validation left out.
        learning_rate: of the last step.
        loss, localisation_loss, confidence_loss: means over the epoch's batches.
        mean_ap: of the validation; None where the epoch was not validated.
    """

    epoch: int
    images: int
    seconds: float
    images_per_s: float
    learning_rate: float
    loss: float
    localisation_loss: float
    confidence_loss: float
    mean_ap: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics in the checkpoint of this epoch."""
        known = {"epoch": self.epoch, "loss": self.loss, "mean_ap": self.mean_ap}
        return {name: float(value) for name, value in known.items() if value is not None}


def best_epoch(records: Sequence[EpochRecord]) -> EpochRecord | None:
    """Return the epoch with the highest mean AP, the last of equals; None where none was validated."""
    validated = [record for record in records if record.mean_ap is not None]
    return max(reversed(validated), key=lambda record: record.mean_ap or 0.0, default=None)


class EpochMeter:
    """Adds up an epoch's losses and its time.

    Args:
        epoch: from 1.
        losses: of the steps before an interruption.
        images: trained on in those steps.
        learning_rate: of the last of them.

    Attributes:
        images: trained on in this epoch so far.
        losses: of its steps.
    """

    def __init__(
        self, epoch: int, *, losses: Iterable[StepLoss] = (), images: int = 0, learning_rate: float = 0.0
    ) -> None:
        self._epoch = epoch
        self.losses, self.images = list(losses), images
        self._images_before = images
        self._sums = [fsum(loss.localisation for loss in self.losses), fsum(loss.confidence for loss in self.losses)]
        self._learning_rate = learning_rate
        self._started = self._ended = time.monotonic()

    def add(self, loss: StepLoss, *, images: int, learning_rate: float) -> None:
        """Count a step over ``images`` images."""
        self.losses.append(loss)
        self._sums = [self._sums[0] + loss.localisation, self._sums[1] + loss.confidence]
        self.images += images
        self._learning_rate = learning_rate
        self._ended = time.monotonic()

    @property
    def loss(self) -> float:
        """Mean loss of the steps so far."""
        return self.mean.total

    @property
    def mean(self) -> StepLoss:
        """Mean parts of the loss so far."""
        count = len(self.losses)
        return StepLoss(self._sums[0] / count, self._sums[1] / count)

    @property
    def images_per_s(self) -> float:
        """Speed since the epoch began, or since the run went on within it."""
        return (self.images - self._images_before) / max(self._ended - self._started, 1e-9)

    def note(self, learning_rate: float) -> str:
        """Return what a progress bar says of the epoch so far."""
        mean = self.mean
        return (
            f"epoch {self._epoch}: loss {mean.total:.3f} (boxes {mean.localisation:.2f}, "
            f"classes {mean.confidence:.2f}), lr {learning_rate:.2g}, {self.images_per_s:.0f} images/s"
        )

    def record(self, *, seconds: float, mean_ap: float | None) -> EpochRecord:
        """Return the epoch's record; ``seconds`` is counted from the start of the run."""
        return EpochRecord(
            epoch=self._epoch,
            images=self.images,
            seconds=seconds,
            images_per_s=self.images_per_s,
            learning_rate=self._learning_rate,
            loss=self.loss,
            localisation_loss=self.mean.localisation,
            confidence_loss=self.mean.confidence,
            mean_ap=mean_ap,
        )


def read_metrics(path: Path) -> list[EpochRecord]:
    """Return the epochs of a run, in the order of the file.

    Raises:
        InputError: the file cannot be read.
        ArtifactError: it is not a table of epochs, or has none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            records = [_record(row) for row in csv.DictReader(file)]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted="metrics.csv") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise ArtifactError(
            f"{path} is not a metrics file", got=str(error), wanted="a metrics.csv that ssd-edge train wrote"
        ) from error
    if not records:
        raise ArtifactError(f"{path} contains no epoch", wanted="at least one line below the heading")
    return records


def _record(row: Mapping[str, str]) -> EpochRecord:
    fields = dataclasses.fields(EpochRecord)
    values: dict[str, Any] = {field.name: _value(row[field.name], str(field.type)) for field in fields}
    return EpochRecord(**values)


def _value(cell: str, kind: str) -> int | float | None:
    """Return the cell as the field's type, which is a name as the module's annotations are not evaluated."""
    if kind == "int":
        return int(cell)
    return None if cell == "" and "None" in kind else float(cell)
