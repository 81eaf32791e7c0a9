"""What ``data check`` and ``data stats`` found, as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ssd_edge.core.files import written_beside

if TYPE_CHECKING:
    from ssd_edge.data.anchor_recall import Reach
    from ssd_edge.data.lint.check import LintReport
    from ssd_edge.data.lint.issue import Fault


def report_fields(report: LintReport, reached: Mapping[str, Reach]) -> dict[str, Any]:
    """Return everything that a check found."""
    from ssd_edge.cli.data_tables import statistics_of

    figures = statistics_of(report.labelled, report.sizes)
    return {
        "dataset": str(report.dataset),
        "errors": len(report.errors),
        "warnings": len(report.warnings),
        "faults": [_fault_fields(fault) for fault in report.faults],
        "splits": {split: dataclasses.asdict(found) for split, found in figures.items()},
        "default_boxes": {split: dataclasses.asdict(reach) for split, reach in reached.items()},
    }


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write indented JSON to a file, or to stdout for ``-``."""
    text = json.dumps(fields, indent=1)
    if str(path) == "-":
        typer.echo(text)
        return
    with written_beside(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def _fault_fields(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind,
        "severity": fault.severity,
        "split": fault.split,
        "file": str(fault.file),
        "object": fault.place or None,
        "image": str(fault.image) if fault.image else None,
        "other": str(fault.other) if fault.other else None,
        "box": [repr(value) if value != value or abs(value) == float("inf") else value for value in fault.box]
        if fault.box
        else None,
        "message": fault.message,
    }
