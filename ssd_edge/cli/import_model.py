"""``ssd-edge import``: turn an SSD from another project into a checkpoint or ONNX of ssd-edge."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.cli.option_values import parse_input_size
from ssd_edge.core.choices import Activation, BoxLayout, Color
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.import_config import Four, ImportConfig, Triple

if TYPE_CHECKING:
    from ssd_edge import GraphImport
    from ssd_edge.workflows.import_model import ImportResult

_input, _heads, _nms = (
    partial(typer.Option, rich_help_panel=f"ONNX: {panel}")
    for panel in ("input", "outputs and anchors", "NMS and check")
)


def import_model(
    file: Annotated[
        Path | None, typer.Argument(help="Weights of a PyTorch SSD, or an SSD exported to ONNX by another project.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Download weights instead: torchvision:ssd300_vgg16 or torchvision:ssdlite320_mobilenet_v3_large.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write (default: runs/<name>/best.pt, or engines/<name>/<name>.onnx for an ONNX file).",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model (default: the file name).")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Class names, one per line, with or without BACKGROUND (default: labels.txt next to the file)."
        ),
    ] = None,
    check_images: Annotated[
        Path | None,
        _nms(
            metavar="FOLDER",
            help="Images to compare the original and the imported model on (default: generated scenes).",
        ),
    ] = None,
    mean: Annotated[
        Triple | None,
        _input(help="Mean that is subtracted per channel, for pixels of 0 to 255, e.g. 123.7 116.8 103.9."),
    ] = None,
    std: Annotated[
        Triple | None, _input(help="Standard deviation of each channel, for pixels of 0 to 255, e.g. 58.4 57.1 57.4.")
    ] = None,
    color: Annotated[
        Color, _input(help="Channel order of the network's input; --mean and --std are in this order too.")
    ] = ImportConfig.color,
    input_size: Annotated[
        str | None,
        _input("--input-size", metavar="N|WxH", help="Input size in pixels, if the file does not specify it."),
    ] = None,
    size: Annotated[tuple[int, int] | None, typer.Option("--size", hidden=True)] = None,
    anchors: Annotated[
        Path | None,
        _heads(help="Anchors, for a model that outputs offsets: .npy of shape (N, 4), cx cy w h, or .json."),
    ] = None,
    variances: Annotated[
        Four,
        _heads(
            help="Factors (SSD's variances) by which the offsets cx cy w h are multiplied when boxes are decoded, "
            "e.g. 0.1 0.1 0.2 0.2."
        ),
    ] = ImportConfig.variances,
    scores: Annotated[
        str | None, _heads(metavar="OUTPUT", help="Name of the output with the scores (default: found by its shape).")
    ] = None,
    boxes: Annotated[
        str | None,
        _heads(metavar="OUTPUT", help="Name of the output with the boxes or offsets (default: found by its shape)."),
    ] = None,
    activation: Annotated[
        Activation,
        _heads(help="Whether the scores are softmax probabilities or logits. auto: detected from their values."),
    ] = ImportConfig.activation,
    box_layout: Annotated[
        BoxLayout, _heads("--box-layout", help="Order of a box's four numbers, for a model that outputs boxes.")
    ] = ImportConfig.box_layout,
    score_threshold: Annotated[
        float, _nms(help="Keep detections with a score above this.")
    ] = ImportConfig.score_threshold,
    iou_threshold: Annotated[
        float, _nms(help="IoU above which the lower-scoring box of a class is removed.")
    ] = ImportConfig.iou_threshold,
    clip_boxes: Annotated[bool, _nms(help="Clip boxes to the image before NMS.")] = ImportConfig.clip_boxes,
) -> None:
    """Import an SSD from another project, and check that it gives the same detections."""
    from ssd_edge.workflows.import_model import import_model as import_any

    side = parse_input_size(input_size)
    config = ImportConfig(
        source=source,
        output=output,
        name=name,
        labels=labels,
        check_images=check_images,
        mean=mean,
        std=std,
        color=color,
        input_size=(side, side) if isinstance(side, int) else side or (size and (size[1], size[0])),
        anchors=anchors,
        variances=variances,
        scores=scores,
        boxes=boxes,
        activation=activation,
        box_layout=box_layout,
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
    origin = (
        "as given" if result.labels_given else "built-in names for this number of classes; for other names: --labels"
    )
    say(f"{len(spec.class_names)} classes, {spec.class_names[0]} to {spec.class_names[-1]}: {origin}")
    nms = spec.nms
    mean, std = (" ".join(_each(values)) for values in (spec.input.mean, spec.input.std))
    rows = [
        ("network", f"{result.family} ({result.project})"),
        ("input", f"{spec.input.width} x {spec.input.height}, {spec.input.color_order}"),
        ("mean, std", f"{mean}, {std}"),
        ("anchors", f"{spec.anchors.count:,}"),
        ("NMS", f"score > {nms.score_threshold:g}, IoU {nms.iou_threshold:g}, at most {nms.keep_top_k}"),
        ("boxes", "clipped to the image" if nms.clip_boxes else "may extend beyond the image"),
        ("file", result.digest[: len("sha256:") + 12]),
    ]
    show_table(f"{spec.name}: recognized by its tensors", ("", "found"), rows)


def _show_graph(result: ImportResult, graph: GraphImport) -> None:
    """Show what was detected or taken by default, and how well both graphs agree."""
    spec, agreement = result.spec, graph.agreement
    say(f"scores are {'probabilities' if graph.softmaxed else 'logits'}")
    if not result.labels_given:
        names = f"{spec.class_names[0]} to {spec.class_names[-1]}"
        say(f"classes {names}: built-in names for this number of classes; for other names: --labels")
    note = f", {graph.normalization.note}" if graph.normalization.note else ""
    mean, std = (_in_brackets(values) for values in (spec.input.mean, spec.input.std))
    say(f"pixels are {spec.input.color_order}, (x - {mean}) / {std}{note}")
    if not graph.free_batch:
        say("batch size 1, as in the original file")
    if not agreement.detections:
        say("the model detects nothing on these images; to compare on images with objects: --check-images FOLDER")
    rows = [
        ("images", str(agreement.images)),
        ("detections compared", str(agreement.detections)),
        ("largest box difference (of the image)", f"{agreement.box_difference:.1e}"),
        ("largest score difference", f"{agreement.score_difference:.1e}"),
    ]
    show_table("original graph compared with the new file", ("", "found"), rows)


def _each(values: Triple) -> list[str]:
    """Write three equal numbers as one."""
    return [f"{value:g}" for value in (values[:1] if len(set(values)) == 1 else values)]


def _in_brackets(values: Triple) -> str:
    each = _each(values)
    return each[0] if len(each) == 1 else f"({', '.join(each)})"
