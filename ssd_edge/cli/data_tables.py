"""Tables of a data set's classes and object sizes, by split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssd_edge.cli.console import show_table

Statistics = Mapping[str, Any]
"""Statistics by split, as in ``DataStatisticsResult.splits`` and ``CheckDataResult.statistics``."""


def show_statistics(found: Statistics, *, stderr: bool = False) -> None:
    """Print the number of objects of each class, and their sizes."""
    _show_classes(found, stderr=stderr)
    _show_percentiles(found, stderr=stderr)
    _show_areas(found, stderr=stderr)


def _show_classes(found: Statistics, *, stderr: bool) -> None:
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
    rows.append(("difficult objects", *(f"{figures.difficult}" for figures in found.values())))
    rows.append(("images without objects", *(f"{figures.empty_images}" for figures in found.values())))
    show_table("objects and images per class", ("class", *found), rows, stderr=stderr)


def _show_percentiles(found: Statistics, *, stderr: bool) -> None:
    percentiles = next(iter(found.values())).PERCENTILES
    rows: list[tuple[str, ...]] = []
    for split, figures in found.items():
        rows.append((f"{split}: object side / image side", *(f"{value:.3f}" for value in figures.relative_sizes)))
        rows.append((f"{split}: width / height", *(f"{value:.2f}" for value in figures.aspects)))
        rows.append((f"{split}: objects per image", *(f"{value:.0f}" for value in figures.objects_per_image)))
    whole = [(*row, *("" for _ in range(len(percentiles) + 1 - len(row)))) for row in rows]
    show_table("percentiles", ("", *(f"{value} %" for value in percentiles)), whole, stderr=stderr)


def _show_areas(found: Statistics, *, stderr: bool) -> None:
    rows = []
    for split, figures in found.items():
        common = ", ".join(f"{count} of {size}" for size, count in list(figures.picture_sizes.items())[:2])
        rows.append((split, *(f"{figures.coco_sizes[size]}" for size in ("small", "medium", "large")), common))
    columns = ("split", "< 32²", "to 96²", "> 96²", "images")
    show_table("objects by area in pixels (COCO sizes)", columns, rows, stderr=stderr)
