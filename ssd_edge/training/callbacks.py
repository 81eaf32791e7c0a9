"""Who is told how a run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ssd_edge.core.progress import Progress, silent
from ssd_edge.training.metrics import EpochRecord
from ssd_edge.training.step import StepLoss


class Observer(Protocol):
    """Is told of every step and epoch, in the first process only."""

    def step(self, number: int, loss: StepLoss, learning_rate: float) -> None:
        """A step was made; ``number`` counts the run's steps from 1."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is over, and its files are written."""


@dataclass(frozen=True)
class Watch:
    """Who is told what, and how often the state is saved.

    Attributes:
        observers: told of steps and epochs.
        progress: called after each step.
        save_every_s: seconds from one state to the next within an epoch; one is saved after each epoch anyway.
        clock: seconds that never go back.
    """

    observers: Sequence[Observer] = ()
    progress: Progress = silent
    save_every_s: float = 300.0
    clock: Callable[[], float] = time.monotonic


NOBODY = Watch()
