"""The options of ``train``: their types, limits and help, panel by panel as ``train --help`` shows them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

_network, _learning, _loss, _data, _machine = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Network", "Learning", "Loss", "Data", "Machine")
)

Dataset = Annotated[
    Path | None, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET", show_default=False)
]
Name = Annotated[
    str | None, typer.Option("--name", help="Of the model and of runs/<name>; by default <preset>-<number>.")
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run: its name, its folder, or `last`."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, help="Passes over the pictures; by default the preset's.")
]
Minutes = Annotated[
    float | None,
    typer.Option("--minutes", min=0.01, help="Instead of epochs; the learning rate is fitted to the time."),
]
Patience = Annotated[
    int | None,
    typer.Option("--patience", min=1, help="Stop after so many validations that are no better; by default never."),
]
ValEvery = Annotated[
    int | None,
    typer.Option("--val-every", min=1, metavar="N", help="Epochs from one validation to the next; by default 1."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of weights, order and views.")]
Tensorboard = Annotated[bool, typer.Option(help="Write runs/<name>/tensorboard, where TensorBoard is installed.")]
Report = Annotated[
    bool, typer.Option(help="At the end, judge best.pt once more and write report.html with curves and pictures.")
]

Preset = Annotated[str, _network("--preset", help="The network.")]
InputSize = Annotated[
    int | None, _network("--input-size", help="Side of the network's input in pixels; by default the preset's.")
]
Priors = Annotated[
    Path | None, _network("--priors", help="Default boxes that `data priors` fitted; by default the preset's.")
]
Backbone = Annotated[
    str | None,
    _network(
        "--backbone",
        metavar="WEIGHTS",
        help="What it begins with: a file, a URL, torchvision:<name> or timm:<name>; by default random weights.",
    ),
]

BatchSize = Annotated[
    int | None, _learning("--batch-size", min=2, help="Pictures a batch, on each device; by default the preset's.")
]
Accumulate = Annotated[int | None, _learning("--accumulate", min=1, help="Batches a step of the optimiser.")]
Lr = Annotated[float | None, _learning("--lr", min=1e-6, help="Peak learning rate; by default the preset's.")]
BackboneRate = Annotated[
    float | None,
    _learning("--backbone-rate", min=0, max=10, help="What the backbone's learning rate is multiplied by."),
]
LayerDecay = Annotated[
    float | None,
    _learning(
        "--layer-decay", min=0.1, max=1, help="What it is multiplied by once more for each block towards the input."
    ),
]
Freeze = Annotated[
    str | None,
    _learning(
        "--freeze",
        metavar="LAYERS",
        help="Layers that do not learn, with commas between: backbone, or backbone.features.0 …",
    ),
]
Schedule = Annotated[
    Literal["cosine", "steps"], _learning("--schedule", help="How the rate falls; steps: the paper's.")
]
Warmup = Annotated[
    float | None,
    _learning(
        "--warmup",
        min=0,
        max=0.5,
        metavar="SHARE",
        help="Of the run, in which the rate rises from 0; by default 0.05, and none with steps.",
    ),
]
Momentum = Annotated[float | None, _learning("--momentum", min=0, max=0.999, help="Of SGD; by default 0.9.")]
WeightDecay = Annotated[float | None, _learning("--weight-decay", min=0, help="Of SGD.")]
ClipNorm = Annotated[
    float | None, _learning("--clip-norm", min=0, help="Largest norm of a step's gradient; 0 is no limit.")
]
Ema = Annotated[
    float | None,
    _learning(
        "--ema",
        min=0,
        max=0.99999,
        help="Decay of the moving average of the weights, which is judged and kept; 0 is none.",
    ),
]

Loss = Annotated[
    Literal["cross-entropy", "focal"], _loss("--loss", help="Of the classes; cross-entropy has hard negatives.")
]
BoxLoss = Annotated[Literal["smooth-l1", "giou", "diou"], _loss("--box-loss", help="Of the boxes.")]
Alpha = Annotated[float, _loss("--alpha", min=0, help="Weight of the loss of the boxes.")]
LabelSmoothing = Annotated[
    float, _loss("--label-smoothing", min=0, max=0.5, help="Share of the wanted probability that all classes get.")
]
EmptyNegatives = Annotated[
    int,
    _loss(
        "--empty-negatives",
        min=0,
        metavar="N",
        help="Background boxes to learn from in a picture without objects: those it gets most wrong.",
    ),
]

Augmentation = Annotated[
    Literal["ssd", "ssdlite", "none"] | None, _data("--augmentation", help="Random views; by default the preset's.")
]
Flip = Annotated[bool, _data(help="Mirror half of the views; not where a mirrored object is another class.")]
TrainSplit = Annotated[
    str | None, _data("--train-split", metavar="NAME", help="Split to learn from; by default train.")
]
ValSplit = Annotated[
    str | None,
    _data(
        "--val-split",
        metavar="NAME",
        help="Split to choose the best epoch by; by default val or, where there is none, images that are set aside.",
    ),
]
ValFraction = Annotated[
    float,
    _data(
        "--val-fraction",
        min=0.01,
        max=0.9,
        help="Share of the images to set aside, where the data have no validation split.",
    ),
]
Classes = Annotated[
    str | None, _data("--classes", help="Names with commas between, or a file with one a line; by default the data's.")
]
Check = Annotated[bool, _data(help="Look for faults of the data first, as `data check` does.")]
MaxBad = Annotated[
    float,
    _data("--max-bad", min=0.0, max=1.0, help="Largest share of the images, or of the objects, that may be left out."),
]
Strict = Annotated[bool, _data("--strict", help="Refuse the first fault of the data; by default it is left out.")]

Precision = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    _machine("--precision", help="Of the convolutions; auto: bfloat16 where it is much faster here."),
]
Workers = Annotated[
    int | None,
    _machine("--workers", min=0, help="Processes that prepare batches, for each device; by default half the cores."),
]
Cores = Annotated[int | None, _machine("--cores", min=1, help="Processor cores to learn on; by default all.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], _machine("--device", help="auto: the GPU where there is one.")
]
Devices = Annotated[
    int, _machine("--devices", min=1, help="How many of this machine; torchrun starts them on several machines.")
]
SaveMinutes = Annotated[
    float,
    _machine("--save-minutes", min=0.0, help="From one saved state to the next; one is saved after each epoch anyway."),
]
