"""A training from the data to its report, in a process that is left as it was found. Importing it loads PyTorch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from ssd_edge.backends import cpu
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.log import counted, log
from ssd_edge.core.progress import Progress, ProgressCallback, no_progress, stage
from ssd_edge.core.ranks import is_first_process, processes_here
from ssd_edge.core.run_data import RunData
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.shell import quoted, size_text
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.temp_dir import sockets_in_scratch
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.anchor_recall import MATCH_IOU, AnchorRecall, best_overlaps, unit_boxes
from ssd_edge.data.find import open_dataset
from ssd_edge.data.label_files import listed_class_names
from ssd_edge.data.lint.check import LintReport, lint_dataset
from ssd_edge.data.priors_file import PriorsFile, with_priors
from ssd_edge.evaluation.evaluate import evaluate
from ssd_edge.model.imagenet import ChosenWeights, imagenet_weights
from ssd_edge.model.predict import TorchDetector
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import make_spec
from ssd_edge.training.callbacks import Callback, EpochLog
from ssd_edge.training.checkpointing import RunState
from ssd_edge.training.config import Machine, TrainingPlan
from ssd_edge.training.distributed import check_device
from ssd_edge.training.fit import fit
from ssd_edge.training.memory import batch_that_fits
from ssd_edge.training.metrics import EpochRecord, best_epoch
from ssd_edge.training.outcome import LossWatch, warn_of_poor_outcome
from ssd_edge.training.precision import choose_precision
from ssd_edge.training.process_state import unchanged_process
from ssd_edge.training.recipe import Recipe, recipe_for
from ssd_edge.training.resume import interrupted_run, saved_run
from ssd_edge.training.run_names import new_run, only_training
from ssd_edge.training.tensorboard import TensorBoardLog
from ssd_edge.training.threads import choose_threads
from ssd_edge.training.validator import Validate
from ssd_edge.workflows.train_config import TRAIN_SPLIT, VAL_SPLIT, TrainConfig, TrainResult
from ssd_edge.workflows.training_candidates import choose_candidates
from ssd_edge.workflows.training_choice import (
    NetworkChoice,
    choose_network,
    data_facts,
    fitted_anchors,
    read_named_weights,
    run_name,
    suited_recipe,
)
from ssd_edge.workflows.training_report import report_on
from ssd_edge.workflows.training_splits import training_splits

_POOR_RECALL = 0.5  # of the objects: what is below learns little
_GOOD_RECALL = 0.95  # of the objects; the others are learned by one badly fitting anchor each
Sizes = Mapping[Path, tuple[int, int]]


def run_training(
    dataset: AnyPath | None,
    config: TrainConfig,
    *,
    progress: ProgressCallback,
    workspace: AnyPath,
    callbacks: Sequence[Callback],
) -> TrainResult:
    """Train a network as the config says; see :func:`ssd_edge.workflows.train.train`."""
    progress = progress if is_first_process() else no_progress
    runs, machine = Path(workspace) / "runs", _machine(config)
    with ExitStack() as stack:
        stack.enter_context(unchanged_process())
        stack.enter_context(sockets_in_scratch())
        if config.resume is None:
            data = _given(dataset)
            folder = stack.enter_context(new_run(config.name, config.preset or run_name(data), runs))
            plan, state = _new_plan(data, config, machine, folder, progress), None
        else:
            config.check_resumable()
            folder = interrupted_run(config.resume, runs)
            stack.enter_context(only_training(folder) if is_first_process() else nullcontext())
            plan, state = saved_run(folder, machine, None if dataset is None else Path(dataset))
            log.info(f"resuming {folder} in epoch {state.epoch}, after {state.batches} batches")
        with _way_back_logged(folder), _own_callbacks(plan, state, config) as own, stage(progress, "training") as done:
            run = fit(plan, validation(plan.val_set), callbacks=[*own, *callbacks], progress=done, state=state)
        best = best_epoch(run.records)
        mean_ap = best.mean_ap or 0.0 if best else 0.0
        log.info(f"{run.files.best}: mAP@0.5 {mean_ap:.4f}; every epoch is in {run.files.metrics}")
        if plan.backbone is None and plan.weights_note:
            log.info(f"training began with {plan.weights_note}")
        warn_of_poor_outcome(run.records)
        if is_first_process():
            with stage(progress, "choosing candidates") as done:
                choose_candidates(
                    run.files.best, plan.val_set, device=plan.machine.device, cores=plan.cores, progress=done
                )
        page = None
        if config.report and is_first_process():
            page = report_on(folder, plan.val_set, cores=plan.cores, progress=progress)
        return TrainResult(
            path=run.files.best,
            last=run.files.last,
            metrics=run.files.metrics,
            mean_ap=mean_ap,
            epochs=run.records,
            stopped_by="patience" if run.ending == "patience" else _spent(plan, run.records),
            report=page,
            left_out=plan.train_set.left_out + plan.val_set.left_out + run.left_out,
        )


def _spent(plan: TrainingPlan, records: Sequence[EpochRecord]) -> Literal["epochs", "minutes"]:
    """Return which budget ended a run."""
    if plan.minutes is not None:
        return "minutes"
    steps_left = records[-1].epoch < plan.recipe.epochs or records[-1].images < records[0].images
    return "minutes" if plan.limit_minutes is not None and steps_left else "epochs"


def validation(labelled: LabelledSet) -> Validate:
    """Return a function that gives a model's mean AP on ``labelled``, as ``evaluate`` has it."""

    def validate(model: SSD, progress: Progress) -> float:
        detect = TorchDetector(model).detect
        return evaluate(detect, model.spec.class_names, labelled, progress=progress).accuracy.mean_ap

    return validate


def default_workers(cores: int | None = None) -> int:
    """Return half of the cores, by default of all: one core prepares what two train on."""
    return max(1, (cores or cpu.physical_cores()) // 2)


def _machine(config: TrainConfig) -> Machine:
    return Machine(
        device=config.device or "auto",
        devices=processes_here(config.devices),
        workers=default_workers(config.cores) if config.workers is None else config.workers,
        cores=config.cores,
        save_every_s=config.save_minutes * 60,
    )


def _given(dataset: AnyPath | None) -> Path:
    if dataset is None:
        raise InputError("no data set is given", do="Run: ssd-edge train DATASET, or ssd-edge train --resume last")
    return Path(dataset)


def _new_plan(
    dataset: Path, config: TrainConfig, machine: Machine, folder: Path, progress: ProgressCallback
) -> TrainingPlan:
    """Read the data, choose what was left open, log all of it and write it into the run's folder."""
    check_device(machine.device)
    train_split, val_split = training_splits(dataset, config, folder, progress)
    config = replace(config, train_split=train_split, val_split=val_split)
    train_set, val_set, sizes = _open_splits(dataset, config, progress)
    network = _network(config, train_set, val_set, sizes)
    spec = make_spec(network.preset, train_set.class_names, input_size=network.input_size, name=folder.name)
    if config.priors is not None:
        spec = with_priors(spec, network.preset, config.priors)
    elif config.preset is None:
        spec = fitted_anchors(spec, train_set, sizes)
    if sizes is not None:
        known = config.priors is not None or config.preset is None
        _log_recall(train_set, spec, sizes, "" if known else _fit_command(dataset, config))
    weights = _weights(config, spec)
    if config.batch_size is None:
        batch_size, parts = batch_that_fits(spec, network.recipe.batch_size, machine)
        config = replace(config, batch_size=batch_size, accumulate=(config.accumulate or 1) * parts)
    precision = choose_precision(spec, config.precision, machine)
    plan = TrainingPlan(
        spec=spec,
        train_set=train_set,
        val_set=val_set,
        recipe=config.recipe(precision, network.recipe),
        folder=folder,
        minutes=config.minutes if config.epochs is None else None,
        limit_minutes=None if config.epochs is None else config.minutes,
        horizontal_flip=config.flip,
        seed=config.seed,
        backbone=weights.source,
        weights_note=weights.why,
        threads=config.cores or choose_threads(spec, precision, machine),
        machine=machine,
    )
    for line in plan.summary(network.preset):
        log.info(line)
    if is_first_process():
        plan.save()
        RunData(str(dataset.resolve()), *config.splits).save(folder)
    return plan


class _Network(NamedTuple):
    preset: str
    input_size: int | tuple[int, int] | None
    recipe: Recipe


def _network(config: TrainConfig, train_set: LabelledSet, val_set: LabelledSet, sizes: Sizes | None) -> _Network:
    """Return the preset that is asked for, or the one that suits the data; why is logged."""
    if config.preset is not None:
        return _Network(config.preset, config.input_size, recipe_for(config.preset))
    facts = data_facts(train_set, sizes)
    if config.priors is not None:
        fitted = PriorsFile.load(config.priors)
        choice = NetworkChoice(fitted.preset, (fitted.width, fitted.height), f"whose anchors {config.priors} contains")
    else:
        choice = choose_network(facts, read_named_weights(config.backbone))
    size = choice.input_size if config.input_size is None else config.input_size
    log.info(str(choice))
    return _Network(choice.preset, size, suited_recipe(choice.preset, facts.images, len(val_set)))


def _weights(config: TrainConfig, spec: ModelSpec) -> ChosenWeights:
    """Return what the backbone begins with; one process fetches what is missing."""
    if config.backbone == "none":
        return ChosenWeights(None, "random weights, as asked for")
    if config.backbone is not None:
        return ChosenWeights(config.backbone, "")
    return imagenet_weights(spec.architecture, offline=config.offline or not is_first_process())


def _open_splits(
    dataset: Path, config: TrainConfig, progress: ProgressCallback
) -> tuple[LabelledSet, LabelledSet, Sizes | None]:
    """Return training set, validation set and, where the data were checked, the sizes of their images."""
    names, splits = listed_class_names(config.classes), config.splits
    tolerance = Tolerance(config.max_bad, config.strict)
    if config.check and is_first_process():
        with stage(progress, "checking") as report_step:
            report = lint_dataset(dataset, splits, names, pixels=False, progress=report_step)
        _check_usable(report, tolerance, _check_command(dataset, config))
        return report.labelled[splits[0]], report.labelled[splits[1]], report.sizes
    train_set = open_dataset(dataset, splits[0], names, tolerance=tolerance)
    return train_set, open_dataset(dataset, splits[1], train_set.class_names, tolerance=tolerance), None


def _check_usable(report: LintReport, tolerance: Tolerance, command: str) -> None:
    """Refuse data of which too much cannot be used; log what is left out, and the command that shows all of it."""
    try:
        report.check(tolerance)
    except InputError as error:
        error.advise(f"To see all errors: {command}")
        raise
    for usable in report.usable.values():
        usable.log_left_out()
    if report.issues:
        errors, warnings = counted(len(report.errors), "error"), counted(len(report.warnings), "warning")
        log.warning(f"{errors} and {warnings} in the data; to list them: {command}")


def _log_recall(labelled: LabelledSet, spec: ModelSpec, sizes: Sizes, fit_command: str) -> None:
    """Log which share of the objects the anchors can match, and where it is small the command that fits them.

    Raises:
        InputError: they match none.
    """
    reached = AnchorRecall.of(best_overlaps(unit_boxes(labelled, sizes), spec.anchors))
    if reached.objects and not reached.recall:
        raise InputError(
            f"the anchors match none of the {reached.objects} objects: the mean of the best overlaps (IoU) is "
            f"{reached.mean_iou:.2f}",
            wanted=f"an IoU of {MATCH_IOU:g} or more for most objects",
            do=f"Fit the anchors to the data: {fit_command}" if fit_command else "Choose a larger --input-size.",
        )
    said = f"the anchors match {reached.recall:.4f} of {reached.objects} objects at IoU {MATCH_IOU:g}"
    if reached.recall < _POOR_RECALL:
        log.warning(
            f"{said}; "
            + (f"to fit the anchors: {fit_command}" if fit_command else "a larger --input-size gives more anchors")
        )
        return
    hint = f"; to fit them to the data: {fit_command}" if fit_command and reached.recall < _GOOD_RECALL else ""
    log.info(said + hint)


def _check_command(dataset: Path, config: TrainConfig) -> str:
    """Return the command that shows the faults of what is trained on."""
    splits, classes = config.splits, config.classes
    words = [] if splits == (TRAIN_SPLIT, VAL_SPLIT) else ["--split", splits[0], "--split", splits[1]]
    words += ["--classes", classes if isinstance(classes, str) else ",".join(classes)] if classes else []
    return shlex.join(["ssd-edge", "data", "check", str(dataset), *words])


def _fit_command(dataset: Path, config: TrainConfig) -> str:
    """Return the command that fits anchors to the training set."""
    words = ["--preset", str(config.preset)]
    words += ["--input-size", size_text(config.input_size)] if config.input_size else []
    words += ["--split", config.splits[0]] if config.splits[0] != TRAIN_SPLIT else []
    return shlex.join(["ssd-edge", "data", "priors", str(dataset), *words])


@contextmanager
def _own_callbacks(plan: TrainingPlan, state: RunState | None, config: TrainConfig) -> Iterator[list[Callback]]:
    """Yield the callbacks for steps and epochs besides the caller's: the log, and TensorBoard where it is installed."""
    before = [record["loss"] for record in state.records] if state else []
    own: list[Callback] = [EpochLog(), LossWatch(plan.recipe.optimisation.learning_rate, min(before, default=None))]
    if not config.tensorboard or not is_first_process():
        yield own
    elif not TensorBoardLog.available():
        log.info("TensorBoard is not installed, so no curves are written; to install it: pip install tensorboard")
        yield own
    else:
        steps = state.average_updates if state else 0
        with TensorBoardLog(plan.folder / "tensorboard", steps_before=steps) as curves:
            yield [*own, curves]


@contextmanager
def _way_back_logged(folder: Path) -> Iterator[None]:
    """Log what a run that ends early leaves behind, and how to go on with it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        nothing = f"stopped before the first checkpoint was saved; the name {folder} can be used again"
        log.info("; ".join(_kept(folder)) or nothing)
        raise
    except SsdEdgeError:
        for left in _kept(folder):
            log.info(left)
        raise


def _kept(folder: Path) -> Iterator[str]:
    if (folder / "state.pt").is_file():
        yield f"to resume: ssd-edge train --resume {quoted(folder)}"
    if (folder / "last.pt").is_file():
        yield f"{folder / 'last.pt'} contains the model after the last complete epoch"
