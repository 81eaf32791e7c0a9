"""``ssd-edge data``: check, count, convert and draw labelled images; fit anchors to them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, say, write_json
from ssd_edge.cli.data_check import check
from ssd_edge.cli.data_convert import convert
from ssd_edge.cli.data_priors import priors
from ssd_edge.cli.data_split import split
from ssd_edge.cli.data_tables import show_statistics
from ssd_edge.cli.old_options import Command
from ssd_edge.cli.option_values import parse_size
from ssd_edge.core.choices import LabelFormat
from ssd_edge.core.shell import size_text
from ssd_edge.workflows.synthesize_config import SynthesizeConfig

_video = partial(typer.Option, rich_help_panel="Video")

data = typer.Typer(
    name="data",
    help="Check, count, split, convert and generate labelled images; fit anchors to them.",
    no_args_is_help=True,
    add_completion=False,
)


@data.callback()
def root() -> None:
    """Check, count, split, convert and generate labelled images; fit anchors to them."""


@data.command("synth", cls=Command)
def synth(
    folder: Annotated[Path, typer.Argument(help="Folder to write: new, empty, or written by this command before.")],
    train: Annotated[int, typer.Option(help="Number of training images.", min=0)] = SynthesizeConfig.train,
    val: Annotated[int, typer.Option(help="Number of validation images.", min=0)] = SynthesizeConfig.val,
    test: Annotated[int, typer.Option(help="Number of test images.", min=0)] = SynthesizeConfig.test,
    size: Annotated[str, typer.Option(help="Image size in pixels, WIDTHxHEIGHT.")] = size_text(SynthesizeConfig.size),
    seed: Annotated[
        int, typer.Option(help="Random seed; the same seed gives the same images.", min=0)
    ] = SynthesizeConfig.seed,
    format: Annotated[LabelFormat, typer.Option(help="Format of the labels.")] = SynthesizeConfig.format,
    video: Annotated[
        Path | None,
        _video(help="Also write a video to this file, and the objects in it to a .truth.jsonl file beside it."),
    ] = None,
    frames: Annotated[int, _video(help="Length of the video in frames, at 30 FPS.", min=1)] = SynthesizeConfig.frames,
    video_size: Annotated[str, _video(help="Video size in pixels, WIDTHxHEIGHT.")] = size_text(
        SynthesizeConfig.video_size
    ),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the contents of the folder first.")
    ] = SynthesizeConfig.overwrite,
) -> None:
    """Generate road scenes with labelled traffic signs of eight classes."""
    from ssd_edge.workflows.synthesize import synthesize

    config = SynthesizeConfig(
        format=format,
        train=train,
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
    counts = f"{train} train, {val} val, {test} test"
    there = "" if drawn.is_new else " (already there)"
    say(f"{folder}: {counts}, {len(drawn.class_names)} classes, {format.value}{there}")
    if drawn.video is not None:
        say(f"{drawn.video}: {frames} frames; objects in {drawn.truth}")


def stats(
    dataset: Annotated[Path, typer.Argument(help="Labelled images (VOC, COCO, YOLO or CSV).", metavar="DATASET")],
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Split to count; repeatable (default: train, val and test).")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="PATH|-", help="Write the figures as JSON; - for stdout.")
    ] = None,
) -> None:
    """Count the objects of each class and show their sizes."""
    from ssd_edge.workflows.data_statistics import DataStatisticsConfig, data_statistics

    config = DataStatisticsConfig(tuple(split) if split else None)
    with bars() as progress:
        result = data_statistics(dataset, config=config, progress=progress)
    show_statistics(result.splits, stderr=str(json) == "-")
    if json is not None:
        write_json(json, result.to_json())


data.command("check", cls=Command)(check)
data.command("stats", cls=Command)(stats)
data.command("priors", cls=Command)(priors)
data.command("split", cls=Command)(split)
data.command("convert", cls=Command)(convert)
