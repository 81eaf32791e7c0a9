"""``ssd-edge train``: labelled pictures to checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import hush, say
from ssd_edge.cli.data_check import check_before_training, say_reach
from ssd_edge.cli.resume import interrupted_run, refuse_other_options
from ssd_edge.cli.run_folders import free_name, new_folder
from ssd_edge.cli.train_options import (
    Augmentation,
    Classification,
    Device,
    Localisation,
    Precision,
    Schedule,
    chosen_precision,
    chosen_recipe,
    class_names,
    listed,
    with_priors,
)
from ssd_edge.cli.training_plan import Machine, TrainingPlan
from ssd_edge.cli.training_run import default_workers, devices_here, is_first_process, require_torch
from ssd_edge.cli.training_session import resume_run, train_plan
from ssd_edge.core.errors import InputError
from ssd_edge.core.run_data import RunData

_OPTIMISER, _LOSS, _NETWORK, _DATA, _MACHINE = "Learning", "Loss", "Network", "Data", "Machine"


def train(
    context: typer.Context,
    dataset: Annotated[
        Path | None, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET", show_default=False)
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="The network.", rich_help_panel=_NETWORK)] = "ssd192-tiny",
    name: Annotated[
        str | None, typer.Option("--name", help="Of the model and of runs/<name>; by default <preset>-<number>.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run: its name, its folder, or `last`."),
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            "--input-size",
            help="Side of the network's input in pixels; by default the preset's.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the pictures; by default the preset's.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.01, help="Instead of epochs; the learning rate is fitted to the time."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option("--patience", min=1, help="Stop after so many validations that are no better; by default never."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=2,
            help="Pictures a batch, on each device; by default the preset's.",
            rich_help_panel=_OPTIMISER,
        ),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option("--accumulate", min=1, help="Batches a step of the optimiser.", rich_help_panel=_OPTIMISER),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option("--lr", min=1e-6, help="Peak learning rate; by default the preset's.", rich_help_panel=_OPTIMISER),
    ] = None,
    backbone_rate: Annotated[
        float | None,
        typer.Option(
            "--backbone-rate",
            min=0,
            max=10,
            help="What the backbone's learning rate is multiplied by.",
            rich_help_panel=_OPTIMISER,
        ),
    ] = None,
    layer_decay: Annotated[
        float | None,
        typer.Option(
            "--layer-decay",
            min=0.1,
            max=1,
            help="What it is multiplied by once more for each block towards the input.",
            rich_help_panel=_OPTIMISER,
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            "--freeze",
            metavar="LAYERS",
            help="Layers that do not learn, with commas between: backbone, or backbone.features.0 …",
            rich_help_panel=_OPTIMISER,
        ),
    ] = None,
    schedule: Annotated[
        Schedule,
        typer.Option("--schedule", help="How the rate falls; steps: the paper's.", rich_help_panel=_OPTIMISER),
    ] = "cosine",
    weight_decay: Annotated[
        float | None, typer.Option("--weight-decay", min=0, help="Of SGD.", rich_help_panel=_OPTIMISER)
    ] = None,
    clip_norm: Annotated[
        float | None,
        typer.Option("--clip-norm", min=0.01, help="Largest norm of a step's gradient.", rich_help_panel=_OPTIMISER),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            "--ema",
            min=0,
            max=0.99999,
            help="Decay of the moving average of the weights, which is judged and kept; 0 is none.",
            rich_help_panel=_OPTIMISER,
        ),
    ] = None,
    loss: Annotated[
        Classification,
        typer.Option("--loss", help="Of the classes; cross-entropy has hard negatives.", rich_help_panel=_LOSS),
    ] = "cross-entropy",
    box_loss: Annotated[
        Localisation, typer.Option("--box-loss", help="Of the boxes.", rich_help_panel=_LOSS)
    ] = "smooth-l1",
    alpha: Annotated[
        float, typer.Option("--alpha", min=0, help="Weight of the loss of the boxes.", rich_help_panel=_LOSS)
    ] = 1.0,
    label_smoothing: Annotated[
        float,
        typer.Option(
            "--label-smoothing",
            min=0,
            max=0.5,
            help="Share of the wanted probability that all classes get.",
            rich_help_panel=_LOSS,
        ),
    ] = 0.0,
    augmentation: Annotated[
        Augmentation | None,
        typer.Option("--augmentation", help="Random views; by default the preset's.", rich_help_panel=_DATA),
    ] = None,
    flip: Annotated[
        bool,
        typer.Option(
            help="Mirror half of the views; not where a mirrored object is another class.", rich_help_panel=_DATA
        ),
    ] = True,
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="Of the convolutions; auto: bfloat16 where it is much faster here.",
            rich_help_panel=_MACHINE,
        ),
    ] = "auto",
    priors: Annotated[
        Path | None,
        typer.Option(
            "--priors",
            help="Default boxes that `data priors` fitted; by default the preset's.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="WEIGHTS",
            help="What it begins with: a file, a URL, torchvision:<name> or timm:<name>; by default random weights.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Pictures to learn from.", rich_help_panel=_DATA)
    ] = "train",
    val_split: Annotated[
        str, typer.Option("--val-split", help="Pictures to choose the best epoch by.", rich_help_panel=_DATA)
    ] = "val",
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            help="Names with commas between, or a file with one a line; by default the data's.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, order and views.")] = 0,
    check: Annotated[
        bool, typer.Option(help="Look for faults of the data first, as `data check` does.", rich_help_panel=_DATA)
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Processes that prepare batches, for each device; by default half the cores.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    device: Annotated[
        Device, typer.Option("--device", help="auto: the GPU where there is one.", rich_help_panel=_MACHINE)
    ] = "auto",
    devices: Annotated[
        int,
        typer.Option(
            "--devices",
            min=1,
            help="How many of this machine; torchrun starts them on several machines.",
            rich_help_panel=_MACHINE,
        ),
    ] = 1,
    save_minutes: Annotated[
        float,
        typer.Option(
            "--save-minutes",
            min=0.0,
            help="From one saved state to the next; one is saved after each epoch anyway.",
            rich_help_panel=_MACHINE,
        ),
    ] = 5.0,
    tensorboard: Annotated[
        bool, typer.Option(help="Write runs/<name>/tensorboard, where TensorBoard is installed.")
    ] = True,
    report: Annotated[
        bool, typer.Option(help="At the end, judge best.pt once more and write report.html with curves and pictures.")
    ] = True,
) -> None:
    """Train a network on labelled images: runs/<name>/best.pt, last.pt and metrics.csv."""
    require_torch()
    if not is_first_process():
        hush()
    machine = Machine(
        device, devices_here(devices), default_workers() if workers is None else workers, save_minutes * 60
    )
    if resume is not None:
        refuse_other_options(context)
        resume_run(interrupted_run(resume), machine, tensorboard=tensorboard, report=report)
        return
    if dataset is None:
        raise InputError("no data set is given", wanted="ssd-edge train DATASET, or ssd-edge train --resume last")
    from ssd_edge.data.find import open_dataset
    from ssd_edge.model.zoo import make_spec

    if epochs is not None and minutes is not None:
        raise InputError("--epochs and --minutes are both given", wanted="one of them")
    names = class_names(classes)
    if check and is_first_process():
        check_before_training(dataset, (train_split, val_split), names)
    learnt = open_dataset(dataset, train_split, names)
    judged = open_dataset(dataset, val_split, learnt.class_names)
    name = name or free_name(preset)
    spec = with_priors(make_spec(preset, learnt.class_names, input_size=input_size, name=name), preset, priors)
    if check:
        say_reach(learnt, spec, f"ssd-edge data priors {dataset} --preset {preset}")
    recipe = chosen_recipe(
        preset,
        recipe={"epochs": epochs, "batch_size": batch_size, "augmentation": augmentation},
        optimisation={
            "learning_rate": lr,
            "schedule": schedule,
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
        },
        precision=chosen_precision(spec, precision, machine),
    )
    plan = TrainingPlan(
        spec=spec,
        learnt=learnt,
        judged=judged,
        recipe=recipe,
        folder=new_folder(name),
        minutes=minutes,
        horizontal_flip=flip,
        seed=seed,
        backbone=backbone,
        machine=machine,
    )
    _say_plan(plan, preset)
    if is_first_process():
        plan.save()
        RunData(str(dataset.resolve()), train_split, val_split).save(plan.folder)
    train_plan(plan, tensorboard=tensorboard, report=report)


def _say_plan(plan: TrainingPlan, preset: str) -> None:
    recipe, rate = plan.recipe, plan.recipe.optimisation.learning_rate
    length = f"{plan.minutes:g} minutes" if plan.minutes else f"{recipe.epochs} epochs"
    mirrored = "mirrored" if plan.horizontal_flip and recipe.augmentation != "none" else "not mirrored"
    say(f"learning from {plan.learnt.origin}: {len(plan.learnt)} images, {plan.learnt.object_count} objects")
    say(f"judging by {plan.judged.origin}: {len(plan.judged)} images; classes: {', '.join(plan.spec.class_names)}")
    say(
        f"{preset} at {plan.spec.input.height} x {plan.spec.input.width} from {_beginning(plan)}, {length}, "
        f"{_images_a_step(plan)} images a step, peak learning rate {rate:g} ({recipe.optimisation.schedule}), "
        f"augmentation {recipe.augmentation}, {mirrored}, seed {plan.seed}, {plan.machine.workers} workers"
    )
    say(f"writing {plan.folder}")


def _beginning(plan: TrainingPlan) -> str:
    return f"the backbone of {plan.backbone}" if plan.backbone else "random weights"


def _images_a_step(plan: TrainingPlan) -> str:
    settings, devices = plan.recipe.optimisation, plan.machine.devices
    factors = [(settings.accumulate, "batches"), (devices, "devices")]
    named = "".join(f" x {number} {what}" for number, what in factors if number > 1)
    return f"{plan.recipe.batch_size}{named}"
