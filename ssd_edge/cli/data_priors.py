"""``ssd-edge data priors``: fit anchors to labelled objects."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table
from ssd_edge.cli.option_values import parse_input_size, parse_numbers
from ssd_edge.core.shell import size_text
from ssd_edge.workflows.fit_priors_config import PRIORS, FitPriorsConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.fit_priors import FitPriorsResult


def priors(
    dataset: Annotated[Path, typer.Argument(help="Labelled images (VOC, COCO, YOLO or CSV).", metavar="DATASET")],
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Network whose anchors are fitted (default: the one that `train` chooses)."),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input-size", metavar="N|WxH", help="Input size of the network in pixels (default: as `train` has it)."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Data set split; the anchors (priors) are fitted to its objects.")
    ] = FitPriorsConfig.split,
    val_split: Annotated[
        str | None,
        typer.Option("--val-split", help="Split to evaluate the fitted anchors on (default: val, if there is one)."),
    ] = None,
    per_level: Annotated[
        str | None,
        typer.Option(
            "--per-level",
            help="Anchors per cell: one number, or one per feature map, e.g. 4,6,6,6,4,4 (default: the preset's).",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="Anchors file to write, for train --priors.")] = PRIORS,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Random seed for the first cluster centers.")
    ] = FitPriorsConfig.seed,
) -> None:
    """Fit a network's anchors to the objects of a data set, for train --priors."""
    from ssd_edge.workflows.fit_priors import fit_priors

    numbers = parse_numbers(per_level, "--per-level", "one for all feature maps, or one per feature map")
    config = FitPriorsConfig(preset, parse_input_size(input_size), split, val_split, numbers, output, seed)
    with bars() as progress:
        result = fit_priors(dataset, config=config, progress=progress)
    _show_gains(result)
    fitted = result.fitted
    if fitted.fitted_levels:
        maps = f"{fitted.fitted_levels} finest of {result.levels} feature maps"
        say(f"fitted the anchors of the {maps}; {fitted.anchors.count} anchors in all")
    else:
        say(f"fitted anchors are no better than {result.preset}'s on this data; {output} contains the preset's anchors")
    words = ["--preset", result.preset, "--input-size", size_text(result.input_size), "--priors", str(output)]
    say(f"wrote {output}; next: {shlex.join(['ssd-edge', 'train', str(dataset), *words])}")


def _show_gains(result: FitPriorsResult) -> None:
    gains = [result.training, *([result.validation] if result.validation else [])]
    rows = []
    for number, (split, before, after) in enumerate(gains):
        shares = (before.recall, after.recall, before.mean_iou, after.mean_iou)
        name = f"{split} (fitted to)" if number == 0 else split
        rows.append((name, f"{before.objects}", *(f"{share:.4f}" for share in shares)))
    columns = ("split", "objects", "recall@0.5", "fitted", "mean IoU", "fitted")
    show_table("anchor recall at IoU 0.5 and mean best IoU", columns, rows)
