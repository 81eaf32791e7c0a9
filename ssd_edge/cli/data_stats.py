"""``ssd-edge data stats``: what a data set holds, in figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.data_json import write_json
from ssd_edge.cli.data_tables import show_classes, show_sizes, statistics_of


def stats(
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Pictures to count, repeatable; by default train, val and test.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="The figures; - for stdout.")] = None,
) -> None:
    """Print how many objects of each class there are, and how large they are."""
    from ssd_edge.data.find import dataset_splits, open_dataset
    from ssd_edge.data.image_size import image_size

    labelled = {}
    names: tuple[str, ...] | None = None
    for name in split or dataset_splits(dataset):
        labelled[name] = open_dataset(dataset, name, names)
        names = labelled[name].class_names
    sizes = {sample.image: image_size(sample.image) for found in labelled.values() for sample in found.samples}
    on_stderr = json is not None and str(json) == "-"
    show_classes(labelled, sizes, stderr=on_stderr)
    show_sizes(labelled, sizes, stderr=on_stderr)
    if json is not None:
        figures = {name: dataclasses.asdict(found) for name, found in statistics_of(labelled, sizes).items()}
        write_json(json, {"dataset": str(dataset), "splits": figures})
