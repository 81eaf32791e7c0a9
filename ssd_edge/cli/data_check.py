"""``ssd-edge data check``: everything that is wrong with a data set, before hours of training find it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bar, say, show_table
from ssd_edge.cli.data_tables import show_classes, show_sizes
from ssd_edge.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ssd_edge.core.spec import AnchorSpec
    from ssd_edge.data.anchor_recall import Reach
    from ssd_edge.data.lint.check import LintReport
    from ssd_edge.data.lint.issue import Fault

_ANY_CLASS = ("object",)  # default boxes are the same for all


def check(
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Pictures to check, repeatable; by default train, val and test.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option("--classes", help="Names with commas between, or a file with one a line; by default the data's."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="The network whose default boxes must match the objects.")
    ] = None,
    input_size: Annotated[int | None, typer.Option("--input-size", help="Side of its input in pixels.")] = None,
    priors: Annotated[Path | None, typer.Option("--priors", help="Default boxes that `data priors` fitted.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Faults to print one by one.")] = 20,
    html: Annotated[Path | None, typer.Option("--html", help="Contact sheet of the worst pictures.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="All faults and figures; - for stdout.")] = None,
) -> None:
    """Find all faults of a data set at once; exit code 1 where there are errors."""
    from ssd_edge.data.label_files import listed_class_names
    from ssd_edge.data.lint.check import lint_dataset

    names, chosen = listed_class_names(classes), _chosen_boxes(preset, input_size, priors)
    with bar("checking") as progress:
        report = lint_dataset(dataset, split, names, progress=progress)
    on_stderr = json is not None and str(json) == "-"
    _say_faults(report.faults, limit, every=f"--limit {len(report.faults)}")
    _show_kinds(report, stderr=on_stderr)
    show_classes(report.labelled, report.sizes, stderr=on_stderr)
    show_sizes(report.labelled, report.sizes, stderr=on_stderr)
    reached = _reach(report, chosen)
    if html is not None:
        from ssd_edge.workflows.contact_sheet import write_sheet

        say(f"wrote {html}: {write_sheet(report, html)} pictures")
    if json is not None:
        from ssd_edge.cli.data_json import report_fields, write_json

        write_json(json, report_fields(report, reached))
    if report.errors:
        raise InputError(f"{dataset} has {_counted(len(report.errors), 'error')}", do="Mend what is listed above.")
    say(f"{dataset}: no error, {_counted(len(report.warnings), 'warning')}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _say_faults(faults: Sequence[Fault], limit: int, *, every: str) -> None:
    for fault in faults[:limit]:
        say(f"{fault.severity}: {fault.message}")
    if len(faults) > limit:
        say(f"and {len(faults) - limit} more; to see them: {every}")


def _show_kinds(report: LintReport, *, stderr: bool) -> None:
    from collections import Counter

    from ssd_edge.data.lint.issue import KINDS

    counts = Counter(fault.kind for fault in report.faults)
    rows = [(f"{kind}: {KINDS[kind][1]}", KINDS[kind][0], f"{counts[kind]}") for kind in KINDS if counts[kind]]
    if rows:
        show_table("faults", ("kind", "severity", "count"), rows, stderr=stderr)


def _reach(report: LintReport, chosen: tuple[AnchorSpec, str] | None) -> dict[str, Reach]:
    """Say which share of the objects the chosen default boxes can match."""
    from ssd_edge.data.anchor_recall import Reach, best_overlaps, unit_boxes

    if chosen is None:
        say("default boxes are not checked; to see which objects they can match: --preset NETWORK or --priors FILE")
        return {}
    anchors, name = chosen
    reached: dict[str, Reach] = {}
    for split, labelled in report.labelled.items():
        reached[split] = Reach.of(best_overlaps(unit_boxes(labelled, report.sizes), anchors))
        share = f"{reached[split].recall:.4f} of {reached[split].objects} objects"
        say(
            f"{split}: the default boxes of {name} match {share} at IoU 0.5, "
            f"mean best IoU {reached[split].mean_iou:.3f}"
        )
    return reached


def _chosen_boxes(preset: str | None, input_size: int | None, priors: Path | None) -> tuple[AnchorSpec, str] | None:
    """Return the default boxes that are asked for and what they are called; None for none.

    Raises:
        SsdEdgeError: there is no such network, or the file cannot be used; known before the pictures are looked at.
    """
    from ssd_edge.data.priors_file import PriorsFile, with_priors

    if preset is None:
        return None if priors is None else (PriorsFile.load(priors).anchors, str(priors))
    from ssd_edge.core.requirements import require_torch

    require_torch()
    from ssd_edge.model.zoo import make_spec

    spec = make_spec(preset, _ANY_CLASS, input_size=input_size)
    return (spec if priors is None else with_priors(spec, preset, priors)).anchors, preset
