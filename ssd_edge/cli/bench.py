"""``ssd-edge bench``: measure engines, models, presets and other runtimes side by side."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, exit_incomplete, say, show_table, write_json
from ssd_edge.core.choices import Peer, Precision, Target
from ssd_edge.workflows.benchmark.config import BenchConfig

_presets, _rounds, _outputs = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Presets", "Rounds", "Output")
)


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files (.engine, .onnx, .pt) or presets (default: the current engine and the other engines of its "
            "model).",
            metavar="[MODEL|PRESET]...",
        ),
    ] = None,
    against: Annotated[
        list[Peer] | None, typer.Option("--against", help="Other detector or runtime to measure too; repeatable.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="PATH", help="Image or folder of images to measure on (default: generated scenes)."
        ),
    ] = None,
    cores: Annotated[int | None, typer.Option("--cores", min=1, help="CPU cores to use (default: all).")] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            "--score-threshold",
            min=0.0,
            max=0.9999,
            help="Keep detections with a score above this, 0 to 1 (default: the model's own).",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure only latency, start-up time and memory.")
    ] = BenchConfig.quick,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Also measure batch sizes of 1 to 8, and 1 to 8 streams at once.")
    ] = BenchConfig.scaling,
    roofline: Annotated[
        bool,
        typer.Option(
            "--roofline", help="Also measure the CPU's peak throughput, and the share of that peak each model reaches."
        ),
    ] = BenchConfig.roofline,
    precisions: Annotated[
        list[Precision] | None,
        _presets(
            "--precision", help="Precision of the engines built from a preset; repeatable (default: fp32 and int8)."
        ),
    ] = None,
    targets: Annotated[
        list[Target] | None,
        _presets(
            "--target", help="Runtime of the engines built from a preset; repeatable (default: as `build` chooses)."
        ),
    ] = None,
    classes: Annotated[int, _presets("--classes", min=1, help="Number of classes, for presets.")] = BenchConfig.classes,
    seconds: Annotated[
        float, _rounds("--seconds", min=0.1, help="Seconds of timed calls, in total for all compared models.")
    ] = BenchConfig.seconds,
    rounds: Annotated[
        int,
        _rounds(
            "--rounds",
            min=6,
            help="Maximum number of blocks of timed calls per model; the models take turns block by block.",
        ),
    ] = BenchConfig.rounds,
    launches: Annotated[
        int,
        _rounds(
            "--launches",
            min=1,
            help="How often each compared model is started in a new process; the start-up time is the median.",
        ),
    ] = BenchConfig.launches,
    confidence: Annotated[
        float, _rounds("--confidence", min=0.5, max=0.9999, help="Confidence level of the intervals, 0.5 to 1.")
    ] = BenchConfig.confidence,
    busy: Annotated[
        int,
        _rounds(
            "--busy",
            min=0,
            help="Number of extra busy processes to run during the timed calls, to simulate other load.",
        ),
    ] = BenchConfig.busy,
    html: Annotated[Path | None, _outputs("--html", metavar="PATH", help="Write an HTML page with plots.")] = None,
    markdown: Annotated[Path | None, _outputs("--markdown", metavar="PATH", help="Write a Markdown page.")] = None,
    json_path: Annotated[
        str | None,
        _outputs("--json", metavar="PATH|-", help="Write the figures as JSON; - for stdout, without tables."),
    ] = None,
) -> None:
    """Compare models on this machine: latency with confidence intervals, throughput, stages, start-up time, memory."""
    from ssd_edge.workflows.benchmark.benchmark import bench as measure
    from ssd_edge.workflows.benchmark.tables import bench_tables, machine_lines

    config = BenchConfig(
        against=tuple(against or ()),
        images=images,
        precisions=tuple(precisions or BenchConfig.precisions),
        targets=tuple(targets or ()),
        classes=classes,
        cores=cores,
        score_threshold=score_threshold,
        seconds=seconds,
        rounds=rounds,
        launches=launches,
        confidence=confidence,
        busy=busy,
        quick=quick,
        scaling=scaling,
        roofline=roofline,
        html=html,
        markdown=markdown,
    )
    with bars() as progress:
        result = measure(models or (), config=config, progress=progress)
    if json_path != "-":
        for table in bench_tables(result):
            show_table(table.title, table.columns, table.rows)
    for line in machine_lines(result):
        say(line, logging.WARNING if line in result.warnings else logging.INFO)
    if json_path is not None:
        write_json(json_path, result.to_json())
    exit_incomplete(result.left_out)
