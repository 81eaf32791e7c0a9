"""``ssd-edge import``: what others trained or exported, as one of our artefacts."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import say
from ssd_edge.cli.import_graph import import_graph
from ssd_edge.cli.import_weights import fetch_weights, import_weight_file

if TYPE_CHECKING:
    from ssd_edge.importing.graphs.normalization import Normalisation

_GRAPH = "Of an .onnx"
_GRAPH_OPTIONS = (
    *("check", "mean", "std", "color", "size", "anchors", "variances", "scores", "boxes", "activation"),
    *("score_threshold", "iou_threshold", "clip_boxes"),
)

Triple = tuple[float, float, float]
Four = tuple[float, float, float, float]


class Color(str, Enum):
    """Order of the channels that a network was trained on."""

    RGB = "rgb"
    BGR = "bgr"


class Activation(str, Enum):
    """What the scores of a foreign graph are."""

    AUTO = "auto"
    SOFTMAX = "softmax"
    LOGITS = "logits"


def import_model(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Weights of a PyTorch SSD, or an SSD in ONNX that was exported elsewhere.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Fetch weights instead: torchvision:ssd300_vgg16 or …:ssdlite320_mobilenet_v3_large."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The result; by default runs/<name>/best.pt, of an .onnx engines/<name>/<name>.onnx."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; by default that of the file.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Class names, one a line, with or without BACKGROUND; by default labels.txt beside the file."
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            help="Folder of images on which both are compared; by default drawn scenes.", rich_help_panel=_GRAPH
        ),
    ] = None,
    mean: Annotated[
        Triple | None, typer.Option(help="Subtracted from the pixels 0..255, per channel.", rich_help_panel=_GRAPH)
    ] = None,
    std: Annotated[
        Triple | None, typer.Option(help="Then they are divided by it, per channel.", rich_help_panel=_GRAPH)
    ] = None,
    color: Annotated[
        Color, typer.Option(help="Order of the channels, also in --mean and --std.", rich_help_panel=_GRAPH)
    ] = Color.RGB,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Input HEIGHT WIDTH, where the file leaves them free.", rich_help_panel=_GRAPH),
    ] = None,
    anchors: Annotated[
        Path | None,
        typer.Option(help="Default boxes, .npy (N, 4) cx cy w h or .json, for offsets.", rich_help_panel=_GRAPH),
    ] = None,
    variances: Annotated[Four, typer.Option(help="Of the offsets, for cx cy w h.", rich_help_panel=_GRAPH)] = (
        0.1,
        0.1,
        0.2,
        0.2,
    ),
    scores: Annotated[
        str | None, typer.Option(help="Name of the output that holds the scores.", rich_help_panel=_GRAPH)
    ] = None,
    boxes: Annotated[
        str | None, typer.Option(help="Name of the output that holds boxes or offsets.", rich_help_panel=_GRAPH)
    ] = None,
    activation: Annotated[
        Activation, typer.Option(help="What the scores are; auto: told by their values.", rich_help_panel=_GRAPH)
    ] = Activation.AUTO,
    score_threshold: Annotated[float, typer.Option(help="Detections score more.", rich_help_panel=_GRAPH)] = 0.01,
    iou_threshold: Annotated[
        float, typer.Option(help="Boxes that overlap a better one of their class by more go.", rich_help_panel=_GRAPH)
    ] = 0.45,
    clip_boxes: Annotated[
        bool, typer.Option(help="Cut boxes off at the edges before the NMS.", rich_help_panel=_GRAPH)
    ] = False,
) -> None:
    """Turn an SSD from elsewhere into one of ours, and check that it finds the same objects."""
    path = _source_file(file, source)
    if path.suffix != ".onnx":
        _refuse_graph_options(context, path)
        stem = path.stem if source is None else source.rpartition(":")[2]
        import_weight_file(path, output, labels or _labels_beside(path), name or stem)
        return
    from ssd_edge.core.spec import BoxCoding, NmsSpec
    from ssd_edge.importing.graphs.import_onnx import Hints

    hints = Hints(
        name=name,
        labels=labels or _labels_beside(path),
        normalisation=_normalisation(mean, std, color),
        size=size,
        anchors=anchors,
        coding=BoxCoding(variances, float("inf")),
        scores=scores,
        boxes=boxes,
        activation=activation.value,
        nms=NmsSpec(score_threshold=score_threshold, iou_threshold=iou_threshold, clip_boxes=clip_boxes),
    )
    import_graph(path, output, check, hints)


def _source_file(file: Path | None, source: str | None) -> Path:
    from ssd_edge.core.errors import InputError

    if file is not None and source is None:
        return file
    if file is None and source is not None:
        return fetch_weights(source)
    raise InputError(
        "what shall be imported?",
        got="both FILE and --from" if file else "neither FILE nor --from",
        wanted="one of them",
    )


def _refuse_graph_options(context: typer.Context, path: Path) -> None:
    """Refuse what would have no effect."""
    from ssd_edge.core.errors import InputError

    given = [name for name in _GRAPH_OPTIONS if _is_given(context, name)]
    if given:
        option = given[0].replace("_", "-")
        raise InputError(f"--{option} is for an .onnx", got=str(path), do="Leave it out: weights say it themselves.")


def _is_given(context: typer.Context, name: str) -> bool:
    origin = context.get_parameter_source(name)
    return origin is not None and origin.name == "COMMANDLINE"


def _labels_beside(file: Path) -> Path | None:
    """The labels.txt that jetson-inference keeps beside its models."""
    beside = file.with_name("labels.txt")
    if not beside.is_file():
        return None
    say(f"using {beside}")
    return beside


def _normalisation(mean: Triple | None, std: Triple | None, color: Color) -> Normalisation | None:
    from ssd_edge.core.errors import InputError
    from ssd_edge.importing.graphs.normalization import Normalisation

    if (mean is None) != (std is None):
        raise InputError("--mean and --std belong together", got="one of them", wanted="both or none")
    if mean is None or std is None:
        return None
    return Normalisation(mean, std, color.value)
