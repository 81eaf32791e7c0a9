"""``ssd-edge train``: train a network on labelled images."""

from __future__ import annotations

from typing import Any

import typer

from ssd_edge.cli import train_option_types as option
from ssd_edge.cli.console import bars, hush, say
from ssd_edge.cli.option_values import parse_input_size
from ssd_edge.cli.signals import one_stop
from ssd_edge.core.errors import InputError
from ssd_edge.core.ranks import is_first_process
from ssd_edge.core.requirements import require_training
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.train_config import MAY_CHANGE, TrainConfig


def train(
    context: typer.Context,
    dataset: option.Dataset = None,
    preset: option.Preset = TrainConfig.preset,
    name: option.Name = TrainConfig.name,
    resume: option.Resume = TrainConfig.resume,
    input_size: option.InputSize = None,
    epochs: option.Epochs = TrainConfig.epochs,
    minutes: option.Minutes = TrainConfig.minutes,
    patience: option.Patience = TrainConfig.patience,
    val_every: option.ValEvery = TrainConfig.val_every,
    batch_size: option.BatchSize = TrainConfig.batch_size,
    accumulate: option.Accumulate = TrainConfig.accumulate,
    lr: option.Lr = TrainConfig.lr,
    backbone_rate: option.BackboneRate = TrainConfig.backbone_rate,
    layer_decay: option.LayerDecay = TrainConfig.layer_decay,
    freeze: option.Freeze = None,
    schedule: option.Schedule = TrainConfig.schedule,
    warmup: option.Warmup = TrainConfig.warmup,
    momentum: option.Momentum = TrainConfig.momentum,
    weight_decay: option.WeightDecay = TrainConfig.weight_decay,
    clip_norm: option.ClipNorm = TrainConfig.clip_norm,
    ema: option.Ema = TrainConfig.ema,
    loss: option.Loss = TrainConfig.loss,
    box_loss: option.BoxLoss = TrainConfig.box_loss,
    alpha: option.Alpha = TrainConfig.alpha,
    label_smoothing: option.LabelSmoothing = TrainConfig.label_smoothing,
    empty_negatives: option.EmptyNegatives = TrainConfig.empty_negatives,
    augmentation: option.Augmentation = TrainConfig.augmentation,
    flip: option.Flip = TrainConfig.flip,
    precision: option.Precision = "auto",
    priors: option.Priors = TrainConfig.priors,
    backbone: option.Backbone = TrainConfig.backbone,
    offline: option.Offline = TrainConfig.offline,
    train_split: option.TrainSplit = TrainConfig.train_split,
    val_split: option.ValSplit = TrainConfig.val_split,
    val_fraction: option.ValFraction = TrainConfig.val_fraction,
    classes: option.Classes = None,
    seed: option.Seed = TrainConfig.seed,
    check: option.Check = TrainConfig.check,
    max_bad: option.MaxBad = TrainConfig.max_bad,
    strict: option.Strict = TrainConfig.strict,
    workers: option.Workers = TrainConfig.workers,
    cores: option.Cores = TrainConfig.cores,
    device: option.Device = "auto",
    devices: option.Devices = TrainConfig.devices,
    save_minutes: option.SaveMinutes = TrainConfig.save_minutes,
    tensorboard: option.Tensorboard = TrainConfig.tensorboard,
    report: option.Report = TrainConfig.report,
) -> None:
    """Train a network on labelled images; writes runs/<name>/best.pt, last.pt and metrics.csv."""
    require_training()
    from ssd_edge.workflows import train as workflow

    if not is_first_process():
        hush()
    if resume is not None:
        refuse_other_options(context)
    with one_stop(), bars() as progress:
        result = workflow.train(dataset, progress=progress, **options_of(context.params))
    if is_first_process():
        say(f"next: ssd-edge export {quoted(result.path)}")


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options as fields of :class:`TrainConfig`, which have the same names."""
    options = {name: value for name, value in given.items() if name != "dataset"}
    options["freeze"] = [name.strip() for name in (given["freeze"] or "").split(",") if name.strip()]
    options["input_size"] = parse_input_size(given["input_size"])
    for name in ("precision", "device"):
        options[name] = None if given[name] == "auto" else given[name]
    return options


def refuse_other_options(context: typer.Context) -> None:
    """Check that no option would change a resumed run.

    Raises:
        InputError: an option was given that a resumed run cannot change.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in {*MAY_CHANGE, "dataset"}:
            raise InputError(
                f"{parameter.opts[0]} cannot be changed when a run is resumed",
                wanted="only --device, --devices, --workers, --cores, --save-minutes, --tensorboard or --report",
                do="Leave it out, or start a new run.",
            )
