"""Training callbacks: the public :class:`Callback`, and the one that logs each epoch."""

from __future__ import annotations

from ssd_edge.core.log import log
from ssd_edge.training.metrics import EpochRecord, StepLoss


class Callback:
    """Called after every step and every epoch, in the first process only; a subclass overrides what it needs.

    It is called between two steps, on the thread that trains. What it raises ends the run as Ctrl-C does: the last
    saved state stays, and the run can go on from it.
    """

    def on_step(self, number: int, loss: StepLoss, learning_rate: float) -> None:
        """A step was made; ``number`` counts the steps of the run from 1, those before an interruption included."""

    def on_epoch(self, record: EpochRecord) -> None:
        """An epoch is over, and its files are written."""


class EpochLog(Callback):
    """Logs loss, accuracy and speed of each epoch."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Log one line."""
        accuracy = "" if record.mean_ap is None else f", mAP@0.5 {record.mean_ap:.4f}"
        log.info(
            f"epoch {record.epoch}: loss {record.loss:.3f} (boxes {record.localisation_loss:.3f}, classes "
            f"{record.confidence_loss:.3f}){accuracy}, {record.images_per_s:.0f} images/s, {record.seconds:.0f} s"
        )
