"""``ssd-edge label``: detections of many images in Parquet files."""

from __future__ import annotations

import logging
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table, write_json
from ssd_edge.core.choices import LabelEngine, LabelFormat
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.label_config import LabelConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.label_images import LabelResult

_work, _rows = (partial(typer.Option, rich_help_panel=panel) for panel in ("Work", "Rows"))
_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})")


def label(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders, images, videos, .tar (WebDataset), .txt with one path per line, .parquet with a column "
            "`path`.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Output folder: a new one, or that of the same job, which is then continued.",
        ),
    ] = LabelConfig.output,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A .pt, .onnx or .engine (default: the current engine of engines/)."),
    ] = None,
    score_threshold: Annotated[
        float, _rows("--score-threshold", "--threshold", "-t", help="Keep detections with a score above this, 0 to 1.")
    ] = LabelConfig.score_threshold,
    format: Annotated[
        LabelFormat | None,
        _rows("--format", help="Also write the detections as a data set in this format (pre-labels)."),
    ] = LabelConfig.format,
    every: Annotated[int, _rows("--every", min=1, help="Label every N-th frame of a video.")] = LabelConfig.every,
    images_per_part: Annotated[
        int, _rows("--images-per-part", min=1, help="Number of images per Parquet file.")
    ] = LabelConfig.images_per_part,
    shard: Annotated[
        str, _work("--shard", metavar="I/N", help="Label only shard I of N; all shards may write to the same folder.")
    ] = "{}/{}".format(*LabelConfig.shard),
    engine: Annotated[
        LabelEngine, _work("--engine", help="local: this machine; ray: the Ray cluster that this machine belongs to.")
    ] = LabelConfig.engine,
    threads: Annotated[
        int | None,
        _work(
            "--threads",
            min=1,
            help="Batches to process at the same time, one core each (default: all cores; with Ray, 4 per actor).",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        _work("--batch-size", min=1, help="Images per batch (default: the engine's maximum, or 8 if it has none)."),
    ] = None,
    retry_errors: Annotated[
        bool, _rows("--retry-errors", help="Label the parts again in which an image could not be read.")
    ] = LabelConfig.retry_errors,
    device: Annotated[
        str,
        _work(
            "--device", help="Device for a .pt (auto, cpu, cuda, cuda:N, mps) or an OpenVINO engine (cpu, gpu, npu)."
        ),
    ] = LabelConfig.device,
    json_path: Annotated[
        str | None, _rows("--json", metavar="PATH|-", help="Write the summary as JSON; - for stdout.")
    ] = None,
) -> None:
    """Detect objects in many images, a row per image in Parquet files; the same command continues a stopped job."""
    from ssd_edge.workflows import label_images as workflow

    config = LabelConfig(
        output=output,
        score_threshold=score_threshold,
        format=format,
        shard=_parsed(shard),
        engine=engine,
        threads=threads,
        batch=batch,
        every=every,
        images_per_part=images_per_part,
        retry_errors=retry_errors,
        device=device,
    )
    with bars() as progress:
        result = workflow.label([*sources], model, config=config, progress=progress)
    if json_path is not None:
        write_json(json_path, result.to_json())
    _show(result, stderr=json_path == "-")


def _parsed(shard: str) -> tuple[int, int]:
    match = _SHARD.fullmatch(shard)
    if not match:
        raise InputError("--shard is invalid", got=repr(shard), wanted="I/N, such as 1/4")
    return int(match[1]), int(match[2])


def _show(result: LabelResult, *, stderr: bool) -> None:
    summary = result.summary
    rows = [(name, str(entry.detections), str(entry.images)) for name, entry in summary.classes.items()]
    title = f"{result.path}: {summary.images} images, {summary.detections} detections, {summary.errors} unreadable"
    show_table(title, ("label", "detections", "images"), rows, stderr=stderr)
    say(f"this run: {result.labelled} images in {result.seconds:.1f} s, {result.images_per_second:.1f} per second")
    if result.left_out_count:
        say(f"{result.left_out_count} left out, for example {result.left_out[0]}", logging.WARNING)
    if len(summary.devices) > 1:
        say(f"different processors were used, so the last digits may differ: {', '.join(summary.devices)}")
    if not summary.complete:
        say(f"{summary.parts_total - summary.parts} of {summary.parts_total} parts are left to other shards")
        return
    _show_drift(result)
    say(f"complete; digest {summary.digest}")
    if result.labels is not None:
        small = f"; {result.small_boxes} boxes are too small for this format" if result.small_boxes else ""
        say(f"pre-labels: {result.labels}{small}")


def _show_drift(result: LabelResult) -> None:
    drift = result.summary.drift
    if drift.unknown or drift.objects_per_image is None:
        say(f"no comparison with the training set: {drift.unknown}")
        return
    before, now = drift.objects_per_image
    say(
        f"compared with {drift.dataset}: class frequencies differ by {drift.class_distance:.2f} (0: the same, 1: "
        f"no class in common), {now:.2f} detections per image here, {before:.2f} objects per image there"
    )
