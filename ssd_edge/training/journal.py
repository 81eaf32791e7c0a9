"""What happened in an epoch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import fmean

from ssd_edge.training.step import StepLoss


@dataclass(frozen=True)
class EpochRecord:
    """One epoch; a line of metrics.csv.

    Attributes:
        epoch: from 1.
        images: pictures learnt from in this epoch.
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
        """What the checkpoint of this epoch says of itself."""
        known = {"epoch": self.epoch, "loss": self.loss, "mean_ap": self.mean_ap}
        return {name: float(value) for name, value in known.items() if value is not None}


class EpochMeter:
    """Adds up an epoch's losses and its time.

    Args:
        epoch: from 1.
        batch_size: pictures a step.
    """

    def __init__(self, epoch: int, *, batch_size: int) -> None:
        self._epoch, self._batch_size = epoch, batch_size
        self._losses: list[StepLoss] = []
        self._learning_rate = 0.0
        self._started = self._ended = time.monotonic()

    def add(self, loss: StepLoss, *, learning_rate: float) -> None:
        """Count a step."""
        self._losses.append(loss)
        self._learning_rate = learning_rate
        self._ended = time.monotonic()

    @property
    def loss(self) -> float:
        """Mean loss of the steps so far."""
        return fmean(loss.total for loss in self._losses)

    def record(self, *, seconds: float, mean_ap: float | None) -> EpochRecord:
        """Return the epoch's record; ``seconds`` is counted from the start of the run."""
        images = len(self._losses) * self._batch_size
        return EpochRecord(
            epoch=self._epoch,
            images=images,
            seconds=seconds,
            images_per_s=images / max(self._ended - self._started, 1e-9),
            learning_rate=self._learning_rate,
            loss=self.loss,
            localisation_loss=fmean(loss.localisation for loss in self._losses),
            confidence_loss=fmean(loss.confidence for loss in self._losses),
            mean_ap=mean_ap,
        )
