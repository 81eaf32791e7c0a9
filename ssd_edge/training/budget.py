"""The length of a run: a number of epochs, minutes on the clock, or epochs with a limit in minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

_VALIDATION_SHARE = 0.1


class Budget(Protocol):
    """Says how much of a run is done, which the learning rate follows, and when there is time to validate.

    Attributes:
        half_step: half of what a step spends; a step's rate is that of its middle, so that the first one learns too.
    """

    half_step: float

    def start(self, spent: float = 0.0) -> None:
        """Begin to count, or go on from what was spent before."""

    def count_step(self) -> None:
        """Take note of a step of the optimizer."""

    def done(self) -> tuple[float, float]:
        """Return (spent, whole); the run is over when they are equal."""

    def allows_validation(self) -> bool:
        """Whether an epoch that ends now should be validated, though it is not the last."""

    def validated(self, seconds: float) -> None:
        """Take note of how long a validation took."""


class EpochBudget:
    """A fixed number of steps.

    Args:
        epochs: passes over the images.
        steps_per_epoch: batches of one pass.
        validate_every: epochs from one validation to the next.
    """

    half_step = 0.5

    def __init__(self, epochs: int, *, steps_per_epoch: int, validate_every: int = 1) -> None:
        self._whole = epochs * steps_per_epoch
        self._steps_per_validation = validate_every * steps_per_epoch
        self._steps = 0

    def start(self, spent: float = 0.0) -> None:
        """Set the count."""
        self._steps = int(spent)

    def count_step(self) -> None:
        """Count."""
        self._steps += 1

    def done(self) -> tuple[float, float]:
        """Return (steps, all steps)."""
        return self._steps, self._whole

    def allows_validation(self) -> bool:
        """Whether so many epochs are over."""
        return self._steps % self._steps_per_validation == 0

    def validated(self, seconds: float) -> None:
        """Do nothing: time is no matter here."""


class TimeBudget:
    """Minutes on the clock, validation included; the learning rate follows the clock, so it is annealed in time.

    Time for the last validation is set aside as soon as the first one has shown how long it takes, and a twentieth of
    the budget before that. Validations before the last take at most a tenth of the time.

    Args:
        minutes: from the first batch to the end of the last validation.
        clock: seconds that never go back.
    """

    half_step = 0.0  # how long a step takes is not known beforehand; where time is counted there are many

    def __init__(self, minutes: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._whole_s = minutes * 60
        self._clock = clock
        self._started = clock()
        self._reserve_s = self._whole_s / 20
        self._validation_s = 0.0

    def start(self, spent: float = 0.0) -> None:
        """Set the clock to zero, or as if the run had begun ``spent`` seconds ago."""
        self._started = self._clock() - spent

    def count_step(self) -> None:
        """Do nothing: steps are no matter here."""

    def done(self) -> tuple[float, float]:
        """Return (seconds, seconds that there are for training)."""
        whole = self._whole_s - self._reserve_s
        return min(self._clock() - self._started, whole), whole

    def allows_validation(self) -> bool:
        """Whether the validations so far and one more take at most a tenth of the time so far."""
        likely_s = self._validation_s + (self._reserve_s if self._validation_s else 0.0)
        return likely_s <= _VALIDATION_SHARE * (self._clock() - self._started)

    def validated(self, seconds: float) -> None:
        """Set aside what the last validation will take, with a tenth to spare."""
        self._validation_s += seconds
        self._reserve_s = min(1.1 * seconds, self._whole_s / 2)


class LimitedBudget:
    """A number of steps that ends early where the time is over; the rate follows whichever is nearer to its end.

    So a machine that is busy trains on fewer views, and still anneals. A run that goes on begins at the larger share.

    Args:
        steps: the steps.
        time: the limit.
    """

    half_step = 0.5

    def __init__(self, steps: EpochBudget, time: TimeBudget) -> None:
        self._steps, self._time = steps, time

    def start(self, spent: float = 0.0) -> None:
        """Set both."""
        self._steps.start(spent)
        share = spent / self._steps.done()[1]
        self._time.start(share * self._time.done()[1])

    def count_step(self) -> None:
        """Count."""
        self._steps.count_step()

    def done(self) -> tuple[float, float]:
        """Return (steps, all steps), or as many as the share of the time that is spent stands for."""
        (steps, whole), (seconds, whole_s) = self._steps.done(), self._time.done()
        return max(steps, whole * seconds / whole_s), whole

    def allows_validation(self) -> bool:
        """Whether it is time to by the steps, and there is time for it."""
        return self._steps.allows_validation() and self._time.allows_validation()

    def validated(self, seconds: float) -> None:
        """Set aside what the last validation will take."""
        self._time.validated(seconds)
