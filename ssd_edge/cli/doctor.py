"""``ssd-edge doctor``: check what this machine can do, and name the command that installs what is missing."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, say, show_table, write_json
from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.core.shell import printable, quoted
from ssd_edge.workflows.selftest_config import PAGE, SelftestConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.diagnose import DiagnoseResult
    from ssd_edge.workflows.selftest import SelftestResult, Verdict

_COLORS = {"ok": "green", "warn": "yellow", "missing": "red"}


def doctor(
    engine: Annotated[
        Path | None, typer.Argument(help="With --selftest: engine to test (default: small engines are built).")
    ] = None,
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="PATH|-",
            help="Write all checks and facts as JSON; - for stdout (default with --selftest: next to the page).",
        ),
    ] = None,
    is_selftest: Annotated[
        bool,
        typer.Option(
            "--selftest", help="Build small engines, run them, compare their detections with FP32 and time them."
        ),
    ] = False,
    frames: Annotated[
        int, typer.Option("--frames", min=1, help="With --selftest: number of frames to measure times and memory on.")
    ] = SelftestConfig.frames,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="With --selftest ENGINE: folder of images with objects that the engine detects."),
    ] = None,
    html: Annotated[Path, typer.Option("--html", metavar="PATH", help="HTML page of the self-test.")] = PAGE,
    camera: Annotated[
        int | None,
        typer.Option(
            "--camera", min=0, metavar="N", help="With --selftest: number of the camera whose frame rate is measured."
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Check another machine, from the file that `doctor --json` wrote there."
        ),
    ] = None,
) -> None:
    """Check what this machine can run and what is missing; exit code 1 if something is missing."""
    from ssd_edge.workflows.diagnose import diagnose

    _check_options(engine, images, record, is_selftest=is_selftest)
    if is_selftest and json_path is None:
        json_path = _next_to(html)
    machine = diagnose(record)
    if json_path != "-":
        show_checks(machine)
    result = _prove(engine, images, machine, frames, html, camera) if is_selftest else None
    if json_path is not None:
        write_json(json_path, json.dumps((result or machine).to_dict(), indent=1) + "\n")
    if json_path not in (None, "-"):
        say(f"wrote {json_path}; attach it to a bug report")
    if result is not None and result.faults:
        raise AccuracyError("the self-test failed", got="; ".join(result.faults))
    if not machine.is_ready:
        raise typer.Exit(1)


def _check_options(engine: Path | None, images: Path | None, record: Path | None, *, is_selftest: bool) -> None:
    if engine is not None and not is_selftest:
        raise InputError(
            "an engine is given without --selftest", do=f"Run: ssd-edge doctor --selftest {quoted(engine)}"
        )
    if images is not None and engine is None:
        raise InputError(
            "--images is given without an engine to test",
            do=f"Run: ssd-edge doctor --selftest ENGINE --images {quoted(images)}",
        )
    if is_selftest and record is not None:
        raise InputError(
            "--selftest tests this machine, --from describes another one", wanted="only one of the two options"
        )


def _next_to(html: Path) -> str:
    """Return the JSON file of the self-test: its page's name with .json."""
    if html.suffix == ".json":
        raise InputError(
            "--html names a JSON file",
            got=str(html),
            wanted=f"an HTML file, such as {PAGE}",
            do="For JSON, use --json.",
        )
    return str(html.with_suffix(".json"))


def show_checks(machine: DiagnoseResult) -> None:
    """Print a line for each check, and below it the command that solves the problem."""
    wide = max(len(check.name) for check in machine.checks)
    for check in machine.checks:
        state = typer.style(f"{check.state.value:<8}", fg=_COLORS[check.state.value])
        typer.echo(f"{state}{check.name:<{wide}}  {printable(check.found)}")
        if check.do:
            typer.echo(f"{'':<{8 + wide}}  do: {printable(check.do)}")


def _prove(
    engine: Path | None, images: Path | None, machine: DiagnoseResult, frames: int, html: Path, camera: int | None
) -> SelftestResult:
    from ssd_edge.workflows.selftest import selftest

    with bars() as progress:
        result = selftest(engine, images, machine=machine, frames=frames, html=html, camera=camera, progress=progress)
    show_selftest(result)
    return result


def show_selftest(result: SelftestResult) -> None:
    """Print the result of each engine on stderr."""
    if result.warning:
        say(result.warning, logging.WARNING)
    for verdict in result.verdicts:
        level = logging.ERROR if verdict.faults else logging.INFO
        say(f"{verdict.precision} on {verdict.where}: {'; '.join(verdict.faults) or 'passed'}", level)
        if not verdict.error:
            show_verdict(verdict)
    for form in result.nms:
        say(f"NMS {form}")
    if result.camera is not None:
        say(f"camera: {result.camera}")
    say(f"wrote {result.path}; attach it to a bug report")


def show_verdict(verdict: Verdict) -> None:
    """Print the figures of one engine; on a GPU also its stages, in trtexec's terms."""
    say(
        f"  {verdict.compared} detections compared, boxes within {verdict.worst_box:.4f} (1 - IoU), scores within "
        f"{verdict.worst_score:.4f}; median {verdict.median_ms:.2f} ms, p99 {verdict.p99_ms:.2f}; memory grew by "
        f"{verdict.grown_mib:.1f} MiB in {verdict.frames} "
        f"frames{f'; building used {verdict.build_mib:.0f} MiB' if verdict.build_mib else ''}"
    )
    if verdict.prediction is not None:
        found = verdict.prediction
        say(
            f"  compared with its own graph on the CPU: {found.lost} detections differ, boxes within "
            f"{found.worst_box:.4f}, scores within {found.worst_score:.4f}"
        )
    if not verdict.stages:
        say("  no times of H2D, D2H and enqueue: a CPU has no copies to a device and no queue")
        return
    for table in verdict.stages:
        rows = [
            (name, *(f"{value:.3f}" for value in dataclasses.astuple(spread))) for name, spread in table.rows.items()
        ]
        title = f"{verdict.precision}, {table.mode}: {table.throughput:.0f} frames/s one at a time, in ms"
        show_table(title, ("", "min", "mean", "median", "p90", "p95", "p99", "max"), rows, stderr=True)
    say(f"  {verdict.graph_gain}")
