"""Grids of images with captions, on pages (HTML) and as files (PNG)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.frame import UInt8Array
from ssd_edge.reporting.drawing import Drawing, Label, Line, Raster, Shape, below_one_another, save_png, shortened
from ssd_edge.reporting.page import color_key, embedded_image, figure, grid

_TILE = 230.0  # units of an image's width in a file
_GAP = 10.0


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """An (H, W, 3) BGR image, its name, and what it shows, in words."""

    image: UInt8Array
    name: str
    detail: str


@dataclass(frozen=True)
class KeyEntry:
    """Legend entry of an image: color ``#rrggbb``, and whether its lines are dashed."""

    label: str
    color: str
    dashed: bool = False


def image_grid(images: Sequence[CaptionedImage], key: Sequence[KeyEntry] = ()) -> str:
    """Return the images for a page, side by side, under the key of their colors."""
    figures = [figure(embedded_image(shown.image, shown.name), shown.name, shown.detail) for shown in images]
    colors = color_key([(entry.label, entry.color, entry.dashed) for entry in key])
    return colors + grid(figures)


def save_images(
    path: Path, title: str, rows: Sequence[tuple[str, Sequence[CaptionedImage]]], key: Sequence[KeyEntry] = ()
) -> None:
    """Draw rows of images, each row under its heading, and the key of their colors, in one PNG.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InputError: the folder cannot be written.
    """
    width = _GAP + max(2, max(len(images) for _, images in rows)) * (_TILE + _GAP)
    parts = [_row(heading, images, width) for heading, images in rows]
    save_png(path, below_one_another(title, [*parts, _key(key, width)]))


def _row(heading: str, images: Sequence[CaptionedImage], width: float) -> Drawing:
    shapes: list[Shape] = [Label((_GAP, 16), shortened(heading, width - 2 * _GAP, 11), role="ink", size=11, bold=True)]
    tallest = 0.0
    for number, shown in enumerate(images):
        left = _GAP + number * (_TILE + _GAP)
        size = _fitted(shown.image)
        tallest = max(tallest, size[1])
        shapes.append(Raster((left, 50), size, shown.image))
        shapes.append(Label((left, 32), shortened(shown.name, _TILE, 8), size=8))
        shapes.append(Label((left, 44), shortened(shown.detail, _TILE, 8), size=8))
    return Drawing(width, tallest + 62, tuple(shapes))


def _fitted(image: UInt8Array) -> tuple[float, float]:
    """Return an image's size in the file: as wide as its tile, or narrower where it would be more than 1.5 as high."""
    height, width = image.shape[:2]
    scale = min(_TILE / width, 1.5 * _TILE / height)
    return width * scale, height * scale


def _key(entries: Sequence[KeyEntry], width: float) -> Drawing:
    shapes: list[Shape] = []
    left = _GAP
    for entry in entries:
        shapes.append(Line(((left, 9), (left + 22, 9)), entry.color, 2.5, dash=2.0 if entry.dashed else 0.0))
        shapes.append(Label((left + 28, 12), entry.label, size=9))
        left += 44 + 6 * len(entry.label)
    return Drawing(width, 16 if entries else 0, tuple(shapes))
