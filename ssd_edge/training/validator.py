"""Judges the network between epochs, and keeps account of the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ssd_edge.core.progress import Progress
from ssd_edge.model.ssd import SSD
from ssd_edge.training.budget import Budget
from ssd_edge.training.checkpointing import Place

Validate = Callable[[SSD, Progress], float]
"""Judges a model: its mean AP on pictures that it does not learn from."""


@dataclass(frozen=True)
class Validator:
    """Judges the network between epochs.

    Attributes:
        validate: judges it.
        budget: told how long that took.
        progress: of the run; while the network is judged it says of how many pictures.
    """

    validate: Validate
    budget: Budget
    progress: Progress

    def recall(self, place: Place) -> None:
        """Count the validations before an interruption."""
        for seconds in place.validations:
            self.budget.validated(seconds)

    def judge(self, model: SSD, place: Place, *, whole: float) -> float:
        """Return the mean AP; how long it took is noted in ``place``.

        Args:
            model: with averaged weights.
            place: where the run is.
            whole: what the run will have spent in all.
        """

        def tell(done: int, total: int | None, note: str = "") -> None:
            of = f"epoch {place.epoch}: judging picture {done} of {total} {note}".rstrip()
            self.progress(int(place.spent), int(whole), of)

        started = time.monotonic()
        mean_ap = self.validate(model, tell)
        place.validations.append(time.monotonic() - started)
        self.budget.validated(place.validations[-1])
        return mean_ap
