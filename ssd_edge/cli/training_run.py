"""A training run: joins pictures, network, loop and judge. ``train`` and ``demo`` are two ways to ask for one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say
from ssd_edge.cli.stopping import one_stop
from ssd_edge.cli.training_plan import TrainingPlan
from ssd_edge.core.errors import InputError
from ssd_edge.core.progress import Progress, silent

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.data.sample import LabelledSet
    from ssd_edge.model.ssd import SSD
    from ssd_edge.training.budget import Budget
    from ssd_edge.training.draws import Share
    from ssd_edge.training.loader import BatchLoader
    from ssd_edge.training.precision import PrecisionTimes
    from ssd_edge.training.run_folder import RunFolder
    from ssd_edge.training.state import RunState
    from ssd_edge.training.validator import Validate
    from ssd_edge.training.watch import Observer

_DECODED_BYTES = 1 << 30
_TRIAL_BATCH = 4


def is_first_process() -> bool:
    """Whether this process is the one that prints and writes, as torchrun and Fabric's launcher number them."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def machine_of() -> tuple[int, int]:
    """Return which machine this is and of how many, as torchrun numbers them anew at each start; the first is 0."""
    return int(os.environ.get("GROUP_RANK", "0")), int(os.environ.get("GROUP_WORLD_SIZE", "1"))


def devices_here(asked: int) -> int:
    """Return how many processes learn on this machine: torchrun's number, where it started them, else what is asked."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", asked))


def processes_in_all(devices: int) -> int:
    """Return how many processes learn together: torchrun's number over all machines, else one for each device here."""
    return int(os.environ.get("WORLD_SIZE", devices))


def default_workers(cores: int | None = None) -> int:
    """Return half of the cores, by default of all: one core prepares what two learn from."""
    from ssd_edge.backends.threads import physical_cores

    return max(1, (cores or physical_cores()) // 2)


def measure_precision(spec: ModelSpec) -> PrecisionTimes:
    """Time the network in float32 and in bfloat16 on this processor."""
    from ssd_edge.model.zoo import build_model
    from ssd_edge.training.precision import measure_precisions

    return measure_precisions(build_model(spec), batch_size=_TRIAL_BATCH)


def run_training(
    plan: TrainingPlan,
    *,
    observers: Sequence[Observer] = (),
    progress: Progress = silent,
    state: RunState | None = None,
) -> RunFolder:
    """Train a network from random weights, or go on from a state, and return the files of the run.

    Raises:
        SsdEdgeError: a picture, label or folder cannot be used, or training cannot go on.
    """
    from ssd_edge.training.processes import joined, make_fabric

    _refuse_nothing_to_learn(plan.learnt)
    _refuse_nothing_to_judge(plan.judged)
    machine = plan.machine
    fabric = make_fabric(device=machine.device, devices=machine.devices, precision=plan.recipe.optimisation.precision)
    with one_stop(), joined(fabric):
        return _train(plan, fabric, observers, progress, state)


def _train(
    plan: TrainingPlan, fabric: Fabric, observers: Sequence[Observer], progress: Progress, state: RunState | None
) -> RunFolder:
    import torch

    from ssd_edge.backends.threads import physical_cores
    from ssd_edge.model.zoo import build_model
    from ssd_edge.training.draws import Share
    from ssd_edge.training.loop import train
    from ssd_edge.training.run_folder import RunFolder
    from ssd_edge.training.watch import Watch

    torch.set_num_threads(max(1, (plan.machine.cores or physical_cores()) // plan.machine.devices))
    torch.manual_seed(plan.seed)
    pinned = fabric.device.type == "cuda"
    loader = _loader(plan, Share(fabric.global_rank, fabric.world_size), pinned=pinned)
    files = RunFolder(plan.folder)
    model = build_model(plan.spec)
    if plan.backbone is not None and state is None:
        _fill_backbone(model, plan.backbone)
    train(
        model,
        loader,
        validation(plan.judged),
        optimisation=plan.recipe.optimisation,
        budget=_budget(plan, loader),
        files=files,
        fabric=fabric,
        watch=Watch(observers, progress, plan.machine.save_every_s),
        state=state,
    )
    return files


def _fill_backbone(model: SSD, source: str) -> None:
    from ssd_edge.model.pretrained import fill_backbone_
    from ssd_edge.model.weight_source import read_weights

    filled = fill_backbone_(model, read_weights(source))
    count, whole = filled.tensors
    others = f", and {filled.others} of the head" if filled.others else ""
    classes = f"; it knows {', '.join(filled.classes)}" if filled.classes else ""
    say(f"backbone from {filled.origin}: {count} of its {whole} tensors, matched by {filled.by}{others}{classes}")


def validation(judged: LabelledSet) -> Validate:
    """Return a function that judges a model by its mean AP on ``judged``, as ``eval`` does."""
    from ssd_edge.evaluation.evaluate import evaluate
    from ssd_edge.model.predict import TorchDetector

    def validate(model: SSD, progress: Progress) -> float:
        detect = TorchDetector(model).detect
        return evaluate(detect, model.spec.class_names, judged, progress=progress).accuracy.mean_ap

    return validate


def _loader(plan: TrainingPlan, share: Share, *, pinned: bool) -> BatchLoader:
    from ssd_edge.data.augment import Augment
    from ssd_edge.model.anchors import default_boxes
    from ssd_edge.training.dataset import TrainingSet, decode_images
    from ssd_edge.training.loader import BatchLoader
    from ssd_edge.training.targets import TargetEncoder

    spec, recipe = plan.spec, plan.recipe
    augment = Augment.for_input(recipe.augmentation, spec.input, horizontal_flip=plan.horizontal_flip)
    decoded = decode_images(plan.learnt.samples, limit_bytes=_DECODED_BYTES, least_side=augment.least_side)
    _say_what_fits(len(decoded), plan.learnt)
    examples = TrainingSet(
        plan.learnt,
        augment,
        TargetEncoder(default_boxes(spec.anchors), spec.box_coding),
        seed=plan.seed,
        decoded=decoded,
    )
    return BatchLoader(
        examples,
        batch_size=recipe.batch_size,
        workers=plan.machine.workers,
        seed=plan.seed,
        share=share,
        pinned=pinned,
    )


def _say_what_fits(fitting: int, learnt: LabelledSet) -> None:
    pictures = len({sample.image for sample in learnt.samples})
    if fitting < pictures:
        say(f"{fitting} of {pictures} pictures fit in memory; the others are decoded at each draw")


def _budget(plan: TrainingPlan, loader: BatchLoader) -> Budget:
    from ssd_edge.training.budget import EpochBudget, TimeBudget

    if plan.minutes is not None:
        return TimeBudget(plan.minutes)
    steps = -(-len(loader) // plan.recipe.optimisation.accumulate)
    return EpochBudget(plan.recipe.epochs, steps_per_epoch=steps, validate_every=plan.recipe.validate_every)


def _refuse_nothing_to_learn(learnt: LabelledSet) -> None:
    """Refuse what would have a loss of zero from the first step on."""
    if all(sample.difficult.all() for sample in learnt.samples):
        raise InputError(
            f"{learnt.origin} holds no object to learn",
            got=f"{len(learnt)} images",
            wanted="at least one object that is not marked difficult",
            do="Label some, or name another split: --train-split",
        )


def _refuse_nothing_to_judge(judged: LabelledSet) -> None:
    """Refuse before the first epoch what the judge would refuse after it."""
    if all(sample.difficult.all() for sample in judged.samples):
        raise InputError(
            f"{judged.origin} holds no object to choose the best epoch by",
            got=f"{len(judged)} images",
            wanted="at least one object that is not marked difficult",
            do="Label some, or name another split: --val-split",
        )
