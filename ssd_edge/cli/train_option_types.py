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
    Path | None, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET", show_default=False)
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
        help="Training time in minutes, instead of epochs; the learning rate follows the clock. With --epochs, the "
        "longest time.",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option("--patience", min=1, help="Stop after N validations without a better mAP (default: never)."),
]
ValEvery = Annotated[
    int | None,
    typer.Option("--val-every", min=1, metavar="N", help="Validate every N epochs (default: 1)."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed of weights, order and augmentation.")]
Tensorboard = Annotated[bool, typer.Option(help="Write runs/<name>/tensorboard if TensorBoard is installed.")]
Report = Annotated[
    bool, typer.Option(help="At the end, evaluate best.pt and write report.html with curves and images.")
]

Preset = Annotated[
    str | None,
    _network("--preset", help="Network to train; `ssd-edge models` lists them (default: the one that suits the data)."),
]
InputSize = Annotated[
    str | None,
    _network(
        "--input-size", metavar="N|WxH", help="Input size of the network in pixels (default: what suits the data)."
    ),
]
Offline = Annotated[bool, _network("--offline", help="Do not fetch weights; use those that are here.")]
Priors = Annotated[
    Path | None, _network("--priors", help="Anchors file of `data priors` (default: the preset's anchors).")
]
Backbone = Annotated[
    str | None,
    _network(
        "--backbone",
        metavar="WEIGHTS",
        help="Pretrained backbone: a file, a URL, torchvision:<name>, timm:<name>, or none for random weights "
        "(default: ImageNet's, fetched once).",
    ),
]

BatchSize = Annotated[
    int | None,
    _learning("--batch-size", min=2, help="Images per batch on each device (default: the preset's, or what fits)."),
]
Accumulate = Annotated[int | None, _learning("--accumulate", min=1, help="Batches per optimizer step (default: 1).")]
Lr = Annotated[float | None, _learning("--lr", min=1e-6, help="Peak learning rate (default: the preset's).")]
BackboneRate = Annotated[
    float | None,
    _learning("--backbone-rate", min=0, max=10, help="Factor of the backbone's learning rate (default: 1)."),
]
LayerDecay = Annotated[
    float | None,
    _learning(
        "--layer-decay", min=0.1, max=1, help="Further factor per backbone block towards the input (default: 1)."
    ),
]
Freeze = Annotated[
    str | None,
    _learning(
        "--freeze",
        metavar="LAYERS",
        help="Layers to freeze, comma-separated: backbone, or backbone.features.0,…",
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
    float | None, _learning("--clip-norm", min=0, help="Largest gradient norm; 0 for no limit (default: 10).")
]
Ema = Annotated[
    float | None,
    _learning(
        "--ema",
        min=0,
        max=0.99999,
        help="Decay of the EMA of the weights, which is validated and saved; 0 for none (default: 0.999).",
    ),
]

Loss = Annotated[
    Literal["cross-entropy", "focal"],
    _loss("--loss", help="Classification loss; cross-entropy uses hard negative mining."),
]
BoxLoss = Annotated[Literal["smooth-l1", "giou", "diou"], _loss("--box-loss", help="Box regression loss.")]
Alpha = Annotated[float, _loss("--alpha", min=0, help="Weight of the box loss.")]
LabelSmoothing = Annotated[
    float, _loss("--label-smoothing", min=0, max=0.5, help="Share of the probability that is spread over all classes.")
]
EmptyNegatives = Annotated[
    int,
    _loss(
        "--empty-negatives",
        min=0,
        metavar="N",
        help="Hardest background anchors to train on in an image without objects.",
    ),
]

Augmentation = Annotated[
    Literal["ssd", "ssdlite", "none"] | None, _data("--augmentation", help="Augmentation (default: the preset's).")
]
Flip = Annotated[bool, _data(help="Mirror half of the views; disable if a mirrored object is another class.")]
TrainSplit = Annotated[str | None, _data("--train-split", metavar="NAME", help="Training split (default: train).")]
ValSplit = Annotated[
    str | None,
    _data("--val-split", metavar="NAME", help="Validation split (default: val; without one, images are set aside)."),
]
ValFraction = Annotated[
    float,
    _data(
        "--val-fraction",
        min=0.01,
        max=0.9,
        help="Share of the images to set aside if the data have no validation split.",
    ),
]
Classes = Annotated[
    str | None,
    _data("--classes", help="Class names: comma-separated, or a file with one per line (default: the data's)."),
]
Check = Annotated[bool, _data(help="Check the data first, as `data check` does.")]
MaxBad = Annotated[
    float,
    _data("--max-bad", min=0.0, max=1.0, help="Largest share of images or objects that may be left out."),
]
Strict = Annotated[bool, _data("--strict", help="Stop at the first data issue (default: the item is left out).")]

Precision = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    _machine("--precision", help="Precision of the convolutions. auto: bfloat16 if it is much faster here."),
]
Workers = Annotated[
    int | None,
    _machine("--workers", min=0, help="Data-loading processes per device (default: half of the cores)."),
]
Cores = Annotated[int | None, _machine("--cores", min=1, help="CPU cores to train on (default: all).")]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], _machine("--device", help="Device to train on. auto: a GPU if there is one.")
]
Devices = Annotated[
    int, _machine("--devices", min=1, help="Number of devices of this machine; for several machines use torchrun.")
]
SaveMinutes = Annotated[
    float,
    _machine("--save-minutes", min=0.0, help="Minutes between saved states within an epoch; each epoch saves one too."),
]
