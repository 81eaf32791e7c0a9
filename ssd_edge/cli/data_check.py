"""``ssd-edge data check``: everything that is wrong with a data set, before hours of training find it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table, write_text
from ssd_edge.cli.data_tables import show_statistics
from ssd_edge.core.errors import InputError
from ssd_edge.core.log import counted

if TYPE_CHECKING:
    from ssd_edge.workflows.check_data import CheckDataResult


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
    from ssd_edge.workflows.check_data import CheckDataConfig, check_data

    config = CheckDataConfig(tuple(split) if split else None, classes, preset, input_size, priors, html)
    with bars() as progress:
        result = check_data(dataset, config=config, progress=progress)
    _show(result, limit, stderr=str(json) == "-")
    if html is not None:
        say(f"wrote {html}: {result.sheet_images} pictures")
    if json is not None:
        write_text(json, result.to_json())
    if result.errors:
        raise InputError(f"{dataset} has {counted(len(result.errors), 'error')}", do="Mend what is listed above.")
    say(f"{dataset}: no error, {counted(len(result.warnings), 'warning')}")


def _show(result: CheckDataResult, limit: int, *, stderr: bool) -> None:
    for issue in result.issues[:limit]:
        say(f"{issue.severity}: {issue.message}", logging.ERROR if issue.severity == "error" else logging.WARNING)
    count = len(result.issues)
    if count > limit:
        say(f"and {count - limit} more; to see them: --limit {count}", logging.WARNING)
    rows = [(f"{kind}: {meaning}", severity, f"{count}") for kind, severity, meaning, count in result.counts]
    if rows:
        show_table("faults", ("kind", "severity", "count"), rows, stderr=stderr)
    show_statistics(result.statistics, stderr=stderr)
    if not result.anchors:
        say("default boxes are not checked; to see which objects they can match: --preset NETWORK or --priors FILE")
    for split, reached in result.anchor_recall.items():
        share = f"{reached.recall:.4f} of {reached.objects} objects"
        say(
            f"{split}: the default boxes of {result.anchors} match {share} at IoU 0.5, "
            f"mean best IoU {reached.mean_iou:.3f}"
        )
