"""``ssd-edge export``: a checkpoint to one ONNX with its NMS inside, checked against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.core.shell import quoted

if TYPE_CHECKING:
    from ssd_edge.workflows.export import ExportResult


def export(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="The trained model; by default the newest runs/*/best.pt.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The ONNX; by default engines/<model>/<model>.onnx.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            help="Folder of images on which it is compared with PyTorch; by default what the run was judged by.",
        ),
    ] = None,
    score_threshold: Annotated[
        float | None, typer.Option(help="Detections score more; by default as in the checkpoint, like all below.")
    ] = None,
    iou_threshold: Annotated[
        float | None, typer.Option(help="Boxes that overlap a better one of their class by more are dropped.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Boxes kept per class before that.")] = None,
    keep_top_k: Annotated[int | None, typer.Option(help="Detections per picture.")] = None,
    max_candidates: Annotated[
        int | None, typer.Option(help="Best (box, class) pairs that are looked at where there is no plugin.")
    ] = None,
) -> None:
    """Turn a checkpoint into one ONNX with its NMS inside, and check that it gives the same detections."""
    from ssd_edge.workflows.export import ExportConfig
    from ssd_edge.workflows.export import export as export_model

    config = ExportConfig(output, check, score_threshold, iou_threshold, top_k, keep_top_k, max_candidates)
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
        ("without a partner", str(parity.unmatched), "0"),
        ("largest box difference (of the image)", f"{parity.box_difference:.1e}", limit),
        ("largest score difference", f"{parity.score_difference:.1e}", limit),
    ]
    show_table(f"PyTorch against ONNX Runtime, {parity.images} images", ("", "found", "allowed"), rows)
    if parity.last_scores:  # where the graph does not look at all that passes the threshold: it costs weak detections
        say(
            f"on {len(parity.last_scores)} of {parity.images} images more than {nms.max_candidates} pairs of box and "
            f"class score above {nms.score_threshold:g}; the best are looked at, down to {max(parity.last_scores):.2f} "
            "(TensorRT's plugin has no such limit); --max-candidates looks at more"
        )
