"""A drawn data set on disk: whole or absent, and the same for the same seed."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import write_image
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.writers import open_writer
from ssd_edge.scenes.replaced_folder import replaced_folder
from ssd_edge.scenes.scene import draw_scene
from ssd_edge.scenes.signs import SIGN_KINDS

MARKER = "synth.json"  # says that the folder is the drawer's own, and what was asked for
_DRAWING = 1  # raised whenever the same seed draws other pictures than before

LabelFormat = Literal["voc", "coco", "yolo"]
Split = Literal["train", "val", "test"]
_SPLIT_START: Mapping[Split, int] = {"train": 0, "val": 1 << 30, "test": 2 << 30}
_MIN_SIDE, _MAX_SIDE = 32, 8192


@dataclass(frozen=True)
class _Request:
    """What a drawn folder was asked to be; stored in it."""

    format: str
    train: int
    val: int
    test: int
    width: int
    height: int
    seed: int
    drawing: int = _DRAWING

    def pictures(self) -> list[tuple[Split, int]]:
        counts: dict[Split, int] = {"train": self.train, "val": self.val, "test": self.test}
        return [(split, number) for split, count in counts.items() for number in range(count)]


def synthesize(
    folder: Path,
    *,
    format: LabelFormat = "voc",
    train: int,
    val: int = 0,
    test: int = 0,
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> bool:
    """Draw a labelled data set of road signs into ``folder``.

    Picture n of a split depends on the seed, the split and n only: a larger set begins with the smaller one, and the
    splits share no picture. Signs of which less than 0.3 shows are marked difficult (left out in YOLO's format, which
    cannot say so).

    Args:
        folder: a new or empty folder, or one that this function wrote before, which is then replaced.
        format: layout of the labels.
        train: number of pictures to learn from.
        val: number of pictures to choose by.
        test: number of pictures to judge by.
        size: (width, height) of the pictures.
        seed: of the series, 0 or more.
        overwrite: replace whatever the folder holds.
        workers: pictures drawn at a time; by default one a processor.
        progress: told after each picture.

    Returns:
        False where the folder held this very data set already and was left as it is.

    Raises:
        InputError: a number makes no sense, or the folder holds something else or cannot be written.
    """
    request = _Request(format, train, val, test, *size, seed)
    _refuse_senseless(request)
    if not overwrite and _read_marker(folder) == dataclasses.asdict(request):
        return False
    with replaced_folder(folder, marker=MARKER, overwrite=overwrite) as partial:
        _draw_into(partial, request, workers or os.cpu_count() or 1, progress)
        (partial / MARKER).write_text(json.dumps(dataclasses.asdict(request), indent=1) + "\n", encoding="utf-8")
    return True


def _draw_into(folder: Path, request: _Request, workers: int, progress: Progress) -> None:
    writer = open_writer(request.format, folder, SIGN_KINDS)
    pictures = request.pictures()
    paths = [writer.image_path(split, f"{split}_{number:06d}") for split, number in pictures]

    def draw(picture: int) -> tuple[LabelledObject, ...]:
        split, number = pictures[picture]
        scene = draw_scene(request.height, request.width, request.seed, _SPLIT_START[split] + number)
        write_image(paths[picture], scene.image)
        return scene.objects

    with ThreadPoolExecutor(workers) as pool:
        try:
            for done, objects in enumerate(pool.map(draw, range(len(pictures)))):
                writer.add(pictures[done][0], paths[done], (request.width, request.height), objects)
                progress(done + 1, len(pictures))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    writer.close()


def _read_marker(folder: Path) -> object:
    try:
        return json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _refuse_senseless(request: _Request) -> None:
    counts = (request.train, request.val, request.test)
    sides = (request.width, request.height)
    rules = (
        (min(counts) >= 0 and sum(counts) > 0, f"{counts} pictures", "no negative count, and one picture or more"),
        (max(counts) <= 1 << 30, f"{max(counts)} pictures", f"at most {1 << 30} in a split"),
        (all(_MIN_SIDE <= side <= _MAX_SIDE for side in sides), "{} x {}".format(*sides), "sides of 32 to 8192 pixels"),
        (request.seed >= 0, f"seed {request.seed}", "0 or more"),
    )
    for holds, got, wanted in rules:
        if not holds:
            raise InputError("such a data set cannot be drawn", got=got, wanted=wanted)
