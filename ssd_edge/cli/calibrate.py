"""``ssd-edge calibrate``: measure the activation ranges of an exported model for INT8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, say
from ssd_edge.core.choices import Method
from ssd_edge.core.log import counted
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.calibrate_config import IMAGES, CalibrateConfig


def calibrate(
    onnx: Annotated[Path | None, typer.Argument(help="Exported model (default: the newest engines/*/*.onnx).")] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Calibration images: a folder, a data set or a *.images.json file."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Split to take the calibration images from; do not evaluate on the same one.",
            show_default=IMAGES.split,
        ),
    ] = None,
    max_images: Annotated[
        int | None,
        typer.Option(
            "--max-images", min=2, help="Maximum number of calibration images.", show_default=str(IMAGES.limit)
        ),
    ] = None,
    method: Annotated[
        Method,
        typer.Option("--method", help="Method that chooses the ranges. auto: measures all methods and takes the best."),
    ] = CalibrateConfig.method,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Random seed for the choice of images.", show_default=str(IMAGES.seed)),
    ] = None,
    keep_images: Annotated[
        bool,
        typer.Option(
            "--keep-images",
            help="Also copy the chosen images to calibration/<model>.images/, to calibrate on another machine.",
        ),
    ] = CalibrateConfig.keep_images,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Calibration table to write (default: calibration/<model>.ranges.json)."),
    ] = None,
    max_bad: Annotated[
        float,
        typer.Option(
            "--max-bad", min=0.0, max=1.0, help="Largest share of unreadable images that may be left out, 0 to 1."
        ),
    ] = CalibrateConfig.max_bad,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first image that cannot be read (default: leave it out).")
    ] = CalibrateConfig.strict,
) -> None:
    """Measure the activation ranges of all tensors, for build --int8; writes calibration/<model>.ranges.json."""
    from ssd_edge.workflows import calibrate as workflow

    config = CalibrateConfig(
        method=method,
        split=split,
        max_images=max_images,
        seed=seed,
        keep_images=keep_images,
        output=output,
        max_bad=max_bad,
        strict=strict,
    )
    with bars() as progress:
        made = workflow.calibrate(onnx, images, config=config, progress=progress)
    say(
        f"wrote {made.path}: {made.range_count} ranges, chosen by method {made.method.value} from "
        f"{made.image_count} images"
    )
    if made.left_out:
        say(f"{counted(len(made.left_out), 'image')} left out, for example {made.left_out[0]}")
    named = "" if made.is_default else f" --ranges {quoted(made.path)}"
    say(f"next: ssd-edge build --int8 {quoted(made.onnx)}{named}")
