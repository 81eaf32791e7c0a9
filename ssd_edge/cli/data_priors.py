"""``ssd-edge data priors``: default boxes fitted to labelled objects."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd_edge.cli.console import say, show_table
from ssd_edge.core.errors import InputError
from ssd_edge.core.requirements import require_torch

if TYPE_CHECKING:
    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.data.anchor_recall import Reach
    from ssd_edge.data.priors import FittedPriors


def priors(
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    preset: Annotated[str, typer.Option("--preset", help="The network.")] = "ssd192-tiny",
    input_size: Annotated[
        int | None, typer.Option("--input-size", help="Side of the network's input in pixels; by default the preset's.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Pictures to fit to.")] = "train",
    judge_split: Annotated[
        str | None, typer.Option("--judge-split", help="Pictures to judge the fit by besides; by default val if there.")
    ] = None,
    per_level: Annotated[
        str | None,
        typer.Option("--per-level", help="Boxes of a cell: a number, or one for each map, 4,6,6,…; by default as now."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="The file that train --priors takes.")] = Path("priors.json"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first centres.")] = 0,
) -> None:
    """Fit a network's default boxes to the objects of a data set: a file for train --priors."""
    require_torch()
    from ssd_edge.data.anchor_recall import Reach, best_overlaps, unit_boxes
    from ssd_edge.data.find import dataset_splits, open_dataset
    from ssd_edge.data.priors import fit_priors
    from ssd_edge.model.zoo import make_spec

    learnt = open_dataset(dataset, split)
    spec = make_spec(preset, learnt.class_names, input_size=input_size)
    levels = len(spec.anchors.levels)
    boxes = unit_boxes(learnt)
    say(f"fitting {preset} at {spec.input.height} x {spec.input.width} to {learnt.origin}: {len(boxes)} objects")
    fitted = fit_priors(boxes, spec.anchors, per_level=parse_per_level(per_level, levels), seed=seed)
    rows = [_row(f"{split} (fitted to)", fitted.before, fitted.after)]
    if judge_split is None:
        judge_split = next(
            (name for name in dataset_splits(dataset) if name in ("val", "valid") and name != split), None
        )
    if judge_split is not None:
        judged = unit_boxes(open_dataset(dataset, judge_split, learnt.class_names))
        before, after = (Reach.of(best_overlaps(judged, anchors)) for anchors in (spec.anchors, fitted.anchors))
        rows.append(_row(judge_split, before, after))
    columns = ("split", "objects", "recall@0.5", "fitted", "mean IoU", "fitted")
    show_table("objects that a default box overlaps by 0.5, and mean best IoU", columns, rows)
    _refuse_worse(fitted, preset)
    _write(fitted, spec, preset, output, learnt.origin)
    say(f"sizes of the {fitted.fitted_levels} finest of {levels} maps fitted; {fitted.anchors.count} default boxes")
    words = ["--preset", preset, *(["--input-size", str(input_size)] if input_size else []), "--priors", str(output)]
    say(f"wrote {output}; next: {shlex.join(['ssd-edge', 'train', str(dataset), *words])}")


def parse_per_level(text: str | None, levels: int) -> tuple[int, ...] | None:
    """Return the number of boxes of each map from ``6`` or ``4,6,6,6,4,4``; None where nothing is given.

    Raises:
        InputError: the text is something else.
    """
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() and 1 <= int(word) <= 64 for word in words) or len(words) not in (1, levels):
        raise InputError("--per-level is not understood", got=repr(text), wanted=f"a number of 1 to 64, or {levels}")
    return tuple(int(word) for word in words) * (levels if len(words) == 1 else 1)


def _row(name: str, before: Reach, after: Reach) -> tuple[str, ...]:
    shares = (before.recall, after.recall, before.mean_iou, after.mean_iou)
    return (name, f"{before.objects}", *(f"{share:.4f}" for share in shares))


def _refuse_worse(fitted: FittedPriors, preset: str) -> None:
    if not fitted.are_better:
        raise InputError(
            f"the default boxes of {preset} suit this data as well as any that were fitted",
            got=f"recall {fitted.before.recall:.4f} before and {fitted.after.recall:.4f} after",
            do="Nothing is written. Train with the preset as it is.",
        )


def _write(fitted: FittedPriors, spec: ModelSpec, preset: str, output: Path, origin: str) -> None:
    import dataclasses

    from ssd_edge.data.priors_file import PriorsFile

    gained: dict[str, Any] = {
        "data": origin,
        "before": dataclasses.asdict(fitted.before),
        "after": dataclasses.asdict(fitted.after),
    }
    PriorsFile(preset, spec.input.height, spec.input.width, fitted.anchors, gained).save(output)
