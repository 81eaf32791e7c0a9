"""The part of ``ssd-edge import`` for an SSD in ONNX that was exported elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say, show_table
from ssd_edge.exporting.parity_images import check_images

if TYPE_CHECKING:
    from ssd_edge.importing.graphs.import_onnx import GraphImport, Hints

_CHECK_IMAGES = 4


def import_graph(file: Path, output: Path | None, check: Path | None, hints: Hints) -> None:
    """Turn a foreign ONNX into one of ours, and say what was found in it and how near both are.

    Raises:
        SsdEdgeError: as ``export.imports.graphs.import_onnx`` raises.
    """
    from ssd_edge.core.workspace import set_exported
    from ssd_edge.importing.graphs.import_onnx import import_onnx

    report = import_onnx(file, output, check_images(check, most=_CHECK_IMAGES), hints)
    set_exported(Path(), report.onnx)
    for line in _choices(report, hints):
        say(line)
    _show(report)
    say(f"imported {report.onnx}")
    say(f"next: ssd-edge build {report.onnx}")


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


def _plain(values: tuple[float, float, float]) -> str:
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
