"""Tables of what a data set holds: classes and sizes, split by split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import show_table
from ssd_edge.cli.data_json import write_json

if TYPE_CHECKING:
    from ssd_edge.core.sample import LabelledSet
    from ssd_edge.data.statistics import SetStatistics


Sizes = Mapping[Path, tuple[int, int]]


def statistics_of(labelled: Mapping[str, LabelledSet], sizes: Sizes) -> dict[str, SetStatistics]:
    """Return the figures of every split."""
    from ssd_edge.data.statistics import set_statistics

    return {split: set_statistics(found, sizes) for split, found in labelled.items()}


def show_classes(labelled: Mapping[str, LabelledSet], sizes: Sizes, *, stderr: bool = False) -> None:
    """Print how many objects of each class there are, and in how many pictures."""
    found = statistics_of(labelled, sizes)
    names = list(dict.fromkeys(name for figures in found.values() for name in figures.per_class))
    rows = [
        (
            name,
            *(
                f"{figures.per_class.get(name, 0)} in {figures.images_per_class.get(name, 0)}"
                for figures in found.values()
            ),
        )
        for name in names
    ]
    rows.append(("all", *(f"{figures.objects} in {figures.images}" for figures in found.values())))
    rows.append(("of them difficult", *(f"{figures.difficult}" for figures in found.values())))
    rows.append(("pictures without an object", *(f"{figures.empty_images}" for figures in found.values())))
    show_table("objects of each class, in how many pictures", ("class", *found), rows, stderr=stderr)


def show_sizes(labelled: Mapping[str, LabelledSet], sizes: Sizes, *, stderr: bool = False) -> None:
    """Print how large and how long the objects are, and how many a picture holds."""
    from ssd_edge.data.statistics import PERCENTILES

    found = statistics_of(labelled, sizes)
    rows: list[tuple[str, ...]] = []
    for split, figures in found.items():
        rows.append((f"{split}: side / picture's side", *(f"{value:.3f}" for value in figures.relative_sizes)))
        rows.append((f"{split}: width / height", *(f"{value:.2f}" for value in figures.aspects)))
        rows.append((f"{split}: objects a picture", *(f"{value:.0f}" for value in figures.objects_per_image)))
    whole = [(*row, *("" for _ in range(len(PERCENTILES) + 1 - len(row)))) for row in rows]
    show_table("percentiles", ("", *(f"{value} %" for value in PERCENTILES)), whole, stderr=stderr)
    areas = [
        (split, *(f"{figures.coco_sizes[size]}" for size in ("small", "medium", "large")), _listed(figures))
        for split, figures in found.items()
    ]
    columns = ("split", "< 32²", "to 96²", "> 96²", "pictures")
    show_table("objects by their area in pixels, as COCO counts them", columns, areas, stderr=stderr)


def _listed(figures: SetStatistics) -> str:
    return ", ".join(f"{count} of {size}" for size, count in list(figures.picture_sizes.items())[:2])


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
