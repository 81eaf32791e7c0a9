"""``ssd-edge data``: what can be done with labelled pictures."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bar, say
from ssd_edge.cli.data_check import check
from ssd_edge.cli.data_priors import priors
from ssd_edge.cli.data_tables import stats
from ssd_edge.core.errors import InputError

data = typer.Typer(
    name="data",
    help="Check, count and draw labelled pictures; fit default boxes to them.",
    no_args_is_help=True,
    add_completion=False,
)

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


class LabelLayout(str, Enum):
    """How the labels are written."""

    voc = "voc"
    coco = "coco"
    yolo = "yolo"


@data.callback()
def root() -> None:
    """Check, count and draw labelled pictures; fit default boxes to them."""


@data.command("synth")
def synth(
    folder: Annotated[Path, typer.Argument(help="Where to write: a new or empty folder, or one drawn before.")],
    images: Annotated[int, typer.Option(help="Pictures to learn from.", min=0)] = 1200,
    val: Annotated[int, typer.Option(help="Pictures to choose by.", min=0)] = 100,
    test: Annotated[int, typer.Option(help="Pictures to judge by.", min=0)] = 200,
    size: Annotated[str, typer.Option(help="Of the pictures, as WIDTHxHEIGHT.")] = "320x240",
    seed: Annotated[int, typer.Option(help="Another seed draws other pictures.", min=0)] = 0,
    format: Annotated[LabelLayout, typer.Option(help="Layout of the labels.")] = LabelLayout.voc,
    video: Annotated[Path | None, typer.Option(help="Draw a film too, and its truth as JSON lines.")] = None,
    frames: Annotated[int, typer.Option(help="Length of the film; it plays 30 a second.", min=1)] = 300,
    video_size: Annotated[str, typer.Option(help="Of the film, as WIDTHxHEIGHT.")] = "1280x720",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace all that the folder holds.")] = False,
) -> None:
    """Draw road scenes with labelled signs of eight kinds; the same seed draws the same pictures."""
    from ssd_edge.scenes import SIGN_KINDS, synth_video, synthesize

    picture_size, film_size = parse_size(size), parse_size(video_size)
    with bar("drawing") as progress:
        drawn = synthesize(
            folder,
            format=format.value,
            train=images,
            val=val,
            test=test,
            size=picture_size,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    counts = f"{images} train, {val} val, {test} test"
    say(f"{folder}: {counts}, {len(SIGN_KINDS)} classes, {format.value}" + ("" if drawn else " (there already)"))
    if video is not None:
        with bar("filming") as progress:
            truth = synth_video(video, frames=frames, size=film_size, seed=seed, progress=progress)
        say(f"{video}: {frames} frames; the truth is in {truth}")


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) from ``320x240``.

    Raises:
        InputError: the text is something else.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise InputError("a size is not understood", got=repr(text), wanted="WIDTHxHEIGHT, such as 320x240")
    return int(match[1]), int(match[2])


data.command("check")(check)
data.command("stats")(stats)
data.command("priors")(priors)
