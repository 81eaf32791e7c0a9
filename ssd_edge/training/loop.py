"""The training loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lightning_fabric import Fabric

from ssd_edge.model.anchors import default_boxes
from ssd_edge.model.ssd import SSD
from ssd_edge.training.budget import Budget
from ssd_edge.training.callbacks import NOBODY, Watch
from ssd_edge.training.checkpointing import Parts, Place
from ssd_edge.training.distributed import make_fabric
from ssd_edge.training.ema import WeightAverage
from ssd_edge.training.loader import Batch, BatchLoader, grouped, named_worker_death
from ssd_edge.training.losses import MultiboxCriterion
from ssd_edge.training.metrics import EpochMeter
from ssd_edge.training.recipe import Optimisation
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.run_state import RunState
from ssd_edge.training.schedule import learning_rate_factor
from ssd_edge.training.step import Criterion, Learner, StepLoss
from ssd_edge.training.validator import Validate, Validator


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
        self._loader, self._budget, self._files = loader, budget, files
        self._optimisation, self._fabric, self._watch = optimisation, fabric, watch
        self._validator = Validator(validate, budget, watch.progress)
        self._learner = Learner(model, fabric, criterion, optimisation)
        self._average = WeightAverage(self._learner.model, decay=optimisation.average_decay)
        self._parts = Parts(self._learner, self._average, files, fabric.world_size)
        self._place, self._meter, self._whole = Place(), EpochMeter(1), 1.0

    def restore(self, state: RunState) -> None:
        """Go on from a state instead of from the beginning.

        Raises:
            InputError: the state is of another number of processes, whose places in the epoch are others.
        """
        place = self._place = self._parts.restore(state)
        images = place.batches * self._images_per_batch
        self._meter = EpochMeter(place.epoch, losses=place.losses, images=images, learning_rate=place.learning_rate)

    @named_worker_death()
    def run(self) -> None:
        """Train until the budget is spent, or until patience is.

        Raises:
            TrainingError: the loss or its gradient is not finite, or a data worker died.
            InputError: a picture or label cannot be used, or a file cannot be written.
        """
        self._started = self._saved = self._watch.clock()
        self._budget.start(self._place.spent)
        self._validator.recall(self._place)
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
        batches = self._loader.epoch(self._place.epoch, done=self._place.batches)
        for group in grouped(batches, self._optimisation.accumulate):
            self._learn(group)
            if self._place.spent >= self._whole:
                return
            if self._watch.clock() - self._saved >= self._watch.save_every_s:
                self._save_state()

    def _learn(self, group: Sequence[Batch]) -> None:
        settings, progress = self._optimisation, (self._place.spent + self._budget.half_step) / self._whole
        factor = learning_rate_factor(progress, schedule=settings.schedule, warmup_share=settings.warmup_share)
        rate = settings.learning_rate * factor
        loss = self._learner.step(group, learning_rate=rate)
        self._average.update()
        self._place.batches += len(group)
        self._place.steps += 1
        self._place.learning_rate = rate
        self._meter.add(loss, images=len(group) * self._images_per_batch, learning_rate=rate)
        self._budget.count_step()
        self._look_at_budget()
        self._tell_step(loss, rate)

    def _tell_step(self, loss: StepLoss, rate: float) -> None:
        if self._fabric.is_global_zero:
            for observer in self._watch.observers:
                observer.step(self._place.steps, loss, rate)
            self._watch.progress(int(self._place.spent), int(self._whole), self._meter.note(rate))

    def _look_at_budget(self) -> None:
        """Ask what is spent; all processes take the first one's answer, for they must stop together."""
        done = self._budget.done()
        self._place.spent, self._whole = self._fabric.broadcast(done) if self._fabric.world_size > 1 else done

    def _close_epoch(self) -> bool:
        """Validate, write the epoch's files and return whether the run is over."""
        is_last = self._place.spent >= self._whole
        if self._fabric.is_global_zero:
            is_last = self._judge(is_last=is_last) or is_last
        if self._fabric.world_size > 1:
            is_last = self._fabric.broadcast(is_last)
        self._look_at_budget()  # judging takes time too, and a run that goes on from here must not get it again
        self._place.epoch, self._place.batches = self._place.epoch + 1, 0
        self._meter = EpochMeter(self._place.epoch)
        if not is_last:
            self._save_state()
        return is_last

    def _judge(self, *, is_last: bool) -> bool:
        """Keep the epoch's files; return whether patience is at its end."""
        mean_ap = None
        if is_last or self._budget.allows_validation():
            mean_ap = self._validator.judge(self._average.model, self._place, whole=self._whole)
        record = self._meter.record(seconds=self._seconds(), mean_ap=mean_ap)
        self._files.keep(self._average.model, record)
        for observer in self._watch.observers:
            observer.epoch(record)
        return bool(self._optimisation.patience) and self._files.since_best >= self._optimisation.patience

    def _seconds(self) -> float:
        return self._place.seconds + self._watch.clock() - self._started

    def _save_state(self) -> None:
        self._saved = self._watch.clock()
        if not self._fabric.is_global_zero:
            return
        self._parts.save(dataclasses.replace(self._place, seconds=self._seconds(), losses=self._meter.losses))


def train(
    model: SSD,
    loader: BatchLoader,
    validate: Validate,
    *,
    optimisation: Optimisation,
    budget: Budget,
    files: RunFolder,
    fabric: Fabric | None = None,
    watch: Watch = NOBODY,
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
