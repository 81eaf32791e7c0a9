"""Options of ``train``: types, limits and help, grouped by the panels of ``train --help``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

_network, _learning, _loss, _data, _machine = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Network", "Optimization", "Loss", "Data", "Machine")
)

Dataset = Annotated[
    Path | None,
    typer.Argument(help="Labelled images (VOC, COCO, YOLO or CSV).", metavar="DATASET", show_default=False),
]
Name = Annotated[
    str | None, typer.Option("--name", help="Name of the model and of runs/<name> (default: <preset>-<number>).")
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Resume an interrupted run: its name, its folder, or `last`."),
]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, help="Number of epochs (default: the preset's).")]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        min=0.01,
        help="Train for this many minutes; the learning-rate schedule is spread over that time. With --epochs too, "
        "training ends at whichever limit comes first.",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option("--patience", min=1, help="Stop after N validations in a row without a better mAP (default: never)."),
]
ValEvery = Annotated[
    int | None,
    typer.Option("--val-every", min=1, metavar="N", help="Validate every N epochs (default: 1)."),
]
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, help="Random seed for the initial weights, the order of images and augmentation."),
]
Tensorboard = Annotated[
    bool, typer.Option(help="Write TensorBoard logs to runs/<name>/tensorboard if TensorBoard is installed.")
]
Report = Annotated[
    bool, typer.Option(help="At the end, evaluate best.pt and write report.html with curves and images.")
]

Preset = Annotated[
    str | None,
    _network(
        "--preset", help="Network to train; `ssd-edge models` lists the presets (default: chosen to suit the data)."
    ),
]
InputSize = Annotated[
    str | None,
    _network(
        "--input-size",
        metavar="N|WxH",
        help="Input size of the network in pixels (default: the preset's; without --preset, chosen to suit the data).",
    ),
]
Offline = Annotated[
    bool, _network("--offline", help="Do not download weights; use only those that are already on this machine.")
]
Priors = Annotated[
    Path | None, _network("--priors", help="Anchors file written by `data priors` (default: the preset's anchors).")
]
Backbone = Annotated[
    str | None,
    _network(
        "--backbone",
        metavar="WEIGHTS",
        help="Pretrained backbone: a file, a URL, torchvision:<name>, timm:<name>, or none for random weights "
        "(default: ImageNet weights, downloaded once).",
    ),
]

BatchSize = Annotated[
    int | None,
    _learning(
        "--batch-size",
        min=2,
        help="Images per batch on each device (default: the preset's, or fewer if memory is small).",
    ),
]
Accumulate = Annotated[int | None, _learning("--accumulate", min=1, help="Batches per optimizer step (default: 1).")]
Lr = Annotated[float | None, _learning("--lr", min=1e-6, help="Peak learning rate (default: the preset's).")]
BackboneRate = Annotated[
    float | None,
    _learning(
        "--backbone-rate",
        min=0,
        max=10,
        help="Factor by which the backbone's learning rate is multiplied (default: 1).",
    ),
]
LayerDecay = Annotated[
    float | None,
    _learning(
        "--layer-decay",
        min=0.1,
        max=1,
        help="Factor by which the learning rate is multiplied again for each backbone block toward the input "
        "(default: 1).",
    ),
]
Freeze = Annotated[
    str | None,
    _learning(
        "--freeze",
        metavar="LAYERS",
        help="Layers to freeze, comma-separated: backbone for all of it, or names such as backbone.features.0,…",
    ),
]
Schedule = Annotated[
    Literal["cosine", "steps"],
    _learning("--schedule", help="Learning-rate schedule: cosine, or steps as in the SSD paper."),
]
Warmup = Annotated[
    float | None,
    _learning(
        "--warmup",
        min=0,
        max=0.5,
        metavar="SHARE",
        help="Share of training used for learning-rate warm-up (default: 0.05; 0 with --schedule steps).",
    ),
]
Momentum = Annotated[float | None, _learning("--momentum", min=0, max=0.999, help="Momentum of SGD (default: 0.9).")]
WeightDecay = Annotated[
    float | None, _learning("--weight-decay", min=0, help="Weight decay of SGD (default: the preset's).")
]
ClipNorm = Annotated[
    float | None,
    _learning(
        "--clip-norm", min=0, help="Limit of the size (norm) of the gradient in a step; 0 for no limit (default: 10)."
    ),
]
Ema = Annotated[
    float | None,
    _learning(
        "--ema",
        min=0,
        max=0.99999,
        help="Decay of the moving average (EMA) of the weights, which is what is validated and saved; 0 for no "
        "average (default: 0.999).",
    ),
]

Loss = Annotated[
    Literal["cross-entropy", "focal"],
    _loss("--loss", help="Classification loss; cross-entropy uses hard negative mining."),
]
BoxLoss = Annotated[Literal["smooth-l1", "giou", "diou"], _loss("--box-loss", help="Box regression loss.")]
Alpha = Annotated[float, _loss("--alpha", min=0, help="Weight of the box loss relative to the classification loss.")]
LabelSmoothing = Annotated[
    float, _loss("--label-smoothing", min=0, max=0.5, help="Share of the probability that is spread over all classes.")
]
EmptyNegatives = Annotated[
    int,
    _loss(
        "--empty-negatives",
        min=0,
        metavar="N",
        help="Number of background anchors, hardest first, to train on in an image without objects.",
    ),
]

Augmentation = Annotated[
    Literal["ssd", "ssdlite", "none"] | None, _data("--augmentation", help="Data augmentation (default: the preset's).")
]
Flip = Annotated[
    bool,
    _data(help="Mirror half of the training images at random; turn off if a mirrored object belongs to another class."),
]
TrainSplit = Annotated[
    str | None, _data("--train-split", metavar="NAME", help="Training split (default: train, or the only split).")
]
ValSplit = Annotated[
    str | None,
    _data(
        "--val-split",
        metavar="NAME",
        help="Validation split (default: val; if there is none, some training images are set aside).",
    ),
]
ValFraction = Annotated[
    float,
    _data(
        "--val-fraction",
        min=0.01,
        max=0.9,
        help="Share of the training images to set aside if there is no validation split.",
    ),
]
Classes = Annotated[
    str | None,
    _data(
        "--classes", help="Class names: comma-separated, or a file with one per line (default: those of the data set)."
    ),
]
Check = Annotated[bool, _data(help="Check the data first, as `data check` does.")]
MaxBad = Annotated[
    float,
    _data("--max-bad", min=0.0, max=1.0, help="Largest share of images or objects that may be left out, 0 to 1."),
]
Strict = Annotated[
    bool,
    _data("--strict", help="Stop at the first error in the data (default: faulty images and objects are left out)."),
]

Precision = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    _machine("--precision", help="Precision of the convolutions. auto: bfloat16 if it is much faster here."),
]
Workers = Annotated[
    int | None,
    _machine("--workers", min=0, help="Data-loading processes per device (default: half of the cores)."),
]
Cores = Annotated[
    int | None,
    _machine("--cores", min=1, help="CPU cores to train on (default: all, or one if other programs use them)."),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], _machine("--device", help="Device to train on. auto: a GPU if there is one.")
]
Devices = Annotated[
    int,
    _machine(
        "--devices", min=1, help="Number of devices to train on in this machine; for several machines, use torchrun."
    ),
]
SaveMinutes = Annotated[
    float,
    _machine(
        "--save-minutes",
        min=0.0,
        help="Minutes between saves of the training state within an epoch; it is also saved after each epoch.",
    ),
]
