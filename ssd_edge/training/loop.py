"""The training loop."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from lightning_fabric import Fabric

from ssd_edge.core.errors import InputError
from ssd_edge.core.progress import Progress, silent
from ssd_edge.model.anchors import default_boxes
from ssd_edge.model.ssd import SSD
from ssd_edge.training.average import WeightAverage
from ssd_edge.training.budget import Budget
from ssd_edge.training.criterion import MultiboxCriterion
from ssd_edge.training.journal import EpochMeter, EpochRecord
from ssd_edge.training.loader import Batch, BatchLoader, named_worker_death
from ssd_edge.training.processes import make_fabric
from ssd_edge.training.recipe import Optimisation
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.schedule import learning_rate_factor
from ssd_edge.training.state import RunState, as_plain
from ssd_edge.training.step import Criterion, Learner, StepLoss

Validate = Callable[[SSD], float]
"""Judges a model: its mean AP on pictures that it does not learn from."""

Item = TypeVar("Item")


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


_NOBODY = Watch()


class Training:
    """A run: its network, its place in the data, and its files.

    Whatever ends it early (Ctrl-C, a full disk, a faulty picture, a kill), the files of the last whole epoch and the
    last saved state stay.

    Args:
        model: trained in place.
        loader: gives the batches of this process.
        validate: called with the averaged model after an epoch, where the budget allows it, and after the last.
        criterion: the loss.
        optimisation: learning rate and all that goes with it.
        budget: when to stop.
        files: where checkpoints, metrics and state go; only the first process writes.
        fabric: launched.
        watch: who is told.
    """

    def __init__(
        self,
        model: SSD,
        loader: BatchLoader,
        validate: Validate,
        *,
        criterion: Criterion,
        optimisation: Optimisation,
        budget: Budget,
        files: RunFolder,
        fabric: Fabric,
        watch: Watch,
    ) -> None:
        self._loader, self._validate, self._budget, self._files = loader, validate, budget, files
        self._optimisation, self._fabric, self._watch = optimisation, fabric, watch
        self._learner = Learner(model, fabric, criterion, optimisation)
        self._average = WeightAverage(self._learner.model, decay=optimisation.average_decay)
        self._epoch, self._batches, self._steps, self._seconds_before = 1, 0, 0, 0.0
        self._meter = EpochMeter(1)
        self._spent, self._whole = 0.0, 1.0

    def restore(self, state: RunState) -> None:
        """Go on from a state instead of from the beginning.

        Raises:
            InputError: the state is of another number of processes, whose places in the epoch are others.
        """
        _refuse_other_processes(state.processes, self._fabric.world_size)
        self._learner.model.load_state_dict(state.weights)
        self._learner.optimiser.load_state_dict(state.optimiser)
        self._learner.load_scaler(state.scaler)
        self._average.restore(state.average, state.average_updates)
        torch.set_rng_state(state.random)
        losses = [StepLoss(*parts) for parts in state.losses.tolist()]
        self._epoch, self._batches, self._steps = state.epoch, state.batches, state.average_updates
        self._meter = EpochMeter(state.epoch, losses=losses, images=state.batches * self._images_per_batch)
        self._spent, self._seconds_before = state.spent, state.seconds
        self._files.restore(state)

    @named_worker_death()
    def run(self) -> None:
        """Train until the budget is spent, or until patience is.

        Raises:
            TrainingError: the loss or its gradient is not finite, or a data worker died.
            InputError: a picture or label cannot be used, or a file cannot be written.
        """
        self._started = self._saved = self._watch.clock()
        self._budget.start(self._spent)
        self._look_at_budget()
        is_over = False
        while not is_over:
            self._learn_epoch()
            is_over = self._close_epoch()
        if self._fabric.is_global_zero:
            self._files.state.unlink(missing_ok=True)

    @property
    def _images_per_batch(self) -> int:
        return self._loader.batch_size * self._loader.share.processes

    def _learn_epoch(self) -> None:
        batches = self._loader.epoch(self._epoch, done=self._batches)
        for group in _grouped(batches, self._optimisation.accumulate):
            self._learn(group)
            if self._spent >= self._whole:
                return
            if self._watch.clock() - self._saved >= self._watch.save_every_s:
                self._save_state()

    def _learn(self, group: Sequence[Batch]) -> None:
        settings, progress = self._optimisation, self._spent / self._whole
        factor = learning_rate_factor(progress, schedule=settings.schedule, warmup_share=settings.warmup_share)
        rate = settings.learning_rate * factor
        loss = self._learner.step(group, learning_rate=rate)
        self._average.update()
        self._batches += len(group)
        self._steps += 1
        self._meter.add(loss, images=len(group) * self._images_per_batch, learning_rate=rate)
        self._budget.count_step()
        self._look_at_budget()
        self._tell_step(loss, rate)

    def _tell_step(self, loss: StepLoss, rate: float) -> None:
        if self._fabric.is_global_zero:
            for observer in self._watch.observers:
                observer.step(self._steps, loss, rate)
            self._watch.progress(int(self._spent), int(self._whole), _note(self._epoch, self._meter, rate))

    def _look_at_budget(self) -> None:
        """Ask what is spent; all processes take the first one's answer, for they must stop together."""
        done = self._budget.done()
        self._spent, self._whole = self._fabric.broadcast(done) if self._fabric.world_size > 1 else done

    def _close_epoch(self) -> bool:
        """Validate, write the epoch's files and return whether the run is over."""
        is_last = self._spent >= self._whole
        if self._fabric.is_global_zero:
            is_last = self._judge(is_last=is_last) or is_last
        if self._fabric.world_size > 1:
            is_last = self._fabric.broadcast(is_last)
        self._epoch, self._batches, self._meter = self._epoch + 1, 0, EpochMeter(self._epoch + 1)
        if not is_last:
            self._save_state()
        return is_last

    def _judge(self, *, is_last: bool) -> bool:
        """Keep the epoch's files; return whether patience is at its end."""
        mean_ap = None
        if is_last or self._budget.allows_validation():
            mean_ap = _timed(self._validate, self._average.model, self._budget)
        record = self._meter.record(seconds=self._seconds(), mean_ap=mean_ap)
        self._files.keep(self._average.model, record)
        for observer in self._watch.observers:
            observer.epoch(record)
        return bool(self._optimisation.patience) and self._files.since_best >= self._optimisation.patience

    def _seconds(self) -> float:
        return self._seconds_before + self._watch.clock() - self._started

    def _save_state(self) -> None:
        self._saved = self._watch.clock()
        if not self._fabric.is_global_zero:
            return
        RunState(
            epoch=self._epoch,
            batches=self._batches,
            processes=self._fabric.world_size,
            weights=self._learner.model.state_dict(),
            average=self._average.model.state_dict(),
            average_updates=self._average.updates,
            optimiser=self._learner.optimiser.state_dict(),
            scaler=self._learner.scaler_state(),
            random=torch.get_rng_state(),
            spent=self._spent,
            seconds=self._seconds(),
            losses=torch.tensor(self._meter.losses, dtype=torch.float64).reshape(-1, 2),
            records=[as_plain(record) for record in self._files.records],
            best_mean_ap=self._files.best_mean_ap,
            since_best=self._files.since_best,
        ).save(self._files.state)


def train(
    model: SSD,
    loader: BatchLoader,
    validate: Validate,
    *,
    optimisation: Optimisation,
    budget: Budget,
    files: RunFolder,
    fabric: Fabric | None = None,
    watch: Watch = _NOBODY,
    state: RunState | None = None,
) -> None:
    """Train a model from its weights, or go on from a state; see :class:`Training`, by default in one process."""
    fabric = fabric or make_fabric(precision=optimisation.precision)
    training = Training(
        model,
        loader,
        validate,
        criterion=MultiboxCriterion(optimisation.loss, default_boxes(model.spec.anchors), model.spec.box_coding),
        optimisation=optimisation,
        budget=budget,
        files=files,
        fabric=fabric,
        watch=watch,
    )
    if state is not None:
        training.restore(state)
    training.run()


def _refuse_other_processes(before: int, now: int) -> None:
    if before != now:
        raise InputError(
            "the run was begun with another number of processes",
            got=str(now),
            wanted=str(before),
            do=f"Give it {before} again: --devices {before}, or as many of torchrun.",
        )


def _grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield lists of ``size`` batches; the last may be shorter."""
    while group := list(itertools.islice(batches, size)):
        yield group


def _note(epoch: int, meter: EpochMeter, rate: float) -> str:
    mean = meter.mean
    return (
        f"epoch {epoch}: loss {mean.total:.3f} (boxes {mean.localisation:.2f}, classes {mean.confidence:.2f}), "
        f"lr {rate:.2g}, {meter.images_per_s:.0f} images/s"
    )


def _timed(validate: Validate, model: SSD, budget: Budget) -> float:
    """Return the mean AP, and tell the budget what it cost."""
    started = time.monotonic()
    mean_ap = validate(model)
    budget.validated(time.monotonic() - started)
    return mean_ap
