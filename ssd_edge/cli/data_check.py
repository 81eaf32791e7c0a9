"""``ssd-edge data check``: find all problems of a data set before training."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table, write_json
from ssd_edge.cli.data_tables import show_statistics
from ssd_edge.cli.option_values import parse_input_size
from ssd_edge.core.errors import InputError
from ssd_edge.core.log import counted

if TYPE_CHECKING:
    from ssd_edge.workflows.check_data import CheckDataResult


def check(
    dataset: Annotated[Path, typer.Argument(help="Labelled images (VOC, COCO, YOLO or CSV).", metavar="DATASET")],
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Split to check; repeatable (default: train, val and test).")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            help="Class names: comma-separated, or a file with one per line (default: those of the data set).",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="Network; shows how many objects its anchors match.")
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input-size", metavar="N|WxH", help="Input size of the network in pixels (default: the preset's)."
        ),
    ] = None,
    priors: Annotated[
        Path | None,
        typer.Option(
            "--priors", help="Anchors file written by `data priors`; shows how many objects its anchors match."
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Maximum number of issues to list.")] = 20,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write an HTML page with the worst images (contact sheet).")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="PATH|-", help="Write all issues and figures as JSON; - for stdout."),
    ] = None,
) -> None:
    """Find all issues in a data set; exit code 1 if there are errors."""
    from ssd_edge.workflows.check_data import CheckDataConfig, check_data

    size = parse_input_size(input_size)
    config = CheckDataConfig(tuple(split) if split else None, classes, preset, size, priors, html)
    with bars() as progress:
        result = check_data(dataset, config=config, progress=progress)
    _show(result, limit, stderr=str(json) == "-")
    if html is not None:
        say(f"wrote {html}: {result.sheet_images} images")
    if json is not None:
        write_json(json, result.to_json())
    if result.errors:
        raise InputError(f"{dataset} has {counted(len(result.errors), 'error')}", do="Fix the errors listed above.")
    say(f"{dataset}: no error, {counted(len(result.warnings), 'warning')}")


def _show(result: CheckDataResult, limit: int, *, stderr: bool) -> None:
    for issue in result.issues[:limit]:
        say(f"{issue.severity}: {issue.message}", logging.ERROR if issue.severity == "error" else logging.WARNING)
    count = len(result.issues)
    if count > limit:
        say(f"and {count - limit} more; to list them: --limit {count}", logging.WARNING)
    rows = [(f"{kind}: {meaning}", severity, f"{count}") for kind, severity, meaning, count in result.counts]
    if rows:
        show_table("issues", ("kind", "severity", "count"), rows, stderr=stderr)
    show_statistics(result.statistics, stderr=stderr)
    if not result.anchors:
        say("anchors are not checked; to see which objects they match: --preset NETWORK or --priors FILE")
    for split, reached in result.anchor_recall.items():
        share = f"{reached.recall:.4f} of {reached.objects} objects"
        say(f"{split}: the anchors of {result.anchors} match {share} at IoU 0.5, mean best IoU {reached.mean_iou:.3f}")
