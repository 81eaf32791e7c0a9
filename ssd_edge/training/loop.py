"""The training loop."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import torch

from ssd_edge.core.progress import Progress, silent
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD
from ssd_edge.training.average import WeightAverage
from ssd_edge.training.budget import Budget
from ssd_edge.training.journal import EpochMeter, EpochRecord
from ssd_edge.training.loader import BatchLoader, named_worker_death
from ssd_edge.training.optimiser import make_sgd, set_learning_rate
from ssd_edge.training.recipe import Optimisation
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.schedule import learning_rate_factor
from ssd_edge.training.step import training_step

Validate = Callable[[SSD], float]
"""Judges a model: its mean AP on pictures that it does not learn from."""


def ignore_epoch(record: EpochRecord) -> None:
    """Take an epoch's record and do nothing."""


@named_worker_death()
def train(
    model: SSD,
    loader: BatchLoader,
    validate: Validate,
    *,
    optimisation: Optimisation,
    budget: Budget,
    files: RunFolder,
    on_epoch: Callable[[EpochRecord], None] = ignore_epoch,
    progress: Progress = silent,
) -> None:
    """Train ``model`` in place, and keep the moving average of its weights in ``files`` after each epoch.

    Whatever ends the run early (Ctrl-C, a full disk, a faulty picture), the files of the last whole epoch stay.

    Args:
        model: on the CPU.
        loader: gives the batches.
        validate: called with the averaged model after an epoch, where the budget allows it, and after the last.
        optimisation: learning rate and all that goes with it.
        budget: when to stop.
        files: where checkpoints and metrics go.
        on_epoch: called with each epoch's record, after its files are written.
        progress: called after each step.

    Raises:
        TrainingError: the loss or its gradient is not finite, or a data worker died.
        InputError: a picture or label cannot be used, or a file cannot be written.
    """
    model.train().to(memory_format=torch.channels_last)
    normalise = DecodedSSD(model).normalised
    optimiser = make_sgd(
        model,
        learning_rate=optimisation.learning_rate,
        momentum=optimisation.momentum,
        weight_decay=optimisation.weight_decay,
    )
    average = WeightAverage(model, decay=optimisation.average_decay)
    started = time.monotonic()
    budget.start()
    spent, whole = budget.done()

    for epoch in itertools.count(1):
        meter = EpochMeter(epoch, batch_size=loader.batch_size)
        for batch in loader.epoch(epoch):
            factor = learning_rate_factor(
                spent / whole, schedule=optimisation.schedule, warmup_share=optimisation.warmup_share
            )
            set_learning_rate(optimiser, optimisation.learning_rate * factor)
            loss = training_step(
                model,
                normalise(batch.images),
                batch,
                optimiser,
                clip_norm=optimisation.clip_norm,
                bfloat16=optimisation.bfloat16,
            )
            average.update()
            meter.add(loss, learning_rate=optimisation.learning_rate * factor)
            budget.count_step()
            spent, whole = budget.done()
            progress(int(spent), int(whole), f"epoch {epoch}, loss {meter.loss:.3f}")
            if spent >= whole:
                break
        is_last = spent >= whole
        mean_ap = _timed(validate, average.model, budget) if is_last or budget.allows_validation() else None
        record = meter.record(seconds=time.monotonic() - started, mean_ap=mean_ap)
        files.keep(average.model, record)
        on_epoch(record)
        if is_last:
            return


def _timed(validate: Validate, model: SSD, budget: Budget) -> float:
    """Return the mean AP, and tell the budget what it cost."""
    started = time.monotonic()
    mean_ap = validate(model)
    budget.validated(time.monotonic() - started)
    return mean_ap
