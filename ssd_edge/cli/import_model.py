"""``ssd-edge import``: what others trained or exported, as one of our artefacts."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.check_images import check_images
from ssd_edge.cli.console import say, show_table

if TYPE_CHECKING:
    from ssd_edge.export.imports.graphs.import_onnx import GraphImport, Hints
    from ssd_edge.export.imports.graphs.normalisation import Normalisation

_CHECK_IMAGES = 4
_GRAPH = "Of an .onnx"

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
    file: Annotated[Path, typer.Argument(help="An SSD in ONNX that was exported elsewhere.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The result; by default engines/<name>/<name>.onnx.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; by default that of the file.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Class names, one a line, with or without BACKGROUND; by default labels.txt beside the file."
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Folder of images on which both are compared; by default drawn scenes.")
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
    from ssd_edge.core.errors import InputError

    if file.suffix != ".onnx":
        raise InputError(f"{file} cannot be imported", got=f"suffix {file.suffix!r}", wanted="an .onnx file")
    from ssd_edge.core.spec import BoxCoding, NmsSpec
    from ssd_edge.export.imports.graphs.import_onnx import Hints

    hints = Hints(
        name=name,
        labels=labels or _labels_beside(file),
        normalisation=_normalisation(mean, std, color),
        size=size,
        anchors=anchors,
        coding=BoxCoding(variances, float("inf")),
        scores=scores,
        boxes=boxes,
        activation=activation.value,
        nms=NmsSpec(score_threshold=score_threshold, iou_threshold=iou_threshold, clip_boxes=clip_boxes),
    )
    _import_graph(file, output, check, hints)


def _import_graph(file: Path, output: Path | None, check: Path | None, hints: Hints) -> None:
    from ssd_edge.export.imports.graphs.import_onnx import import_onnx

    report = import_onnx(file, output, check_images(check, most=_CHECK_IMAGES), hints)
    for line in _choices(report, hints):
        say(line)
    _show(report)
    say(f"imported {report.onnx}")
    say(f"next: ssd-edge build {report.onnx}")


def _labels_beside(file: Path) -> Path | None:
    """The labels.txt that jetson-inference keeps beside its models."""
    beside = file.with_name("labels.txt")
    if not beside.is_file():
        return None
    say(f"using {beside}")
    return beside


def _normalisation(mean: Triple | None, std: Triple | None, color: Color) -> Normalisation | None:
    from ssd_edge.core.errors import InputError
    from ssd_edge.export.imports.graphs.normalisation import Normalisation

    if (mean is None) != (std is None):
        raise InputError("--mean and --std belong together", got="one of them", wanted="both or none")
    if mean is None or std is None:
        return None
    return Normalisation(mean, std, color.value)


def _choices(report: GraphImport, hints: Hints) -> list[str]:
    """Say what was not given but found or taken by default."""
    spec = report.spec
    lines = [f"scores are {'probabilities' if report.softmaxed else 'logits'}"]
    if hints.labels is None:
        lines.append(f"classes {spec.class_names[0]} to {spec.class_names[-1]}, by their number; or give --labels")
    note = f", {report.normalisation.note}" if report.normalisation.note else ""
    lines.append(
        f"pixels are {spec.input.color_order}, (x - {_plain(spec.input.mean)}) / {_plain(spec.input.std)}{note}"
    )
    if not report.free_batch:
        lines.append("takes one picture at a time, as the file that it was made from")
    if not report.agreement.detections:
        lines.append("nothing was found on these images; compare on some with objects: --check FOLDER")
    return lines


def _plain(values: Triple) -> str:
    """Write 127 for three of it, or all three."""
    return f"{values[0]:g}" if len(set(values)) == 1 else "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _show(report: GraphImport) -> None:
    agreement = report.agreement
    rows = [
        ("images", str(agreement.images)),
        ("detections compared", str(agreement.detections)),
        ("largest box difference (of the image)", f"{agreement.box_difference:.1e}"),
        ("largest score difference", f"{agreement.score_difference:.1e}"),
    ]
    show_table("the foreign graph by hand against the new file", ("", "found"), rows)
