"""``ssd-edge train``: labelled pictures to checkpoints."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from ssd_edge.cli import train_option_types as option
from ssd_edge.cli.console import hush
from ssd_edge.cli.data_check import check_before_training, say_reach
from ssd_edge.cli.train_options import chosen_precision, chosen_recipe, class_names, listed, with_priors
from ssd_edge.cli.training_opening import say_plan
from ssd_edge.core.errors import InputError
from ssd_edge.core.requirements import require_training
from ssd_edge.core.run_data import RunData
from ssd_edge.training.config import Machine, TrainingPlan
from ssd_edge.training.resume import interrupted_run, refuse_other_options
from ssd_edge.training.run_names import new_run
from ssd_edge.workflows.train import default_workers, devices_here, is_first_process, resume_run, train_plan


def train(
    context: typer.Context,
    dataset: option.Dataset = None,
    preset: option.Preset = "ssd192-tiny",
    name: option.Name = None,
    resume: option.Resume = None,
    input_size: option.InputSize = None,
    epochs: option.Epochs = None,
    minutes: option.Minutes = None,
    patience: option.Patience = None,
    val_every: option.ValEvery = None,
    batch_size: option.BatchSize = None,
    accumulate: option.Accumulate = None,
    lr: option.Lr = None,
    backbone_rate: option.BackboneRate = None,
    layer_decay: option.LayerDecay = None,
    freeze: option.Freeze = None,
    schedule: option.Schedule = "cosine",
    warmup: option.Warmup = None,
    momentum: option.Momentum = None,
    weight_decay: option.WeightDecay = None,
    clip_norm: option.ClipNorm = None,
    ema: option.Ema = None,
    loss: option.Loss = "cross-entropy",
    box_loss: option.BoxLoss = "smooth-l1",
    alpha: option.Alpha = 1.0,
    label_smoothing: option.LabelSmoothing = 0.0,
    empty_negatives: option.EmptyNegatives = 0,
    augmentation: option.Augmentation = None,
    flip: option.Flip = True,
    precision: option.Precision = "auto",
    priors: option.Priors = None,
    backbone: option.Backbone = None,
    train_split: option.TrainSplit = "train",
    val_split: option.ValSplit = "val",
    classes: option.Classes = None,
    seed: option.Seed = 0,
    check: option.Check = True,
    workers: option.Workers = None,
    cores: option.Cores = None,
    device: option.Device = "auto",
    devices: option.Devices = 1,
    save_minutes: option.SaveMinutes = 5.0,
    tensorboard: option.Tensorboard = True,
    report: option.Report = True,
) -> None:
    """Train a network on labelled images: runs/<name>/best.pt, last.pt and metrics.csv."""
    require_training()
    if not is_first_process():
        hush()
    machine = Machine(
        device,
        devices_here(devices),
        default_workers(cores) if workers is None else workers,
        cores,
        save_minutes * 60,
    )
    if resume is not None:
        refuse_other_options(context)
        resume_run(interrupted_run(resume), machine, tensorboard=tensorboard, report=report)
        return
    if dataset is None:
        raise InputError("no data set is given", wanted="ssd-edge train DATASET, or ssd-edge train --resume last")
    from ssd_edge.data.find import open_dataset
    from ssd_edge.model.zoo import make_spec
    from ssd_edge.training.distributed import refuse_missing

    refuse_missing(device)
    if epochs is not None and minutes is not None:
        raise InputError("--epochs and --minutes are both given", wanted="one of them")
    if val_every is not None and minutes is not None:
        raise InputError(
            "--val-every counts epochs", got="--minutes", wanted="--epochs: with minutes the clock chooses when"
        )
    names = class_names(classes)
    folder = context.with_resource(new_run(name, preset))
    if check and is_first_process():
        check_before_training(dataset, (train_split, val_split), names, _check_command(dataset, context))
    learnt = open_dataset(dataset, train_split, names)
    judged = open_dataset(dataset, val_split, learnt.class_names)
    spec = with_priors(make_spec(preset, learnt.class_names, input_size=input_size, name=folder.name), preset, priors)
    if check:
        say_reach(learnt, spec, "" if priors else _fit_command(dataset, preset, context))
    recipe = chosen_recipe(
        preset,
        recipe={
            "epochs": epochs,
            "batch_size": batch_size,
            "augmentation": augmentation,
            "validate_every": val_every,
        },
        optimisation={
            "learning_rate": lr,
            "schedule": schedule,
            "warmup_share": warmup,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "clip_norm": clip_norm,
            "average_decay": ema,
            "accumulate": accumulate,
            "frozen": listed(freeze),
            "backbone_rate": backbone_rate,
            "layer_decay": layer_decay,
            "patience": patience,
        },
        loss={
            "classification": loss,
            "localisation": box_loss,
            "alpha": alpha,
            "label_smoothing": label_smoothing,
            "negatives_of_empty": empty_negatives,
        },
        precision=chosen_precision(spec, precision, machine),
    )
    plan = TrainingPlan(
        spec=spec,
        learnt=learnt,
        judged=judged,
        recipe=recipe,
        folder=folder,
        minutes=minutes,
        horizontal_flip=flip,
        seed=seed,
        backbone=backbone,
        machine=machine,
    )
    say_plan(plan, preset)
    if is_first_process():
        plan.save()
        RunData(str(dataset.resolve()), train_split, val_split).save(plan.folder)
    train_plan(plan, tensorboard=tensorboard, report=report)


def _check_command(dataset: Path, context: typer.Context) -> str:
    """Return the command that shows the faults of what is trained on."""
    given, splits = context.params, (context.params["train_split"], context.params["val_split"])
    words = [] if splits == ("train", "val") else ["--split", splits[0], "--split", splits[1]]
    words += ["--classes", given["classes"]] if given["classes"] else []
    return shlex.join(["ssd-edge", "data", "check", str(dataset), *words])


def _fit_command(dataset: Path, preset: str, context: typer.Context) -> str:
    """Return the command that fits default boxes to what is learnt."""
    given = context.params
    words = ["--preset", preset]
    words += ["--input-size", str(given["input_size"])] if given["input_size"] else []
    words += ["--split", given["train_split"]] if given["train_split"] != "train" else []
    return shlex.join(["ssd-edge", "data", "priors", str(dataset), *words])
