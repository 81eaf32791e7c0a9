"""A training run: joins pictures, network, loop and judge. ``train`` and ``demo`` are two ways to ask for one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.shell import quoted
from ssd_edge.core.shutdown import one_stop
from ssd_edge.training.config import Machine, TrainingPlan
from ssd_edge.training.resume import resumed
from ssd_edge.training.run_lock import only_training
from ssd_edge.workflows.training_report import report_on

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ssd_edge.core.sample import LabelledSet
    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.model.ssd import SSD
    from ssd_edge.training.bf16_trial import PrecisionTimes
    from ssd_edge.training.budget import Budget
    from ssd_edge.training.callbacks import Observer
    from ssd_edge.training.loader import BatchLoader, Share
    from ssd_edge.training.metrics import EpochRecord
    from ssd_edge.training.run_folder import RunFolder
    from ssd_edge.training.run_state import RunState
    from ssd_edge.training.step import StepLoss
    from ssd_edge.training.validator import Validate


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
    from ssd_edge.backends.cpu import physical_cores

    return max(1, (cores or physical_cores()) // 2)


def measure_precision(spec: ModelSpec) -> PrecisionTimes:
    """Time the network in float32 and in bfloat16 on this processor."""
    from ssd_edge.model.zoo import build_model
    from ssd_edge.training.bf16_trial import measure_precisions

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
    from ssd_edge.training.distributed import joined, make_fabric

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

    from ssd_edge.backends.cpu import physical_cores
    from ssd_edge.model.zoo import build_model
    from ssd_edge.training.callbacks import Watch
    from ssd_edge.training.loader import Share
    from ssd_edge.training.loop import train
    from ssd_edge.training.run_folder import RunFolder

    torch.set_num_threads(max(1, (plan.machine.cores or physical_cores()) // plan.machine.devices))
    torch.manual_seed(plan.seed)
    loader = _loader(plan, Share(fabric.global_rank, fabric.world_size))
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
    log.info(f"backbone from {filled.origin}: {count} of its {whole} tensors, matched by {filled.by}{others}{classes}")


def validation(judged: LabelledSet) -> Validate:
    """Return a function that judges a model by its mean AP on ``judged``, as ``eval`` does."""
    from ssd_edge.evaluation.evaluate import evaluate
    from ssd_edge.model.predict import TorchDetector

    def validate(model: SSD, progress: Progress) -> float:
        detect = TorchDetector(model).detect
        return evaluate(detect, model.spec.class_names, judged, progress=progress).accuracy.mean_ap

    return validate


def _loader(plan: TrainingPlan, share: Share) -> BatchLoader:
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
        examples, batch_size=recipe.batch_size, workers=plan.machine.workers, seed=plan.seed, share=share
    )


def _say_what_fits(fitting: int, learnt: LabelledSet) -> None:
    pictures = len({sample.image for sample in learnt.samples})
    if fitting < pictures:
        log.info(f"{fitting} of {pictures} pictures fit in memory; the others are decoded at each draw")


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


class SayEpochs:
    """Prints an epoch's loss, accuracy and speed."""

    def step(self, number: int, loss: StepLoss, learning_rate: float) -> None:
        """Say nothing: the bar shows it."""

    def epoch(self, record: EpochRecord) -> None:
        """Print a line."""
        accuracy = "" if record.mean_ap is None else f", mAP@0.5 {record.mean_ap:.4f}"
        log.info(
            f"epoch {record.epoch}: loss {record.loss:.3f} (boxes {record.localisation_loss:.3f}, classes "
            f"{record.confidence_loss:.3f}){accuracy}, {record.images_per_s:.0f} images/s, {record.seconds:.0f} s"
        )


def resume_run(folder: Path, machine: Machine, *, tensorboard: bool, report: bool) -> None:
    """Go on with an interrupted run.

    Raises:
        SsdEdgeError: its plan, state or pictures cannot be used, or training cannot go on.
    """
    with only_training(folder) if is_first_process() else nullcontext():
        plan, state = resumed(folder, machine)
        log.info(f"going on with {folder} in epoch {state.epoch}, after {state.batches} batches of it")
        train_plan(plan, state, tensorboard=tensorboard, report=report)


def train_plan(plan: TrainingPlan, state: RunState | None = None, *, tensorboard: bool, report: bool) -> None:
    """Train, say what came of it, and write the report.

    Raises:
        SsdEdgeError: a picture, label or folder cannot be used, or training cannot go on.
    """
    try:
        with _observers(plan, state, tensorboard=tensorboard) as observers, bar("training") as progress:
            files = run_training(plan, observers=observers, progress=progress, state=state)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        log.info("; ".join(_kept(plan.folder)) or "stopped before the first state was saved: nothing is kept")
        raise
    except SsdEdgeError:
        for left in _kept(plan.folder):
            log.info(left)
        raise
    log.info(f"{files.best}: mAP@0.5 {files.best_mean_ap or 0:.4f}; every epoch is in {files.metrics}")
    if report and is_first_process():
        report_on(plan.folder, plan.judged, cores=plan.machine.cores)
    log.info(f"next: ssd-edge export {quoted(files.best)}")


@contextmanager
def _observers(plan: TrainingPlan, state: RunState | None, *, tensorboard: bool) -> Iterator[list[Observer]]:
    """Yield who is told of steps and epochs: the terminal, and TensorBoard where it is installed."""
    from ssd_edge.training.tensorboard import TensorBoardLog

    said = SayEpochs()
    if not tensorboard or not is_first_process():
        yield [said]
    elif not TensorBoardLog.available():
        log.info("no curves for TensorBoard, which is not installed: pip install tensorboard")
        yield [said]
    else:
        steps = state.average_updates if state else 0
        with TensorBoardLog(plan.folder / "tensorboard", steps_before=steps) as curves:
            yield [said, curves]


def _kept(folder: Path) -> Iterator[str]:
    """Yield what a stopped run left behind, in words."""
    if (folder / "state.pt").is_file():
        yield f"to go on: ssd-edge train --resume {quoted(folder)}"
    if (folder / "last.pt").is_file():
        yield f"{folder / 'last.pt'} holds the last whole epoch"
