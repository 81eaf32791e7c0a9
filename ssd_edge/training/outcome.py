"""Finds what has gone wrong by a loss or a mean AP, though no number was infinite."""

from __future__ import annotations

from collections.abc import Sequence

from ssd_edge.core.errors import TrainingError
from ssd_edge.core.log import counted, log
from ssd_edge.training.callbacks import Callback
from ssd_edge.training.metrics import EpochRecord, best_epoch

_EXPLODED = 10.0  # times the lowest loss of an epoch so far
_LEARNED = 0.5  # of the first epoch's loss: what is left where something was learned
_POOR = 0.1  # mean AP that does not go with it
_ENOUGH_EPOCHS = 3


class LossWatch(Callback):
    """Ends a run that learns nothing, and warns once of a loss that explodes.

    Args:
        learning_rate: the peak, for the remedy.
        lowest: loss of an epoch before an interruption; None for none.
    """

    def __init__(self, learning_rate: float, lowest: float | None = None) -> None:
        self._rate, self._lowest, self._warned = learning_rate, lowest, False

    def on_epoch(self, record: EpochRecord) -> None:
        """Look at an epoch's loss.

        Raises:
            TrainingError: it is exactly 0: no view had an object to learn.
        """
        if record.loss == 0.0:
            raise TrainingError(
                f"the loss of epoch {record.epoch} is exactly 0: its {record.images} images contained no object to "
                "learn",
                wanted="objects in the augmented images",
                do="Look at the labels (ssd-edge data check DATASET --html sheet.html): all objects may be marked "
                "difficult, or lie outside of their images. If most images have no objects, use a larger "
                "--batch-size.",
            )
        if self._lowest is not None and record.loss > _EXPLODED * self._lowest and not self._warned:
            self._warned = True
            log.warning(
                f"the loss of epoch {record.epoch} is {record.loss:.3g}, but was {self._lowest:.3g} before: the "
                f"learning rate is probably too high; start again with --lr {self._rate / 4:.2g}"
            )
        self._lowest = record.loss if self._lowest is None else min(self._lowest, record.loss)


def warn_of_poor_outcome(records: Sequence[EpochRecord]) -> None:
    """Warn where nothing is found at the end, or where validation disagrees grossly with the loss."""
    best = best_epoch(records)
    if best is None or best.mean_ap is None or best.mean_ap >= _POOR:
        return
    first, last = records[0].loss, records[-1].loss
    epochs = counted(len(records), "epoch")
    fell = f"the loss fell from {first:.3g} to {last:.3g} in {epochs}"
    if last < _LEARNED * first and len(records) >= _ENOUGH_EPOCHS:
        log.warning(
            f"{fell}, but no epoch was validated above mAP@0.5 {best.mean_ap:.4f}: training and validation disagree. "
            "Compare the images and labels of both sets: ssd-edge data check DATASET --html sheet.html. If they are "
            "alike, train longer: in a short run the averaged weights (--ema) lag behind"
        )
    elif best.mean_ap == 0.0:
        end = f"although {fell}" if last < 0.995 * first else f"with a loss of {last:.3g} after {epochs}"
        log.warning(f"mAP@0.5 is 0: no object of the validation set is detected, {end}. Train longer (--epochs)")
