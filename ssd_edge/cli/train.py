"""``ssd-edge train``: labelled pictures to checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bar, say
from ssd_edge.cli.data_check import check_before_training, say_reach
from ssd_edge.cli.train_options import Augmentation, Precision, Schedule, chosen_recipe, class_names, with_priors
from ssd_edge.cli.training_run import TrainingPlan, default_workers, require_torch, run_training
from ssd_edge.core.errors import InputError
from ssd_edge.core.run_data import RunData

if TYPE_CHECKING:
    from ssd_edge.training.journal import EpochRecord


def train(
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    preset: Annotated[str, typer.Option("--preset", help="The network.")] = "ssd192-tiny",
    name: Annotated[
        str | None, typer.Option("--name", help="Of the model and of runs/<name>; by default <preset>-<number>.")
    ] = None,
    input_size: Annotated[
        int | None, typer.Option("--input-size", help="Side of the network's input in pixels; by default the preset's.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the pictures; by default the preset's.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.01, help="Instead of epochs; the learning rate is fitted to the time."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Pictures a step; by default the preset's.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option("--lr", min=1e-6, help="Peak learning rate; by default the preset's.")
    ] = None,
    schedule: Annotated[
        Schedule, typer.Option("--schedule", help="How the rate falls; steps: the paper's.")
    ] = "cosine",
    augmentation: Annotated[
        Augmentation | None, typer.Option("--augmentation", help="Random views; by default the preset's.")
    ] = None,
    flip: Annotated[
        bool, typer.Option(help="Mirror half of the views; not where a mirrored object is another class.")
    ] = True,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Of the convolutions; auto: bfloat16 where it is much faster here.")
    ] = "auto",
    priors: Annotated[
        Path | None, typer.Option("--priors", help="Default boxes that `data priors` fitted; by default the preset's.")
    ] = None,
    train_split: Annotated[str, typer.Option("--train-split", help="Pictures to learn from.")] = "train",
    val_split: Annotated[str, typer.Option("--val-split", help="Pictures to choose the best epoch by.")] = "val",
    classes: Annotated[
        str | None,
        typer.Option("--classes", help="Names with commas between, or a file with one a line; by default the data's."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, order and views.")] = 0,
    check: Annotated[bool, typer.Option(help="Look for faults of the data first, as `data check` does.")] = True,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Processes that prepare batches; by default half the cores.")
    ] = None,
) -> None:
    """Train a network on labelled images: runs/<name>/best.pt, last.pt and metrics.csv."""
    require_torch()
    from ssd_edge.data.find import open_dataset
    from ssd_edge.model.zoo import make_spec

    if epochs is not None and minutes is not None:
        raise InputError("--epochs and --minutes are both given", wanted="one of them")
    names = class_names(classes)
    if check:
        check_before_training(dataset, (train_split, val_split), names)
    learnt = open_dataset(dataset, train_split, names)
    judged = open_dataset(dataset, val_split, learnt.class_names)
    name = name or _free_name(preset)
    spec = with_priors(make_spec(preset, learnt.class_names, input_size=input_size, name=name), preset, priors)
    if check:
        say_reach(learnt, spec, f"ssd-edge data priors {dataset} --preset {preset}")
    plan = TrainingPlan(
        spec=spec,
        learnt=learnt,
        judged=judged,
        recipe=chosen_recipe(
            preset,
            spec,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=lr,
            schedule=schedule,
            augmentation=augmentation,
            precision=precision,
        ),
        folder=_new_folder(name),
        minutes=minutes,
        horizontal_flip=flip,
        seed=seed,
        workers=default_workers() if workers is None else workers,
    )
    _say_plan(plan, preset)
    _train(plan, RunData(str(dataset.resolve()), train_split, val_split))


def _train(plan: TrainingPlan, data: RunData) -> None:
    def after_epoch(record: EpochRecord) -> None:
        data.save(plan.folder)  # with the first checkpoint, not before: an empty run leaves its name free
        say_epoch(record)

    try:
        with bar("training") as progress:
            files = run_training(plan, on_epoch=after_epoch, progress=progress)
    except KeyboardInterrupt:
        kept = plan.folder / "last.pt"
        say(f"{kept} holds the last whole epoch" if kept.is_file() else "stopped in the first epoch: nothing is kept")
        raise
    say(f"{files.best}: mAP@0.5 {files.best_mean_ap or 0:.4f}; every epoch is in {files.metrics}")
    say(f"next: ssd-edge export {files.best}")


def say_epoch(record: EpochRecord) -> None:
    """Print an epoch's loss, accuracy and speed."""
    accuracy = "" if record.mean_ap is None else f", mAP@0.5 {record.mean_ap:.4f}"
    say(
        f"epoch {record.epoch}: loss {record.loss:.3f}{accuracy}, {record.images_per_s:.0f} images/s, "
        f"{record.seconds:.0f} s"
    )


def _free_name(preset: str) -> str:
    number = 1
    while (Path("runs") / f"{preset}-{number}").exists():
        number += 1
    return f"{preset}-{number}"


def _new_folder(name: str) -> Path:
    folder = Path("runs") / name
    if Path(name).name != name or name in (".", ".."):
        raise InputError("--name is not a name", got=repr(name), wanted="letters, digits, - and _ without a /")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} holds another run", do="Choose another --name, or remove the folder.")
    return folder


def _say_plan(plan: TrainingPlan, preset: str) -> None:
    recipe, rate = plan.recipe, plan.recipe.optimisation.learning_rate
    length = f"{plan.minutes:g} minutes" if plan.minutes else f"{recipe.epochs} epochs"
    mirrored = "mirrored" if plan.horizontal_flip and recipe.augmentation != "none" else "not mirrored"
    say(f"learning from {plan.learnt.origin}: {len(plan.learnt)} images, {plan.learnt.object_count} objects")
    say(f"judging by {plan.judged.origin}: {len(plan.judged)} images; classes: {', '.join(plan.spec.class_names)}")
    say(
        f"{preset} at {plan.spec.input.height} x {plan.spec.input.width} from random weights, {length}, "
        f"{recipe.batch_size} images a step, peak learning rate {rate:g} ({recipe.optimisation.schedule}), "
        f"augmentation {recipe.augmentation}, {mirrored}, seed {plan.seed}, {plan.workers} workers"
    )
    say(f"writing {plan.folder}")
