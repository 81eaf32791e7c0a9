"""Validation of the network after an epoch, and the account of the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ssd_edge.core.progress import Progress
from ssd_edge.model.ssd import SSD
from ssd_edge.training.budget import Budget
from ssd_edge.training.checkpointing import RunPosition

Validate = Callable[[SSD, Progress], float]
"""Returns the mean AP of a model on the validation set."""


@dataclass(frozen=True)
class Validator:
    """Validates the network after an epoch.

    Attributes:
        validate: gives its mean AP.
        budget: learns how long that took, with what comes before.
        progress: of the run; its note counts the images of a validation.
        before: done to the network first; it is given the epoch's number.
    """

    validate: Validate
    budget: Budget
    progress: Progress
    before: Callable[[SSD, int], None] = lambda _model, _epoch: None

    def recall(self, position: RunPosition) -> None:
        """Count the validations before an interruption."""
        for seconds in position.validations:
            self.budget.validated(seconds)

    def run(self, model: SSD, position: RunPosition, *, whole: float) -> float:
        """Return the mean AP; how long it took is noted in ``position``.

        Args:
            model: with averaged weights.
            position: where the run is.
            whole: what the run will have spent in all.
        """

        def report(done: int, total: int | None, note: str = "") -> None:
            of = f"epoch {position.epoch}: validating, image {done} of {total} {note}".rstrip()
            self.progress(int(position.spent), int(whole), of)

        started = time.monotonic()
        self.before(model, position.epoch)
        mean_ap = self.validate(model, report)
        position.validations.append(time.monotonic() - started)
        self.budget.validated(position.validations[-1])
        return mean_ap
