"""``ssd-edge export``: turn a checkpoint into one ONNX file with NMS, checked against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import MANY_CANDIDATES

if TYPE_CHECKING:
    from ssd_edge.workflows.export import ExportResult


def export(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="Trained model (default: the newest runs/*/best.pt).")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="ONNX file (default: engines/<model>/<model>.onnx).")
    ] = None,
    check_images: Annotated[
        Path | None,
        typer.Option(
            "--check-images",
            metavar="FOLDER",
            help="Images to compare PyTorch and ONNX on (default: the validation set of the run).",
        ),
    ] = None,
    score_threshold: Annotated[
        float | None, typer.Option(help="Keep detections with a score above this (default: as in the checkpoint).")
    ] = None,
    iou_threshold: Annotated[
        float | None,
        typer.Option(
            help="NMS: IoU above which the lower-scoring box of a class is removed (default: as in the checkpoint)."
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(help="NMS: number of best-scoring boxes per class that enter it (default: as in the checkpoint)."),
    ] = None,
    keep_top_k: Annotated[
        int | None, typer.Option(help="NMS: maximum number of detections per image (default: as in the checkpoint).")
    ] = None,
    max_candidates: Annotated[
        int | None,
        typer.Option(
            help="NMS without TensorRT's plugin: number of best (box, class) pairs to consider (default: as in the "
            "checkpoint)."
        ),
    ] = None,
) -> None:
    """Export a checkpoint to one ONNX file with NMS, and check that it gives the same detections."""
    from ssd_edge.workflows.export import ExportConfig
    from ssd_edge.workflows.export import export as export_model

    config = ExportConfig(output, check_images, score_threshold, iou_threshold, top_k, keep_top_k, max_candidates)
    with bars() as progress:
        result = export_model(checkpoint, config=config, progress=progress)
    _show(result)
    say(f"exported {result.path}")
    say(f"next: ssd-edge build {quoted(result.path)}")


def _show(result: ExportResult) -> None:
    parity, nms = result.parity, result.spec.nms
    limit = f"{parity.tolerance:g}"
    rows = [
        ("detections compared", str(parity.detections), "> 0"),
        ("unmatched detections", str(parity.unmatched), "0"),
        ("largest box difference (of the image)", f"{parity.box_difference:.1e}", limit),
        ("largest score difference", f"{parity.score_difference:.1e}", limit),
    ]
    show_table(f"PyTorch compared with ONNX Runtime, {parity.images} images", ("", "found", "allowed"), rows)
    if parity.last_scores:  # some candidates above the threshold were not considered
        hint = f". To consider more, for crowded scenes: --max-candidates {MANY_CANDIDATES}"
        say(
            f"{len(parity.last_scores)} of {parity.images} images have more than {nms.max_candidates} (box, class) "
            f"pairs above score {nms.score_threshold:g}; only the best of them are considered, down to a score of "
            f"{max(parity.last_scores):.2f} (TensorRT's plugin has no such limit)"
            + (hint if nms.max_candidates < MANY_CANDIDATES else "")
        )
