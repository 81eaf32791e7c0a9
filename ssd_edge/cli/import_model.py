"""``ssd-edge import``: what others trained or exported, as one of our artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.core.choices import Activation, Color
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.import_config import Four, ImportConfig, Triple

if TYPE_CHECKING:
    from ssd_edge import GraphImport
    from ssd_edge.workflows.import_model import ImportResult

_GRAPH = "Of an .onnx"


def import_model(
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
    ] = ImportConfig.color,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Input HEIGHT WIDTH, where the file leaves them free.", rich_help_panel=_GRAPH),
    ] = None,
    anchors: Annotated[
        Path | None,
        typer.Option(help="Default boxes, .npy (N, 4) cx cy w h or .json, for offsets.", rich_help_panel=_GRAPH),
    ] = None,
    variances: Annotated[
        Four, typer.Option(help="Of the offsets, for cx cy w h.", rich_help_panel=_GRAPH)
    ] = ImportConfig.variances,
    scores: Annotated[
        str | None, typer.Option(help="Name of the output that holds the scores.", rich_help_panel=_GRAPH)
    ] = None,
    boxes: Annotated[
        str | None, typer.Option(help="Name of the output that holds boxes or offsets.", rich_help_panel=_GRAPH)
    ] = None,
    activation: Annotated[
        Activation, typer.Option(help="What the scores are; auto: told by their values.", rich_help_panel=_GRAPH)
    ] = ImportConfig.activation,
    score_threshold: Annotated[
        float, typer.Option(help="Detections score more.", rich_help_panel=_GRAPH)
    ] = ImportConfig.score_threshold,
    iou_threshold: Annotated[
        float, typer.Option(help="Boxes that overlap a better one of their class by more go.", rich_help_panel=_GRAPH)
    ] = ImportConfig.iou_threshold,
    clip_boxes: Annotated[
        bool, typer.Option(help="Cut boxes off at the edges before the NMS.", rich_help_panel=_GRAPH)
    ] = ImportConfig.clip_boxes,
) -> None:
    """Turn an SSD from elsewhere into one of ours, and check that it finds the same objects."""
    from ssd_edge.workflows.import_model import import_model as import_any

    config = ImportConfig(
        source=source,
        output=output,
        name=name,
        labels=labels,
        check=check,
        mean=mean,
        std=std,
        color=color,
        size=size,
        anchors=anchors,
        variances=variances,
        scores=scores,
        boxes=boxes,
        activation=activation,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        clip_boxes=clip_boxes,
    )
    with bars() as progress:
        result = import_any(file, config=config, progress=progress)
    if result.graph is None:
        _show_weights(result)
    else:
        _show_graph(result, result.graph)
    say(f"imported {result.path}")
    say(f"next: ssd-edge {'export' if result.graph is None else 'build'} {quoted(result.path)}")


def _show_weights(result: ImportResult) -> None:
    spec = result.spec
    origin = "as given" if result.labels_given else "built-in names, by their number; or give --labels"
    say(f"{len(spec.class_names)} classes, {spec.class_names[0]} to {spec.class_names[-1]}: {origin}")
    nms = spec.nms
    mean, std = (" ".join(_each(values)) for values in (spec.input.mean, spec.input.std))
    rows = [
        ("network", f"{result.family} ({result.project})"),
        ("input", f"{spec.input.width} x {spec.input.height}, {spec.input.color_order}"),
        ("mean, std", f"{mean}, {std}"),
        ("default boxes", f"{spec.anchors.count:,}"),
        ("NMS", f"score > {nms.score_threshold:g}, overlap {nms.iou_threshold:g}, at most {nms.keep_top_k}"),
        ("boxes", "cut off at the edges" if nms.clip_boxes else "may reach beyond the edges"),
        ("file", result.digest[: len("sha256:") + 12]),
    ]
    show_table(f"{spec.name}: recognised by its tensors", ("", "found"), rows)


def _show_graph(result: ImportResult, graph: GraphImport) -> None:
    """Say what was not given but found or taken by default, and how near both graphs are."""
    spec, agreement = result.spec, graph.agreement
    say(f"scores are {'probabilities' if graph.softmaxed else 'logits'}")
    if not result.labels_given:
        say(f"classes {spec.class_names[0]} to {spec.class_names[-1]}, by their number; or give --labels")
    note = f", {graph.normalisation.note}" if graph.normalisation.note else ""
    mean, std = (_in_brackets(values) for values in (spec.input.mean, spec.input.std))
    say(f"pixels are {spec.input.color_order}, (x - {mean}) / {std}{note}")
    if not graph.free_batch:
        say("takes one picture at a time, as the file that it was made from")
    if not agreement.detections:
        say("nothing was found on these images; compare on some with objects: --check FOLDER")
    rows = [
        ("images", str(agreement.images)),
        ("detections compared", str(agreement.detections)),
        ("largest box difference (of the image)", f"{agreement.box_difference:.1e}"),
        ("largest score difference", f"{agreement.score_difference:.1e}"),
    ]
    show_table("the foreign graph by hand against the new file", ("", "found"), rows)


def _each(values: Triple) -> list[str]:
    """Write three equal numbers as one."""
    return [f"{value:g}" for value in (values[:1] if len(set(values)) == 1 else values)]


def _in_brackets(values: Triple) -> str:
    each = _each(values)
    return each[0] if len(each) == 1 else f"({', '.join(each)})"
