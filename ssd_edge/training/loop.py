"""The training loop: epochs, steps, validation, and the state that is saved in between."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Literal

from lightning_fabric import Fabric

from ssd_edge.core.progress import Progress, silent
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.ssd import SSD
from ssd_edge.training.budget import Budget
from ssd_edge.training.callbacks import Callback
from ssd_edge.training.checkpointing import RunParts, RunPosition, RunState
from ssd_edge.training.distributed import make_fabric
from ssd_edge.training.ema import WeightAverage
from ssd_edge.training.loader import Batch, BatchLoader, grouped, named_worker_death
from ssd_edge.training.losses import MultiboxCriterion
from ssd_edge.training.metrics import EpochMeter, EpochRecord
from ssd_edge.training.norm_statistics import NormStatistics
from ssd_edge.training.recipe import Optimization
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.schedule import learning_rate_factor
from ssd_edge.training.step import Learner
from ssd_edge.training.validator import Validate, Validator

Ending = Literal["budget", "patience"]
"""Reason for the end of a run: epochs, minutes, or no better validation for too long."""


class Training:
    """A run: its network, its position in the data, and its files.

    Whatever ends it early (Ctrl-C, a full disk, a faulty image, a kill), the files of the last whole epoch and the
    last saved state stay.

    Args:
        model: trained in place.
        loader: gives the batches of this process.
        validate: called with the averaged model after an epoch, where the budget allows it, and after the last.
        optimization: learning rate, loss and all that goes with them.
        budget: when to stop.
        files: where checkpoints, metrics and state go; only the first process writes.
        fabric: launched; by default this process alone, on the CPU.
        callbacks: receives steps and epochs.
        progress: called after each step.
        save_every_s: seconds from one state to the next within an epoch; one is saved after each epoch anyway.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        model: SSD,
        loader: BatchLoader,
        validate: Validate,
        *,
        optimisation: Optimization,
        budget: Budget,
        files: RunFolder,
        fabric: Fabric | None = None,
        callbacks: Sequence[Callback] = (),
        progress: Progress = silent,
        save_every_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loader, self._optimisation, self._budget, self._files = loader, optimisation, budget, files
        self._fabric = fabric or make_fabric(precision=optimisation.precision)
        self._callbacks, self._progress, self._save_every_s, self._clock = callbacks, progress, save_every_s, clock
        criterion = MultiboxCriterion(optimisation.loss, anchor_boxes(model.spec.anchors), model.spec.box_coding)
        self._learner = Learner(model, self._fabric, criterion, optimisation)
        self._average = WeightAverage(self._learner.model, decay=optimisation.average_decay)
        norms = NormStatistics(self._learner.model, loader)
        self._validator = Validator(validate, budget, progress, before=norms.measure_)
        self._parts = RunParts(self._learner, self._average, files, self._fabric.world_size)
        self._position, self._meter, self._whole = RunPosition(), EpochMeter(1), 1.0

    @named_worker_death()
    def run(self, state: RunState | None = None) -> Ending:
        """Train from the model's weights, or go on from a state, until the budget is spent or patience is.

        Raises:
            TrainingError: the loss or its gradient is not finite, or a data worker died.
            InputError: an image or label cannot be used, a file cannot be written, or the state is of another number
                of processes.
        """
        if state is not None:
            self._restore(state)
        self._started = self._saved = self._clock()
        self._budget.start(self._position.spent)
        self._validator.recall(self._position)
        self._look_at_budget()
        ending: Ending | None = None
        while ending is None:
            self._learn_epoch()
            ending = self._close_epoch()
        if self._fabric.is_global_zero:
            self._files.state.unlink(missing_ok=True)
        return ending

    def records(self) -> tuple[EpochRecord, ...]:
        """Return the epochs so far, in every process those that the first one knows."""
        if self._fabric.world_size == 1:
            return tuple(self._files.records)
        return tuple(self._fabric.broadcast(self._files.records))

    def _restore(self, state: RunState) -> None:
        position = self._position = self._parts.restore(state)
        self._meter = EpochMeter(
            position.epoch,
            losses=position.losses,
            images=position.batches * self._images_per_batch,
            learning_rate=position.learning_rate,
        )

    @property
    def _images_per_batch(self) -> int:
        return self._loader.batch_size * self._loader.share.processes

    def _learn_epoch(self) -> None:
        batches = self._loader.epoch(self._position.epoch, done=self._position.batches)
        for group in grouped(batches, self._optimisation.accumulate):
            self._step(group)
            if self._position.spent >= self._whole:
                return
            if self._clock() - self._saved >= self._save_every_s:
                self._save_state()

    def _step(self, group: Sequence[Batch]) -> None:
        rate = self._learning_rate()
        loss = self._learner.step(group, learning_rate=rate)
        self._average.update()
        self._position.batches += len(group)
        self._position.steps += 1
        self._position.learning_rate = rate
        self._meter.add(loss, images=len(group) * self._images_per_batch, learning_rate=rate)
        self._budget.count_step()
        self._look_at_budget()
        if self._fabric.is_global_zero:
            for callback in self._callbacks:
                callback.on_step(self._position.steps, loss, rate)
            self._progress(int(self._position.spent), int(self._whole), self._meter.note(rate))

    def _learning_rate(self) -> float:
        settings, done = self._optimisation, (self._position.spent + self._budget.half_step) / self._whole
        factor = learning_rate_factor(done, schedule=settings.schedule, warmup_share=settings.warmup_share)
        return settings.learning_rate * factor

    def _look_at_budget(self) -> None:
        """Ask what is spent; all processes take the first one's answer, for they must stop together."""
        done = self._budget.done()
        self._position.spent, self._whole = self._fabric.broadcast(done) if self._fabric.world_size > 1 else done

    def _close_epoch(self) -> Ending | None:
        """Validate, write the epoch's files and return why the run is over, if it is."""
        ending: Ending | None = "budget" if self._position.spent >= self._whole else None
        if self._fabric.is_global_zero:
            self._keep_epoch(is_last=ending is not None)
            if ending is None and 0 < self._optimisation.patience <= self._files.since_best:
                ending = "patience"
        if self._fabric.world_size > 1:
            ending = self._fabric.broadcast(ending)
        self._look_at_budget()  # validation takes time too, and a run that goes on from here must not get it again
        self._position.epoch, self._position.batches = self._position.epoch + 1, 0
        self._meter = EpochMeter(self._position.epoch)
        if ending is None:
            self._save_state()
        return ending

    def _keep_epoch(self, *, is_last: bool) -> None:
        """Validate where it is time to, write the epoch's files and call the callbacks."""
        mean_ap = None
        if is_last or self._budget.allows_validation():
            mean_ap = self._validator.run(self._average.model, self._position, whole=self._whole)
        record = self._meter.record(seconds=self._seconds(), mean_ap=mean_ap)
        self._files.keep(self._average.model, record)
        for callback in self._callbacks:
            callback.on_epoch(record)

    def _seconds(self) -> float:
        return self._position.seconds + self._clock() - self._started

    def _save_state(self) -> None:
        self._saved = self._clock()
        if self._fabric.is_global_zero:
            self._parts.save(dataclasses.replace(self._position, seconds=self._seconds(), losses=self._meter.losses))
