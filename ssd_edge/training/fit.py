"""Train what a plan asks for: join images, network, processes and loop."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from ssd_edge.core.errors import InputError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.native_memory import kept_memory
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.augment import Augment
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.pretrained import fill_backbone_
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weight_source import read_weights
from ssd_edge.model.zoo import build_model
from ssd_edge.training.budget import Budget, EpochBudget, LimitedBudget, TimeBudget
from ssd_edge.training.callbacks import Callback
from ssd_edge.training.checkpointing import RunState
from ssd_edge.training.config import TrainingPlan
from ssd_edge.training.dataset import TrainingSet, decode_images
from ssd_edge.training.distributed import joined, make_fabric, quiet_lightning
from ssd_edge.training.loader import BatchLoader, Share
from ssd_edge.training.loop import Ending, Training
from ssd_edge.training.metrics import EpochRecord
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.targets import TargetEncoder
from ssd_edge.training.validator import Validate

DECODED_BYTES = 1 << 30
"""Pixels of decoded images that are held in memory."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that is over.

    Attributes:
        files: its checkpoints and metrics.
        records: its epochs.
        ending: why it is over.
        left_out: images that could not be read, though they looked sound.
    """

    files: RunFolder
    records: tuple[EpochRecord, ...]
    ending: Ending
    left_out: tuple[LeftOut, ...] = ()


@quiet_lightning()
def fit(
    plan: TrainingPlan,
    validate: Validate,
    *,
    callbacks: Sequence[Callback] = (),
    progress: Progress = silent,
    state: RunState | None = None,
) -> FinishedRun:
    """Train a network from random weights or from those of a backbone, or go on from a state.

    Seeds PyTorch and sets its threads; see :func:`ssd_edge.training.process_state.unchanged_process`.

    Raises:
        SsdEdgeError: an image, label or folder cannot be used, or training cannot go on.
    """
    _check_objects(plan.train_set, "to learn", "--train-split")
    _check_objects(plan.val_set, "to validate on", "--val-split")
    machine, optimisation = plan.machine, plan.recipe.optimisation
    fabric = make_fabric(device=machine.device, devices=machine.devices, precision=optimisation.precision)
    with joined(fabric):
        torch.set_num_threads(max(1, plan.cores // machine.devices))
        _seed(plan.seed, fabric)
        share, pinned = Share(fabric.global_rank, fabric.world_size), fabric.device.type == "cuda"
        loader = _loader(plan, share, pinned=pinned)
        files = RunFolder(plan.folder)
        training = Training(
            _model(plan) if state is None else build_model(plan.spec),
            loader,
            validate,
            optimisation=optimisation,
            budget=_budget(plan, loader),
            files=files,
            fabric=fabric,
            callbacks=callbacks,
            progress=progress,
            save_every_s=machine.save_every_s,
        )
        with kept_memory() if fabric.device.type == "cpu" else nullcontext():
            ending = training.run(state)
        return FinishedRun(files=files, ending=ending, records=training.records(), left_out=loader.left_out)


def _check_objects(labelled: LabelledSet, purpose: str, option: str) -> None:
    """Refuse a split that would have a loss of zero from the first step on, or no mean AP after the first epoch."""
    if all(sample.difficult.all() for sample in labelled.samples):
        raise InputError(
            f"{labelled.origin} contains no object {purpose}",
            got=f"{len(labelled)} images",
            wanted="at least one object that is not marked difficult",
            do=f"Label some objects, or choose another split: {option}",
        )


def _seed(seed: int, fabric: Fabric) -> None:
    if fabric.device.type == "cpu":
        torch.default_generator.manual_seed(seed)  # and not the GPUs', which are not used
    else:
        torch.manual_seed(seed)


def _model(plan: TrainingPlan) -> SSD:
    """Return the network as a new run begins with it."""
    model = build_model(plan.spec)
    if plan.backbone is not None:
        filled = fill_backbone_(model, read_weights(plan.backbone))
        count, whole = filled.tensors
        others = f", and {filled.others} of the head" if filled.others else ""
        classes = f"; it was trained on {', '.join(filled.classes)}" if filled.classes else ""
        log.info(
            f"backbone from {filled.origin}: {count} of its {whole} tensors, matched by {filled.by}{others}{classes}"
        )
    return model


def _loader(plan: TrainingPlan, share: Share, *, pinned: bool) -> BatchLoader:
    spec, recipe, samples = plan.spec, plan.recipe, plan.train_set.samples
    augment = Augment.for_input(recipe.augmentation, spec.input, horizontal_flip=plan.horizontal_flip)
    decoded = decode_images(samples, limit_bytes=DECODED_BYTES, least_side=augment.least_side)
    images = len({sample.image for sample in samples})
    if len(decoded) < images:
        log.info(f"{len(decoded)} of {images} images fit in memory; the others are decoded each time they are used")
    encode = TargetEncoder(anchor_boxes(spec.anchors), spec.box_coding)
    examples = TrainingSet(plan.train_set, augment, encode, seed=plan.seed, decoded=decoded)
    return BatchLoader(
        examples,
        batch_size=recipe.batch_size,
        workers=plan.machine.workers,
        seed=plan.seed,
        share=share,
        pinned=pinned,
    )


def _budget(plan: TrainingPlan, loader: BatchLoader) -> Budget:
    if plan.minutes is not None:
        return TimeBudget(plan.minutes)
    steps = -(-len(loader) // plan.recipe.optimisation.accumulate)
    epochs = EpochBudget(plan.recipe.epochs, steps_per_epoch=steps, validate_every=plan.recipe.validate_every)
    return epochs if plan.limit_minutes is None else LimitedBudget(epochs, TimeBudget(plan.limit_minutes))
