"""The options of drawing images, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import LabelFormat
from ssd_edge.core.config import AnyPath, check_limits


@dataclass(frozen=True)
class SynthesizeConfig:
    """Options of drawing a data set.

    Attributes:
        format: layout of the labels.
        train, val, test: number of images of each split.
        size: (width, height) of the images in pixels.
        seed: another seed draws other images; 0 or more.
        overwrite: replace whatever the folder holds.
        workers: images drawn at a time; None for one a processor.
        video: the video to draw too, ``.mp4`` or ``.avi``; None for none.
        frames: length of the video; it plays 30 a second.
        video_size: (width, height) of the video in pixels, even numbers.
    """

    format: LabelFormat = LabelFormat.VOC
    train: int = 1200
    val: int = 100
    test: int = 200
    size: tuple[int, int] = (320, 240)
    seed: int = 0
    overwrite: bool = False
    workers: int | None = None
    video: Path | None = None
    frames: int = 300
    video_size: tuple[int, int] = (1280, 720)

    def __post_init__(self) -> None:
        check_limits(self, {"workers": (1, math.inf)})


class SynthesizeOptions(TypedDict, total=False):
    """The fields of :class:`SynthesizeConfig`, as keywords."""

    format: LabelFormat | Literal["voc", "coco", "yolo"]
    train: int
    val: int
    test: int
    size: tuple[int, int]
    seed: int
    overwrite: bool
    workers: int | None
    video: AnyPath | None
    frames: int
    video_size: tuple[int, int]
