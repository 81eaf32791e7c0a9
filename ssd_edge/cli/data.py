"""``ssd-edge data``: what can be done with labelled images; ``stats`` counts them and ``synth`` draws them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, say, write_text
from ssd_edge.cli.data_check import check
from ssd_edge.cli.data_priors import priors
from ssd_edge.cli.data_tables import show_statistics
from ssd_edge.core.choices import LabelFormat
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.synthesize_config import SynthesizeConfig

data = typer.Typer(
    name="data",
    help="Check, count and draw labelled pictures; fit default boxes to them.",
    no_args_is_help=True,
    add_completion=False,
)


def _size_text(size: tuple[int, int]) -> str:
    """Return what :func:`parse_size` reads."""
    return f"{size[0]}x{size[1]}"


_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


@data.callback()
def root() -> None:
    """Check, count and draw labelled pictures; fit default boxes to them."""


@data.command("synth")
def synth(
    folder: Annotated[Path, typer.Argument(help="Where to write: a new or empty folder, or one drawn before.")],
    images: Annotated[int, typer.Option(help="Pictures to learn from.", min=0)] = SynthesizeConfig.train,
    val: Annotated[int, typer.Option(help="Pictures to choose by.", min=0)] = SynthesizeConfig.val,
    test: Annotated[int, typer.Option(help="Pictures to judge by.", min=0)] = SynthesizeConfig.test,
    size: Annotated[str, typer.Option(help="Of the pictures, as WIDTHxHEIGHT.")] = _size_text(SynthesizeConfig.size),
    seed: Annotated[int, typer.Option(help="Another seed draws other pictures.", min=0)] = SynthesizeConfig.seed,
    format: Annotated[LabelFormat, typer.Option(help="Layout of the labels.")] = SynthesizeConfig.format,
    video: Annotated[Path | None, typer.Option(help="Draw a film too, and its truth as JSON lines.")] = None,
    frames: Annotated[
        int, typer.Option(help="Length of the film; it plays 30 a second.", min=1)
    ] = SynthesizeConfig.frames,
    video_size: Annotated[str, typer.Option(help="Of the film, as WIDTHxHEIGHT.")] = _size_text(
        SynthesizeConfig.video_size
    ),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace all that the folder holds.")
    ] = SynthesizeConfig.overwrite,
) -> None:
    """Draw road scenes with labelled signs of eight kinds; the same seed draws the same pictures."""
    from ssd_edge.workflows.synthesize import synthesize

    config = SynthesizeConfig(
        format=format,
        train=images,
        val=val,
        test=test,
        size=parse_size(size),
        seed=seed,
        overwrite=overwrite,
        video=video,
        frames=frames,
        video_size=parse_size(video_size),
    )
    with bars() as progress:
        drawn = synthesize(folder, config=config, progress=progress)
    counts = f"{images} train, {val} val, {test} test"
    there = "" if drawn.is_new else " (there already)"
    say(f"{folder}: {counts}, {len(drawn.class_names)} classes, {format.value}{there}")
    if drawn.video is not None:
        say(f"{drawn.video}: {frames} frames; the truth is in {drawn.truth}")


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) from ``320x240``.

    Raises:
        InputError: the text is something else.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise InputError("a size is not understood", got=repr(text), wanted="WIDTHxHEIGHT, such as 320x240")
    return int(match[1]), int(match[2])


def stats(
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Pictures to count, repeatable; by default train, val and test.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="The figures; - for stdout.")] = None,
) -> None:
    """Print how many objects of each class there are, and how large they are."""
    from ssd_edge.workflows.data_statistics import DataStatisticsConfig, data_statistics

    config = DataStatisticsConfig(tuple(split) if split else None)
    with bars() as progress:
        result = data_statistics(dataset, config=config, progress=progress)
    show_statistics(result.splits, stderr=str(json) == "-")
    if json is not None:
        write_text(json, result.to_json())


data.command("check")(check)
data.command("stats")(stats)
data.command("priors")(priors)
