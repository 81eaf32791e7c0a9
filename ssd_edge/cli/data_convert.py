"""``ssd-edge data convert``: labelled images in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.core.choices import LabelFormat
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.convert_data_config import ConvertDataConfig


def convert(
    dataset: Annotated[Path, typer.Argument(help="Labelled images in any supported layout.", metavar="DATASET")],
    to: Annotated[LabelFormat, typer.Option("--to", help="Format to write.")] = ConvertDataConfig.to,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder to write, new or empty (default: converted/<folder>-<format>)."),
    ] = ConvertDataConfig.output,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Split to convert; repeatable (default: all).")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            help="Class names: comma-separated, or a file with one per line (default: those of the data set).",
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Make symbolic links to the images instead of copies.")
    ] = ConvertDataConfig.link,
    max_bad: Annotated[
        float,
        typer.Option(
            "--max-bad", min=0.0, max=1.0, help="Largest share of images or objects that may be left out, 0 to 1."
        ),
    ] = ConvertDataConfig.max_bad,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Stop at the first error in the data (default: faulty images and objects are left out)."
        ),
    ] = ConvertDataConfig.strict,
) -> None:
    """Convert labelled images to VOC, COCO or YOLO format; the original files are not changed."""
    from ssd_edge.workflows.convert_data import convert_data

    config = ConvertDataConfig(to, output, tuple(split) if split else None, classes, link, max_bad, strict)
    with bars() as progress:
        result = convert_data(dataset, config=config, progress=progress)
    rows = [(name, f"{count}", f"{result.objects[name]}") for name, count in result.images.items()]
    show_table(f"{result.path}: {to.value}", ("split", "images", "objects"), rows)
    if result.left_out:
        say(f"{len(result.left_out)} left out, for example {result.left_out[0]}")
    say(f"next: ssd-edge train {quoted(result.path)}")
