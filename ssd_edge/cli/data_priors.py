"""``ssd-edge data priors``: default boxes fitted to labelled objects."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.fit_priors_config import PRIORS, FitPriorsConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.fit_priors import FitPriorsResult


def priors(
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    preset: Annotated[str, typer.Option("--preset", help="The network.")] = FitPriorsConfig.preset,
    input_size: Annotated[
        int | None, typer.Option("--input-size", help="Side of the network's input in pixels; by default the preset's.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Pictures to fit to.")] = FitPriorsConfig.split,
    judge_split: Annotated[
        str | None, typer.Option("--judge-split", help="Pictures to judge the fit by besides; by default val if there.")
    ] = None,
    per_level: Annotated[
        str | None,
        typer.Option("--per-level", help="Boxes of a cell: a number, or one for each map, 4,6,6,…; by default as now."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="The file that train --priors takes.")] = PRIORS,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first centres.")] = FitPriorsConfig.seed,
) -> None:
    """Fit a network's default boxes to the objects of a data set: a file for train --priors."""
    from ssd_edge.workflows.fit_priors import fit_priors

    config = FitPriorsConfig(preset, input_size, split, judge_split, parse_per_level(per_level), output, seed)
    with bars() as progress:
        result = fit_priors(dataset, config=config, progress=progress)
    _show_gains(result)
    fitted = result.fitted
    if result.path is None:
        raise InputError(
            f"the default boxes of {preset} suit this data as well as any that were fitted",
            got=f"recall {fitted.before.recall:.4f} before and {fitted.after.recall:.4f} after",
            do="Nothing is written. Train with the preset as it is.",
        )
    maps = f"{fitted.fitted_levels} finest of {result.levels} maps"
    say(f"sizes of the {maps} fitted; {fitted.anchors.count} default boxes")
    words = ["--preset", preset, *(["--input-size", str(input_size)] if input_size else []), "--priors", str(output)]
    say(f"wrote {output}; next: {shlex.join(['ssd-edge', 'train', str(dataset), *words])}")


def parse_per_level(text: str | None) -> tuple[int, ...] | None:
    """Return the numbers of ``6`` or ``4,6,6,6,4,4``; None where nothing is given.

    Raises:
        InputError: the text is something else.
    """
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise InputError("--per-level is not understood", got=repr(text), wanted="a number, or one for each map")
    return tuple(int(word) for word in words)


def _show_gains(result: FitPriorsResult) -> None:
    gains = [result.training, *([result.validation] if result.validation else [])]
    rows = []
    for number, (split, before, after) in enumerate(gains):
        shares = (before.recall, after.recall, before.mean_iou, after.mean_iou)
        name = f"{split} (fitted to)" if number == 0 else split
        rows.append((name, f"{before.objects}", *(f"{share:.4f}" for share in shares)))
    columns = ("split", "objects", "recall@0.5", "fitted", "mean IoU", "fitted")
    show_table("objects that a default box overlaps by 0.5, and mean best IoU", columns, rows)
