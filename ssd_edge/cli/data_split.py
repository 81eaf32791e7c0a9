"""``ssd-edge data split``: lists that divide labelled images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, say
from ssd_edge.workflows.split_data_config import SplitDataConfig


def split(
    dataset: Annotated[Path, typer.Argument(help="Labelled images (VOC, COCO, YOLO or CSV).", metavar="DATASET")],
    source: Annotated[
        str | None, typer.Option("--split", help="Split to divide (default: train, or the only split).")
    ] = SplitDataConfig.split,
    val_fraction: Annotated[
        float,
        typer.Option("--val-fraction", min=0.01, max=0.9, help="Share of the images for the validation set, 0 to 1."),
    ] = SplitDataConfig.val_fraction,
    test_fraction: Annotated[
        float, typer.Option("--test-fraction", min=0, max=0.9, help="Share of the images for a test set, 0 to 1.")
    ] = SplitDataConfig.test_fraction,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed for the division.")] = SplitDataConfig.seed,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for the lists (default: splits/<folder of the data>).")
    ] = SplitDataConfig.output,
) -> None:
    """Divide a data set by scenes, each class in proportion; writes lists for --train-split, --val-split, --split."""
    from ssd_edge.workflows.split_data import split_data

    config = SplitDataConfig(source, val_fraction, test_fraction, seed, output)
    with bars() as progress:
        result = split_data(dataset, config=config, progress=progress)
    counts = ", ".join(f"{count} {part}" for part, count in sorted(result.images.items()))
    say(f"{result.path}: {counts}; {result.scenes} scenes")
    if result.cut:
        say(f"{result.cut} images show scenes that were too large for one part and had to be divided")
    if result.unvalidated:
        say(f"not in the validation set: {', '.join(result.unvalidated)}")
    say(f"next: {shlex.join(['ssd-edge', 'train', str(dataset), '--train-split', f'{result.path}:train'])}")
