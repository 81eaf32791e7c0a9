"""``ssd-edge export``: a checkpoint to one ONNX with its NMS inside, checked against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bar, say, show_table
from ssd_edge.exporting.parity_images import check_images

if TYPE_CHECKING:
    from ssd_edge.core.spec import NmsSpec
    from ssd_edge.exporting.export_onnx import ExportReport
    from ssd_edge.exporting.parity import ParityReport

_FEW, _MOST_READ = 8, 32


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
    from ssd_edge.core.workspace import newest_checkpoint, set_exported

    export_onnx = _exporter()
    if checkpoint is None:
        choice = newest_checkpoint(Path())
        say(choice.note)
        checkpoint = choice.path
    changes = {
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "top_k": top_k,
        "keep_top_k": keep_top_k,
        "max_candidates": max_candidates,
    }
    asked = {name: value for name, value in changes.items() if value is not None}
    images = check_images(check, most=_FEW if check is None else _MOST_READ, run=checkpoint.parent)
    with bar("comparing") as progress:
        report = export_onnx(checkpoint, output, images, nms_changes=asked, progress=progress)
    set_exported(Path(), report.onnx)
    _show(report.parity)
    _tell_limit(report.parity, report.spec.nms)
    say(f"exported {report.onnx}")
    say(f"next: ssd-edge build {report.onnx}")


def _tell_limit(parity: ParityReport, nms: NmsSpec) -> None:
    """Say where the graph does not look at all that passes the threshold, which costs weak detections."""
    if parity.last_scores:
        say(
            f"on {len(parity.last_scores)} of {parity.images} images more than {nms.max_candidates} pairs of box and "
            f"class score above {nms.score_threshold:g}; the best are looked at, down to {max(parity.last_scores):.2f} "
            "(TensorRT's plugin has no such limit); --max-candidates looks at more"
        )


def _exporter() -> Callable[..., ExportReport]:
    """Return ``export_onnx``, or raise MissingPackageError where what only exporting needs is not installed."""
    from ssd_edge.core.errors import MissingPackageError

    try:
        from ssd_edge.exporting.export_onnx import export_onnx
    except ImportError as error:
        raise MissingPackageError(
            "exporting needs PyTorch and onnxsim", got=str(error), do="Install them: pip install 'ssd-edge[export]'"
        ) from error
    return export_onnx


def _show(parity: ParityReport) -> None:
    limit = f"{parity.tolerance:g}"
    rows = [
        ("detections compared", str(parity.detections), "> 0"),
        ("without a partner", str(parity.unmatched), "0"),
        ("largest box difference (of the image)", f"{parity.box_difference:.1e}", limit),
        ("largest score difference", f"{parity.score_difference:.1e}", limit),
    ]
    show_table(f"PyTorch against ONNX Runtime, {parity.images} images", ("", "found", "allowed"), rows)
