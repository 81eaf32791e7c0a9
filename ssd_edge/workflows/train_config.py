"""Config and result of ``train``; imports nothing heavy, as the command line shows the options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.config import AnyPath, check_limits
from ssd_edge.core.errors import InputError, keyword
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.tolerance import MAX_BAD
from ssd_edge.training.metrics import EpochRecord
from ssd_edge.training.recipe import (
    Augmentation,
    Classification,
    Localization,
    LossOptions,
    Precision,
    Recipe,
)
from ssd_edge.training.schedule import ScheduleName

LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (1, float("inf")),
    "minutes": (0.01, float("inf")),
    "patience": (1, float("inf")),
    "val_every": (1, float("inf")),
    "batch_size": (2, float("inf")),
    "accumulate": (1, float("inf")),
    "lr": (1e-6, float("inf")),
    "backbone_rate": (0, 10),
    "layer_decay": (0.1, 1),
    "warmup": (0, 0.5),
    "momentum": (0, 0.999),
    "weight_decay": (0, float("inf")),
    "clip_norm": (0, float("inf")),
    "ema": (0, 0.99999),
    "alpha": (0, float("inf")),
    "label_smoothing": (0, 0.5),
    "empty_negatives": (0, float("inf")),
    "val_fraction": (0.01, 0.9),
    "max_bad": (0, 1),
    "seed": (0, float("inf")),
    "workers": (0, float("inf")),
    "cores": (1, float("inf")),
    "devices": (1, float("inf")),
    "save_minutes": (0, float("inf")),
}
"""Least and largest value of each number."""

TRAIN_SPLIT, VAL_SPLIT = "train", "val"
"""Default names of the splits."""

MAY_CHANGE = frozenset({"resume", "device", "devices", "workers", "cores", "save_minutes", "tensorboard", "report"})
"""Options that may change when a run is resumed."""


@dataclass(frozen=True)
class TrainConfig:
    """Options of a training run. None leaves a choice to the preset or to the machine.

    Attributes:
        preset: the network; ``ssd-edge models`` lists them. None for the one that suits the data, with anchors
            fitted to them, and a length and a batch that suit their number.
        name: of the model and of ``runs/<name>``; None for ``<preset>-<number>``, or ``<folder of the data>-<number>``.
        resume: an interrupted run to go on with: its name, its folder, or ``last``.
        input_size: side of the network's input in pixels, or (width, height); None for the preset's.
        priors: file of anchors that ``data priors`` fitted; None for the preset's.
        backbone: weights to begin with: a file, a URL, ``torchvision:<name>`` or ``timm:<name>``; ``none`` for random
            ones; None for torchvision's of ImageNet, from PyTorch's cache or else by a download, and for random ones
            where that cannot be. With ``preset=None`` the network is the one that they fit.
        offline: do not fetch weights.
        epochs: passes over the training set; None for the preset's.
        minutes: instead of epochs, the learning rate following the clock; with epochs too, a limit: the rate follows
            whichever is nearer to its end.
        patience: validations without a better mean AP after which training stops; None for no such limit.
        val_every: epochs from one validation to the next; None for 1.
        batch_size: images a batch, on each device; None for the preset's, or less where the memory is small.
        accumulate: batches a step of the optimizer; None for 1.
        lr: peak learning rate; None for the preset's.
        schedule: how the rate falls.
        warmup: share of training, 0 to 0.5, in which the rate rises from 0; None for 0.05, and for 0 with ``steps``.
        backbone_rate: what the backbone's learning rate is multiplied by; None for 1.
        layer_decay: what it is multiplied by once more for each block towards the input; None for 1.
        freeze: layers that do not learn, e.g. ``backbone`` or ``backbone.features.0``.
        momentum: of SGD; None for 0.9.
        weight_decay: of SGD; None for the preset's.
        clip_norm: largest norm of a step's gradient, 0 for no limit; None for 10.
        ema: decay of the moving average of the weights, which is validated and kept, 0 for none; None for 0.999.
        loss: of the classes; cross-entropy chooses hard negatives.
        box_loss: of the boxes.
        alpha: weight of the loss of the boxes.
        label_smoothing: share of the probability that is spread over all classes.
        empty_negatives: background anchors to train on in an image without objects.
        augmentation: the random views; None for the preset's.
        flip: mirror half of the views.
        train_split: to train on; None for ``train``, or the only one that there is. A part of a list, such as
            ``splits/signs/split.json:train``, is a split too.
        val_split: to validate on; None for ``val`` or, where there is none, a part of the training split
            that is set aside.
        val_fraction: share of the images to set aside where there is no validation set.
        classes: their names in the order of their numbers, or a file with one a line, or names with commas between;
            None for those of the data.
        check: look for faults of the data before training, as ``data check`` does.
        max_bad: largest share of the images, or of the objects, that may be left out, 0 to 1.
        strict: refuse the first fault of the data instead.
        seed: of weights, order and views.
        precision: of the convolutions; None for what suits the device, measured on a processor.
        device: None for the GPU where there is one.
        devices: how many of this machine, with a process each.
        workers: processes that prepare batches, for each device; None for half of the cores.
        cores: of the processor, to train on; None for all.
        save_minutes: from one saved state to the next within an epoch.
        tensorboard: write ``runs/<name>/tensorboard``, where TensorBoard is installed.
        report: at the end evaluate best.pt once more and write ``report.html``.

    Raises:
        InputError: a number is out of range, or options exclude one another.
    """

    preset: str | None = None
    name: str | None = None
    resume: str | None = None
    input_size: int | tuple[int, int] | None = None
    priors: Path | None = None
    backbone: str | None = None
    offline: bool = False
    epochs: int | None = None
    minutes: float | None = None
    patience: int | None = None
    val_every: int | None = None
    batch_size: int | None = None
    accumulate: int | None = None
    lr: float | None = None
    schedule: ScheduleName = "cosine"
    warmup: float | None = None
    backbone_rate: float | None = None
    layer_decay: float | None = None
    freeze: tuple[str, ...] = ()
    momentum: float | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None
    ema: float | None = None
    loss: Classification = "cross-entropy"
    box_loss: Localization = "smooth-l1"
    alpha: float = LossOptions.alpha
    label_smoothing: float = LossOptions.label_smoothing
    empty_negatives: int = LossOptions.negatives_of_empty
    augmentation: Augmentation | None = None
    flip: bool = True
    train_split: str | None = None
    val_split: str | None = None
    val_fraction: float = 0.2
    classes: str | tuple[str, ...] | None = None
    check: bool = True
    max_bad: float = MAX_BAD
    strict: bool = False
    seed: int = 0
    precision: Precision | None = None
    device: Literal["cpu", "cuda", "mps"] | None = None
    devices: int = 1
    workers: int | None = None
    cores: int | None = None
    save_minutes: float = 5.0
    tensorboard: bool = True
    report: bool = True

    def __post_init__(self) -> None:
        check_limits(self, LIMITS)
        if self.strict and not self.check:
            what = f"{keyword('strict', True)} needs the check of the data, which is turned off"
            raise InputError(what, do="Leave out one of the two options.")
        if self.val_every is not None and self.minutes is not None and self.epochs is None:
            raise InputError(
                "--val-every counts epochs and needs --epochs",
                got="only --minutes, which validates by time",
                do="Add --epochs, or leave out --val-every.",
            )

    @property
    def splits(self) -> tuple[str, str]:
        """The splits to train on and to validate on, by their usual names where they are left open."""
        return self.train_split or TRAIN_SPLIT, self.val_split or VAL_SPLIT

    def recipe(self, precision: Precision, base: Recipe) -> Recipe:
        """Return a recipe with what is asked for here."""
        return base.with_changes(
            {
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "augmentation": self.augmentation,
                "validate_every": self.val_every,
            },
            optimisation={
                "learning_rate": self.lr,
                "schedule": self.schedule,
                "warmup_share": self.warmup,
                "momentum": self.momentum,
                "weight_decay": self.weight_decay,
                "clip_norm": self.clip_norm,
                "average_decay": self.ema,
                "precision": precision,
                "accumulate": self.accumulate,
                "frozen": self.freeze,
                "backbone_rate": self.backbone_rate,
                "layer_decay": self.layer_decay,
                "patience": self.patience,
            },
            loss={
                "classification": self.loss,
                "localisation": self.box_loss,
                "alpha": self.alpha,
                "label_smoothing": self.label_smoothing,
                "negatives_of_empty": self.empty_negatives,
            },
        )

    def check_resumable(self) -> None:
        """Check that nothing is asked for that would make another run of one that goes on.

        Raises:
            InputError: an option that a resumed run cannot change has not its default.
        """
        default = TrainConfig()
        for name in (entry.name for entry in fields(self) if entry.name not in MAY_CHANGE):
            if getattr(self, name) != getattr(default, name):
                raise InputError(
                    f"{name} cannot be changed when a run is resumed",
                    got=f"{name}={getattr(self, name)!r}",
                    wanted=f"only {', '.join(sorted(MAY_CHANGE - {'resume'}))}",
                    do="Leave it out, or start a new run.",
                )


class TrainOptions(TypedDict, total=False):
    """The fields of :class:`TrainConfig` as keywords."""

    preset: str | None
    name: str | None
    resume: AnyPath | None
    input_size: int | tuple[int, int] | list[int] | None
    priors: AnyPath | None
    backbone: AnyPath | None
    offline: bool
    epochs: int | None
    minutes: float | None
    patience: int | None
    val_every: int | None
    batch_size: int | None
    accumulate: int | None
    lr: float | None
    schedule: ScheduleName
    warmup: float | None
    backbone_rate: float | None
    layer_decay: float | None
    freeze: tuple[str, ...] | list[str]
    momentum: float | None
    weight_decay: float | None
    clip_norm: float | None
    ema: float | None
    loss: Classification
    box_loss: Localization
    alpha: float
    label_smoothing: float
    empty_negatives: int
    augmentation: Augmentation | None
    flip: bool
    train_split: str | None
    val_split: str | None
    val_fraction: float
    classes: AnyPath | tuple[str, ...] | list[str] | None
    check: bool
    max_bad: float
    strict: bool
    seed: int
    precision: Precision | None
    device: Literal["cpu", "cuda", "mps"] | None
    devices: int
    workers: int | None
    cores: int | None
    save_minutes: float
    tensorboard: bool
    report: bool


@dataclass(frozen=True)
class TrainResult:
    """A run that is over.

    Attributes:
        path: the checkpoint of the best epoch.
        last: that of the last epoch.
        metrics: the table of epochs, CSV.
        mean_ap: of the best epoch on the validation set, 0 to 1.
        epochs: what each epoch came to.
        stopped_by: what ended training: its epochs, its minutes or its patience.
        report: the page about the run; None where none was wanted, and in all processes but the first.
        left_out: images and objects that could not be used.
    """

    path: Path
    last: Path
    metrics: Path
    mean_ap: float
    epochs: tuple[EpochRecord, ...]
    stopped_by: Literal["epochs", "minutes", "patience"]
    report: Path | None = None
    left_out: tuple[LeftOut, ...] = ()
